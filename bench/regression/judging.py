"""Changes between two sets of score rows, their direction, and which of them are allowed."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from statistics import fmean, stdev
from typing import Literal

from scipy.special import stdtrit

from bench.core.metric import SUMMED
from bench.core.params import Regression
from bench.core.registry import metrics, protocols
from bench.regression.locks import Cause
from bench.regression.matching import Key, Matched, RowPair

Kind = Literal["rerun", "rescored", "retrained"]
"""Origin of NEW: the same run again on the same machine, the same predictions scored anew, or other trainings."""

CHANGE_KINDS: tuple[Kind, ...] = ("rerun", "rescored", "retrained")

RESCORED = 1e-6
"""Difference, in a metric's unit, that rounding may make when the same predictions are scored anew."""

ROUNDED = {"dB": 0.15, "1": 0.006, "Q": 0.25}
"""The same for a scene of a method without training on another kind of processor, by the metric's unit.

It draws nothing and only rounds, but a registration may stop a step earlier: of the demo's ten scenes, one moves by up
to 0.072 dB and 0.12 Q (flow-merge and dis-short-where-clipped, without AVX and AVX2), in PSNR-mu all others by
less than 0.0002; ecc-merge once moved by 0.0029 in SSIM (a processor without AVX-512). Twice that is allowed.
"""

TIPPED = 10
"""Scenes among which one may move so, for the mean of a run without training; see `Allowance.mean`."""

SHARE = 0.01
"""Share of a metric's band that rounding may make: of means over all runs, and of a scene where ROUNDED has no unit."""

CHANCE = 1e-5
"""Probability that the mean over runs of one metric alarms falsely."""

TOGETHER = 0.1
"""Share of the band of a run's mean by which the mean over all runs may move: runs of one seed see their patches in one
order, so another seed moves them together. Between two seeds of `study` it is 0.08 at most (HDR-VDP-2, 0.04 Q)."""

FEWEST_RUNS = 3
"""Retrained runs from which on their mean is judged."""

FEWEST_SCENES = 2
"""Scenes from which on a run's mean is judged; the mean of one is that scene's score, which has its own band."""

ABSURD = 1e100
"""No score is as large. Means, whose sums would overflow, leave such rows out; by themselves they are judged."""

Name = Literal[
    "direction",
    "protocol",
    "duplicate",
    "missing",
    "undefined",
    "infinite",
    "unjudged",
    "changed",
    "worse",
    "better",
    "defined",
    "new",
    "within",
]

ALWAYS = ("direction", "protocol", "duplicate", "missing", "undefined", "infinite", "unjudged", "changed", "worse")
"""Changes that fail whatever the kind; better, defined and new fail where nothing may change, within never."""


@dataclass(frozen=True)
class Change:
    """A row that isn't as it was.

    name      : worse, better; changed (beyond the tolerance, direction unknown); undefined (NaN now), defined (NaN
                before), infinite (now); missing, new, duplicate; protocol (another name or version: the numbers don't
                compare); direction (what is better turned round); unjudged (a metric without a band); within (by no
                more than is allowed).
    base, new : values, None where a side has no such row.
    allowed   : the largest difference that would be no change, None where none is.
    said      : what there is to say besides the numbers.
    cause     : what differs upstream of the row, where that is known.
    mean      : of how many scenes this is the mean; 0 for a row.
    """

    name: Name
    key: Key
    base: float | None
    new: float | None
    kind: Kind
    allowed: float | None = None
    said: str = ""
    cause: tuple[Cause, ...] = ()
    mean: int = 0

    @property
    def difference(self) -> float:
        """NEW minus BASE; NaN where a side has no number."""
        return math.nan if self.base is None or self.new is None else self.new - self.base

    @property
    def fails(self) -> bool:
        """True for a regression, or a drift where the numbers should be the same."""
        return self.name in ALWAYS or (self.kind != "retrained" and self.name != "within")

    @property
    def share(self) -> float:
        """Size of the difference as a share of what is allowed; NaN where a side has no number."""
        return abs(self.difference) / max(self.allowed or 0.0, RESCORED * 1e-6)

    @property
    def severity(self) -> tuple[int, float]:
        """Sorts the worst first: what fails, by name, then by how far it is beyond what is allowed."""
        rank = ALWAYS.index(self.name) if self.name in ALWAYS else len(ALWAYS)
        return (rank if self.fails else 2 * len(ALWAYS)), -(math.inf if math.isnan(self.share) else self.share)


def judge(
    matched: Matched, kind_of: Callable[[Key], Kind], bands: Regression, better: Mapping[str, str]
) -> list[Change]:
    """List all changes, also those within what each row's kind allows; [] if NEW is as BASE.

    bands  : what a scene's score and a run's mean may move by between two trainings.
    better : metric -> "higher" or "lower".
    """
    rules = Allowance(kind_of, bands, better)
    changes = [change for pair in matched.pairs if (change := rules.pair(pair))]
    changes += [Change("missing", key, value, None, kind_of(key)) for key, value in matched.missing.items()]
    changes += [Change("new", key, None, value, kind_of(key)) for key, value in matched.added.items()]
    for key, values, later in matched.doubled:
        said = f"{len(values)} rows in {'NEW' if later else 'BASE'}: {', '.join(map(repr, values))}"
        changes.append(Change("duplicate", key, None, None, kind_of(key), said=said))
    retrained = [pair for pair in matched.pairs if rules.counts_in_means(pair)]
    return [*changes, *rules.means(retrained), *rules.mean_of_all(retrained)]


@cache
def _direct(protocol: str) -> bool:
    name = protocol.partition("@")[0]
    return name in protocols and protocols[name].ssim.arithmetic == "float32-direct"


@dataclass(frozen=True)
class Allowance:
    """The differences that are allowed; fields are the arguments of `judge`."""

    kind_of: Callable[[Key], Kind]
    bands: Regression
    better: Mapping[str, str]

    def scene(self, key: Key) -> float | None:
        """Return the largest difference of a row that is no change; None for a metric without a band."""
        kind = self.kind_of(key)
        if kind == "rerun":
            return 0.0
        if kind == "rescored":
            return SUMMED if key.metric.startswith("ssim") and _direct(key.protocol) else RESCORED
        return self.bands.retrained.get(key.metric) if key.trained else self._rounded(key.metric)

    def mean(self, key: Key, scenes: int) -> float | None:
        """Return the same of a retrained run's mean over `scenes` scenes.

        Without training, few scenes move noticeably: the sum of their differences is held to one scene's allowance,
        for each TIPPED scenes.
        """
        if key.trained:
            return self.bands.retrained_means.get(key.metric)
        rounded = self._rounded(key.metric)
        return None if rounded is None else rounded / min(scenes, TIPPED)

    def _rounded(self, metric: str) -> float | None:
        name = metric.partition("@")[0]
        if name in metrics and (allowed := ROUNDED.get(metrics[name].unit)):
            return allowed
        band = self.bands.retrained.get(metric)
        return None if band is None else SHARE * band

    def pair(self, pair: RowPair) -> Change | None:
        """Return the change from BASE to NEW of one row, None if its value is the same."""
        key, base, new, renamed = pair
        kind = self.kind_of(key)
        if renamed:
            said = f"{key.protocol} became {renamed}: these numbers don't compare"
            return Change("protocol", key, base, new, kind, said=said)
        if base == new or (math.isnan(base) and math.isnan(new)):
            return None
        if math.isnan(new) or math.isinf(new):
            return Change("undefined" if math.isnan(new) else "infinite", key, base, new, kind)
        if math.isnan(base):
            return Change("defined", key, base, new, kind)
        return self._moved(key, base, new, kind, self.scene(key), "retrained")

    def _moved(self, key: Key, base: float, new: float, kind: Kind, allowed: float | None, bands: str) -> Change:
        """Return a change of numbers; `bands` is the field of Regression that should allow it."""
        if allowed is None:
            return Change("unjudged", key, base, new, kind, said=f"regression.{bands} has no band for {key.metric}")
        name = "within" if abs(new - base) <= allowed else self._turn(key, base, new)
        return Change(name, key, base, new, kind, allowed)

    def _turn(self, key: Key, base: float, new: float) -> Name:
        better = self.better.get(key.metric.partition("@")[0])
        if better is None:
            return "changed"
        return "better" if (new > base) == (better == "higher") else "worse"

    def counts_in_means(self, pair: RowPair) -> bool:
        """Tell whether a pair has numbers that may differ: of a retrained run, finite, under one protocol."""
        finite = abs(pair.base) < ABSURD and abs(pair.new) < ABSURD
        return finite and not pair.renamed and self.kind_of(pair.key) == "retrained"

    def means(self, pairs: Sequence[RowPair]) -> Iterator[Change]:
        """Yield the changes of every run's mean over the scenes of a data set, for each metric and protocol.

        The band of a scene has to hold the one that training moves most. A mean moves a third of that: what lies within
        the bands of all scenes, but always to one side, is seen here.
        """
        groups: dict[Key, list[RowPair]] = defaultdict(list)
        for pair in pairs:
            groups[pair.key._replace(scene="")].append(pair)
        for group, scenes in groups.items():
            if len(scenes) < FEWEST_SCENES or self.scene(group) is None:
                continue  # without a band the rows themselves are unjudged
            key = group._replace(scene=f"mean of {len(scenes)} scenes")
            base, new = fmean(pair.base for pair in scenes), fmean(pair.new for pair in scenes)
            if base != new:
                change = self._moved(key, base, new, "retrained", self.mean(group, len(scenes)), "retrained_means")
                yield replace(change, mean=len(scenes))

    def mean_of_all(self, pairs: Sequence[RowPair]) -> Iterator[Change]:
        """Yield metrics whose mean over all trained runs moved by more than chance and rounding explain.

        A band is wide, as it has to hold one run. Runs are trained apart, so what moves all of them by little isn't
        chance: Student's t of the runs' mean differences, at `CHANCE`, tells it, and at least `SHARE` of a scene's band
        and `TOGETHER` of a mean's. A run's is the mean over its data sets of the means over their scenes: what one
        training gives on several sets isn't independent.
        """
        groups: dict[tuple[str, str], dict[str, dict[str, list[RowPair]]]] = defaultdict(
            lambda: defaultdict(lambda: defaultdict(list))
        )
        for pair in pairs:
            key = pair.key
            if key.trained and key.metric in self.bands.retrained:
                groups[key.metric, key.protocol][key.run][key.dataset].append(pair)
        for (metric, protocol), runs in groups.items():
            sets = [list(found.values()) for found in runs.values()]
            if len(runs) >= FEWEST_RUNS and (change := self._mean_of_runs(metric, protocol, sets)):
                yield change

    def _mean_of_runs(self, metric: str, protocol: str, runs: list[list[list[RowPair]]]) -> Change | None:
        """Return the change of the mean over runs, each a list of data sets with the pairs of their scenes."""
        before = [fmean(fmean(pair.base for pair in scenes) for scenes in sets) for sets in runs]
        after = [fmean(fmean(pair.new for pair in scenes) for scenes in sets) for sets in runs]
        base, new = fmean(before), fmean(after)
        moves = [later - earlier for earlier, later in zip(before, after, strict=True)]
        by_chance = float(stdtrit(len(runs) - 1, 1 - CHANCE / 2)) * stdev(moves) / math.sqrt(len(runs))
        together = TOGETHER * self.bands.retrained_means.get(metric, 0.0)
        allowed = max(by_chance, SHARE * self.bands.retrained[metric], together)
        if abs(new - base) <= allowed:
            return None
        key = Key("", f"mean of {len(runs)} runs", "", "", "", "all", metric, protocol)
        return Change(self._turn(key, base, new), key, base, new, "retrained", allowed)
