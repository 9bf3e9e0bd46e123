"""Rows of a table tested in pairs: which row against which, by how much they differ, and what that says."""

import math
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bench.core.optimisation import Stage1
from bench.core.runs import CodebookRun
from bench.metrics.intervals import FEW, Spread
from bench.report.results.inputs import Measured, Paper
from bench.report.results.results import spread

BETTER, WORSE, UNCLEAR = "better", "worse", "not distinguishable"
ONE_SEED = "n = 1 seed: not tested"
ONE_PLACE = "one place: not tested"
INFINITE = "infinite: not tested"


class Pairing(NamedTuple):
    """A row of a table and the row that it is tested against, each as label and variant of ours."""

    label: str
    variant: str
    other_label: str
    other: str


Named = tuple[str, str]
"""A row: label and variant."""


def pairs(paper: Paper, measured: Measured, panel: str) -> list[Pairing]:
    """Return the tests among rows measured on `panel`, one a row at most, in the table's order.

    `tables.against` decides where it names a row of the same table (for a control: any variant). Else a row of Table 3
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
    if paper.number == 3:
        above = [other for other in rows if other[0] not in paper.controls]
        above = above if label in paper.controls else above[: above.index(row)]
        return above[-1] if above else None
    return _by_codebook(variant, rows, measured) if paper.number == 2 else None


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


def compare(pair: Pairing, metric: str, measured: Measured, panel: str) -> Spread | None:
    """Return the row's value minus the other's, over the seeds and scenes that both have; None if there are none.

    A pair of values stays together in the bootstrap, so what a scene or a seed does to both rows cancels.
    """
    first = measured.results[pair.variant, panel].cells.get(metric, {})
    second = measured.results[pair.other, panel].cells.get(metric, {})
    common = [key for key in first.keys() & second.keys() if first[key] != second[key] or math.isfinite(first[key])]
    found = spread({key: first[key] - second[key] for key in common})
    return found if found.scenes else None


def verdict(difference: Spread) -> str:
    """Return the verdict of a paired difference: better, worse, not distinguishable (0 in the interval), not tested."""
    if difference.seeds < 2:
        return ONE_SEED
    if difference.places < 2:
        return ONE_PLACE
    if not math.isfinite(difference.low):
        return INFINITE
    return BETTER if difference.low > 0 else WORSE if difference.high < 0 else UNCLEAR


def phrase(difference: Spread, label: str, digits: int = 2, unit: str = "") -> str:
    """Return a test in a few words, such as "+0.21 [-0.05, 0.47]: not distinguishable from row 4"."""
    said, value = verdict(difference), f"{difference.mean:+z.{digits}f}"
    if said not in (BETTER, WORSE, UNCLEAR):
        return f"{value}{unit} against {short(label)}; {said}"
    interval = f"[{difference.low:z.{digits}f}, {difference.high:z.{digits}f}]"
    return f"{value} {interval}{unit}: {said} {'from' if said == UNCLEAR else 'than'} {short(label)}"


def rough(places: Iterable[int]) -> str:
    """Return the sentence that few places make intervals a rough guide, with a space before it; "" from FEW on."""
    fewest = min(places, default=FEW)
    if fewest >= FEW or fewest < 2:
        return ""
    return f" The test scenes show {fewest} places; with so few, intervals are a rough guide."


def short(label: str) -> str:
    """Return "row 4" for the label "4. + PA + Concat", other labels as they are."""
    number = re.match(r"(\d+)\. ", label)
    return f"row {number[1]}" if number else label
