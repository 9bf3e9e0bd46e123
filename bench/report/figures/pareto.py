"""The Pareto figure: what a method reaches against what it costs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from textwrap import fill
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.report.figures.labels import Box, Spot, place, pointed
from bench.report.figures.style import GRID, INK, MUTED, canvas, drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEARNED, AFTER, PLAIN = "learned", "learned, after the paper", "without training"
LOOKS: dict[str, dict[str, Any]] = {
    LEARNED: {"marker": "o", "color": "#0072b2", "markersize": 6},
    AFTER: {"marker": "D", "color": "#d55e00", "markersize": 5.4},
    PLAIN: {"marker": "s", "color": MUTED, "markersize": 5.2},
}
DOMINATED = 0.45
"""Opacity of a mark that another one beats in both."""

WHOLE = "Pareto front (faint marks: beaten in both)"
PART = "front right of the dashed line (faint: beaten)"
"""The front's name in the legend where every method has a cost, and where a dashed line parts those without."""

RADIUS = 3.6
"""Half the edge of the square around a mark that names keep off, in points."""

POINT = 72.0
"""Points in an inch."""

ALONE = 7.0
"""Width in inches of a figure of one panel, so that the legend fits."""

LETTERS = 15.8
"""Of the caption below the figure, in an inch of its width."""


class Point(NamedTuple):
    """A method: its name, what it costs (0: nothing, such as no parameters), what it reaches, and its kind."""

    label: str
    cost: float
    value: float
    kind: str = LEARNED


@dataclass(frozen=True)
class Plane:
    """One plane: title, what the cost is, its points; `none` says what a cost of 0 means."""

    title: str
    cost: str
    points: tuple[Point, ...]
    none: str = "none"


def front(points: Sequence[Point]) -> list[Point]:
    """Return the points that no other one equals or beats in both, cheapest first: the Pareto front.

    What costs nothing takes no part: a good method without parameters would leave nothing to say about the others.
    """
    kept: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost, -point.value, point.label)):
        if point.cost > 0 and (not kept or point.value > kept[-1].value):
            kept.append(point)
    return kept


def pareto_figure(panels: Sequence[Plane], reach: str, caption: str = "") -> dict[str, bytes]:
    """Draw the panels side by side; returns {"png", "svg", "pdf"}. Equal input gives equal bytes.

    reach   : what the vertical axes show, with its unit.
    caption : stands below, where the figure is looked at alone.
    """
    width = max(5.2 * len(panels), ALONE)
    with canvas(width, 5.0 if caption else 4.5, layout="constrained") as figure:
        grid = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        for axes, panel in zip(grid, panels, strict=True):
            _marks(axes, panel)
        grid[0].set_ylabel(reach)
        _legend(figure, panels)
        if caption:
            text = fill(caption, int(LETTERS * width))
            figure.supxlabel(text, fontsize=7, color=MUTED, x=0.01, ha="left")
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # names are placed for this layout: it stays
        for axes, panel in zip(grid, panels, strict=True):
            _names(axes, panel)
        return drawn(figure)


def places(points: Sequence[Point]) -> list[float]:
    """Return where points lie on a logarithmic axis; what costs nothing lies a little left of the cheapest other."""
    costs = [point.cost for point in points if point.cost > 0] or [1.0]
    left = min(costs) / max((max(costs) / min(costs)) ** 0.12, 1.5)
    return [point.cost if point.cost > 0 else left for point in points]


def ticks(low: float, high: float) -> list[float]:
    """Return round values from `low` to `high`: powers of ten, with 2 and 5 between where there are few."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps: tuple[int, ...] = (1,) if high / low > 3e3 else (1, 3) if high / low > 2e2 else (1, 2, 5)
    return [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]


def _marks(axes: "Axes", panel: Plane) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    where, best = places(panel.points), front(panel.points)
    axes.set_xscale("log")
    for x, point in zip(where, panel.points, strict=True):
        strong = point in best
        faint = point.cost > 0 and not strong
        look = {**LOOKS[point.kind], "alpha": DOMINATED if faint else 1.0, "zorder": 4 if strong else 3}
        axes.plot(x, point.value, linestyle="none", markeredgecolor="white", markeredgewidth=0.5, **look)
    low, high = min(where), max(where)
    room = max((high / low) ** 0.12, 1.6)
    values = [point.value for point in panel.points]
    span = max(max(values) - min(values), 0.1)
    axes.set_xlim(low / room, high * room)
    axes.set_ylim(min(values) - 0.1 * span, max(values) + 0.2 * span)
    if line := _front_line(panel, high * room):
        axes.plot(*zip(*line, strict=True), color=INK, linewidth=0.9, zorder=2)
    axes.set_xlabel(panel.cost)
    axes.set_title(panel.title, loc="left", fontweight="bold")
    costs = [point.cost for point in panel.points if point.cost > 0]
    found = [mark for mark in ticks(low / room, high * room) if not costs or mark >= min(costs) / 1.05]
    names = [f"{mark:g}" for mark in found]
    if len(costs) < len(where):
        found, names = [low, *found], [panel.none, *names]
        if costs:
            axes.axvline((low * min(costs)) ** 0.5, color=GRID, linewidth=1.4, linestyle=(0, (2, 2)), zorder=1)
    axes.xaxis.set_major_locator(FixedLocator(found))
    axes.xaxis.set_major_formatter(FixedFormatter(names))
    axes.xaxis.set_minor_locator(NullLocator())


def _front_line(panel: Plane, end: float) -> list[Spot]:
    """Return the corners of the steps through the front; below and right of them every method on it is beaten."""
    best = front(panel.points)
    where = dict(zip(panel.points, places(panel.points), strict=True))
    corners: list[Spot] = []
    for point in best:
        corners += [(where[point], corners[-1][1])] if corners else []
        corners.append((where[point], point.value))
    return [*corners, (end, corners[-1][1])] if corners else []


def _legend(figure: "Figure", panels: Sequence[Plane]) -> None:
    from matplotlib.lines import Line2D

    kinds = {point.kind for panel in panels for point in panel.points}
    every = all(point.cost > 0 for panel in panels for point in panel.points)
    handles = [Line2D([], [], color=INK, linewidth=0.9, label=WHOLE if every else PART)]
    handles += [Line2D([], [], linestyle="none", label=kind, **look) for kind, look in LOOKS.items() if kind in kinds]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))


def _names(axes: "Axes", panel: Plane) -> None:
    """Write the names; in fractions of the panel, which are the same whatever the file's resolution."""
    scale = POINT / axes.figure.dpi

    def spot(at: Spot) -> Spot:
        x, y = axes.transData.transform(at)
        return float(scale * x), float(scale * y)

    def inside(x: float, y: float) -> Spot:
        return (x - area.left) / (area.right - area.left), (y - area.bottom) / (area.top - area.bottom)

    best = front(panel.points)
    fonts = [_font(point in best) for point in panel.points]
    spots = [spot((x, point.value)) for x, point in zip(places(panel.points), panel.points, strict=True)]
    sizes = [_extent(axes, point.label, font, scale) for point, font in zip(panel.points, fonts, strict=True)]
    corners = [spot(corner) for corner in _front_line(panel, axes.get_xlim()[1])]
    area = Box(*(scale * edge for edge in axes.get_window_extent().extents))
    boxes = place(spots, sizes, area, RADIUS, list(pairwise(corners)))
    look: dict[str, Any] = {"transform": axes.transAxes, "in_layout": False}
    for index, (box, point) in enumerate(zip(boxes, panel.points, strict=True)):
        x, y = inside(box.left, box.bottom)
        axes.text(x, y, point.label, ha="left", va="bottom", zorder=5, **look, **fonts[index])
        if pointed(index, box, spots):
            ends = zip(inside(*spots[index]), inside(*box.nearest(spots[index])), strict=True)
            axes.plot(*ends, color=MUTED, linewidth=0.5, zorder=2, **look)


def _extent(axes: "Axes", label: str, font: dict[str, Any], scale: float) -> Spot:
    text = axes.text(0.5, 0.5, label, **font)
    box = text.get_window_extent()
    text.remove()
    return scale * box.width, scale * box.height


def _font(bold: bool) -> dict[str, Any]:
    return {"fontsize": 7, "fontweight": "bold" if bold else "normal", "color": INK if bold else MUTED}
