"""The paper's Fig. 7: how codes lie in space and how HDR images use them; and the atlas of single codes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.color.tonemap import for_display
from bench.core.scene import Array
from bench.report.codebooks.combination_findings import counterpart, family
from bench.report.figures.style import GRID, INK, MUTED, QUARTERS, bare, canvas, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HDR = 3
"""Row of the HDR images among the kinds."""
MANY = 200
"""Codes above which a bar for each is narrower than a pixel or two."""
CROWDED = 64
"""Codes above which the dots shrink, so that their areas add up to about the same."""
GROUND = 150
"""Grey between the tiles of the atlas, so that white ones have an edge."""
ABREAST = 3
"""Books side by side in one figure."""


@dataclass(frozen=True)
class Book:
    """A codebook as `inspect` found it.

    histograms : (4, K) int64, hits of L1, L2, L3 and HDR images.
    codes      : (K, n_z) float32.
    atlas      : (K, s, s, 3) float32 linear radiance, decoded from each code alone.
    """

    name: str
    segments: str
    histograms: NDArray[np.int64]
    codes: NDArray[np.float32]
    atlas: NDArray[np.float32]
    report: Mapping[str, Any]

    @property
    def title(self) -> str:
        """Name for figures: the book's without its seed, and what kind of book it is."""
        kind = "overlapped" if self.segments == "olc" else self.segments
        return f"{family(self.report).replace('--', ' on ')} ({kind}, K = {len(self.codes)})"


def by_size(books: Sequence[Book]) -> dict[int, list[Book]]:
    """Group books by size; in a group an overlapped book follows its vanilla counterpart."""
    sizes = sorted({len(book.codes) for book in books})
    ordered = sorted(books, key=lambda book: (counterpart(book.name), book.segments != "vanilla", book.name))
    return {size: [book for book in ordered if len(book.codes) == size] for size in sizes}


def sheets(books: Sequence[Book]) -> list[list[Book]]:
    """Distribute books to figures of at most ABREAST; an overlapped book stands beside its vanilla counterpart."""
    groups: dict[str, list[Book]] = {}
    for book in books:
        groups.setdefault(counterpart(book.name), []).append(book)
    parts = [group[i : i + ABREAST] for group in groups.values() for i in range(0, len(group), ABREAST)]
    made: list[list[Book]] = []
    for part in sorted(parts, key=len, reverse=True):  # the sort is stable: pairs first, single books fill up
        place = next((sheet for sheet in made if len(sheet) + len(part) <= ABREAST), None)
        if place is None:
            made.append(part)
        else:
            place += part
    return made


def project(codes: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Project codes (K, n_z) on their two main axes: (K, 2), and the share of variance on each (2,).

    The sign of an axis is arbitrary in an SVD; here its largest component is positive.
    """
    centred = np.asarray(codes, np.float64) - np.mean(codes, axis=0, dtype=np.float64)
    _, lengths, axes = np.linalg.svd(centred, full_matrices=False)
    signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])
    axes = axes * np.where(signs == 0, 1, signs)[:, None]
    shares = lengths**2 / max(float(np.sum(lengths**2)), np.finfo(float).tiny)
    return centred @ axes[:2].T, shares[:2]


def codebook_figure(books: Sequence[Book]) -> bytes:
    """Draw each book in a column: PCA of its codes above, index distribution of HDR images below, as PNG."""
    with canvas(5.2 * len(books), 6.6, layout="constrained") as figure:
        grid = figure.subplots(2, len(books), squeeze=False, height_ratios=(3, 2))
        for column, book in enumerate(books):
            _scatter(grid[0, column], book)
            _histogram(grid[1, column], book)
        top = max(axes.get_ylim()[1] for axes in grid[1])
        for axes in grid[1]:
            axes.set_ylim(0, top)
        return png(figure)


def _scatter(axes: "Axes", book: Book) -> None:
    places, shares = project(book.codes)
    hits = book.histograms[HDR]
    size = (10 + 130 * np.sqrt(hits / max(int(hits.max()), 1))) * min(1, math.sqrt(CROWDED / len(hits)))
    quarter = _quarter(len(hits))
    unused = hits == 0
    for index, colour in enumerate(QUARTERS):
        mine = quarter == index
        for these, look in (
            (mine & unused, {"s": 9, "facecolors": "none", "edgecolors": colour, "linewidths": 0.6, "alpha": 0.8}),
            (
                mine & ~unused,
                {"s": size[mine & ~unused], "color": colour, "edgecolors": "white", "linewidths": 0.4, "alpha": 0.75},
            ),
        ):
            axes.scatter(places[these, 0], places[these, 1], **look)
        axes.scatter([], [], s=28, color=colour, label=f"Q{index + 1}")
    axes.scatter([], [], s=9, facecolors="none", edgecolors=MUTED, label="no HDR hit")
    axes.set_title(book.title, fontweight="bold")
    axes.set_xlabel(f"first axis ({shares[0]:.0%} of variance)")
    axes.set_ylabel(f"second axis ({shares[1]:.0%})" if len(shares) > 1 else "")
    axes.legend(ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.13), handletextpad=0.1, columnspacing=1.0)


def _quarter(codes: int) -> NDArray[np.int64]:
    return np.arange(codes) * len(QUARTERS) // codes


def _histogram(axes: "Axes", book: Book) -> None:
    hits = book.histograms[HDR]
    share = hits / max(int(hits.sum()), 1)
    codes = len(share)
    quarter = _quarter(codes)
    for index, colour in enumerate(QUARTERS):
        mine = np.flatnonzero(quarter == index)
        if codes > MANY:
            # Bars narrower than a pixel vanish or not by where they fall; lines have a width of their own.
            axes.vlines(mine, 0, share[mine], color=colour, linewidth=0.7)
        else:
            axes.bar(mine, share[mine], width=0.85, color=colour, linewidth=0)
        axes.axvline(mine[0] - 0.5, color=GRID, linewidth=1)
        middle, hit = (mine[0] + mine[-1]) / 2, share[mine].sum()
        text = f"Q{index + 1}: {hit:.0%}"
        axes.annotate(text, (middle, 0.97), xycoords=("data", "axes fraction"), ha="center", va="top", fontsize=7)
    axes.set_xlim(-0.5, codes - 0.5)
    axes.margins(y=0.18)
    axes.grid(axis="x", visible=False)
    used, perplexity = np.count_nonzero(hits), _perplexity(share)
    axes.set_title(f"HDR images: {used} of {codes} codes used, perplexity {perplexity:.1f}, {hits.sum()} vectors")
    axes.set_xlabel("code index")
    axes.set_ylabel("share of hits")


def _perplexity(share: NDArray[np.float64]) -> float:
    positive = share[share > 0]
    return float(np.exp(-np.sum(positive * np.log(positive))))


def atlas_figure(books: Sequence[Book]) -> bytes:
    """Draw what each code decodes to on its own, quarter by quarter; codes without an HDR hit are struck out, as PNG.

    Each book is tone-mapped with the 99.5th percentile of its own atlas as white: decoded codes have no truth.
    """
    codes = len(books[0].codes)
    columns = min(32, codes // len(QUARTERS), max(8, 2 ** round(math.log2(codes**0.5 * 2))))
    rows = sum(math.ceil(np.count_nonzero(_quarter(codes) == q) / columns) for q in range(len(QUARTERS)))
    width = 5.2
    height = width * rows / columns + 0.9
    with canvas(width * len(books), height, layout="constrained") as figure:
        grid = figure.subplots(1, len(books), squeeze=False)
        for axes, book in zip(grid[0], books, strict=True):
            _atlas(axes, book, columns)
        return png(figure)


def _atlas(axes: "Axes", book: Book, columns: int) -> None:
    from matplotlib.patches import Rectangle

    scale = max(float(np.percentile(book.atlas, 99.5)), 1e-6)
    tiles = for_display(book.atlas, scale).astype(np.float64)
    for code in np.flatnonzero(book.histograms[HDR] == 0):
        tiles[code] = _struck(tiles[code])
    quarter = _quarter(len(tiles))
    bands = [_mosaic(tiles[quarter == index], columns) for index in range(len(QUARTERS))]
    gap = np.full((max(3, bands[0].shape[1] // 120), bands[0].shape[1], 3), 255.0)
    stacked = np.concatenate([part for band in bands for part in (band, gap)][:-1])
    axes.imshow(np.rint(stacked).astype(np.uint8), interpolation="nearest" if len(tiles) < MANY else "antialiased")
    bare(axes)
    axes.set_title(f"{book.title}; white = {scale:.3g} relative radiance")
    top, bar = 0, stacked.shape[1] / 60
    for index, band in enumerate(bands):
        place = (-1.6 * bar, top - 0.5)
        axes.add_patch(Rectangle(place, bar, band.shape[0], color=QUARTERS[index], clip_on=False, linewidth=0))
        text = f"Q{index + 1}"
        axes.text(-2.4 * bar, top + band.shape[0] / 2, text, color=INK, ha="right", va="center")
        top += band.shape[0] + gap.shape[0]
    axes.set_xlim(-6 * bar, stacked.shape[1] - 0.5)


def _struck(tile: Array) -> Array:
    """Strike a tile (s, s, 3) out with a dark line between two light ones, which shows on any tile."""
    row, column = np.indices(tile.shape[:2])
    away = np.abs(row - column)
    struck: Array = np.where((away < 3)[..., None], np.where((away < 1)[..., None], 20.0, 245.0), tile)
    return struck


def _mosaic(tiles: Array, columns: int) -> NDArray[np.float64]:
    edge = tiles.shape[1] + 1
    rows = math.ceil(len(tiles) / columns)
    sheet = np.full((rows * edge + 1, columns * edge + 1, 3), float(GROUND))
    for index, tile in enumerate(tiles):
        y, x = edge * (index // columns) + 1, edge * (index % columns) + 1
        sheet[y : y + edge - 1, x : x + edge - 1] = tile
    return sheet
