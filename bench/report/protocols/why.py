"""Why is my Q different? The same predictions under every setting of HDR-VDP-2, as a table and in sentences."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from bench.report.table.table import Column, Row, Table, Value

PUBLISHED = "published"
"""The group of settings that public code has; other groups are named after what a single step changes."""

HEADINGS = {
    PUBLISHED: "Settings of public code: HDR-VDP-2's Q (100: identical images)",
    "encoding": "One step from {away}: linear values count as light, and aren't decoded as code values",
    "scale": "One step from {away}: how bright that light is",
    "pixels per degree": "One step from {away}: pixels per degree",
    "order": "One step from {away}: the order of the images",
    "file": "One step from {away}: the files that are read",
    "HDR-VDP-3": "One step from HDR-VDP-{away} (10: identical images): the light, and pixels per degree",
    "version": "One step from {away}: the version. What isn't Q compares with nothing else here",
}
SMALL = 0.05
"""A difference of Q below which a step is told to do nothing."""

UNSUITED = "this setting can't be applied to each of these pictures, such as a crop that leaves too little"
TIDY = tuple(
    Column(key, key, digits=digits)
    for key, digits in {
        "dataset": None, "group": None, "setting": None, "against": None, "version": None, "encoding": None,
        "scale": None, "pixels_per_degree": 4, "order": None, "quantise": None, "prediction": None, "unit": None,
        "value": 4, "difference": 4, "scenes": 0, "note": None,
    }.items()
)  # fmt: skip


class ScoredSetting(NamedTuple):
    """One way to call a model of vision, and what came out.

    group      : `PUBLISHED`, or what the setting changes.
    against    : name of the setting that it is a single step from; of published ones, that of the profile.
    ppd, full  : pixels per degree for these pictures, and for the field's 1500x1000.
    unit       : of the values; values of different units don't compare.
    values     : prediction -> mean over the scenes; absent where it has no score.
    """

    name: str
    group: str
    against: str
    version: str
    encoding: str
    scale: str
    ppd: float
    full: float
    order: str
    quantise: str
    unit: str
    values: Mapping[str, float]

    @property
    def handed_over(self) -> str:
        """Say what the metric gets: encoding, scale and pixels per degree."""
        other = f" ({self.full:.2f} at 1500x1000)" if self.ppd != self.full else ""
        return f"{self.encoding}, {self.scale}, {self.ppd:.2f} ppd{other}"


@dataclass(frozen=True)
class ScoredSettings:
    """The same predictions under many settings.

    size     : columns and rows of the pictures.
    settings : in the order of the table, the one that steps lead away from first.
    caution  : what its encoding means for its values.
    """

    dataset: str
    predictions: tuple[str, ...]
    scenes: int
    size: tuple[int, int]
    settings: tuple[ScoredSetting, ...]
    caution: str

    @property
    def base(self) -> str:
        """Name of the setting that steps lead away from."""
        return self.settings[0].name

    def difference(self, setting: ScoredSetting, prediction: str) -> float | None:
        """Return a value less that of the setting which this one is compared with; None where there is none."""
        other = next(one for one in self.settings if one.name == setting.against)
        if other is setting or other.unit != setting.unit:
            return None
        pair = [one.values.get(prediction) for one in (setting, other)]
        return None if pair[0] is None or pair[1] is None else pair[0] - pair[1]

    @property
    def published(self) -> list[ScoredSetting]:
        """Settings of public code that have values."""
        return [one for one in self.settings if one.group == PUBLISHED and one.values]

    @property
    def steps(self) -> list[ScoredSetting]:
        """Single steps that have a difference of Q."""
        found = [one for one in self.settings if one.group != PUBLISHED and one.unit == self.settings[0].unit]
        return [one for one in found if any(self.difference(one, name) is not None for name in self.predictions)]


def listing(found: ScoredSettings) -> list[dict[str, str]]:
    """Return a line for each setting of one prediction, as people read it: value, difference and what it is from."""
    (name,) = found.predictions
    lines = []
    for one in found.settings:
        value, by = one.values.get(name), found.difference(one, name)
        lines.append({
            "setting": f"{one.group}: {one.name}", "handed over": one.handed_over,
            "value": "-" if value is None else f"{value:.2f}", "unit": one.unit,
            "difference": "-" if by is None else f"{by:+z.2f}", "from": "" if by is None else one.against,
        })  # fmt: skip
    return lines


def table(found: ScoredSettings) -> Table:
    """Build the table: a panel for each kind of step, a column for each prediction."""
    away = {one.group: one.against for one in found.settings}
    return Table(
        name="why",
        title="Why is my Q different?",
        caption=(
            f"The same predictions of {found.scenes} scenes of {found.dataset} ({found.size[0]}x{found.size[1]} "
            "pixels), means over the scenes, under every setting of HDR-VDP-2 that public code states; ppd are pixels "
            f"per degree. In brackets: the difference from {found.base}, this benchmark's own setting, or from the one "
            f"that a panel names. Values of one row compare, those of two rows don't. Of {found.base}: {found.caution}."
        ),
        columns=(
            Column("setting", "setting"),
            Column("handed_over", "handed over"),
            *(Column(name, name, "", 2, "higher") for name in found.predictions),
        ),
        rows=tuple(_row(found, one) for one in found.settings),
        headings={group: HEADINGS[group].format(away=name) for group, name in away.items()},
        tidy=Table("why", "", "", TIDY, tuple(_tidy(found))),
    )


def _row(found: ScoredSettings, setting: ScoredSetting) -> Row:
    moved = {name: found.difference(setting, name) for name in setting.values}
    cells: dict[str, Value] = {"setting": setting.name, "handed_over": setting.handed_over}
    return Row(
        setting.group,
        cells | dict(setting.values),
        {name: UNSUITED for name in found.predictions if name not in setting.values},
        tails={name: f" ({by:+z.2f})" for name, by in moved.items() if by is not None},
    )


def _tidy(found: ScoredSettings) -> Iterator[Row]:
    for one in found.settings:
        for name in found.predictions:
            value, by = one.values.get(name), found.difference(one, name)
            cells: dict[str, Value] = {
                "dataset": found.dataset, "group": one.group, "setting": one.name, "against": one.against,
                "version": one.version, "encoding": one.encoding, "scale": one.scale, "pixels_per_degree": one.ppd,
                "order": one.order, "quantise": one.quantise, "prediction": name, "unit": one.unit, "value": value,
                "difference": by, "scenes": found.scenes,
            }  # fmt: skip
            remarks = {"value": UNSUITED} if value is None else {}
            if by is None:
                remarks["difference"] = remarks.get("value") or "nothing else of its unit to compare with"
            yield Row(found.dataset, {**cells, "note": Row("", cells, remarks).note}, remarks)


def findings(found: ScoredSettings) -> list[str]:
    """Return what the table shows: the span of published settings, the largest single steps, orders that change."""
    return [*_span(found), *_largest(found), *_orders(found)]


def _span(found: ScoredSettings) -> Iterator[str]:
    spans = {
        name: sorted((one.values[name], one.name) for one in found.published if name in one.values)
        for name in found.predictions
    }
    spans = {name: values for name, values in spans.items() if len(values) > 1}
    if spans:
        widest = max(spans, key=lambda name: spans[name][-1][0] - spans[name][0][0])
        (low, under), (high, over) = spans[widest][0], spans[widest][-1]
        yield (
            f"On {found.dataset}, published settings alone move HDR-VDP-2 of {widest} by {high - low:.1f} points: "
            f"{low:.1f} under {under}, {high:.1f} under {over}."
        )


def _largest(found: ScoredSettings) -> Iterator[str]:
    moved: dict[str, tuple[float, str]] = {}
    for one in found.steps:
        for name in found.predictions:
            by = found.difference(one, name)
            if by is not None and abs(by) >= abs(moved.get(one.group, (0.0, ""))[0]):
                moved[one.group] = by, one.name
    told = [f"{group} {by:+.1f} ({name})" for group, (by, name) in moved.items() if abs(by) >= SMALL]
    still = [group for group, (by, _) in moved.items() if abs(by) < SMALL]
    if told:
        nothing = f"; below {SMALL}: {', '.join(still)}" if still else ""
        yield f"The largest single steps in points of Q: {', '.join(told)}{nothing}."


def _orders(found: ScoredSettings) -> Iterator[str]:
    many = len(found.predictions)
    orders = {one.name: _order(one) for one in found.published if len(one.values) == many > 1}
    if found.base in orders and len(orders) > 1:
        other = [name for name, order in orders.items() if order != orders[found.base]]
        yield (
            f"{len(other)} of the {len(orders) - 1} other published settings order these predictions in another way "
            f"than {found.base}{': ' + ', '.join(other) if other else ''}."
        )


def _order(setting: ScoredSetting) -> list[str]:
    return sorted(setting.values, key=lambda name: -setting.values[name])
