"""Confidence intervals of means, and tests of their being 0.

A bootstrap over places, as views of one place aren't independent, and over seeds.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from bench.core.errors import UsageError
from bench.core.seeding import generator

DRAWS = 10_000
RESAMPLES = 2000
"""Bootstrap means of a grid of seeds and scenes."""
FEW = 5
"""Places below which an interval is drawn from too little to be trusted."""
SMALLEST_P = 1e-12
"""Below this a p isn't told from another."""

Array = NDArray[np.float64]


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


class Spread(NamedTuple):
    """A mean over seeds and scenes with its standard error, confidence interval and test.

    mean, error, low, high : in the values' unit; low and high are NaN for one place, error for one seed of one place.
    seeds, places, scenes  : how many of each have values. Of one seed, error and interval are over places and views
                             alone: they hold for these weights.
    p                      : the smallest 1 - level whose interval leaves out 0, two-sided; NaN where low is.
    """

    mean: float
    error: float
    low: float
    high: float
    seeds: int
    places: int
    scenes: int
    p: float = math.nan


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


def crossed(
    values: Array, places: Sequence[str], *, level: float = 0.95, draws: int = RESAMPLES, seed: int = 0
) -> Spread:
    """Return mean, standard error, interval and test of values of which each seed has one a scene.

    values : (seeds, scenes), any unit; NaN (no value) is left out, an infinite one leaves error and interval NaN.
    places : one for each scene; scenes of equal place are its views.
    level  : share of repetitions whose interval should hold the true mean, in (0, 1).

    The mean is over scenes, then over seeds. For each bootstrap mean, seeds are drawn with replacement, then places,
    then as many views of each drawn place as it has; all drawn seeds share the drawn views, as they share the scenes
    (Owen, Annals of Applied Statistics 1, 2007: drawing them for each seed anew would make the error too small).
    `error` is the standard deviation of the bootstrap means. The interval holds their percentiles, stretched about
    the mean for few seeds and places by Student's t with Satterthwaite's degrees of freedom. Of one seed, nothing is
    drawn but places and views. `p` is the test that the intervals of all levels make. Equal arguments give equal
    results.
    """
    if values.ndim != 2 or values.shape[1] != len(places) or not 0 < level < 1:
        shape = f"values of shape {values.shape}, {len(places)} places, level {level}"
        raise UsageError(f"{shape}; expected (seeds, scenes), a place for each scene, 0 to 1.")
    order = sorted(range(len(places)), key=lambda index: places[index])
    kept = [index for index in order if not np.isnan(values[:, index]).all()]
    grid = values[~np.isnan(values).all(axis=1)][:, kept]
    names = [places[index] for index in kept]
    counts = tuple(names.count(name) for name in dict.fromkeys(names))
    with np.errstate(invalid="ignore"):  # +inf and -inf have no mean
        mean = float(np.mean([np.mean(row[~np.isnan(row)]) for row in grid])) if grid.size else math.nan
    sizes = (len(grid), len(counts), len(kept))
    if max(len(grid), len(counts)) < 2 or not math.isfinite(mean):
        return Spread(mean, math.nan, math.nan, math.nan, *sizes)
    means = np.sort(_means(grid, *_weights(len(grid), counts, draws, seed)))
    error = float(means.std())
    if len(counts) < 2:
        return Spread(mean, error, math.nan, math.nan, *sizes)
    freedom = _freedom(grid, counts)
    low, high = _ends(means, mean, freedom, level)
    return Spread(mean, error, low, high, *sizes, _p(means, mean, freedom))


def _ends(means: Array, mean: float, freedom: float, level: float) -> tuple[float, float]:
    """Ends of the interval: percentiles of the sorted bootstrap means, stretched about the mean."""
    low, high = np.interp([(1 - level) / 2, (1 + level) / 2], np.linspace(0, 1, len(means)), means)
    stretch = _stretch(freedom, level)
    return float(mean + stretch * (low - mean)), float(mean + stretch * (high - mean))


def _p(means: Array, mean: float, freedom: float) -> float:
    """Bisect for the level at which the interval begins to hold 0."""
    if means[0] == means[-1]:
        return float(mean == 0)
    holding, leaving = SMALLEST_P, 1.0
    for _ in range(40):
        middle = math.sqrt(holding * leaving)
        low, high = _ends(means, mean, freedom, 1 - middle)
        holding, leaving = (middle, leaving) if low <= 0 <= high else (holding, middle)
    return leaving


def holm(tests: Sequence[float]) -> list[float]:
    """Return p-values corrected after Holm (Scandinavian Journal of Statistics 6, 1979), in the order of `tests`.

    tests : p of every test of one family; NaN (not tested) stays NaN and doesn't count.
    The k-th smallest of m is multiplied by m - k + 1, is at least the one before and at most 1. If no test of the
    family has anything to find, those at or below 0.05 hold one or more in at most one family of twenty.
    """
    found, largest = list(tests), 0.0
    order = sorted((index for index, p in enumerate(tests) if not math.isnan(p)), key=lambda index: tests[index])
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * tests[index]))
        found[index] = largest
    return found


@lru_cache(maxsize=32)
def _weights(seeds: int, counts: tuple[int, ...], draws: int, seed: int) -> tuple[Array, Array]:
    """Counts of each seed, (draws, seeds), and each view, (draws, scenes), in each bootstrap mean, place by place."""
    rng = generator(seed, "bootstrap", "crossed")
    chosen = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws)
    drawn = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=draws)
    views = [rng.multinomial(drawn[:, i] * count, np.full(count, 1 / count)) for i, count in enumerate(counts)]
    return chosen.astype(np.float64), np.concatenate(views, axis=1).astype(np.float64)


def _means(grid: Array, chosen: Array, views: Array) -> Array:
    """Bootstrap means over scenes, then seeds; a draw that took no value at all is left out."""
    valid = ~np.isnan(grid)
    counts = views @ valid.T.astype(np.float64)
    per_seed = (views @ np.where(valid, grid, 0).T) / np.maximum(counts, 1)
    weights = chosen * (counts > 0)
    total = weights.sum(axis=1)
    means: Array = (weights * per_seed).sum(axis=1)[total > 0] / total[total > 0]
    return means


def _freedom(grid: Array, counts: tuple[int, ...]) -> float:
    """Return Satterthwaite's degrees of freedom of a mean over seeds and places; of one seed, places less one."""
    if len(grid) < 2:
        return len(counts) - 1
    ends = np.cumsum(counts)
    parts = [grid[:, end - count : end] for end, count in zip(ends, counts, strict=True)]
    by_seed, by_place = _variance(list(grid)), _variance(parts)
    total = by_seed + by_place
    if total == 0:
        return min(len(grid), len(counts)) - 1
    return total**2 / (by_seed**2 / (len(grid) - 1) + by_place**2 / (len(counts) - 1))


def _stretch(freedom: float, level: float) -> float:
    """Factor that percentiles of bootstrap means lack in width: Student's t for the normal's, n - 1 for n."""
    t, z = special.stdtrit(freedom, (1 + level) / 2), special.ndtri((1 + level) / 2)
    return float(t / z * math.sqrt((freedom + 1) / freedom))


def _variance(parts: Sequence[Array]) -> float:
    """Variance of the mean of the parts' means, as from independent parts; NaN values are left out."""
    means = [np.mean(part[~np.isnan(part)]) for part in parts]
    return float(np.var(means, ddof=1) / len(means))
