"""The figure of the stress test: a panel for each knob, a line for each method."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.core.stress import KNOBS
from bench.report.figures.style import TERMS, canvas, png
from bench.report.stress.curves import MEASURED, KnobCurve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 3
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)))
MARKERS = "osD^vPX"
SPREAD = 0.05
"""Width that the methods' marks at one value are spread over, share of the distance between values."""


def draw(curves: Sequence[KnobCurve], labels: Mapping[str, str]) -> bytes:
    """Draw the curves as PNG: marks at the values of the knob, evenly spaced, with the 95 % interval over places.

    labels : variant -> what the legend calls it, in its order.
    """
    knobs = [knob for knob in KNOBS if any(curve.knob == knob for curve in curves)]
    looks = {variant: _look(index) for index, variant in enumerate(labels)}
    rows = math.ceil(len(knobs) / COLUMNS)
    with canvas(10.5, 2.7 * rows + 0.35 * math.ceil(len(labels) / 6), layout="constrained") as figure:
        grid = figure.subplots(rows, min(COLUMNS, len(knobs)), squeeze=False, sharey=True).ravel()
        for axes, knob in zip(grid, knobs, strict=False):
            _panel(axes, knob, [curve for curve in curves if curve.knob == knob], looks)
        for axes in grid[len(knobs) :]:
            axes.set_visible(False)
        handles = [grid[0].plot([], [], **looks[variant])[0] for variant in labels]
        figure.legend(handles, list(labels.values()), loc="outside upper center", ncols=min(len(labels), 6))
        figure.supylabel("PSNR-μ, dB", fontsize=8)
        return png(figure)


def _look(index: int) -> dict[str, Any]:
    return {
        "color": TERMS[index % len(TERMS)],
        "linestyle": DASHES[index // len(TERMS) % len(DASHES)],
        "marker": MARKERS[index % len(MARKERS)],
        "markersize": 3.2,
        "linewidth": 1.0,
    }


def _panel(axes: "Axes", knob: str, curves: Sequence[KnobCurve], looks: Mapping[str, Mapping[str, Any]]) -> None:
    told = KNOBS[knob]
    longest = max(curves, key=lambda curve: len(curve.points))
    for index, curve in enumerate(curves):
        shift = SPREAD * (index - (len(curves) - 1) / 2)
        points = [point for point in curve.points if math.isfinite(point.score.mean)]
        where = [point.number + shift for point in points]
        look = looks[curve.variant]
        axes.plot(where, [point.score.mean for point in points], **look)
        for x, point in zip(where, points, strict=True):
            if math.isfinite(point.score.low) and math.isfinite(point.score.high):
                axes.vlines(x, point.score.low, point.score.high, color=look["color"], linewidth=0.5, alpha=0.55)
    axes.set_title(told.title, loc="left", fontweight="bold")
    column, unit, _ = MEASURED.get(knob, ("", "", 1.0))
    ticks = [f"{point.value:,g}" if point.value >= 1000 else f"{point.value:g}" for point in longest.points]
    if column and all(math.isfinite(point.measured) for point in longest.points):
        ticks = [f"{tick}\n{point.measured:.3g}" for tick, point in zip(ticks, longest.points, strict=True)]
        axes.set_xlabel(f"{told.unit}; below: {unit}")
    else:
        axes.set_xlabel(told.unit)
    axes.set_xticks([point.number for point in longest.points], ticks)
    axes.grid(visible=False, axis="x")
