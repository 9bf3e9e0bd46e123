"""Tables of paired differences: each row of Tables 2 and 3 against the row that it is tested against."""

from bench.metrics.intervals import FEW, RESAMPLES
from bench.report.results.caption import caption
from bench.report.results.inputs import Measured, Paper
from bench.report.results.paired import BETTER, UNCLEAR, WORSE, Pairing, compare, pairs, rough, verdict
from bench.report.scores.scored import METRICS, datasets_of, of_rows
from bench.report.table.table import Column, Row, Table, Value, hidden

DIGITS = 4
COLUMNS = (
    *hidden("dataset", "metric"),
    Column("method", "row"),
    Column("against", "against"),
    Column("difference", "difference", "", DIGITS),
    Column("low", "low, 95 %", "", DIGITS),
    Column("high", "high, 95 %", "", DIGITS),
    Column("verdict", "verdict"),
    Column("seeds", "seeds"),
    Column("scenes", "scenes"),
    Column("places", "places"),
    *hidden("protocol", "note"),
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
    rows, headings = [], {}
    for panel, found in tested.items():
        for column in METRICS:
            headings[f"{panel}/{column.key}"] = f"{column.head} on {panel}"
            rows += [row for pair in found if (row := _row(pair, column, panel, measured))]
    if not rows:
        return None
    results, cards = of_rows(paper, measured)
    made = caption(measured.params, cards, results, list(tested), marked=False)
    return Table(
        name=f"table{paper.number}_differences",
        title=f"Table {paper.number}, paired differences in every metric",
        folded=True,
        caption=f"{made} {READING}{rough(int(str(row.cells['places'])) for row in rows)}",
        columns=COLUMNS,
        rows=tuple(rows),
        headings=headings,
    )


def _row(pair: Pairing, column: Column, panel: str, measured: Measured) -> Row | None:
    metric = column.key.replace("_", "-")
    difference = compare(pair, metric, measured, panel)
    if difference is None:
        return None
    said = verdict(difference)
    cells: dict[str, Value] = {
        "dataset": panel, "metric": metric, "method": pair.label, "against": pair.other_label,
        "difference": difference.mean, "verdict": said, "protocol": measured.results[pair.variant, panel].protocol,
        "seeds": difference.seeds, "scenes": difference.scenes, "places": difference.places,
    }  # fmt: skip
    ends, remarks = {"low": difference.low, "high": difference.high}, {}
    if said in (BETTER, WORSE, UNCLEAR):
        cells |= ends
        cells |= {"note": "few places: a rough guide"} if difference.places < FEW else {}
    else:
        remarks = dict.fromkeys(ends, said)
    marks = {"verdict": {BETTER: "up", WORSE: "down"}.get(said, "")}
    return Row(f"{panel}/{column.key}", cells, remarks, marks=marks, digits=column.digits)
