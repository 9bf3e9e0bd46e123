"""The comparison of protocols as a picture: ranks that cross, and values that shift."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from textwrap import fill
from typing import TYPE_CHECKING, Any

from bench.report.figures.style import GRID, INK, MUTED, canvas, png
from bench.report.protocols.ranking import Grid
from bench.report.protocols.stops import Stop, colours, note, path_of, shifts, stops

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STILL = "#c3c9d0"
"""Colour of the methods that don't stand out."""
WIDTH, ROW = 12.5, 0.19
"""Width of the figure, and height of a method's row, in inches."""
LETTERS = 190
"""Of a line below the charts."""
BAND = 0.8
"""Share of a row of shifts that the dots take up."""


def charted(grids: Sequence[Grid]) -> dict[str, list[Grid]]:
    """Return figure name -> its metric's grid, PSNR-mu's with its twin behind it; only what differs by protocol."""
    first = [grid for grid in grids if "psnr-mu" in (grid.metric.name, grid.metric.twin)]
    rest = [grid for grid in grids if grid not in first and len(grid.families) > 1 and grid.own in grid.defined]
    shown = first and first[0].metric.name == "psnr-mu" and sum(len(grid.families) for grid in first) > 1
    return {**({"protocols": first} if shown else {}), **{f"protocols_{grid.metric.name}": [grid] for grid in rest}}


def protocol_figure(grids: Sequence[Grid], floors: Sequence[str], proposed: str = "") -> bytes:
    """Draw ranks and shifts of one metric on one data set as PNG; a twin's columns continue its ranks behind a line.

    grids    : the metric's, then its twin's if it has one.
    proposed : the variant that stands for the paper's method, if it is to stand out.
    """
    grid, *twins = grids
    columns = stops(grid, floors)
    columns += [stop for twin in twins for stop in stops(twin, floors, grid.column(grid.own))]
    looks, moved = colours(grid, columns, floors, proposed), shifts(grid)
    below = "\n".join(fill(line, LETTERS) for line in note(grid, columns, floors, proposed).splitlines())
    height = ROW * len(grid.variants) + 1.5 + 0.13 * (below.count("\n") + 1)
    with canvas(WIDTH, height, layout="constrained") as figure:
        widths = [7.4, 2.6] if moved else [1]
        panels = figure.subplots(1, len(widths), squeeze=False, gridspec_kw={"width_ratios": widths})[0]
        _bump(panels[0], grid, columns, looks)
        if moved:
            _dots(panels[1], grid, moved, looks)
        figure.supxlabel(below, fontsize=7.5, color=INK, x=0.005, ha="left")
        return png(figure)


def _bump(axes: "Axes", grid: Grid, columns: Sequence[Stop], looks: Mapping[str, str]) -> None:
    for name in grid.variants:
        points, colour, front = path_of(columns, name), looks.get(name, STILL), 2 * (name in looks)
        for (a, here), (b, there) in pairwise(points):
            style = ":" if b - a > 1 or columns[a].metric != columns[b].metric else "-"
            axes.plot([a, b], [here, there], style, color=colour, lw=2 if front else 1, zorder=2 + front)
        for x, y in points:
            face: dict[str, Any] = {"color": colour} if front else {"mfc": "white", "mec": STILL, "mew": 0.8}
            axes.plot(x, y, "o", ms=10, zorder=3 + front, **face)
            look: dict[str, Any] = {"color": "white" if front else MUTED, "fontsize": 7, "zorder": 3.5 + front}
            axes.text(x, y + 0.03, str(columns[x].places[name].rank), ha="center", va="center", **look)
        _name(axes, name, [(x, y) for x, y in points if x in (0, len(columns) - 1)], looks.get(name, MUTED))
    for x, stop in enumerate(columns):
        text = f"τ {stop.likeness:.2f}" if stop.likeness is not None else ""
        axes.text(x, len(grid.variants) + 1, text if x else "Kendall's τ", ha="center", va="center", color=MUTED)
    _frame(axes, grid, columns)


def _name(axes: "Axes", name: str, ends: Sequence[tuple[int, int]], colour: str) -> None:
    font: dict[str, Any] = {"color": colour, "fontsize": 7.5, "fontweight": "normal" if colour == MUTED else "bold"}
    for x, y in ends:
        side: dict[str, Any] = {"xytext": (9, 0), "ha": "left"} if x else {"xytext": (-9, 0), "ha": "right"}
        axes.annotate(name, (x, y), textcoords="offset points", va="center", **font, **side)


def _frame(axes: "Axes", grid: Grid, columns: Sequence[Stop]) -> None:
    other = [x for x, stop in enumerate(columns) if stop.metric != grid.metric]
    if other:
        axes.axvline(other[0] - 0.5, color=MUTED, lw=0.8, ls=(0, (4, 3)))
        text = f"{columns[-1].metric.head}: another metric"
        axes.text(other[0] - 0.42, len(grid.variants) + 1.9, text, color=MUTED, va="center", fontsize=7.5)
    axes.set_xticks(range(len(columns)), [stop.label for stop in columns], color=INK)
    axes.xaxis.tick_top()
    axes.tick_params(axis="x", length=0)
    axes.get_xticklabels()[0].set_fontweight("bold")
    axes.set_yticks([])
    axes.set_xlim(-1.05, len(columns) - 0.05)
    axes.set_ylim(len(grid.variants) + (2.3 if other else 1.5), 0.3)
    axes.grid(False)
    axes.set_title(f"{grid.metric.head}: rank under each protocol", loc="left", fontweight="bold")
    for side in ("left", "bottom", "top"):
        axes.spines[side].set_visible(False)


def _dots(
    axes: "Axes", grid: Grid, moved: Sequence[tuple[Stop, Mapping[str, float]]], looks: Mapping[str, str]
) -> None:
    for x, y, name in spread(grid, [found for _, found in moved]):
        size, order = (6, 4) if name in looks else (4, 3)
        axes.plot(x, y, "o", color=looks.get(name, STILL), ms=size, zorder=order, mec="white", mew=0.4)
    for edge in range(len(moved) - 1):
        axes.axhline(edge + 0.5, color=GRID, lw=1)
    axes.axvline(0, color=INK, lw=0.9)
    axes.set_yticks(range(len(moved)), [stop.label for stop, _ in moved], color=INK)
    axes.set_ylim(len(moved) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.08)
    unit = f", {grid.metric.unit}" if grid.metric.unit else ""
    axes.set_xlabel(f"difference from {grid.own.partition('@')[0]}{unit}\ndots: methods, the first one on top")
    axes.set_title(f"{grid.metric.head}: what each shifts", loc="left", fontweight="bold")


def spread(grid: Grid, rows: Sequence[Mapping[str, float]]) -> Iterator[tuple[float, float, str]]:
    """Yield (shift, height, method) of every dot: a row has height 1, and a method its place in all of them."""
    step = BAND / max(len(grid.variants) - 1, 1)
    for row, found in enumerate(rows):
        for place, name in enumerate(grid.variants):
            if name in found:
                yield found[name], row - BAND / 2 + step * place, name
