"""The masks table: whole image, where the reference frame is saturated, and where something moves."""

from bench.report.results.caption import SUBMITTED, caption
from bench.report.results.inputs import Measured
from bench.report.results.results import Summary, single_protocol
from bench.report.scores.scored import AREAS, CONTROLS, NO_AREA, column_key
from bench.report.table.table import Column, Row, Table, Value, hidden, rank

SCORES = ("psnr-mu", "psnr-l")
GROUPS = {"psnr-mu": "PSNR-μ, dB", "psnr-l": "PSNR-l, dB", "scenes": "scenes with a value"}
READING = (
    "Saturated: a channel of the reference frame is at full scale or close to it. Moving: another frame contradicts "
    "the reference, which can't be seen where frames are saturated or dark, and counts motion of the camera beyond the "
    "protocol's slack. Uncovered, which only simulated brackets know: another frame doesn't show what the reference "
    "shows there. A scene in which a mask is empty has no value and doesn't enter that mean."
)
KNOWN = "@uncovered"
"""The area that only some sets tell: without it a panel has no such column."""

VALUES = tuple(
    Column(column_key(score, area), name, score, 2, "higher", optional=area == KNOWN)
    for score in SCORES
    for area, name in AREAS.items()
)
COUNTS = tuple(
    Column(column_key("scenes", area), name, "scenes", 0, optional=area == KNOWN) for area, name in AREAS.items()
)
COLUMNS = (
    *hidden("dataset"),
    Column("method", "method"),
    *hidden("variant"),
    Column("kind", "kind"),
    *VALUES,
    *COUNTS,
    *hidden("seeds", "protocol", "note"),
)


def table(measured: Measured) -> Table:
    """Build the masks table of every variant that has scores, floors first; two protocols raise BenchError."""
    results, controls = measured.results, measured.controls
    others = sorted({variant for variant, _ in results} - set(controls))
    variants = list(dict.fromkeys([*measured.params.tables.floors, *measured.rows, *others, *controls]))
    tested = list(dict.fromkeys(entry.dataset for entry in measured.params.evaluations.values()))
    rows = []
    for dataset in tested:
        rows += [_row(name, dataset, measured) for name in variants if (name, dataset) in results]
        made = [_submitted(name, dataset, measured) for name, data in sorted(measured.submitted) if data == dataset]
        # Results scored against truths alone have no frames, so no masks.
        local = [column_key(score, area) for score in SCORES for area in AREAS if area]
        rows += [row for row in made if any(row.cells.get(key) is not None for key in local)]
    single_protocol((str(row.cells["protocol"]) for row in rows), "the masks table")
    kinds = {row.cells["kind"] for row in rows}
    reading = READING + (CONTROLS if "control" in kinds else "") + (f" {SUBMITTED}" if "submitted" in kinds else "")
    return Table(
        name="masks",
        title="Where methods differ: saturated, moving and uncovered areas",
        caption=f"{caption(measured.params, measured.cards, list(results.values()), tested)} {reading}",
        columns=COLUMNS,
        rows=rank(rows, VALUES, ("dataset", "protocol", "scenes")),
        headings={name: f"Measured here on {name}" for name in tested},
        groups={(name, group): label for name in tested for group, label in GROUPS.items()},
    )


def _row(variant: str, dataset: str, measured: Measured) -> Row:
    cells: dict[str, Value] = {"method": measured.label(variant), "variant": variant, "kind": measured.kind(variant)}
    ranked = cells["kind"] == "measured" and bool(measured.card(variant))
    return _scored(dataset, cells, measured.results[variant, dataset], (), ranked)


def _submitted(name: str, dataset: str, measured: Measured) -> Row:
    fewer = measured.fewer(name, dataset)
    cells: dict[str, Value] = {"method": name, "variant": name, "kind": "submitted"}
    return _scored(dataset, cells, measured.submitted[name, dataset], fewer, not fewer)


def _scored(dataset: str, cells: dict[str, Value], result: Summary, notes: tuple[str, ...], ranked: bool) -> Row:
    cells |= {"dataset": dataset, "seeds": result.seeds, "protocol": result.protocol}
    counts = {area: result.counts.get("psnr-mu" + area, 0) for area in AREAS}
    cells |= {column_key("scenes", area): count for area, count in counts.items() if count or area != KNOWN}
    remarks: dict[str, str] = {} if counts[KNOWN] else {column_key("scenes", KNOWN): NO_AREA}
    spreads: dict[str, float] = {}
    for score in SCORES:
        for area in AREAS:
            key, metric = column_key(score, area), score + area
            if metric in result.values:
                cells[key] = result.values[metric]
                spreads |= {key: result.spreads[metric]} if metric in result.spreads else {}
            else:
                remarks[key] = NO_AREA
    return Row(dataset, cells, remarks, (*notes, *result.notes), spreads, ranked=ranked)
