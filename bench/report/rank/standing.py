"""The place of one result among the rows that a profile's report holds, and against each of them the difference."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from bench.core.errors import UsageError
from bench.core.reading import shown
from bench.core.registry import metrics
from bench.metrics.intervals import Spread
from bench.report.results.inputs import Measured
from bench.report.results.paired import BETTER, UNCLEAR, WORSE, between, interval, turned
from bench.report.results.results import Summary
from bench.report.table.view import DASH

IDENTICAL = "identical"
"""The verdict on a row that has the same value in every scene: most likely the same pictures."""


class RankedRow(NamedTuple):
    """One row of the ranking.

    place      : 1 for the best; rows of equal mean share one.
    label      : with the paper's name of the row, if it has one; `name` is the variant's alone.
    kind       : learned, without training, submitted, or own.
    values     : metric -> mean over scenes, then seeds.
    difference : by how much the own result is better in the metric ranked by (its value minus the row's, the other
                 way round where lower is better), over the scenes that both have; None: own row.
    scenes     : scene -> the same of one scene, a mean over seeds.
    """

    place: int
    label: str
    name: str
    kind: str
    values: Mapping[str, float]
    difference: Spread | None = None
    scenes: dict[str, float] = {}  # noqa: RUF012  # a tuple's default, which nobody changes

    @property
    def won(self) -> int:
        """Scenes in which the own result is better."""
        return sum(value > 0 for value in self.scenes.values())

    @property
    def verdict(self) -> str:
        """What the interval says of the own result: better or worse where it leaves out 0; "" where there is none."""
        if self.scenes and not any(self.scenes.values()):
            return IDENTICAL
        if self.difference is None or math.isnan(self.difference.low):
            return ""
        if self.difference.low > 0:
            return BETTER
        return WORSE if self.difference.high < 0 else UNCLEAR


@dataclass(frozen=True)
class Standing:
    """A ranking, best row first.

    metric, shown : the metric ranked by, and all whose means stand beside it.
    notes         : what to know before believing it.
    """

    profile: str
    dataset: str
    protocol: str
    metric: str
    shown: tuple[str, ...]
    rows: tuple[RankedRow, ...]
    scenes: int
    places: int
    notes: tuple[str, ...] = ()

    @property
    def about(self) -> str:
        """What its rows are, so that nobody takes them for the published networks."""
        return f"rows are those of profile {self.profile}, trained by its recipe and at its widths"

    @cached_property
    def own(self) -> RankedRow:
        """The row that was ranked."""
        return next(row for row in self.rows if row.difference is None)

    @property
    def neighbours(self) -> list[RankedRow]:
        """The nearest rows with a higher, equal and lower mean, as far as there are."""
        above = [row for row in self.rows if row.place < self.own.place]
        equal = [row for row in self.rows if row.place == self.own.place and row is not self.own]
        below = [row for row in self.rows if row.place > self.own.place]
        return [*above[-1:], *equal[:1], *below[:1]]


SHOWN = ("psnr-mu", "ssim-mu", "hdrvdp2")
"""Metrics beside the one ranked by, as far as the protocol has them."""


def standing(
    name: str, own: Summary, measured: Measured, dataset: str, metric: str, notes: Sequence[str] = ()
) -> Standing:
    """Rank a result among the measured and submitted rows of a data set, all under one protocol.

    UsageError where the metric isn't among the scores. Higher is better unless the metric's card says otherwise.
    """
    rivals = [
        (measured.label(variant), variant, "learned" if measured.learned(variant) else "without training", result)
        for (variant, tested), result in measured.results.items()
        if tested == dataset
    ]
    rivals += [
        (shown(other), shown(other), "submitted", result)
        for (other, tested), result in measured.submitted.items()
        if tested == dataset and other != name
    ]
    rivals = [rival for rival in rivals if metric in rival[-1].values]
    if metric not in own.values or not rivals:
        known = sorted(name for name in own.values if "@" not in name)
        raise UsageError(f"nothing can be ranked by {metric!r}; the scores hold {', '.join(known)}.")
    sign = -1 if metrics[metric.partition("@")[0]].better == "lower" else 1
    levels = [sign * result.values[metric] for result in (own, *(rival[-1] for rival in rivals))]
    rows = []
    for label, variant, kind, result in rivals:
        at = _place(sign * result.values[metric], levels)
        rows.append(RankedRow(at, label, variant, kind, result.values, *_against(own, result, metric, sign)))
    rows.append(RankedRow(_place(sign * own.values[metric], levels), shown(name), shown(name), "own", own.values))
    # Of rows that share a place the own one stands first; the rest are in the order of their names.
    rows.sort(key=lambda row: (row.place, row.difference is not None, row.label))
    beside = [other for other in dict.fromkeys((metric, *SHOWN)) if other in own.values]
    return Standing(
        measured.params.profile, dataset, own.protocol, metric, tuple(beside), tuple(rows), own.scenes,
        len(own.places), tuple(notes),
    )  # fmt: skip


def _place(level: float, levels: Sequence[float]) -> int:
    return 1 + sum(other > level for other in levels)


def _against(own: Summary, other: Summary, metric: str, sign: int) -> tuple[Spread | None, dict[str, float]]:
    difference = between(own, other, metric)
    if difference is None:
        raise UsageError("the scored scenes are none of those that the report holds; prepare the same data set.")
    mine, theirs = _by_scene(own, metric), _by_scene(other, metric)
    scenes = {scene: sign * (mine[scene] - theirs[scene]) for scene in mine.keys() & theirs.keys()}
    if sign < 0:
        difference = turned(difference)
    return difference, {scene: scenes[scene] for scene in sorted(scenes)}


def _by_scene(result: Summary, metric: str) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for (_, scene), value in result.cells.get(metric, {}).items():
        if not math.isnan(value):
            found.setdefault(scene, []).append(value)
    return {scene: sum(values) / len(values) for scene, values in found.items()}


def text(ranked: Standing) -> str:
    """Return the ranking as lines of a terminal: all rows, then the neighbours scene by scene."""
    heads = [f"{name:>9}" for name in ranked.shown]
    width = max(len(row.name) for row in ranked.rows)
    against = f"{ranked.own.name} better by [95 %]"
    lines = [
        f"{ranked.dataset}, profile {ranked.profile}, protocol {ranked.protocol}, by {ranked.metric}; "
        f"{ranked.scenes} scenes of {ranked.places} places; {ranked.about}",
        "  ".join(["  place", f"{'row':<{width}}", *heads, f"{against:>26}", "scenes won", f"{ranked.own.name} is"]),
    ]
    for row in ranked.rows:
        own = row.difference is None
        cells = [f"{row.values[name]:9.4f}" if name in row.values else f"{DASH:>9}" for name in ranked.shown]
        tail = ["", "", ""] if row.difference is None else [
            interval(row.difference), f"{row.won} of {len(row.scenes)}", row.verdict
        ]  # fmt: skip
        line = [f"{'> ' if own else '  '}{row.place:>5}", f"{row.name:<{width}}", *cells]
        lines.append("  ".join([*line, f"{tail[0]:>26}", f"{tail[1]:>10}", tail[2]]).rstrip())
    lines.append(
        "interval: bootstrap over places, of this pair alone (not corrected for looking at many rows); it leaves out 0 "
        "where a row is better or worse"
    )
    return "\n".join([*lines, *map(said, ranked.neighbours), *(f"note: {note}" for note in ranked.notes)])


def said(row: RankedRow) -> str:
    """Return in a sentence which scenes are won and lost against a row, the farthest first."""
    order = sorted(row.scenes, key=lambda scene: row.scenes[scene])
    gains, losses = [s for s in order[::-1] if row.scenes[s] > 0], [s for s in order if row.scenes[s] < 0]
    both = {"wins": gains, "loses": losses}
    parts = [f"{what} {', '.join(_named(row, scenes))}" for what, scenes in both.items() if scenes]
    return f"Against {row.name}: {'; '.join(parts) or 'equal in every scene'}"


def _named(row: RankedRow, scenes: Sequence[str], most: int = 3) -> Iterator[str]:
    yield from (f"{shown(scene)} ({row.scenes[scene]:+.2f})" for scene in scenes[:most])
    if len(scenes) > most:
        yield f"{len(scenes) - most} more"
