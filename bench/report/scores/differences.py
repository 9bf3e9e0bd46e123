"""Tables of paired differences: each row of Tables 2 and 3 against the row that it is tested against."""

from collections.abc import Iterator, Sequence

from bench.metrics.intervals import FEW, RESAMPLES, Spread
from bench.report.results.inputs import Measured, Paper
from bench.report.results.paired import BETTER, UNCLEAR, WORSE, Pair, compare, pairs, rough, verdict
from bench.report.scores.scored import METRICS, datasets_of
from bench.report.table.caption import PLUS_MINUS, caption
from bench.report.table.table import Column, Row, Table, Value

DIGITS = 4
COLUMNS = (
    Column("dataset", "dataset", shown=False),
    Column("metric", "metric", shown=False),
    Column("method", "row"),
    Column("against", "against"),
    Column("difference", "difference", "", DIGITS),
    Column("low", "low, 95 %", "", DIGITS),
    Column("high", "high, 95 %", "", DIGITS),
    Column("verdict", "verdict"),
    Column("seeds", "seeds"),
    Column("scenes", "scenes"),
    Column("places", "places"),
    Column("protocol", "protocol", shown=False),
    Column("note", "note", shown=False),
)
READING = (
    "Difference: the row's value minus that of the row it is tested against, mean over the seeds and scenes that both "
    f"have. Interval: {RESAMPLES} bootstrap means of the paired differences, for each of which seeds, then places, "
    "then the views of each place are drawn with replacement, both rows alike; percentiles stretched for few seeds and "
    f"places by Student's t. The verdict is two-sided: {UNCLEAR} where the interval holds 0, which doesn't show that "
    "there is no difference. Each test stands alone: nothing is corrected for testing several rows and metrics."
)


def table(paper: Paper, measured: Measured) -> Table | None:
    """Build the table of a table's paired differences, a panel for each data set and metric; None without any pair."""
    tested = {panel: pairs(paper, measured, panel) for panel in datasets_of(paper, measured)}
    rows = [
        row for panel, found in tested.items() for column in METRICS for row in _rows(found, column, panel, measured)
    ]
    if not rows:
        return None
    wanted = set(paper.own.values())
    results = [result for (variant, _), result in sorted(measured.results.items()) if variant in wanted]
    cards = {run: card for run, card in measured.cards.items() if card.get("variant") in wanted}
    made = caption(measured.params, cards, results, list(tested)).partition(" Best in bold")[0]
    made = made.replace(PLUS_MINUS, "")  # no cell of this table has a ±
    return Table(
        name=f"table{paper.number}_differences",
        title=f"Table {paper.number}, paired differences in every metric",
        folded=True,
        caption=f"{made} {READING}{rough(int(str(row.cells['places'])) for row in rows)}",
        columns=COLUMNS,
        rows=tuple(rows),
        headings={_panel(panel, column): f"{column.head} on {panel}" for panel in tested for column in METRICS},
    )


def _panel(dataset: str, column: Column) -> str:
    return f"{dataset}/{column.key}"


def _rows(found: Sequence[Pair], column: Column, panel: str, measured: Measured) -> Iterator[Row]:
    for pair in found:
        if difference := compare(pair, column.key.replace("_", "-"), measured, panel):
            yield _row(pair, difference, column, panel, measured)


def _row(pair: Pair, difference: Spread, column: Column, panel: str, measured: Measured) -> Row:
    said, result = verdict(difference), measured.results[pair.variant, panel]
    cells: dict[str, Value] = {
        "dataset": panel, "metric": column.key.replace("_", "-"), "method": pair.label, "against": pair.other_label,
        "difference": difference.mean, "verdict": said, "protocol": result.protocol,
        "seeds": difference.seeds, "scenes": difference.scenes, "places": difference.places,
    }  # fmt: skip
    remarks = {}
    for key, end in (("low", difference.low), ("high", difference.high)):
        if said in (BETTER, WORSE, UNCLEAR):
            cells[key] = end
        else:
            remarks[key] = said
    notes = ("few places: a rough guide",) if not remarks and difference.places < FEW else ()
    made = Row(_panel(panel, column), cells, remarks, notes, digits=column.digits)
    marks = {"verdict": {BETTER: "up", WORSE: "down"}.get(said, "")}
    return Row(**{**made.__dict__, "cells": {**cells, "note": made.note}, "marks": marks, "notes": ()})
