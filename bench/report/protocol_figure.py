"""The comparison of protocols as pictures: ranks that cross, and values that shift."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from bench.report.ranking import Grid, Metric, Place, tau
from bench.report.style import INK, MUTED, canvas, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PALETTE = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7b61ff", "#8c6d31", "#b3361b", "#1b7f8c",
    "#5b8c2a", "#a04fb5",
)  # fmt: skip
STILL = "#a9b0b8"
"""Colour of floors, and of methods that never change places."""
NAMES = 4
"""Names of protocols with equal values that are written out."""


@dataclass(frozen=True)
class Stop:
    """A column of the bump chart: protocols that give every method the same value of a metric.

    likeness : Kendall's tau between its order of the learned methods and that of the profile's protocol.
    """

    protocols: tuple[str, ...]
    metric: Metric
    places: Mapping[str, Place]
    likeness: float | None

    @property
    def label(self) -> str:
        """Names without versions, one a line; further ones are counted."""
        names = [name.partition("@")[0] for name in self.protocols]
        if len(names) == 1:
            return names[0].replace("-", "-\n", 1) if len(names[0]) > 12 else names[0]
        more = [f"= {len(names) - NAMES + 1} more"] if len(names) > NAMES else []
        kept = names[: NAMES - 1] if more else names
        return "\n".join([kept[0], *(f"= {name}" for name in kept[1:]), *more])

    @property
    def heights(self) -> dict[str, int]:
        """Variant -> place from the top; equal ranks in the order of the profile's, so that no dot covers another."""
        order = sorted((place.rank, i, name) for i, (name, place) in enumerate(self.places.items()) if place.rank)
        return {name: height for height, (_, _, name) in enumerate(order, start=1)}


def stops(grid: Grid, floors: Sequence[str] = (), own: Mapping[str, Place] | None = None) -> list[Stop]:
    """Return the columns of a grid: the profile's protocol first, then those whose order is most like it.

    own : ranks to compare with, if not the grid's own protocol's.
    """
    reference = own or grid.column(grid.own)
    learned = {name: place for name, place in reference.items() if name not in floors}
    made = []
    for family in grid.families:
        places = grid.column(family[0])
        made.append(Stop(tuple(family), grid.metric, places, tau(learned, places, grid.metric.digits)))
    return sorted(made, key=lambda s: (grid.own not in s.protocols, -(s.likeness if s.likeness is not None else -2)))


def shifts(grid: Grid) -> list[tuple[Stop, dict[str, float]]]:
    """Return every column but the profile's own, with variant -> its value minus that under the profile's protocol."""
    own = grid.column(grid.own)
    made = []
    for stop in stops(grid):
        pairs = {name: (place.value, own[name].value) for name, place in stop.places.items() if place.rank}
        found = {name: a - b for name, (a, b) in pairs.items() if a is not None and b is not None}
        if grid.own not in stop.protocols:
            made.append((stop, {name: value for name, value in found.items() if math.isfinite(value)}))
    return made


def charted(grids: Sequence[Grid]) -> dict[str, list[Grid]]:
    """Return figure name -> its grids: PSNR-mu with its twin, then all else; only what differs between protocols."""
    first = [grid for grid in grids if "psnr-mu" in (grid.metric.name, grid.metric.twin)]
    rest = [grid for grid in grids if grid not in first and len(grid.families) > 1 and grid.own in grid.defined]
    shown = first and first[0].metric.name == "psnr-mu" and sum(len(grid.families) for grid in first) > 1
    return {name: kept for name, kept in (("protocols", first if shown else []), ("protocols_more", rest)) if kept}


def path_of(columns: Sequence[Stop], variant: str) -> list[tuple[int, int]]:
    """Return (column, height) of a method wherever it is ranked."""
    return [(x, stop.heights[variant]) for x, stop in enumerate(columns) if variant in stop.heights]


def protocol_figure(grids: Sequence[Grid], floors: Sequence[str]) -> bytes:
    """Draw ranks and shifts of the grids of one data set, a row of panels for each metric, as PNG.

    A grid whose metric has a twin continues the twin's bump chart behind a line.
    """
    rows = [grid for grid in grids if not grid.metric.twin]
    twins = {grid.metric.twin: grid for grid in grids if grid.metric.twin}
    sizes = [0.23 * len(grid.variants) + 1.35 for grid in rows]
    ratios = {"height_ratios": sizes, "width_ratios": [7, 3]}
    with canvas(12.5, sum(sizes) + 0.3, layout="constrained") as figure:
        panels = figure.subplots(len(rows), 2, squeeze=False, gridspec_kw=ratios)
        for (bump, dots), grid in zip(panels, rows, strict=True):
            twin = twins.get(grid.metric.name)
            columns = stops(grid, floors) + (stops(twin, floors, grid.column(grid.own)) if twin else [])
            colours = _colours(grid, columns, floors)
            _bump(bump, grid, columns, colours)
            _dots(dots, grid, colours)
        return png(figure)


def _colours(grid: Grid, columns: Sequence[Stop], floors: Sequence[str]) -> dict[str, str]:
    learned = [name for name in grid.variants if name not in floors]
    fixed = {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(sorted(learned))}
    moving = {name for stop in columns for name, place in stop.places.items() if place.change}
    return {name: fixed[name] if name in fixed and name in moving else STILL for name in grid.variants}


def _bump(axes: "Axes", grid: Grid, columns: Sequence[Stop], colours: Mapping[str, str]) -> None:
    for name in grid.variants:
        points = path_of(columns, name)
        for (a, here), (b, there) in pairwise(points):
            style = ":" if b - a > 1 or columns[a].metric != columns[b].metric else "-"
            axes.plot([a, b], [here, there], style, color=colours[name], lw=1.7, zorder=2)
        for x, y in points:
            axes.plot(x, y, "o", color=colours[name], ms=10.5, zorder=3)
            rank = str(columns[x].places[name].rank)
            axes.text(x, y + 0.03, rank, ha="center", va="center", color="white", fontsize=7, zorder=4)
        _name(axes, name, [(x, y) for x, y in points if x in (0, len(columns) - 1)], colours[name])
    for x, stop in enumerate(columns):
        text = f"τ {stop.likeness:.2f}" if stop.likeness is not None else ""
        axes.text(x, len(grid.variants) + 1, text if x else "Kendall's τ", ha="center", va="center", color=MUTED)
    _frame(axes, grid, columns)


def _name(axes: "Axes", name: str, ends: Sequence[tuple[int, int]], colour: str) -> None:
    ink = MUTED if colour == STILL else colour
    for x, y in ends:
        side = {"xytext": (9, 0), "ha": "left"} if x else {"xytext": (-9, 0), "ha": "right"}
        axes.annotate(name, (x, y), textcoords="offset points", va="center", color=ink, fontsize=7.5, **side)  # type: ignore[arg-type]


def _frame(axes: "Axes", grid: Grid, columns: Sequence[Stop]) -> None:
    other = [x for x, stop in enumerate(columns) if stop.metric != grid.metric]
    if other:
        axes.axvline(other[0] - 0.5, color=MUTED, lw=0.8, ls=(0, (4, 3)))
        text = f"{columns[-1].metric.head}: another metric"
        axes.text(other[0] - 0.42, len(grid.variants) + 1.75, text, color=MUTED, va="center", fontsize=7.5)
    axes.set_xticks(range(len(columns)), [stop.label for stop in columns], color=INK)
    axes.xaxis.tick_top()
    axes.tick_params(axis="x", length=0)
    axes.get_xticklabels()[0].set_fontweight("bold")
    axes.set_yticks([])
    axes.set_xlim(-1.0, len(columns) - 0.1)
    axes.set_ylim(len(grid.variants) + (2.1 if other else 1.4), 0.3)
    axes.grid(False)
    axes.set_title(f"{grid.metric.head}: rank under each protocol", loc="left", fontweight="bold")
    for side in ("left", "bottom", "top"):
        axes.spines[side].set_visible(False)


def _dots(axes: "Axes", grid: Grid, colours: Mapping[str, str]) -> None:
    rows = shifts(grid)
    for y, name, value in _points(rows):
        axes.plot(value, y, "o", color=colours[name], ms=5.5, alpha=0.85, mec="white", mew=0.4)
    axes.axvline(0, color=INK, lw=0.9)
    axes.set_yticks(range(len(rows)), [stop.label for stop, _ in rows], color=INK)
    axes.set_ylim(max(len(rows), 1) - 0.5, -0.5)
    axes.margins(x=0.08)
    unit = f", {grid.metric.unit}" if grid.metric.unit else ""
    axes.set_xlabel(f"difference from {grid.own.partition('@')[0]}{unit}; one dot a method")
    axes.set_title(f"{grid.metric.head}: how far each protocol shifts it", loc="left", fontweight="bold")


def _points(rows: Sequence[tuple[Stop, Mapping[str, float]]]) -> Iterator[tuple[int, str, float]]:
    for y, (_, found) in enumerate(rows):
        for name, value in found.items():
            yield y, name, value
