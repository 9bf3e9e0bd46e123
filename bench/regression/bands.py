"""Largest difference of a score between two trainings, derived from the spread over seeds of a profile."""

import itertools
import math
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from statistics import fmean

from bench.core.errors import UsageError
from bench.core.reading import shown
from bench.core.registry import metrics
from bench.regression.judging import FEWEST_SCENES
from bench.regression.matching import Key, match
from bench.regression.sides import Side

MARGIN = 2.0
"""Bands are this many times the largest difference seen."""

FEWEST = 8
"""Differences between two seeds of which the largest tells something.

Fewer of scenes are doubled once more; where there are fewer of means, the largest of scenes counts instead. Smoke has
2 of means: another processor moved some of its means by 2.4 times the larger, none by more than 0.4 of a scene's.
"""

LEAST = {"dB": (1.8, 0.4), "Q": (1.2, 0.5), "1": (0.025, 0.006)}
"""Widths that no band is below, of a scene and of a mean, by the metric's unit.

Only OLC's networks have several seeds, and what they leave to their base hardly moves. When the demo was trained on a
processor with other instructions, the other 13 networks moved by up to 1.75 dB, 1.15 Q and 0.024 in a scene, and by
0.37 dB, 0.41 Q and 0.0051 in a mean.
"""

DIGITS = 2
"""Significant digits of a band; it is rounded up."""

WIDTH = 120
"""Characters of a line in a parameter file."""


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


@dataclass(frozen=True)
class Bands:
    """Bands by metric.

    scenes : of a scene's score.
    means  : of a run's mean over the scenes of a data set.
    least  : none is below LEAST.
    """

    scenes: Mapping[str, MetricBand]
    means: Mapping[str, MetricBand]
    least: bool = False


def derive(side: Side, least: bool = True) -> Bands:
    """Return the bands from all pairs of seeds of a run; UsageError if there are none, or if a row stands twice.

    Another machine rounds otherwise, and a training amplifies that until its result is as good as another seed's:
    differences between seeds bound those between machines. They have heavy tails (the largest of a scene is 5 to 9
    standard deviations of a seed, of a mean 3 to 5), so a multiple of the standard deviation alarms falsely or holds
    nothing. A band is twice the largest difference seen: with each of the study's three seeds left out in turn, of
    7392 differences of scenes to it 1 lay beyond (with 1.5 times, 6; with 1 time, 90), of 924 of means 4, all of one
    seed. With each of its 11 networks left out in turn, none of 462 differences of its means lay beyond. Trainings of
    the smoke profile with other CPU instructions and another number of threads moved scores by up to 0.7 of the largest
    difference between its seeds.
    """
    seeds = _by_seed(side)
    scenes = _bands(_scene_differences(seeds))
    if not scenes:
        raise UsageError(
            f"{side.name} has no run with two seeds; bands are the spread over seeds, so name one that has."
        )
    means = _bands(_mean_differences(seeds))
    means = {metric: _of_mean(band, means.get(metric)) for metric, band in scenes.items()}
    return Bands(_at_least(scenes, 0), _at_least(means, 1), least) if least else Bands(scenes, means)


def _at_least(bands: Mapping[str, MetricBand], place: int) -> dict[str, MetricBand]:
    """Widen the bands of metrics whose unit LEAST knows; `place` is 0 for scenes, 1 for means."""
    units = {metric: metrics[name].unit for metric in bands if (name := metric.partition("@")[0]) in metrics}
    widths = {metric: LEAST[unit][place] for metric, unit in units.items() if unit in LEAST}
    return {name: replace(band, width=max(band.width, widths.get(name, 0.0))) for name, band in bands.items()}


Seeds = Mapping[Key, Mapping[str, Mapping[str, float]]]
"""Run on a data set, without its seed, with metric and protocol -> seed -> scene -> value."""


def _by_seed(side: Side) -> Seeds:
    matched = match(side.scores, side.scores)
    if matched.doubled:
        key = matched.doubled[0][0]
        raise UsageError(
            f"{side.name}: rows stand twice, such as {shown(key.metric)} of {shown(key.run)} on {shown(key.scene)}; "
            "bands need one value each. Make the scores again."
        )
    found: dict[Key, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for key, value, _, _ in matched.pairs:
        if key.seed and math.isfinite(value):
            found[key._replace(seed="", scene="")][key.seed][key.scene] = value
    return found


def _scene_differences(groups: Seeds) -> Iterator[tuple[str, float]]:
    """Yield metric and absolute difference of each run, scene and pair of seeds."""
    for key, seeds in groups.items():
        for one, two in itertools.combinations(seeds.values(), 2):
            yield from ((key.metric, abs(one[scene] - two[scene])) for scene in one.keys() & two.keys())


def _mean_differences(groups: Seeds) -> Iterator[tuple[str, float]]:
    """Yield metric and absolute difference of each run, data set and pair of seeds, of the mean over their scenes."""
    for key, seeds in groups.items():
        for one, two in itertools.combinations(seeds.values(), 2):
            scenes = sorted(one.keys() & two.keys())
            if len(scenes) >= FEWEST_SCENES:
                yield key.metric, abs(fmean(one[scene] - two[scene] for scene in scenes))


def _of_mean(scene: MetricBand, mean: MetricBand | None) -> MetricBand:
    if mean is not None and mean.differences >= FEWEST:
        return mean
    return replace(scene, width=_rounded_up(MARGIN * scene.largest), differences=mean.differences if mean else 0)


def _bands(differences: Iterable[tuple[str, float]]) -> dict[str, MetricBand]:
    found: dict[str, list[float]] = defaultdict(list)
    for metric, difference in differences:
        found[metric].append(difference)
    return {metric: _band(values) for metric, values in sorted(found.items()) if any(values)}


def _band(values: list[float]) -> MetricBand:
    largest = max(values)
    typical = math.sqrt(sum(value * value for value in values) / len(values))
    margin = MARGIN if len(values) >= FEWEST else 2 * MARGIN
    return MetricBand(_rounded_up(margin * largest), typical, largest, len(values))


def _rounded_up(value: float) -> float:
    if not math.isfinite(value):
        raise UsageError("two seeds differ by more than a number can hold; the scores are damaged.")
    places = DIGITS - 1 - math.floor(math.log10(value))
    return float(f"{math.ceil(value * 10**places - 1e-9) / 10**places:.{max(places, 0)}f}")


def as_yaml(bands: Bands, words: str) -> str:
    """Return the section `regression` of a parameter file; `words` are those behind `bands` in the command."""
    said = (
        f"How far a score may move when another machine trains, by `python -m bench bands {words}`: {MARGIN:g} times "
        f"the largest difference between two seeds, of a scene ({_counted(bands.scenes, f'{2 * MARGIN:g} times')}) "
        f"and of a run's mean over scenes ({_counted(bands.means, 'of a scene')})."
        + " None is below what other networks moved by between two processors."
        * bands.least
    )
    lines = [*_wrapped(said, "# "), "regression:"]
    for name, found in (("retrained", bands.scenes), ("retrained_means", bands.means)):
        widths = ", ".join(f"{metric}:{UNBROKEN}{_plain(band.width)}" for metric, band in found.items())
        lines += [f"  {name}: {{", *_wrapped(widths, "    "), "  }"]
    return "\n".join(lines).replace(UNBROKEN, " ") + "\n"


UNBROKEN = "\N{NO-BREAK SPACE}"


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def _plain(value: float) -> str:
    """Write a number without an exponent: YAML would read 5e-05 as text."""
    return f"{Decimal(f'{value:g}'):f}"


def _counted(found: Mapping[str, MetricBand], few: str) -> str:
    counts = sorted({band.differences for band in found.values()})
    said = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return said if counts[0] >= FEWEST else f"{said}; where fewer than {FEWEST}: {few}"


def into(text: str, section: str) -> str:
    """Return a parameter file's text with its section `regression` and the comment above replaced, or added at the end.

    section : the new one, as `as_yaml` returns it.
    """
    lines = text.splitlines(keepends=True)
    start = next((i for i, line in enumerate(lines) if line.startswith("regression:")), None)
    if start is None:
        return f"{text.rstrip()}\n\n{section}"
    end = next((i for i in range(start + 1, len(lines)) if lines[i].strip() and lines[i][0] not in " \t}]"), len(lines))
    while not lines[end - 1].strip():
        end -= 1
    while start and lines[start - 1].startswith("#"):
        start -= 1
    return "".join([*lines[:start], section, *lines[end:]])
