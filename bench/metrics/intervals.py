"""How sure a mean over scenes is: a bootstrap over places, since views of one place aren't independent."""

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from bench.core.errors import UsageError
from bench.core.seeding import generator

DRAWS = 10_000


class Interval(NamedTuple):
    """A mean with its confidence interval.

    mean, low, high : in the values' unit; low and high are NaN where one place or none has values.
    places, scenes  : how many of each the mean is over.
    """

    mean: float
    low: float
    high: float
    places: int
    scenes: int


def place(scene: str) -> str:
    """Return the place that a scene shows: its name without the trailing number that tells views apart.

    A name that is only a number is its own place: "courtyard-03" gives "courtyard", "007" gives "007".
    """
    return re.sub(r"[-_]?\d+$", "", scene) or scene


def bootstrap(
    values: Sequence[float], places: Sequence[str], *, level: float = 0.95, draws: int = DRAWS, seed: int = 0
) -> Interval:
    """Return the mean of `values` and its interval from drawing whole places with replacement.

    values : one a scene, any unit; NaN (no value) is left out, +inf makes the mean and the upper end infinite.
    places : of the same length; scenes of equal place are drawn together.
    level  : share of repetitions whose interval should hold the true mean, in (0, 1).

    Percentiles of the resampled means, taken further out for few places by Student's t with as many degrees of
    freedom as places less one (the expanded percentile interval; Hesterberg, The American Statistician 69, 2015).
    Equal arguments give equal intervals. With two or three places it is what the data allow, not what `level` says.
    """
    if len(values) != len(places) or not 0 < level < 1:
        raise UsageError(f"{len(values)} values, {len(places)} places, level {level}; expected equal lengths, 0 to 1.")
    kept = [(value, name) for value, name in zip(values, places, strict=True) if not math.isnan(value)]
    groups: dict[str, list[float]] = {}
    for value, name in kept:
        groups.setdefault(name, []).append(value)
    mean = float(np.mean([value for value, _ in kept])) if kept else math.nan
    if len(groups) < 2:
        return Interval(mean, math.nan, math.nan, len(groups), len(kept))
    low, high = _percentiles(list(groups.values()), level, draws, seed)
    return Interval(mean, low, high, len(groups), len(kept))


def _percentiles(groups: list[list[float]], level: float, draws: int, seed: int) -> tuple[float, float]:
    totals, counts = np.array([sum(group) for group in groups]), np.array([len(group) for group in groups])
    chosen = generator(seed, "bootstrap").integers(len(groups), size=(draws, len(groups)))
    means = totals[chosen].sum(axis=1) / counts[chosen].sum(axis=1)
    tail = _tail(level, len(groups))
    # Order statistics, without interpolation: between a finite mean and an infinite one there is nothing.
    low, high = np.quantile(means, [tail, 1 - tail], method="inverted_cdf")
    return float(low), float(high)


def _tail(level: float, places: int) -> float:
    """Share of resampled means left out on each side."""
    t = special.stdtrit(places - 1, (1 + level) / 2)
    return float(special.ndtr(-t * math.sqrt(places / (places - 1))))
