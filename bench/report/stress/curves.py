"""Curves of the stress test: a method's mean score at each value of each knob, and where it has lost 3 dB."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import pandas as pd

from bench.core.places import place
from bench.core.stress import BETWEEN, KNOBS, NEUTRAL, Stress
from bench.metrics.intervals import Interval, bootstrap
from bench.report.results.results import Cells

METRIC = "psnr-mu"

LOST = 3.0
"""Decibels below a method's own mean at a knob's easiest value from which on it counts as broken."""

MEASURED: Mapping[str, tuple[str, str, float]] = {
    "rotation": ("camera_rotation_px", "px", 1.0),
    "translation": ("parallax_px", "px of parallax", 1.0),
    "saturated": ("reference_saturated", "% measured", 100.0),
}
"""Knob -> column of `views.csv` that tells what its value did to the pictures, that in words, and its factor."""


class KnobPoint(NamedTuple):
    """A method at one value of a knob.

    value    : as the parameters state it, in the knob's unit.
    at       : where it stands on the axis: the measured share for saturation, else the value.
    measured : mean of the column that `MEASURED` names over the scenes; NaN where nothing is known.
    score    : mean PSNR-mu in dB over scenes, with its interval over places.
    loss     : the scene's score at the knob's easiest value minus that here, likewise; paired by view.
    """

    number: int
    value: float
    at: float
    measured: float
    score: Interval
    loss: Interval


class Break(NamedTuple):
    """The value of a knob from which on a method has lost `LOST` dB, in the axis' unit; None: beyond the hardest.

    low, high : where the 95 % interval of the loss reaches and has left the 3 dB behind; None where it doesn't.
    known     : whether the loss has an interval, which one place alone has not.
    """

    value: float | None
    low: float | None
    high: float | None
    known: bool


@dataclass(frozen=True)
class KnobCurve:
    """One method over one knob, from the easiest value to the hardest."""

    variant: str
    knob: str
    points: Sequence[KnobPoint]

    @property
    def end(self) -> Break:
        """Where the method breaks, interpolated between neighbouring values."""
        logarithmic = KNOBS[self.knob].logarithmic
        at = [point.at for point in self.points]
        known = all(not math.isnan(point.loss.low) for point in self.points)
        losses = [[getattr(point.loss, name) for point in self.points] for name in ("mean", "high", "low")]
        value, low, high = (crossing(at, found, logarithmic) for found in losses)
        return Break(value, low, high, known)


def crossing(at: Sequence[float], losses: Sequence[float], logarithmic: bool) -> float | None:
    """Return where losses first reach `LOST`, between neighbours linear in dB and in `at` or its logarithm; else None.

    NaN counts as not reached.
    """
    for (left, before), (right, after) in pairwise(zip(at, losses, strict=True)):
        if after >= LOST:
            share = 1.0 if not math.isfinite(after) else max(0.0, (LOST - before) / (after - before))
            if logarithmic and left > 0 and right > 0:
                return float(left * (right / left) ** share)
            return left + share * (right - left)
    return None


def curves(settings: Stress, cells: Mapping[str, Cells], views: pd.DataFrame | None) -> list[KnobCurve]:
    """Return the curves of every method that has scores, knob by knob.

    cells : variant -> (seed, scene) -> PSNR-mu of the scenes of the data set `stress`; seeds are averaged.
    views : `views.csv` of that set, None where it isn't there.
    Values of a knob that no scene has are left out; so is a knob that fewer than two values are left of.
    """
    known = {} if views is None else {str(row["scene"]): row for row in views.to_dict("records")}
    return [
        made
        for variant, found in cells.items()
        for scores in [_over_seeds(found)]
        for knob in KNOBS
        if len((made := _curve(settings, variant, knob, scores, known)).points) > 1
    ]


def _over_seeds(cells: Cells) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for (_, scene), value in cells.items():
        found.setdefault(scene, []).append(value)
    return {scene: sum(values) / len(values) for scene, values in found.items()}


def _curve(
    settings: Stress, variant: str, knob: str, scores: Mapping[str, float], known: Mapping[str, Mapping[str, object]]
) -> KnobCurve:
    points: list[KnobPoint] = []
    first: dict[str, float] = {}
    column, _, factor = MEASURED.get(knob, ("", "", 1.0))
    for number, value in enumerate(settings.values(knob), 1):
        take = settings.take(knob, number)
        found = {
            scene.partition(BETWEEN)[0]: score for scene, score in scores.items() if scene.partition(BETWEEN)[2] == take
        }
        if not found:
            continue
        first = first or found
        told = [
            float(str(known[name][column])) for view in found if (name := f"{view}{BETWEEN}{take}") in known and column
        ]
        measured = factor * sum(told) / len(told) if told else math.nan
        at = measured if knob == "saturated" and told else value
        both = [view for view in found if view in first]
        loss = _mean({view: _difference(first[view], found[view]) for view in both})
        points.append(KnobPoint(number, value, at, measured, _mean(found), loss))
    return KnobCurve(variant, knob, points)


def _difference(one: float, other: float) -> float:
    return 0.0 if one == other else one - other  # two infinite scores differ by nothing


def _mean(found: Mapping[str, float]) -> Interval:
    return bootstrap(list(found.values()), [place(view) for view in found])


def neutral(cells: Cells) -> Interval:
    """Return the mean PSNR-mu of the views as they are with no knob turned."""
    found = _over_seeds(cells)
    return _mean(
        {scene.partition(BETWEEN)[0]: v for scene, v in found.items() if scene.partition(BETWEEN)[2] == NEUTRAL}
    )
