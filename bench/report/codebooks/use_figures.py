"""Figures of how kinds of images and exposure zones use the codebooks."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.core.scene import IMAGE_KINDS, Array
from bench.report.codebooks.codebook_figures import Book
from bench.report.codebooks.combination import UNMIXED, ZONES
from bench.report.figures.style import INK, QUARTERS, canvas, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MATRICES = {
    "jaccard": "used codes in common (Jaccard)",
    "shared": "shared mass of hits",
    "same": "same code at the same place",
}
ON_QUARTERS = dict(zip(QUARTERS, ("white", INK, INK, "white"), strict=True))
DARK = 0.6
"""Cells above this value are dark: their number is white."""


def overlap_figure(books: Sequence[Book]) -> bytes:
    """Draw three 4x4 matrices of kinds against kinds for each book, a book a row, as PNG."""
    with canvas(8.4, 2.75 * len(books), layout="constrained") as figure:
        grid = figure.subplots(len(books), len(MATRICES), squeeze=False)
        for row, book in zip(grid, books, strict=True):
            for axes, (key, title) in zip(row, MATRICES.items(), strict=True):
                _matrix(axes, np.asarray(book.report["overlap"][key]), title)
            row[0].set_ylabel(book.title.replace(" (", "\n("), fontsize=8)
        return png(figure)


def _matrix(axes: "Axes", values: Array, title: str) -> None:
    axes.imshow(values, cmap="Blues", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(values):
        colour = "white" if value > DARK else INK
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(IMAGE_KINDS)), IMAGE_KINDS)
    axes.set_yticks(range(len(IMAGE_KINDS)), IMAGE_KINDS)
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.set_title(title)


def kinds_figure(books: Sequence[Book]) -> bytes:
    """Draw for each book how each kind of image uses the quarters: hits, codes used, quantisation error, as PNG."""
    parts = {
        "quarters": "share of hits",
        "quarters_used": "share of codes used",
        "quarters_error": "quantisation error",
    }
    with canvas(4.2 * len(books), 5.4, layout="constrained") as figure:
        grid = figure.subplots(len(parts), len(books), squeeze=False, sharey="row")
        for column, book in enumerate(books):
            for axes, (key, title) in zip(grid[:, column], parts.items(), strict=True):
                _grouped(axes, {kind: book.report["kinds"][kind][key] for kind in IMAGE_KINDS})
                axes.set_ylabel(title if column == 0 else "")
            grid[0, column].set_title(book.title, fontweight="bold")
        for row in grid:
            row[0].set_ylim(bottom=0)
        _quarter_legend(figure)
        return png(figure)


def _grouped(axes: "Axes", groups: Mapping[str, Sequence[Any]]) -> None:
    """Bars of four quarters for each kind; a quarter without a value has none."""
    width = 0.2
    for place, values in enumerate(groups.values()):
        for index, value in enumerate(values):
            at = place + (index - 1.5) * width
            if value:
                axes.bar(at, value, width * 0.9, color=QUARTERS[index], linewidth=0)
            else:
                axes.plot(at, 0, marker="_", color=QUARTERS[index], markersize=6, clip_on=False)
    axes.set_xticks(range(len(groups)), list(groups))
    axes.grid(axis="x", visible=False)


def _quarter_legend(figure: "Figure") -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=colour, label=f"Q{index + 1}") for index, colour in enumerate(QUARTERS)]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(QUARTERS))


def zones_figure(books: Sequence[Book]) -> bytes:
    """Draw a bar for each zone, split by quarter, over one of all cells but mixed ones, its splits dashed, as PNG."""
    with canvas(4.8 * len(books), 2.5, layout="constrained") as figure:
        grid = figure.subplots(1, len(books), squeeze=False, sharey=True)
        for column, (axes, book) in enumerate(zip(grid[0], books, strict=True)):
            _zone_bars(axes, book.report["zones"])
            axes.set_title(book.title, fontweight="bold")
            axes.set_xlabel("share of HDR vectors")
            if column:
                axes.tick_params(labelleft=False)
        _quarter_legend(figure)
        return png(figure)


def _zone_bars(axes: "Axes", found: Mapping[str, Any]) -> None:
    zones, expected = found["zones"], found["expected"]
    bars = {zone: zones[zone].get("quarters") for zone in ZONES} | {UNMIXED: expected}
    for place, (zone, shares) in enumerate(bars.items()):
        _stacked(axes, -place, shares)
        number = zones[zone]["vectors"] if zone in zones else sum(zones[z]["vectors"] for z in ZONES if z != "mixed")
        axes.text(1.01, -place, f"n = {number}", va="center", fontsize=7)
    if expected:
        for edge in np.cumsum(expected)[:-1]:
            axes.plot([edge, edge], [-len(bars) + 0.6, 0.45], color=INK, linewidth=0.9, linestyle=(0, (3, 2)))
    axes.set_yticks([-place for place in range(len(bars))], list(bars))
    axes.set_xlim(0, 1)
    axes.grid(axis="y", visible=False)


def _stacked(axes: "Axes", place: float, shares: Sequence[float] | None) -> None:
    if shares is None:
        axes.text(0.01, place, "no cell", va="center", fontsize=7)
        return
    left = 0.0
    for colour, share in zip(QUARTERS, shares, strict=True):
        axes.barh(place, share, 0.72, left, color=colour, linewidth=0)
        if share >= 0.06:
            look: dict[str, Any] = {
                "ha": "center",
                "va": "center",
                "fontsize": 7,
                "zorder": 4,
                "color": ON_QUARTERS[colour],
            }
            # On a patch of the bar's colour, a number stays readable where a dashed line crosses it.
            axes.text(left + share / 2, place, f"{share:.0%}", bbox={"fc": colour, "ec": "none", "pad": 0.8}, **look)
        left += share
