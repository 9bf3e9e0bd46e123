"""Rows of a table tested in pairs: which row against which, by how much they differ, and what that says.

What is tested is PSNR-mu, the primary metric; Holm's correction is over all such tests of a table. Other metrics have
differences and intervals, and no verdict.
"""

import math
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bench.core.optimisation import Stage1
from bench.core.runs import CodebookRun
from bench.metrics.intervals import FEW, Spread, holm
from bench.report.results.inputs import Measured, Paper
from bench.report.results.results import Cells, Summary, spread

PRIMARY = "psnr-mu"
"""The metric whose differences are tested."""
LEVEL = 0.05
"""Largest corrected p that tells two rows apart."""
BETTER, WORSE, UNCLEAR = "better", "worse", "not distinguishable"
ONE_PLACE = "one place: not tested"
INFINITE = "infinite: not tested"
WEIGHTS = "for these weights"
"""What a test of one seed holds for: it is over places alone."""
COVERAGE = (
    "In simulations, intervals called 95 % hold the truth in 95 to 100 % of cases with 3 seeds and 2 places and in "
    "92.5 to 97 % with 15 places; with one seed, for its weights, in 94 to 100 %."
)
"""Of normal effects of seeds, places and views; the tests of `bench.metrics.intervals` repeat such simulations."""


class Pairing(NamedTuple):
    """A row of a table and the row that it is tested against, each as label and variant of ours."""

    label: str
    variant: str
    other_label: str
    other: str


class PairedTest(NamedTuple):
    """A tested pair: its difference in the primary metric, and p after Holm over all tests of its table.

    p is NaN where nothing could be tested.
    """

    pair: Pairing
    difference: Spread
    p: float

    @property
    def verdict(self) -> str:
        """Better, worse, not distinguishable (p above 0.05), or why it isn't tested."""
        if self.difference.places < 2:
            return ONE_PLACE
        if math.isnan(self.p):
            return INFINITE
        if self.p > LEVEL:
            return UNCLEAR
        return BETTER if self.difference.mean > 0 else WORSE

    @property
    def told(self) -> bool:
        """Whether there is a test."""
        return self.verdict in (BETTER, WORSE, UNCLEAR)

    def phrase(self, unit: str = "", label: str = "") -> str:
        """Return the test in a few words, such as "+0.21 [0.05, 0.47], p = 0.02: better than row 4".

        label : of the other row, instead of its own.
        """
        other = short(label or self.pair.other_label)
        if not self.told:
            return f"{self.difference.mean:+z.2f}{unit} against {other}; {self.verdict}"
        link = "from" if self.verdict == UNCLEAR else "than"
        held = f", {WEIGHTS}" if self.difference.seeds < 2 else ""
        return f"{interval(self.difference)}{unit}, p {_p(self.p)}: {self.verdict} {link} {other}{held}"


Named = tuple[str, str]
"""A row: label and variant."""


def pairs(paper: Paper, measured: Measured, panel: str) -> list[Pairing]:
    """Return the tests among rows measured on `panel`, one a row at most, in the table's order.

    `tables.against` decides where it names a row of the same table (for a control: any variant). Else a learned row of
    Table 1 is tested against the best other learned row, for the best one the runner-up; a row of Table 3
    is tested against the nearest measured row above, its controls against the paper's last row; in Table 2, a row with
    an overlapped codebook against the first vanilla one that differs in nothing else, and vanilla from HDR images
    alone against vanilla from the mixture.
    """
    rows = [row for row in paper.own.items() if (row[1], panel) in measured.results]
    found = [(row, _counterpart(row, rows, paper, measured, panel)) for row in rows]
    return [Pairing(*row, *other) for row, other in found if other and other[1] != row[1]]


def _counterpart(row: Named, rows: Sequence[Named], paper: Paper, measured: Measured, panel: str) -> Named | None:
    label, variant = row
    named = measured.params.tables.against.get(variant, "")
    if named in paper.own.values():
        return next((other for other in rows if other[1] == named), None)
    if named and label in paper.controls:
        return (named, named) if (named, panel) in measured.results else None
    if paper.number == 1:
        return _runner_up(row, rows, measured, panel)
    if paper.number == 3:
        above = [other for other in rows if other[0] not in paper.controls]
        above = above if label in paper.controls else above[: above.index(row)]
        return above[-1] if above else None
    return _by_codebook(variant, rows, measured) if paper.number == 2 else None


def _runner_up(row: Named, rows: Sequence[Named], measured: Measured, panel: str) -> Named | None:
    """Return the best learned row beside this one, None for a row that isn't learned."""
    levels = {
        other: level
        for other in rows
        if measured.learned(other[1]) and (level := measured.results[other[1], panel].values.get(PRIMARY)) is not None
    }
    if row not in levels:
        return None
    return max((other for other in levels if other[1] != row[1]), key=lambda other: levels[other], default=None)


def _by_codebook(variant: str, rows: Sequence[Named], measured: Measured) -> Named | None:
    variants, own = measured.params.variants, codebook_of(variant, measured)
    for label, other in rows:
        found = codebook_of(other, measured)
        if own and found and variants[other].options == variants[variant].options and _differs_once(own, found):
            return label, other
    return None


def codebook_of(variant: str, measured: Measured) -> tuple[CodebookRun, Stage1] | None:
    """Return the codebook of the variant's first run and how it is trained, None without one."""
    name = measured.codebook(variant)
    return (measured.params.codebook_runs[name], measured.params.stage1_of(name)) if name else None


def _differs_once(own: tuple[CodebookRun, Stage1], other: tuple[CodebookRun, Stage1]) -> bool:
    if own[0].codes != other[0].codes or other[0].segments != "vanilla":
        return False
    if own[0].segments == "olc":
        return own[1] == other[1]
    return own[1].images == "hdr" and other[1] == own[1].model_copy(update={"images": "mixture"})


def tests(paper: Paper, measured: Measured, panels: Iterable[str]) -> dict[tuple[str, str], PairedTest]:
    """Return the tests of a table by panel and label of the row; Holm's family is all of them."""
    found = [(panel, pair) for panel in panels for pair in pairs(paper, measured, panel)]
    spreads = [compare(pair, PRIMARY, measured, panel) for panel, pair in found]
    corrected = holm([math.nan if difference is None else difference.p for difference in spreads])
    return {
        (panel, pair.label): PairedTest(pair, difference, p)
        for (panel, pair), difference, p in zip(found, spreads, corrected, strict=True)
        if difference
    }


def compare(pair: Pairing, metric: str, measured: Measured, panel: str) -> Spread | None:
    """Return the row's value minus the other's, over the seeds and scenes that both have; None if there are none."""
    return difference(pair.variant, pair.other, metric, measured, panel)


def difference(variant: str, other: str, metric: str, measured: Measured, panel: str) -> Spread | None:
    """Return a variant's value minus another's, over the seeds and scenes that both have; None if there are none.

    A pair of values stays together in the bootstrap, so what a scene or a seed does to both rows cancels. A variant
    without training has no seeds: its one value of a scene stands beside each seed of the other.
    """
    return between(measured.results[variant, panel], measured.results[other, panel], metric)


def between(one: Summary, two: Summary, metric: str) -> Spread | None:
    """Return the first result's value minus the second's, over the seeds and scenes that both have; None without."""
    first, second = one.cells.get(metric, {}), two.cells.get(metric, {})
    seeds = {seed for seed, _ in (*first, *second)} - {""}
    first, second = _spread_out(first, seeds), _spread_out(second, seeds)
    common = [key for key in first.keys() & second.keys() if first[key] != second[key] or math.isfinite(first[key])]
    found = spread({key: first[key] - second[key] for key in common})
    return found if found.scenes else None


def _spread_out(cells: Cells, seeds: Iterable[str]) -> Cells:
    if not seeds or any(seed for seed, _ in cells):
        return cells
    return {(seed, scene): value for seed in seeds for (_, scene), value in cells.items()}


def interval(difference: Spread) -> str:
    """Return a difference with its interval, such as "+0.21 [-0.05, 0.47]"; without one the mean alone."""
    value = f"{difference.mean:+z.2f}"
    return value if math.isnan(difference.low) else f"{value} [{difference.low:z.2f}, {difference.high:z.2f}]"


def turned(difference: Spread) -> Spread:
    """Return the difference the other way round."""
    return difference._replace(mean=-difference.mean, low=-difference.high, high=-difference.low)


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}" if value < 0.1 else f"= {value:.2f}"


def rough(places: Iterable[int]) -> str:
    """Return the sentence that few places make intervals wide, with a space before it; "" from FEW on."""
    fewest = min(places, default=FEW)
    if fewest >= FEW or fewest < 2:
        return ""
    return f" The test scenes show {fewest} places; with so few, intervals are wide, and a difference seldom shows."


def short(label: str) -> str:
    """Return "row 4" for the label "4. + PA + Concat", other labels as they are."""
    number = re.match(r"(\d+)\. ", label)
    return f"row {number[1]}" if number else label
