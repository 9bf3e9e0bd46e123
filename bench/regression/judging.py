"""Changes between two sets of score rows, their direction, and which of them are allowed."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from statistics import fmean, stdev
from typing import Literal

from scipy.special import stdtrit

from bench.core.registry import protocols
from bench.regression.locks import Cause
from bench.regression.matching import Key, Matched, RowPair

Kind = Literal["rerun", "rescored", "retrained"]
"""Origin of NEW: the same run again on the same machine, the same predictions scored anew, or other trainings."""

CHANGE_KINDS: tuple[Kind, ...] = ("rerun", "rescored", "retrained")

RESCORED = 1e-6
"""Difference, in a metric's unit, that rounding may make when the same predictions are scored anew."""

DIRECT = 2e-5
"""The same for SSIM where a protocol repeats float32 sums of public code: instruction sets move it by up to 5e-6."""

UNTRAINED = 0.01
"""Share of a metric's band that a method without training may differ by elsewhere: it draws nothing, it only rounds."""

CHANCE = 1e-5
"""Probability that the mean over runs of one metric alarms falsely; the smallest p between seeds of `study` is 3e-4."""

FEWEST_RUNS = 3
"""Retrained runs from which on their mean is judged."""

Name = Literal[
    "direction",
    "protocol",
    "duplicate",
    "missing",
    "undefined",
    "unjudged",
    "changed",
    "worse",
    "better",
    "defined",
    "new",
]

ALWAYS = ("direction", "protocol", "duplicate", "missing", "undefined", "unjudged", "changed", "worse")
"""Changes that fail whatever the kind; the others (better, defined, new) fail where nothing may change."""


@dataclass(frozen=True)
class Change:
    """A row that isn't as it was.

    name      : worse, better; changed (beyond the tolerance, direction unknown); undefined (NaN now), defined (NaN
                before); missing, new, duplicate; protocol (another name or version: the numbers don't compare);
                direction (what is better turned round); unjudged (a metric without a band).
    base, new : values, None where a side has no such row.
    allowed   : the largest difference that would be no change, None where none is.
    said      : what there is to say besides the numbers.
    cause     : what differs upstream of the row, where that is known.
    """

    name: Name
    key: Key
    base: float | None
    new: float | None
    kind: Kind
    allowed: float | None = None
    said: str = ""
    cause: tuple[Cause, ...] = ()

    @property
    def difference(self) -> float:
        """NEW minus BASE; NaN where a side has no number."""
        return math.nan if self.base is None or self.new is None else self.new - self.base

    @property
    def fails(self) -> bool:
        """True for a regression, or a drift where the numbers should be the same."""
        return self.name in ALWAYS or self.kind != "retrained"

    @property
    def severity(self) -> tuple[int, float]:
        """Sorts the worst first: what fails, by name, then by how far it is beyond what is allowed."""
        beyond = abs(self.difference) / max(self.allowed or 0.0, RESCORED * 1e-6)
        rank = ALWAYS.index(self.name) if self.name in ALWAYS else len(ALWAYS)
        return (rank if self.fails else 2 * len(ALWAYS)), -(math.inf if math.isnan(beyond) else beyond)


def judge(
    matched: Matched, kind_of: Callable[[Key], Kind], bands: Mapping[str, float], better: Mapping[str, str]
) -> list[Change]:
    """List all changes; [] if NEW is as BASE within what each row's kind allows.

    bands  : metric -> largest difference of a scene's score between two trainings.
    better : metric -> "higher" or "lower".
    """
    rules = Allowance(kind_of, bands, better)
    changes = [change for pair in matched.pairs if (change := rules.pair(pair))]
    changes += [Change("missing", key, value, None, kind_of(key)) for key, value in matched.missing.items()]
    changes += [Change("new", key, None, value, kind_of(key)) for key, value in matched.added.items()]
    for key, values, later in matched.doubled:
        said = f"{len(values)} rows in {'NEW' if later else 'BASE'}: {', '.join(map(repr, values))}"
        changes.append(Change("duplicate", key, None, None, kind_of(key), said=said))
    return [*changes, *rules.means(matched.pairs)]


@cache
def _direct(protocol: str) -> bool:
    name = protocol.partition("@")[0]
    return name in protocols and protocols[name].ssim.arithmetic == "float32-direct"


@dataclass(frozen=True)
class Allowance:
    """The differences that are allowed; fields are the arguments of `judge`."""

    kind_of: Callable[[Key], Kind]
    bands: Mapping[str, float]
    better: Mapping[str, str]

    def allowed(self, key: Key) -> float | None:
        """Return the largest difference that is no change; None for a metric without a band."""
        kind = self.kind_of(key)
        if kind == "rerun":
            return 0.0
        if kind == "rescored":
            return DIRECT if key.metric.startswith("ssim") and _direct(key.protocol) else RESCORED
        band = self.bands.get(key.metric)
        return band if band is None or key.trained else UNTRAINED * band

    def pair(self, pair: RowPair) -> Change | None:
        """Return the change from BASE to NEW of one row."""
        key, base, new, renamed = pair
        allowed, kind = self.allowed(key), self.kind_of(key)
        if renamed:
            said = f"{key.protocol} became {renamed}: these numbers don't compare"
            return Change("protocol", key, base, new, kind, said=said)
        if base == new or (math.isnan(base) and math.isnan(new)):
            return None
        if math.isnan(base) or math.isnan(new):
            return Change("undefined" if math.isnan(new) else "defined", key, base, new, kind)
        if allowed is None:
            said = f"regression.retrained has no band for {key.metric}"
            return Change("unjudged", key, base, new, kind, said=said)
        return None if abs(new - base) <= allowed else Change(self._turn(key, base, new), key, base, new, kind, allowed)

    def _turn(self, key: Key, base: float, new: float) -> Name:
        better = self.better.get(key.metric.partition("@")[0])
        if better is None:
            return "changed"
        return "better" if (new > base) == (better == "higher") else "worse"

    def means(self, pairs: tuple[RowPair, ...]) -> Iterator[Change]:
        """Yield metrics whose mean over all retrained runs moved by more than chance and rounding explain.

        A band is wide, as it has to hold one scene of one run. Runs are trained apart, so what moves all of them by
        little isn't chance: Student's t of the runs' mean differences, at `CHANCE`, tells it, `UNTRAINED` of the band
        at least. A run's is the mean over its data sets of the means over their scenes: what one training gives on
        several sets isn't independent.
        """
        groups: dict[tuple[str, str], dict[str, dict[str, list[RowPair]]]] = defaultdict(
            lambda: defaultdict(lambda: defaultdict(list))
        )
        for pair in pairs:
            key = pair.key
            finite = math.isfinite(pair.base) and math.isfinite(pair.new) and not pair.renamed
            if finite and key.trained and self.kind_of(key) == "retrained" and key.metric in self.bands:
                groups[key.metric, key.protocol][key.run][key.dataset].append(pair)
        for (metric, protocol), runs in groups.items():
            sets = [list(found.values()) for found in runs.values()]
            if len(runs) >= FEWEST_RUNS and (change := self._mean(metric, protocol, sets)):
                yield change

    def _mean(self, metric: str, protocol: str, runs: list[list[list[RowPair]]]) -> Change | None:
        """Return the change of the mean over runs, each a list of data sets with the pairs of their scenes."""
        before = [fmean(fmean(pair.base for pair in scenes) for scenes in sets) for sets in runs]
        after = [fmean(fmean(pair.new for pair in scenes) for scenes in sets) for sets in runs]
        base, new = fmean(before), fmean(after)
        moves = [later - earlier for earlier, later in zip(before, after, strict=True)]
        by_chance = float(stdtrit(len(runs) - 1, 1 - CHANCE / 2)) * stdev(moves) / math.sqrt(len(runs))
        allowed = max(by_chance, UNTRAINED * self.bands[metric])
        if abs(new - base) <= allowed:
            return None
        key = Key("", f"mean of {len(runs)} runs", "", "", "", "all", metric, protocol)
        return Change(self._turn(key, base, new), key, base, new, "retrained", allowed)
