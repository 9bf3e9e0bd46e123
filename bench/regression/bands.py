"""Largest difference of a score between two trainings, derived from the spread over seeds of a profile."""

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bench.core.errors import UsageError
from bench.regression.matching import Key, match
from bench.regression.sides import Side

MARGIN = 2.0
"""Bands are this many times the largest difference seen."""

DIGITS = 2
"""Significant digits of a band; it is rounded up."""


@dataclass(frozen=True)
class MetricBand:
    """A metric's band.

    width       : largest difference allowed, in the metric's unit.
    typical     : root mean square difference between two seeds.
    largest     : largest difference between two seeds.
    differences : how many were looked at.
    """

    width: float
    typical: float
    largest: float
    differences: int


def derive(side: Side) -> dict[str, MetricBand]:
    """Return metric -> band from all pairs of seeds of a run on a scene; UsageError if there are none.

    Another machine rounds otherwise, and a training amplifies that until its result is as good as another seed's:
    differences between seeds bound those between machines. They have heavy tails (the largest is 5 to 9 standard
    deviations of a seed), so a multiple of the standard deviation alarms falsely or holds nothing. The band is twice
    the largest difference seen: with each of the study's three seeds left out in turn, 1 of 7392 differences to it lay
    beyond (with 1.5 times, 6; with 1 time, 90). Trainings of the smoke profile with other CPU instructions and another
    number of threads moved scores by up to 0.7 of the largest difference between its seeds.
    """
    found = {metric: _band(values) for metric, values in sorted(_differences(side).items())}
    if not found:
        raise UsageError(
            f"{side.name} has no run with two seeds; bands are the spread over seeds, so name one that has."
        )
    return found


def _differences(side: Side) -> Mapping[str, list[float]]:
    """Return metric -> absolute differences between two seeds, of each run on each scene."""
    groups: dict[Key, list[float]] = defaultdict(list)
    for pair in match(side.scores, side.scores).pairs:
        if pair.key.seed and math.isfinite(pair.base):
            groups[pair.key._replace(seed="")].append(pair.base)
    found: dict[str, list[float]] = defaultdict(list)
    for key, values in groups.items():
        found[key.metric] += [abs(one - two) for one, two in itertools.combinations(values, 2)]
    return {metric: values for metric, values in found.items() if any(values)}


def _band(values: list[float]) -> MetricBand:
    largest = max(values)
    typical = math.sqrt(sum(value * value for value in values) / len(values))
    return MetricBand(_rounded_up(MARGIN * largest), typical, largest, len(values))


def _rounded_up(value: float) -> float:
    places = DIGITS - 1 - math.floor(math.log10(value))
    return float(f"{math.ceil(value * 10**places - 1e-9) / 10**places:.{max(places, 0)}f}")


def as_yaml(bands: Mapping[str, MetricBand], origin: str) -> Iterator[str]:
    """Yield the lines of the section `regression` for a parameter file."""
    yield f"# {MARGIN:g} times the largest difference between two seeds in {origin}: python -m bench bands {origin}"
    yield "regression:"
    yield "  retrained:"
    for metric, band in bands.items():
        yield f"    {metric}: {band.width:g}  # typical {band.typical:.2g}, {band.differences} differences"
