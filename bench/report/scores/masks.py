"""The masks table: whole image, where the reference frame is saturated, and where something moves."""

from collections.abc import Sequence

from bench.report.results.inputs import Measured
from bench.report.results.results import Result, single_protocol
from bench.report.scores.scored import CONTROLS
from bench.report.table.caption import SUBMITTED, caption
from bench.report.table.table import Column, Row, Table, Value, rank

AREAS = {"": "whole", "@saturated": "saturated", "@moving": "moving"}
SCORES = ("psnr-mu", "psnr-l")
GROUPS = {"psnr-mu": "PSNR-μ, dB", "psnr-l": "PSNR-l, dB", "scenes": "scenes with a value"}


def column_key(score: str, area: str) -> str:
    """Return the column that holds a score inside an area."""
    return f"{score}{area}".replace("-", "_").replace("@", "_")


VALUES = tuple(
    Column(column_key(score, area), name, score, 2, "higher") for score in SCORES for area, name in AREAS.items()
)
COUNTS = tuple(Column(f"scenes{area.replace('@', '_')}", name, "scenes", 0) for area, name in AREAS.items())
COLUMNS = (
    Column("dataset", "dataset", shown=False),
    Column("method", "method"),
    Column("variant", "variant", shown=False),
    Column("kind", "kind"),
    *VALUES,
    *COUNTS,
    Column("seeds", "seeds", shown=False),
    Column("protocol", "protocol", shown=False),
    Column("note", "note", shown=False),
)


def table(measured: Measured) -> Table:
    """Build the masks table of every variant that has scores, floors first; two protocols raise BenchError."""
    floors, results = measured.params.tables.floors, measured.results
    variants = [*floors, *(name for name in _order(measured) if name not in floors)]
    tested = dict.fromkeys(cell.dataset for cell in measured.params.evaluations.values())
    rows = [
        _row(variant, dataset, results[variant, dataset], measured)
        for dataset in tested
        for variant in variants
        if (variant, dataset) in results
    ]
    rows += [_submitted(name, dataset, measured) for name, dataset in sorted(measured.submitted)]
    rows = [row for dataset in tested for row in rows if row.panel == dataset and _has_areas(row)]
    single_protocol((str(row.cells["protocol"]) for row in rows), "the masks table")
    return Table(
        name="masks",
        title="Where methods differ: saturated and moving areas",
        caption=f"{caption(measured.params, measured.cards, list(results.values()), list(tested))} {_masks(rows)}",
        columns=COLUMNS,
        rows=rank(rows, VALUES, ("dataset", "protocol", "scenes")),
        headings={name: f"Measured here on {name}" for name in tested},
        groups={(name, group): label for name in tested for group, label in GROUPS.items()},
    )


def _masks(rows: Sequence[Row]) -> str:
    kinds = {row.cells["kind"] for row in rows}
    others = (CONTROLS if "control" in kinds else "") + (f" {SUBMITTED}" if "submitted" in kinds else "")
    return (
        "Saturated: a channel of the reference frame is at full scale or close to it. Moving: another frame "
        "contradicts the reference, which can't be seen where frames are saturated or dark, and counts motion of the "
        "camera beyond the protocol's slack. A scene in which a mask is empty has no value and doesn't enter that mean."
        + others
    )


def _order(measured: Measured) -> list[str]:
    params, controls = measured.params, _controls(measured)
    named = [variant for number in params.tables.paper for variant in params.rows(number).values()]
    others = sorted({variant for variant, _ in measured.results} - set(controls))
    return list(dict.fromkeys([*named, *others, *controls]))


def _controls(measured: Measured) -> list[str]:
    """List the variants that stand in tables as controls and nowhere as a row of the paper."""
    params = measured.params
    rows = {variant for number in params.tables.paper for variant in params.rows(number).values()}
    controls = [variant for number in params.tables.paper for variant in params.controls(number).values()]
    return [name for name in controls if name not in rows]


def kind(variant: str, measured: Measured) -> str:
    """Return what kind of row a variant of ours makes: floor, control or measured."""
    if variant in measured.params.tables.floors:
        return "floor"
    return "control" if variant in _controls(measured) else "measured"


def _row(variant: str, dataset: str, result: Result, measured: Measured) -> Row:
    of = kind(variant, measured)
    named: dict[str, Value] = {"method": label(variant, measured), "kind": of}
    ranked = of == "measured" and bool(measured.card(variant))
    return _scored(Row(dataset, {"dataset": dataset, "variant": variant, **named}, ranked=ranked), result)


def _submitted(name: str, dataset: str, measured: Measured) -> Row:
    cells: dict[str, Value] = {"dataset": dataset, "method": name, "variant": name, "kind": "submitted"}
    fewer = measured.fewer(name, dataset)
    return _scored(Row(dataset, cells, notes=fewer, ranked=not fewer), measured.submitted[name, dataset])


def _has_areas(row: Row) -> bool:
    # Results scored against truths alone have no frames, so no masks.
    keys = [column.key for column in VALUES if "saturated" in column.key or "moving" in column.key]
    return row.cells["kind"] != "submitted" or any(row.cells.get(key) is not None for key in keys)


def _scored(row: Row, result: Result) -> Row:
    cells: dict[str, Value] = {**row.cells, "seeds": result.seeds, "protocol": result.protocol}
    remarks: dict[str, str] = {}
    spreads: dict[str, float] = {}
    for score in SCORES:
        for area in AREAS:
            key, metric = column_key(score, area), score + area
            if metric in result.values:
                cells[key] = result.values[metric]
                spreads |= {key: result.spreads[metric]} if metric in result.spreads else {}
            else:
                remarks[key] = "no scene has such an area, or it wasn't scored"
    for area in AREAS:
        cells[f"scenes{area.replace('@', '_')}"] = result.counts.get("psnr-mu" + area, 0)
    made = Row(row.panel, cells, remarks, (*row.notes, *result.notes), spreads, ranked=row.ranked)
    return Row(**{**made.__dict__, "cells": {**cells, "note": made.note}})


def label(variant: str, measured: Measured) -> str:
    """Return the paper's label of a variant with ours behind it, or just ours."""
    params = measured.params
    parts = [*map(params.rows, (1, 3, 2)), *map(params.controls, (1, 2, 3))]
    for rows in parts:
        for name, ours in rows.items():
            if ours == variant:
                return f"{name} · {variant}" if name.lower() != variant else name
    return variant
