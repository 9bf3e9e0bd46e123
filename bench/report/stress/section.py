"""The stress test on the page: curves, and the table of the values at which each method has lost 3 dB."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from bench.core.stress import KNOBS, Stress
from bench.report.page.page import Figure, PageSection
from bench.report.results.caption import caption
from bench.report.results.inputs import Measured
from bench.report.results.results import Cells, single_protocol
from bench.report.stress.curves import LOST, METRIC, Break, KnobCurve, curves, neutral
from bench.report.stress.figure import draw
from bench.report.table.table import Column, Row, Table, Value, hidden

DATASET = "stress"

INTRO = (
    "Each test view is taken again with one thing made harder at a time: pose, objects and textures stay, and every "
    "other knob stands where the view called neutral has it. The reference's exposure stays, too, but where it is the "
    "knob; a wider step makes the short frame darker and the long one brighter. PSNR-μ counts radiance on the scale of "
    "the short frame, so where step and saturation are turned, part of a change is the scale's."
)
READING = (
    f"The value of each knob at which a method's mean PSNR-μ has fallen {LOST:g} dB below that at the easiest value, "
    "interpolated between those taken (linear in dB and in the knob, for electrons and saturation in its "
    "logarithm); in brackets where the 95 % interval of the loss, from the bootstrap over places of its differences "
    "view by view, reaches and has passed that mark. A > or < means that the hardest value taken doesn't get there. A "
    "method that is poor from the start has little to lose: read this beside the curves. The CSV holds the curves."
)
CURVES = (
    "Means over the test views with 95 % intervals from the bootstrap over places; marks stand beside each other for "
    "that. From left to right it gets harder. The second line of an axis is what the knob did to the pictures, mean "
    "over the views."
)
GROUPS = {False: ("without training", "plain"), True: ("networks", "networks")}

NEUTRAL_COLUMN = Column("neutral", "neutral, PSNR-μ", "", 2)
COLUMNS = (
    *hidden("dataset"),
    Column("method", "method"),
    *hidden("variant"),
    Column("kind", "kind"),
    NEUTRAL_COLUMN,
    *(Column(knob, f"{knob}, {told.unit}") for knob, told in KNOBS.items()),
    *hidden("protocol", "note"),
)
TIDY = tuple(
    Column(key, key, "", digits)
    for key, digits in {
        "method": None, "variant": None, "kind": None, "knob": None, "unit": None, "number": 0, "value": 4,
        "measured": 4, "psnr_mu": 4, "low": 4, "high": 4, "loss": 4, "loss_low": 4, "loss_high": 4, "lost_3_db_at": 4,
        "lost_3_db_from": 4, "lost_3_db_to": 4, "views": 0, "places": 0, "protocol": None, "note": None,
    }.items()
)  # fmt: skip


def section(measured: Measured, views: pd.DataFrame | None) -> PageSection | None:
    """Make the section of a profile that has scores on the data set `stress`; None of one that has none.

    views : `views.csv` of that set, None where it isn't there.
    """
    results = {v: result for (v, dataset), result in measured.results.items() if dataset == DATASET}
    cells = {
        variant: results[variant].cells[METRIC]
        for variant in _ordered(measured, results)
        if METRIC in results[variant].cells
    }
    settings = measured.params.simulate.stress if measured.params.simulate else Stress()
    found = curves(settings, cells, views)
    if not found:
        return None
    missing = (
        [] if views is not None else ["The record of the views isn't there, so nothing is said of what was measured."]
    )
    figures = []
    for learned, (words, name) in GROUPS.items():
        shown = {variant: measured.label(variant) for variant in cells if measured.learned(variant) == learned}
        own = [curve for curve in found if curve.variant in shown]
        if own:
            title = f"Where methods break: {words}"
            figures.append(Figure(f"stress_{name}", draw(own, shown), title, CURVES))
    return PageSection("stress", "Where methods break", INTRO, [_table(measured, cells, found)], figures, missing)


def _ordered(measured: Measured, results: Mapping[str, object]) -> list[str]:
    """Floors first, then in the order of the parameter file, then others'."""
    order = dict.fromkeys([*measured.params.tables.floors, *measured.params.variants, *sorted(results)])
    return [variant for variant in order if variant in results]


def _table(measured: Measured, cells: Mapping[str, Cells], found: Sequence[KnobCurve]) -> Table:
    results = [measured.results[variant, DATASET] for variant in cells]
    single_protocol((result.protocol for result in results), "the stress test")
    cards = {run: card for run, card in measured.cards.items() if card.get("variant") in cells}
    own = {variant: [curve for curve in found if curve.variant == variant] for variant in cells}
    rows = [_row(measured, variant, cells[variant], curves) for variant, curves in own.items()]
    tidy = [row for variant, curves in own.items() for curve in curves for row in _long(measured, variant, curve)]
    made = caption(measured.params, cards, results, [DATASET], marked=False)
    return Table(
        name="stress",
        title=f"Values at which methods lose {LOST:g} dB",
        caption=f"{made} {READING}",
        columns=COLUMNS,
        rows=tuple(rows),
        tidy=Table(name="stress", title="", caption="", columns=TIDY, rows=tuple(tidy)),
    )


def _row(measured: Measured, variant: str, cells: Cells, found: Sequence[KnobCurve]) -> Row:
    result, start = measured.results[variant, DATASET], neutral(cells)
    filled: dict[str, Value] = {
        "dataset": DATASET, "method": measured.label(variant), "variant": variant, "kind": kind(measured, variant),
        "protocol": result.protocol,
    }  # fmt: skip
    remarks = dict.fromkeys(KNOBS, "not taken, or not scored")
    if math.isnan(start.mean):
        remarks[NEUTRAL_COLUMN.key] = "no neutral view was scored"
    else:
        filled[NEUTRAL_COLUMN.key] = start.mean
    filled |= {curve.knob: said(curve) for curve in found}
    remarks = {key: why for key, why in remarks.items() if key not in filled}
    return Row(DATASET, filled, remarks, (*notes(measured, variant), *result.notes))


def kind(measured: Measured, variant: str) -> str:
    """Return what kind of row a method makes: weights of another profile of ours are no one else's."""
    known, own = measured.params.variants.get(variant), "trainset" in measured.card(variant)
    if known is not None and known.weights is not None and not own:
        return "measured-third-party-weights"
    return measured.kind(variant)


def notes(measured: Measured, variant: str) -> tuple[str, ...]:
    """Return what is to be known of a method's weights."""
    known, card = measured.params.variants.get(variant), measured.card(variant)
    if known is None or known.weights is None or not card:
        return measured.choices(variant)
    if "trainset" not in card:
        return (f"weights by others ({card.get('source', known.weights)}), not trained here",)
    frames = f", on frames registered by {way}" if (way := card.get("register", "none")) != "none" else ""
    return (f"weights of {known.weights}: {card.get('steps')} steps on {card['trainset']}{frames}",)


def said(curve: KnobCurve) -> str:
    """Return in words where a method breaks, such as "17 [12 to > 40]"; "> 40" where it doesn't."""
    end = curve.end
    if end.value is None:
        return _beyond(curve)
    text = _number(end.value)
    return f"{text} [{_bound(curve, end.low)} to {_bound(curve, end.high)}]" if end.known else text


def _bound(curve: KnobCurve, value: float | None) -> str:
    return _beyond(curve) if value is None else _number(value)


def _beyond(curve: KnobCurve) -> str:
    first, last = curve.points[0], curve.points[-1]
    return f"{'>' if last.at > first.at else '<'} {_number(last.at)}"


def _number(value: float) -> str:
    return f"{float(f'{value:.2g}'):,g}"  # an interpolated value is worth no more digits


def _long(measured: Measured, variant: str, curve: KnobCurve) -> list[Row]:
    end, rows = curve.end, []
    for point in curve.points:
        cells: dict[str, Value] = {
            "method": measured.label(variant), "variant": variant, "kind": kind(measured, variant), "knob": curve.knob,
            "unit": KNOBS[curve.knob].unit, "number": point.number, "value": point.value, "measured": point.measured,
            "psnr_mu": point.score.mean, "low": point.score.low, "high": point.score.high, "loss": point.loss.mean,
            "loss_low": point.loss.low, "loss_high": point.loss.high, "views": point.score.scenes,
            "places": point.score.places, "protocol": measured.results[variant, DATASET].protocol,
        }  # fmt: skip
        ends: dict[str, Value] = {"lost_3_db_at": end.value, "lost_3_db_from": end.low, "lost_3_db_to": end.high}
        numbers = {key: value for key, value in {**cells, **ends}.items() if value is not None and value == value}
        remarks = {key: _why(key, end) for key in {**cells, **ends} if key not in numbers}
        rows.append(Row(DATASET, numbers, remarks))
    return rows


def _why(key: str, end: Break) -> str:
    if key == "measured":
        return "the value is what was set; nothing else was measured"
    if not end.known and key not in ("lost_3_db_at", "psnr_mu", "loss"):
        return "one place has no interval"
    return "beyond the hardest value taken"
