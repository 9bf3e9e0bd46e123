"""The comparison of protocols as a picture: ranks that cross, and values that shift."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, pairwise
from textwrap import fill
from typing import TYPE_CHECKING, Any

from bench.report.figures.style import GRID, INK, MUTED, canvas, png
from bench.report.protocols.ranking import ProtocolGrid, RankedValue, SharedMetric, tau

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PROPOSED, FLOORS = "#d55e00", ("#22262b", "#8c6d31")
MOVERS = ("#0072b2", "#009e73", "#cc4c7d", "#7b61ff")
"""Colours of the paper's method, of floors, and of the methods that change places most: few, so that each is told."""
STILL = "#c3c9d0"
"""Colour of the methods that don't stand out."""
WIDTH, ROW = 12.5, 0.19
"""Width of the figure, and height of a method's row, in inches."""
LETTERS = 190
"""Of a line below the charts."""
BAND = 0.8
"""Share of a row of shifts that the dots take up."""


@dataclass(frozen=True)
class ChartColumn:
    """A column of the bump chart: protocols that give every method the same value of a metric.

    likeness : Kendall's tau between its order of the methods, floors left out, and that of the profile's protocol.
    """

    protocols: tuple[str, ...]
    metric: SharedMetric
    places: Mapping[str, RankedValue]
    likeness: float | None

    @property
    def names(self) -> list[str]:
        """Names of the protocols without versions."""
        return [name.partition("@")[0] for name in self.protocols]

    @property
    def label(self) -> str:
        """The first one's name, over two lines if it is long; a further line counts those that are equal to it."""
        first, *others = self.names
        broken = first.replace("-", "-\n", 1) if len(first) > 12 else first
        return f"{broken}\n(= {len(others)} more)" if others else broken

    @property
    def equal(self) -> str:
        """The sentence that names the protocols which share this column; "" where it holds one."""
        first, *others = self.names
        same = f"{self.metric.head} of every method, to {self.metric.digits} decimals"
        return f"{first} = {' = '.join(others)}: the same {same}." if others else ""

    @property
    def heights(self) -> dict[str, int]:
        """Variant -> place from the top; equal ranks in the order of the profile's, so that no dot covers another."""
        order = sorted((place.rank, i, name) for i, (name, place) in enumerate(self.places.items()) if place.rank)
        return {name: height for height, (_, _, name) in enumerate(order, start=1)}


def chart_columns(
    grid: ProtocolGrid, floors: Sequence[str] = (), own: Mapping[str, RankedValue] | None = None
) -> list[ChartColumn]:
    """Return the columns of a grid: the profile's protocol first, then those whose order is most like it.

    own : ranks to compare with, if not the grid's own protocol's.
    """
    reference = own or grid.column(grid.own)
    compared = {name: place for name, place in reference.items() if name not in floors}
    made = []
    for family in grid.families:
        places = grid.column(family[0])
        made.append(ChartColumn(tuple(family), grid.metric, places, tau(compared, places, grid.metric.digits)))
    return sorted(made, key=lambda c: (grid.own not in c.protocols, -(c.likeness if c.likeness is not None else -2)))


def shifts(grid: ProtocolGrid) -> list[tuple[ChartColumn, dict[str, float]]]:
    """Return every column but the profile's own, with variant -> its value minus that under the profile's protocol."""
    own = grid.column(grid.own)
    made = []
    for column in chart_columns(grid):
        pairs = {name: (place.value, own[name].value) for name, place in column.places.items() if place.rank}
        found = {name: a - b for name, (a, b) in pairs.items() if a is not None and b is not None}
        finite = {name: value for name, value in found.items() if math.isfinite(value)}
        if finite and grid.own not in column.protocols:
            made.append((column, finite))
    return made


def movers(columns: Sequence[ChartColumn], variants: Sequence[str]) -> list[str]:
    """Return the few of `variants` that gain or lose most places in any column, in the given order."""
    moved = {name: max((abs(column.places[name].change or 0) for column in columns), default=0) for name in variants}
    most = sorted((name for name in variants if moved[name]), key=lambda name: -moved[name])[: len(MOVERS)]
    return [name for name in variants if name in most]


def colours(
    grid: ProtocolGrid, columns: Sequence[ChartColumn], floors: Sequence[str], proposed: str = ""
) -> dict[str, str]:
    """Return the colours of what stands out: the paper's method, floors, and what changes places most."""
    named = [name for name in floors if name in grid.variants]
    found = {proposed: PROPOSED} if proposed in grid.variants else {}
    found |= dict(zip(named, cycle(FLOORS), strict=False))
    others = [name for name in grid.variants if name not in found]
    return found | dict(zip(movers(columns, others), MOVERS, strict=False))


def note(grid: ProtocolGrid, columns: Sequence[ChartColumn], floors: Sequence[str], proposed: str = "") -> str:
    """Say what is in colour, and which protocols share a column."""
    coloured = colours(grid, columns, floors, proposed)
    parts = {
        "the paper's method": proposed if proposed in coloured else "",
        "floors": ", ".join(name for name in floors if name in coloured),
        "the largest changes of rank": ", ".join(name for name, colour in coloured.items() if colour in MOVERS),
    }
    said = "; ".join(f"{names} ({what})" for what, names in parts.items() if names)
    equal = [column.equal for column in columns if column.equal]
    return "\n".join([*([f"In colour: {said}. Grey: all others."] if said else []), *equal])


def charted(grids: Sequence[ProtocolGrid]) -> dict[str, list[ProtocolGrid]]:
    """Return figure name -> its metric's grid, PSNR-mu's with its twin behind it; only what differs by protocol."""
    first = [grid for grid in grids if "psnr-mu" in (grid.metric.name, grid.metric.twin)]
    rest = [grid for grid in grids if grid not in first and len(grid.families) > 1 and grid.own in grid.defined]
    shown = first and first[0].metric.name == "psnr-mu" and sum(len(grid.families) for grid in first) > 1
    return {**({"protocols": first} if shown else {}), **{f"protocols_{grid.metric.name}": [grid] for grid in rest}}


def protocol_figure(grids: Sequence[ProtocolGrid], floors: Sequence[str], proposed: str = "") -> bytes:
    """Draw ranks and shifts of one metric on one data set as PNG; a twin's columns continue its ranks behind a line.

    grids    : the metric's, then its twin's if it has one.
    proposed : the variant that stands for the paper's method, if it is to stand out.
    """
    grid, *twins = grids
    columns = chart_columns(grid, floors)
    columns += [column for twin in twins for column in chart_columns(twin, floors, grid.column(grid.own))]
    looks, moved = colours(grid, columns, floors, proposed), shifts(grid)
    below = "\n".join(fill(line, LETTERS) for line in note(grid, columns, floors, proposed).splitlines())
    height = ROW * len(grid.variants) + 1.5 + 0.13 * (below.count("\n") + 1)
    with canvas(WIDTH, height, layout="constrained") as figure:
        widths = [7.4, 2.6] if moved else [1]
        panels = figure.subplots(1, len(widths), squeeze=False, gridspec_kw={"width_ratios": widths})[0]
        _ranks(panels[0], grid, columns, looks)
        if moved:
            _shifts(panels[1], grid, moved, looks)
        figure.supxlabel(below, fontsize=7.5, color=INK, x=0.005, ha="left")
        return png(figure)


def path_of(columns: Sequence[ChartColumn], variant: str) -> list[tuple[int, int]]:
    """Return (column, height) of a method wherever it is ranked."""
    return [(x, column.heights[variant]) for x, column in enumerate(columns) if variant in column.heights]


def _ranks(axes: "Axes", grid: ProtocolGrid, columns: Sequence[ChartColumn], looks: Mapping[str, str]) -> None:
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
        font: dict[str, Any] = {"color": looks.get(name, MUTED), "fontsize": 7.5, "va": "center"}
        font["fontweight"] = "bold" if name in looks else "normal"
        for x, y in points:
            if x in (0, len(columns) - 1):
                side: dict[str, Any] = {"xytext": (9, 0), "ha": "left"} if x else {"xytext": (-9, 0), "ha": "right"}
                axes.annotate(name, (x, y), textcoords="offset points", **font, **side)
    for x, column in enumerate(columns):
        text = f"τ {column.likeness:.2f}" if column.likeness is not None else ""
        axes.text(x, len(grid.variants) + 1, text if x else "Kendall's τ", ha="center", va="center", color=MUTED)
    other = [x for x, column in enumerate(columns) if column.metric != grid.metric]
    if other:
        axes.axvline(other[0] - 0.5, color=MUTED, lw=0.8, ls=(0, (4, 3)))
        text = f"{columns[-1].metric.head}: another metric"
        axes.text(other[0] - 0.42, len(grid.variants) + 1.9, text, color=MUTED, va="center", fontsize=7.5)
    axes.set_xticks(range(len(columns)), [column.label for column in columns], color=INK)
    axes.xaxis.tick_top()
    axes.tick_params(axis="x", length=0)
    axes.get_xticklabels()[0].set_fontweight("bold")
    axes.set_yticks([])
    axes.set_xlim(-1.05, len(columns) - 0.05)
    axes.set_ylim(len(grid.variants) + (2.3 if other else 1.5), 0.3)
    axes.grid(False)
    axes.set_title(f"{grid.metric.head}: rank under each protocol", loc="left", fontweight="bold")
    axes.spines[["left", "bottom", "top"]].set_visible(False)


def dots(grid: ProtocolGrid, rows: Sequence[Mapping[str, float]]) -> list[tuple[float, float, str]]:
    """Return (shift, height, method) of every dot: a row has height 1, and a method its place in all of them."""
    step = BAND / max(len(grid.variants) - 1, 1)
    return [
        (found[name], row - BAND / 2 + step * place, name)
        for row, found in enumerate(rows)
        for place, name in enumerate(grid.variants)
        if name in found
    ]


def _shifts(
    axes: "Axes", grid: ProtocolGrid, moved: Sequence[tuple[ChartColumn, Mapping[str, float]]], looks: Mapping[str, str]
) -> None:
    for x, y, name in dots(grid, [found for _, found in moved]):
        size, order = (6, 4) if name in looks else (4, 3)
        axes.plot(x, y, "o", color=looks.get(name, STILL), ms=size, zorder=order, mec="white", mew=0.4)
    for edge in range(len(moved) - 1):
        axes.axhline(edge + 0.5, color=GRID, lw=1)
    axes.axvline(0, color=INK, lw=0.9)
    axes.set_yticks(range(len(moved)), [column.label for column, _ in moved], color=INK)
    axes.set_ylim(len(moved) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.08)
    unit = f", {grid.metric.unit}" if grid.metric.unit else ""
    axes.set_xlabel(f"difference from {grid.own.partition('@')[0]}{unit}\ndots: methods, the first one on top")
    axes.set_title(f"{grid.metric.head}: what each shifts", loc="left", fontweight="bold")
