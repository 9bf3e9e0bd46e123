"""What a learned row gains over the base that it starts from, on the frames that its network gets."""

from collections.abc import Mapping
from typing import NamedTuple

from bench.core.runs import base_of
from bench.metrics.intervals import Spread
from bench.report.results.inputs import Measured
from bench.report.results.paired import PRIMARY, difference, interval

NOTHING = "gains nothing"
NOT_LEARNED = "isn't learned, so there is no base"
READING = (
    " Gain: PSNR-μ over the base, a row without training on the frames that the row's network gets (registered or as "
    "taken): what its head gives before the first step, or the brighter of short frame and reference where that is "
    "clipped. Its 95 % interval is paired like that of a difference and isn't corrected."
)


class Gain(NamedTuple):
    """A row's gain over its base in one metric: the base's variant, and the paired difference."""

    base: str
    difference: Spread

    @property
    def nothing(self) -> bool:
        """True where the mean as it is printed isn't above 0, or the interval lies below it."""
        return round(self.difference.mean, 2) <= 0 or self.difference.high < 0

    @property
    def words(self) -> str:
        """Such as "+3.20 [2.81, 3.64] over reference-only"; a row that gains nothing is said to."""
        return f"{interval(self.difference)} over {self.base}{f': {NOTHING}' if self.nothing else ''}"

    @property
    def short(self) -> str:
        """The same without the base."""
        return f"{interval(self.difference)}{f': {NOTHING}' if self.nothing else ''}"


def gain(variant: str, measured: Measured, panel: str, metric: str = PRIMARY) -> Gain | None:
    """Return the gain of a variant of ours over its base, of the same scenes; None where `missing` says why."""
    if missing(variant, measured, panel):
        return None
    base = str(base_of(measured.params, variant))
    found = difference(variant, base, metric, measured, panel)
    return Gain(base, found) if found else None


def missing(variant: str, measured: Measured, panel: str) -> str:
    """Return why a scored row has no gain, "" where it has one."""
    base = base_of(measured.params, variant) if measured.learned(variant) else None
    if base is None:
        return NOT_LEARNED
    if (base, panel) not in measured.results:
        return f"its base, {base}, has no scores in this profile"
    if difference(variant, base, PRIMARY, measured, panel) is None:
        return f"it and its base, {base}, have no scene in common"
    return ""


def sentence(found: Mapping[str, Gain]) -> str:
    """Return which rows gain nothing, by their names, with a space before it; "" without any gain."""
    idle = [label for label, one in found.items() if one.nothing]
    if not found:
        return ""
    if not idle:
        return " Every learned row gains over its base."
    return f" These rows gain nothing over their base: {', '.join(idle)}."
