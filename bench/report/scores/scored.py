"""Tables 1-3: our scores beside the paper's printed values, and what each row is."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from bench.core.registry import metrics, protocols
from bench.metrics.intervals import Spread
from bench.report.results.inputs import DEFAULT_BLOCK, Measured, Paper
from bench.report.results.paired import ONE_SEED, Pair, compare, pairs, phrase, rough, verdict
from bench.report.results.results import Result, single_protocol
from bench.report.scores import sizing
from bench.report.scores.rules import absent, conditions
from bench.report.table.caption import OWN_HEAD, SUBMITTED, caption, stand_ins
from bench.report.table.kinds import LEARNED
from bench.report.table.table import OURS, PAPER, Column, Row, Table, Value, rank

PARAMETERS = " Parameters are the trained ones."
NOT_YET = "not in this version or profile yet"
NO_ROW = "no such row in the paper"
CONTROL = "a control of ours, no row of the paper"
CONTROLS = " Control rows are ours: they stand below the paper's rows and take no part in best and second."
TESTED = (
    " Difference: in PSNR-μ, of the seeds and scenes that both rows have, with its 95 % interval from the paired "
    "bootstrap over seeds, places and views; {name} holds all metrics."
)
NO_CODE = "no public implementation (the paper's dagger)"
AFTER = "published after the paper: an optional row"
THIRD_PARTY = "weights by others ({source}), not trained here"


def _column(metric: str) -> Column:
    card = metrics[metric]
    return Column(metric.replace("-", "_"), card.label, OURS, card.digits, card.better)


METRICS = tuple(map(_column, ("psnr-mu", "psnr-l", "psnr-pu", "ssim-mu", "ssim-l", "ssim-pu", "hdrvdp2")))
"""The metrics that the paper prints, in its order."""

PRINTED = tuple(Column(f"paper_{c.key}", c.head, PAPER, c.digits) for c in METRICS)
PARAMS = Column("params_m", "params (M)", "", 3)
DIFFERENCE = Column("psnr_mu_difference", "PSNR-μ difference, 95 %", OURS)
TAIL = (
    Column("scenes", "scenes", shown=False),
    Column("seeds", "seeds", shown=False),
    Column("protocol", "protocol", shown=False),
    Column("note", "note", shown=False),
)


def scored_columns(protocol: str) -> tuple[Column, ...]:
    """Return the paper's metrics, then what else the protocol has that its metric's card calls a column."""
    named = protocols[protocol].metrics if protocol in protocols else ()
    more = (_column(name) for name in named if metrics[name].column)
    return (*METRICS, *(column for column in more if column not in METRICS))


def columns(with_variant: bool, scores: Sequence[Column] = METRICS) -> tuple[Column, ...]:
    """Return the columns of Table 1, or those of Tables 2 and 3, which name and test our variant (the CSV contract)."""
    variant = (Column("variant", "our variant"),) if with_variant else ()
    head = (Column("dataset", "dataset", shown=False), Column("method", "method"), *variant)
    ours = (*scores, DIFFERENCE) if with_variant else scores
    size = (PARAMS,) if with_variant else (PARAMS, *sizing.COLUMNS)
    return (*head, Column("kind", "kind"), *size, *ours, *PRINTED, *TAIL)


def table(paper: Paper, measured: Measured) -> Table:
    """Build one of Tables 1-3: a panel for each measured data set, and one for each printed block left over.

    Rows of two protocols raise BenchError.
    """
    panels = datasets_of(paper, measured)
    sources = {panel: _block(paper, panel) for panel in panels}
    rest = [block for block in paper.blocks if block not in sources.values()]
    rows: list[Row] = []
    for panel, block in sources.items():
        if paper.number == 1:
            rows += [_floor(name, panel, measured) for name in measured.params.tables.floors]
        rows += [_row(paper, measured, panel, record) for record in paper.rows(block)]
        rows += [_row(paper, measured, panel, {"method": label}) for label in (*paper.extra(block), *paper.controls)]
        if paper.number == 1:
            rows += [_submitted(name, panel, measured) for name, data in sorted(measured.submitted) if data == panel]
    for block in rest:
        rows += [_printed_only(paper, block, record, measured) for record in paper.rows(block)]
    used = [str(row.cells["protocol"]) for row in rows if row.cells["protocol"]]
    single_protocol(used, f"Table {paper.number}")
    scores = scored_columns(measured.params.protocol)
    shape = columns(paper.number != 1, scores)
    tests = _tests(paper, measured, panels) if DIFFERENCE in shape else {}
    rows = [_with_test(row, tests.get((row.panel, str(row.cells["method"])))) for row in rows]
    return Table(
        name=f"table{paper.number}",
        title=f"Table {paper.number}. {paper.title}",
        caption=_caption(paper, measured, panels, rows) + _reading(paper, [found for _, found in tests.values()]),
        columns=shape,
        rows=tuple(_complete(row, shape) for row in rank(rows, scores, ("dataset", "protocol", "scenes"))),
        headings=_headings(sources, rest, stand_ins(measured.params)),
        groups=_groups(sources, rest, stand_ins(measured.params)),
    )


def _caption(paper: Paper, measured: Measured, panels: Sequence[str], rows: Sequence[Row]) -> str:
    used = _used(paper, measured)
    text = caption(measured.params, _cards(paper, measured), used, panels) + PARAMETERS
    if any(row.cells["method"] in paper.controls for row in rows):
        text += CONTROLS
    if any(row.cells["kind"] == "submitted" for row in rows):
        text += f" {SUBMITTED}"
    scored = {column.key.replace("_", "-") for column in METRICS} & {name for result in used for name in result.values}
    return f"{text} {conditions(used[0].protocol, scored, measured.params)}".strip() if used else text


def _wanted(paper: Paper, measured: Measured) -> set[str]:
    return {*paper.own.values(), *(measured.params.tables.floors if paper.number == 1 else ())}


def _cards(paper: Paper, measured: Measured) -> dict[str, Mapping[str, Any]]:
    wanted = _wanted(paper, measured)
    return {run: card for run, card in measured.cards.items() if card.get("variant") in wanted}


def datasets_of(paper: Paper, measured: Measured) -> list[str]:
    """Return the data sets that have a panel of their own: those on which rows of this table were measured."""
    wanted = _wanted(paper, measured)
    tested = dict.fromkeys(cell.dataset for cell in measured.params.evaluations.values())
    rows = {name: sum((variant, name) in measured.results for variant in wanted) for name in tested}
    # One row of Table 2 or 3 on another set compares with nothing: such a panel would be dashes.
    enough = 2 if paper.number != 1 and max(rows.values(), default=0) > 1 else 1
    return [name for name, count in rows.items() if count >= enough]


def _block(paper: Paper, dataset: str) -> str:
    return dataset if dataset in paper.blocks else DEFAULT_BLOCK


def _used(paper: Paper, measured: Measured) -> list[Result]:
    wanted = _wanted(paper, measured)
    return [result for (variant, _), result in sorted(measured.results.items()) if variant in wanted]


def _headings(sources: Mapping[str, str], rest: Sequence[str], synthetic: Sequence[str]) -> dict[str, str]:
    own = {
        panel: f"Measured here on {'synthetic data named ' if panel in synthetic else ''}{panel}" for panel in sources
    }
    return {**own, **{block: f"{_data(block)}: printed values only, not measured in this profile" for block in rest}}


def _groups(sources: Mapping[str, str], rest: Sequence[str], synthetic: Sequence[str]) -> dict[tuple[str, str], str]:
    names = {(panel, OURS): f"ours, {panel}" for panel in sources}
    for panel, block in sources.items():
        apart = "" if panel == block and panel not in synthetic else ": other data, not comparable"
        names[panel, PAPER] = f"paper, {_data(block)}{apart}"
    return {**names, **{(block, PAPER): f"paper, {_data(block)}" for block in rest}}


def _data(block: str) -> str:
    return block.capitalize()


def _floor(variant: str, panel: str, measured: Measured) -> Row:
    result = measured.results.get((variant, panel))
    cells: dict[str, Value] = {"dataset": panel, "method": variant, "variant": variant, "kind": "floor"}
    remarks = {column.key: NO_ROW for column in PRINTED}
    remarks |= dict.fromkeys(sizing.KEYS, sizing.NONE)
    return _scored(Row(panel, cells, remarks, measured.choices(variant)), result, "no scores of it in this profile")


def _row(paper: Paper, measured: Measured, panel: str, record: Mapping[str, Any]) -> Row:
    label = str(record["method"])
    variant, control = paper.own.get(label, ""), label in paper.controls
    result = measured.results.get((variant, panel))
    dagger = str(record.get("implementation_unavailable", "no")) == "yes"
    kind = _kind(measured, variant, control) if result else "published" if dagger and not variant else "pending"
    missing = "no scores of it in this profile" if variant else NOT_YET
    if kind == "published":
        missing = sizing.no_code(label, NO_CODE)
    card = measured.card(variant)
    cells: dict[str, Value] = {"dataset": panel, "method": label, "variant": variant or None, "kind": kind}
    remarks = {} if variant else {"variant": missing}
    if result and "parameters" in card:
        cells["params_m"] = card["parameters"] / 1e6
    elif result:
        remarks["params_m"] = "no card of its weights" if card else sizing.NONE
    sizing.add(cells, remarks, measured, variant)
    row = Row(panel, cells, remarks, _notes(paper, measured, panel, label, variant), ranked=bool(result and card))
    return _with_printed(_scored(row, result, missing), paper, record)


def _kind(measured: Measured, variant: str, control: bool) -> str:
    if control:
        return "control"
    imported = variant in measured.params.variants and measured.params.variants[variant].weights is not None
    return "measured-third-party-weights" if imported else "measured"


def _notes(paper: Paper, measured: Measured, panel: str, label: str, variant: str) -> tuple[str, ...]:
    same = panel == _block(paper, panel) and panel not in stand_ins(measured.params)
    notes = [*measured.choices(variant), *([] if same else ["paper_*: other data, not comparable"])]
    codes, printed = measured.codes(variant), re.search(r"K=(\d+)", label)
    if codes is not None and codes != (int(printed[1]) if printed else 1024):
        notes.append(f"codebook of K = {codes} here")
    if sizing.after_paper(measured, variant):
        notes.append(AFTER)
    if paper.number == 1:
        notes += sizing.renamed(measured, variant, label)
    card = measured.card(variant)
    if card.get("head") == "published" and measured.params.head != "published":
        notes.append(OWN_HEAD.format(head=measured.params.head))
    if "source" in card:
        notes.append(THIRD_PARTY.format(source=f"{card['source']}, sha256 {str(card['source_sha256'])[:12]}"))
    frozen = card.get("parameters_frozen")
    if frozen:
        notes.append(f"plus {frozen / 1e6:.3f} M frozen parameters of the VQGAN; its encoder serves in training only")
    return tuple(notes)


def _scored(row: Row, result: Result | None, missing: str) -> Row:
    cells, remarks = dict(row.cells), dict(row.remarks)
    spreads: dict[str, float] = {}
    for column in scored_columns(result.protocol.partition("@")[0]) if result else METRICS:
        score = column.key.replace("_", "-")
        if result and score in result.values:
            cells[column.key] = result.values[score]
            spreads |= {column.key: result.spreads[score]} if score in result.spreads else {}
        else:
            remarks[column.key] = _absent(score, result) if result else missing
    for key in ("scenes", "seeds", "protocol"):
        cells[key] = getattr(result, key) if result else None
        if not result:
            remarks[key] = missing
    if not result:
        remarks.setdefault("params_m", missing)
    for key in sizing.KEYS[1:]:
        if key not in cells:
            remarks.setdefault(key, missing)
    notes = (*row.notes, *(result.notes if result else ()))
    return Row(row.panel, cells, remarks, notes, spreads, ranked=row.ranked and row.cells["kind"] in LEARNED)


def _absent(score: str, result: Result) -> str:
    return "undefined on every scene" if score in result.unknown else absent(score, result.protocol)


def _submitted(name: str, panel: str, measured: Measured) -> Row:
    remarks = {**sizing.SUBMITTED, **{column.key: NO_ROW for column in PRINTED}}
    cells: dict[str, Value] = {"dataset": panel, "method": name, "variant": name, "kind": "submitted"}
    fewer = measured.fewer(name, panel)
    return _scored(Row(panel, cells, remarks, fewer, ranked=not fewer), measured.submitted[name, panel], "")


def _with_printed(row: Row, paper: Paper, record: Mapping[str, Any]) -> Row:
    cells, remarks = dict(row.cells), dict(row.remarks)
    suspected = str(record.get("suspected_copy_error") or "")
    for column in PRINTED:
        key = column.key.removeprefix("paper_")
        if len(record) == 1:
            remarks[column.key] = CONTROL if row.cells["method"] in paper.controls else NO_ROW
        elif key not in record:
            remarks[column.key] = f"not in the paper's Table {paper.number}"
        elif pd.isna(record[key]):
            remarks[column.key] = "a dash in the paper"
        else:
            cells[column.key] = float(record[key])
            if key in suspected.split():
                remarks[column.key] = "suspected copy error in the paper (repeats its Kalantari block); as printed"
    return Row(row.panel, cells, remarks, row.notes, row.spreads, ranked=row.ranked)


def _printed_only(paper: Paper, block: str, record: Mapping[str, Any], measured: Measured) -> Row:
    dagger = str(record.get("implementation_unavailable", "no")) == "yes"
    missing = f"not measured on {_data(block)}'s data in this profile"
    label = str(record["method"])
    variant = paper.own.get(label)
    cells: dict[str, Value] = {"dataset": block, "method": label, "variant": variant}
    cells["kind"] = "published" if dagger and not variant else "pending"
    remarks = {} if variant else {"variant": NOT_YET}
    return _with_printed(_scored(Row(block, cells, remarks), None, missing), paper, record)


def _tests(paper: Paper, measured: Measured, panels: Sequence[str]) -> dict[tuple[str, str], tuple[Pair, Spread]]:
    found = [(panel, pair) for panel in panels for pair in pairs(paper, measured, panel)]
    differences = {(panel, pair.label): (pair, compare(pair, "psnr-mu", measured, panel)) for panel, pair in found}
    return {key: (pair, difference) for key, (pair, difference) in differences.items() if difference}


def _with_test(row: Row, test: tuple[Pair, Spread] | None) -> Row:
    if test:
        return replace(row, cells={**row.cells, DIFFERENCE.key: phrase(test[1], test[0].other_label)})
    why = row.remarks.get("psnr_mu", "no row to test it against")
    return replace(row, remarks={**row.remarks, DIFFERENCE.key: why})


def _reading(paper: Paper, tests: Iterable[Spread]) -> str:
    found = list(tests)
    if not found:
        return ""
    if all(verdict(difference) == ONE_SEED for difference in found):
        return " Differences between rows of one seed aren't tested."
    return f"{TESTED.format(name=f'table{paper.number}_differences')}{rough(difference.places for difference in found)}"


def _complete(row: Row, shape: Sequence[Column]) -> Row:
    # The CSV's rows hold exactly the contract's columns; remarks on a column that the table lacks go with it. A row
    # without scores lacks those of the protocol for the same reason as those that the paper prints.
    keys, unscored = [column.key for column in shape], row.remarks.get(METRICS[0].key)
    more = {column.key: unscored for column in shape if column.better and column.key not in row.cells and unscored}
    remarks = {key: said for key in keys if (said := {**more, **row.remarks}.get(key))}
    kept = replace(row, remarks=remarks)
    return replace(kept, cells={**{key: row.cells.get(key) for key in keys}, "note": kept.note})
