"""Tables of paired differences: each row of Tables 1 to 3 against the row that it is tested against."""

import math
from dataclasses import replace

from bench.metrics.intervals import FEW, RESAMPLES, Spread
from bench.report.results import paired
from bench.report.results.caption import caption
from bench.report.results.inputs import Measured, Paper
from bench.report.results.paired import (
    BETTER,
    COVERAGE,
    LEVEL,
    ONE_PLACE,
    PRIMARY,
    UNCLEAR,
    WEIGHTS,
    WORSE,
    Pairing,
    compare,
    rough,
)  # fmt: skip
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
    Column("p", "p, corrected"),
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
    f"places by Student's t. {COVERAGE} Only PSNR-μ is tested: p is the smallest share outside at which an interval "
    "leaves out 0, two-sided, corrected after Holm over the table's {count} of PSNR-μ: where no two rows differ, a "
    f"verdict says otherwise in one table of twenty at most. {UNCLEAR.capitalize()}: p above {LEVEL}, which doesn't "
    "show that there is no difference. Intervals aren't corrected, and other metrics have no verdict."
)
ONE_SEED = f" Where a row has one seed, interval and p are over places alone, {WEIGHTS}."


def table(paper: Paper, measured: Measured) -> Table | None:
    """Build the table of a table's paired differences, a panel for each data set and metric; None without any pair."""
    panels = datasets_of(paper, measured)
    tests, rows, headings = paired.tests(paper, measured, panels), [], {}
    for panel in panels:
        found = paired.pairs(paper, measured, panel)
        for column in METRICS:
            headings[f"{panel}/{column.key}"] = f"{column.head} on {panel}"
            for pair in found:
                metric = column.key.replace("_", "-")
                if difference := compare(pair, metric, measured, panel):
                    test = tests.get((panel, pair.label)) if metric == PRIMARY else None
                    protocol = measured.results[pair.variant, panel].protocol
                    rows.append(_row(pair, column, difference, test, {"dataset": panel, "protocol": protocol}))
    if not rows:
        return None
    results, cards = of_rows(paper, measured)
    made = caption(measured.params, cards, results, panels, marked=False)
    reading = READING.format(count=f"{len(tests)} {'test' if len(tests) == 1 else 'tests'}")
    one = ONE_SEED if any(test.told and test.difference.seeds < 2 for test in tests.values()) else ""
    return Table(
        name=f"table{paper.number}_differences",
        title=f"Table {paper.number}, paired differences in every metric",
        folded=True,
        caption=f"{made} {reading}{one}{rough(int(str(row.cells['places'])) for row in rows)}",
        columns=COLUMNS,
        rows=tuple(rows),
        headings=headings,
    )


def _row(
    pair: Pairing, column: Column, difference: Spread, test: paired.PairedTest | None, where: dict[str, Value]
) -> Row:
    cells: dict[str, Value] = {
        **where, "metric": column.key.replace("_", "-"), "method": pair.label, "against": pair.other_label,
        "difference": difference.mean, "seeds": difference.seeds, "scenes": difference.scenes,
        "places": difference.places,
    }  # fmt: skip
    remarks, marks = {}, {}
    if math.isnan(difference.low):
        why = ONE_PLACE if difference.places < 2 else paired.INFINITE
        remarks = dict.fromkeys(("low", "high"), why)
    else:
        cells |= {"low": difference.low, "high": difference.high}
    if test:
        cells["verdict"], marks = test.verdict, {"verdict": {BETTER: "up", WORSE: "down"}.get(test.verdict, "")}
    if test and test.told:
        cells["p"] = f"{test.p:.4f}"
    else:
        remarks |= {"p": test.verdict} if test else dict.fromkeys(("p", "verdict"), "only PSNR-μ is tested")
    row = Row(f"{where['dataset']}/{column.key}", cells, remarks, marks=marks, digits=column.digits)
    notes = [WEIGHTS] if difference.seeds < 2 <= difference.places else []
    notes += ["few places: a wide interval"] if 2 <= difference.places < FEW else []
    # In the CSV alone: people read both in the caption.
    return replace(row, cells={**cells, "note": "; ".join(filter(None, [*notes, row.note]))}) if notes else row
