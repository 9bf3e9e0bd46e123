"""Figures of the codebooks: codes in space and their use (the paper's Fig. 7), the atlas of codes, zones, training."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.color.tonemap import for_display
from bench.core.optimisation import HELD_OUT
from bench.core.scene import IMAGE_KINDS, Array
from bench.report.codebooks.findings import counterpart, family
from bench.report.codebooks.tables import UNMIXED, ZONES
from bench.report.figures.style import GRID, INK, KIND_COLOURS, MUTED, QUARTERS, bare, canvas, png, webp

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HDR = 3
"""Row of the HDR images among the kinds."""
MANY = 200
"""Codes above which a bar for each is narrower than a pixel or two."""
CROWDED = 64
"""Codes above which the dots shrink, so that their areas add up to about the same."""
GROUND = 150
"""Grey between the tiles of the atlas, so that white ones have an edge."""
ABREAST = 3
"""Codebooks side by side in one figure."""
MATRICES = {
    "jaccard": "used codes in common (Jaccard)",
    "shared": "shared mass of hits",
    "same": "same code at the same place",
}
ON_QUARTERS = dict(zip(QUARTERS, ("white", INK, INK, "white"), strict=True))
DARK = 0.6
"""Cells above this value are dark: their number is white."""
OBSERVED = {
    "used": "share of K used",
    "perplexity": "perplexity",
    "quantisation-error": "quantisation error",
    "psnr-mu": "PSNR-μ, dB",
}
DASHES: dict[str, Any] = {"L1": "-", "L2": "--", "L3": ":", "H": "-."}
QUANTISED = "codebook"
"""Column of a learning curve that a codebook fills only while it is quantised with."""
EARLY = "#b4bac2"
"""Colour of what was measured before that."""
DOT: dict[str, Any] = {"marker": "o", "markersize": 2.6}
"""A run may be measured once after it began to quantise: a line alone wouldn't show it."""
BEGINS: dict[str, Any] = {"color": INK, "linewidth": 0.9, "linestyle": (0, (4, 3))}


@dataclass(frozen=True)
class InspectedCodebook:
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
        """Name for figures: the codebook's without its seed, and what kind of codebook it is."""
        kind = "overlapped" if self.segments == "olc" else self.segments
        return f"{family(self.report).replace('--', ' on ')} ({kind}, K = {len(self.codes)})"


def by_size(codebooks: Sequence[InspectedCodebook]) -> dict[int, list[InspectedCodebook]]:
    """Group codebooks by size; in a group an overlapped codebook follows its vanilla counterpart."""
    sizes = sorted({len(codebook.codes) for codebook in codebooks})
    ordered = sorted(codebooks, key=lambda one: (counterpart(one.name), one.segments != "vanilla", one.name))
    return {size: [codebook for codebook in ordered if len(codebook.codes) == size] for size in sizes}


def sheets(codebooks: Sequence[InspectedCodebook]) -> list[list[InspectedCodebook]]:
    """Distribute codebooks to figures of at most ABREAST; an overlapped one stands beside its vanilla counterpart."""
    groups: dict[str, list[InspectedCodebook]] = {}
    for codebook in codebooks:
        groups.setdefault(counterpart(codebook.name), []).append(codebook)
    parts = [group[i : i + ABREAST] for group in groups.values() for i in range(0, len(group), ABREAST)]
    made: list[list[InspectedCodebook]] = []
    for part in sorted(parts, key=len, reverse=True):  # the sort is stable: pairs first, single codebooks fill up
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


def codebook_figure(codebooks: Sequence[InspectedCodebook]) -> bytes:
    """Draw each codebook in a column: PCA of its codes above, index distribution of HDR images below, as PNG."""
    with canvas(5.2 * len(codebooks), 6.6, layout="constrained") as figure:
        grid = figure.subplots(2, len(codebooks), squeeze=False, height_ratios=(3, 2))
        for column, codebook in enumerate(codebooks):
            _scatter(grid[0, column], codebook)
            _histogram(grid[1, column], codebook)
        top = max(axes.get_ylim()[1] for axes in grid[1])
        for axes in grid[1]:
            axes.set_ylim(0, top)
        return png(figure)


def _scatter(axes: "Axes", codebook: InspectedCodebook) -> None:
    spots, shares = project(codebook.codes)
    hits = codebook.histograms[HDR]
    size = (10 + 130 * np.sqrt(hits / max(int(hits.max()), 1))) * min(1, math.sqrt(CROWDED / len(hits)))
    quarter = _quarter(len(hits))
    ring: dict[str, Any] = {"s": 9, "facecolors": "none"}
    for index, colour in enumerate(QUARTERS):
        unused, used = (quarter == index) & (hits == 0), (quarter == index) & (hits > 0)
        axes.scatter(spots[unused, 0], spots[unused, 1], edgecolors=colour, linewidths=0.6, alpha=0.8, **ring)
        look: dict[str, Any] = {"color": colour, "edgecolors": "white", "linewidths": 0.4, "alpha": 0.75}
        axes.scatter(spots[used, 0], spots[used, 1], s=size[used], **look)
        axes.scatter([], [], s=28, color=colour, label=f"Q{index + 1}")
    axes.scatter([], [], edgecolors=MUTED, label="no HDR hit", **ring)
    axes.set_title(codebook.title, fontweight="bold")
    axes.set_xlabel(f"first axis ({shares[0]:.0%} of variance)")
    axes.set_ylabel(f"second axis ({shares[1]:.0%})" if len(shares) > 1 else "")
    axes.legend(ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.13), handletextpad=0.1, columnspacing=1.0)


def _quarter(codes: int) -> NDArray[np.int64]:
    return np.arange(codes) * len(QUARTERS) // codes


def _histogram(axes: "Axes", codebook: InspectedCodebook) -> None:
    hits = codebook.histograms[HDR]
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
    positive = share[share > 0]
    used, perplexity = len(positive), np.exp(-np.sum(positive * np.log(positive)))
    axes.set_title(f"HDR images: {used} of {codes} codes used, perplexity {perplexity:.1f}, {hits.sum()} vectors")
    axes.set_xlabel("code index")
    axes.set_ylabel("share of hits")


def atlas_figure(codebooks: Sequence[InspectedCodebook]) -> bytes:
    """Draw what each code decodes to on its own, quarter by quarter; codes without an HDR hit are struck out, as WebP.

    Each codebook is tone-mapped with the 99.5th percentile of its own atlas as white: decoded codes have no truth.
    """
    codes = len(codebooks[0].codes)
    columns = min(32, codes // len(QUARTERS), max(8, 2 ** round(math.log2(codes**0.5 * 2))))
    rows = sum(math.ceil(np.count_nonzero(_quarter(codes) == q) / columns) for q in range(len(QUARTERS)))
    width = 5.2
    height = width * rows / columns + 0.9
    with canvas(width * len(codebooks), height, layout="constrained") as figure:
        grid = figure.subplots(1, len(codebooks), squeeze=False)
        for axes, codebook in zip(grid[0], codebooks, strict=True):
            _atlas(axes, codebook, columns)
        return webp(figure)


def _atlas(axes: "Axes", codebook: InspectedCodebook, columns: int) -> None:
    from matplotlib.patches import Rectangle

    scale = max(float(np.percentile(codebook.atlas, 99.5)), 1e-6)
    tiles = for_display(codebook.atlas, scale).astype(np.float64)
    away = np.abs(np.subtract(*np.indices(tiles.shape[1:3])))[..., None]
    for code in np.flatnonzero(codebook.histograms[HDR] == 0):
        # Struck out by a dark line between two light ones, which shows on any tile.
        tiles[code] = np.where(away < 3, np.where(away < 1, 20.0, 245.0), tiles[code])
    quarter = _quarter(len(tiles))
    bands = [_mosaic(tiles[quarter == index], columns) for index in range(len(QUARTERS))]
    gap = np.full((max(3, bands[0].shape[1] // 120), bands[0].shape[1], 3), 255.0)
    stacked = np.concatenate([part for band in bands for part in (band, gap)][:-1])
    axes.imshow(np.rint(stacked).astype(np.uint8), interpolation="nearest" if len(tiles) < MANY else "antialiased")
    bare(axes)
    axes.set_title(f"{codebook.title}; white = {scale:.3g} relative radiance")
    top, bar = 0, stacked.shape[1] / 60
    for index, band in enumerate(bands):
        place = (-1.6 * bar, top - 0.5)
        axes.add_patch(Rectangle(place, bar, band.shape[0], color=QUARTERS[index], clip_on=False, linewidth=0))
        text = f"Q{index + 1}"
        axes.text(-2.4 * bar, top + band.shape[0] / 2, text, color=INK, ha="right", va="center")
        top += band.shape[0] + gap.shape[0]
    axes.set_xlim(-6 * bar, stacked.shape[1] - 0.5)


def _mosaic(tiles: Array, columns: int) -> NDArray[np.float64]:
    edge = tiles.shape[1] + 1
    rows = math.ceil(len(tiles) / columns)
    sheet = np.full((rows * edge + 1, columns * edge + 1, 3), float(GROUND))
    for index, tile in enumerate(tiles):
        y, x = edge * (index // columns) + 1, edge * (index % columns) + 1
        sheet[y : y + edge - 1, x : x + edge - 1] = tile
    return sheet


def overlap_figure(codebooks: Sequence[InspectedCodebook]) -> bytes:
    """Draw three 4x4 matrices of kinds against kinds for each codebook, a codebook a row, as PNG."""
    with canvas(8.4, 2.75 * len(codebooks), layout="constrained") as figure:
        grid = figure.subplots(len(codebooks), len(MATRICES), squeeze=False)
        for row, codebook in zip(grid, codebooks, strict=True):
            for axes, (key, title) in zip(row, MATRICES.items(), strict=True):
                values = np.asarray(codebook.report["overlap"][key])
                bare(axes)
                axes.imshow(values, cmap="Blues", vmin=0, vmax=1)
                for (i, j), value in np.ndenumerate(values):
                    colour = "white" if value > DARK else INK
                    axes.text(j, i, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=8)
                axes.set_xticks(range(len(IMAGE_KINDS)), IMAGE_KINDS)
                axes.set_yticks(range(len(IMAGE_KINDS)), IMAGE_KINDS)
                axes.tick_params(length=0)
                axes.set_title(title)
            row[0].set_ylabel(codebook.title.replace(" (", "\n("), fontsize=8)
        return png(figure)


def kinds_figure(codebooks: Sequence[InspectedCodebook]) -> bytes:
    """Draw for each codebook how each kind of image uses the quarters: hits, codes used, quantisation error, as PNG.

    A quarter without a value has a dash on the axis instead of a bar.
    """
    parts = {
        "quarters": "share of hits",
        "quarters_used": "share of codes used",
        "quarters_error": "quantisation error",
    }
    width = 0.2
    with canvas(4.2 * len(codebooks), 5.4, layout="constrained") as figure:
        grid = figure.subplots(len(parts), len(codebooks), squeeze=False, sharey="row")
        for column, codebook in enumerate(codebooks):
            for axes, (key, title) in zip(grid[:, column], parts.items(), strict=True):
                for place, kind in enumerate(IMAGE_KINDS):
                    for index, value in enumerate(codebook.report["kinds"][kind][key]):
                        at = place + (index - 1.5) * width
                        if value:
                            axes.bar(at, value, width * 0.9, color=QUARTERS[index], linewidth=0)
                        else:
                            axes.plot(at, 0, marker="_", color=QUARTERS[index], markersize=6, clip_on=False)
                axes.set_xticks(range(len(IMAGE_KINDS)), IMAGE_KINDS)
                axes.grid(axis="x", visible=False)
                axes.set_ylabel(title if column == 0 else "")
            grid[0, column].set_title(codebook.title, fontweight="bold")
        for row in grid:
            row[0].set_ylim(bottom=0)
        _quarter_legend(figure)
        return png(figure)


def _quarter_legend(figure: "Figure") -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=colour, label=f"Q{index + 1}") for index, colour in enumerate(QUARTERS)]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(QUARTERS))


def zones_figure(codebooks: Sequence[InspectedCodebook]) -> bytes:
    """Draw a bar for each zone, split by quarter, over one of all cells but mixed ones, its splits dashed, as PNG."""
    with canvas(4.8 * len(codebooks), 2.5, layout="constrained") as figure:
        grid = figure.subplots(1, len(codebooks), squeeze=False, sharey=True)
        for column, (axes, codebook) in enumerate(zip(grid[0], codebooks, strict=True)):
            zones, expected = codebook.report["zones"]["zones"], codebook.report["zones"]["expected"]
            unmixed = sum(zones[zone]["vectors"] for zone in ZONES if zone != "mixed")
            bars = {zone: (zones[zone].get("quarters"), zones[zone]["vectors"]) for zone in ZONES}
            bars[UNMIXED] = (expected, unmixed)
            for place, (shares, vectors) in enumerate(bars.values()):
                _stacked(axes, -place, shares)
                axes.text(1.01, -place, f"n = {vectors}", va="center", fontsize=7)
            for edge in np.cumsum(expected)[:-1] if expected else ():
                axes.plot([edge, edge], [-len(bars) + 0.6, 0.45], color=INK, linewidth=0.9, linestyle=(0, (3, 2)))
            axes.set_yticks([-place for place in range(len(bars))], list(bars))
            axes.set_xlim(0, 1)
            axes.grid(axis="y", visible=False)
            axes.set_title(codebook.title, fontweight="bold")
            axes.set_xlabel("share of HDR vectors")
            if column:
                axes.tick_params(labelleft=False)
        _quarter_legend(figure)
        return png(figure)


def _stacked(axes: "Axes", place: float, shares: Sequence[float] | None) -> None:
    if shares is None:
        axes.text(0.01, place, "no cell", va="center", fontsize=7)
        return
    left = 0.0
    for colour, share in zip(QUARTERS, shares, strict=True):
        axes.barh(place, share, 0.72, left, color=colour, linewidth=0)
        if share >= 0.06:
            # On a patch of the bar's colour, a number stays readable where a dashed line crosses it.
            look: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 7, "color": ON_QUARTERS[colour]}
            patch = {"fc": colour, "ec": "none", "pad": 0.8}
            axes.text(left + share / 2, place, f"{share:.0%}", bbox=patch, zorder=4, **look)
        left += share


def observed(curve: pd.DataFrame | None) -> bool:
    """Tell whether there is a learning curve that holds measurements on held-out images."""
    return curve is not None and any(str(name).startswith(HELD_OUT) for name in curve.columns)


def quantised_after(curve: pd.DataFrame) -> int | None:
    """Return the last logged step before a codebook was quantised with; None where it was from the start, or never.

    Told by the codebook term of eq. 7, which a run's curve has no value of until it quantises.
    """
    if QUANTISED not in curve:
        return None
    steps = curve.loc[curve[QUANTISED].notna(), "step"]
    before = curve.loc[curve["step"] < steps.min(), "step"]
    return int(before.max()) if len(before) else None


def observed_curves(curves: Mapping[str, pd.DataFrame]) -> bytes:
    """Draw usage, perplexity, quantisation error and PSNR-mu on held-out images over steps, a codebook a row, as PNG.

    curves : title -> columns `step` and held_out_<fact>_<kind>; rows without a measurement are passed over.

    What was measured before a run quantised is grey, behind a dashed line.
    """
    from matplotlib.lines import Line2D

    begins = {title: quantised_after(frame) for title, frame in curves.items()}
    with canvas(10.5, 1.75 * len(curves) + 0.7, layout="constrained") as figure:
        grid = figure.subplots(len(curves), len(OBSERVED), squeeze=False, sharex=True, sharey="col")
        for row, (title, frame) in zip(grid, curves.items(), strict=True):
            for axes, fact in zip(row, OBSERVED, strict=True):
                _observed(axes, frame, fact, begins[title])
            row[0].set_ylabel(title.replace(" (", "\n("), fontsize=7)
        for axes, label in zip(grid[0], OBSERVED.values(), strict=True):
            axes.set_title(label)
        handles = [Line2D([], [], color=KIND_COLOURS[k], linestyle=DASHES[k], label=k, **DOT) for k in IMAGE_KINDS]
        if any(step is not None for step in begins.values()):
            handles += [
                Line2D([], [], color=EARLY, label="before quantisation"),
                Line2D([], [], **BEGINS, label="quantisation begins"),
            ]
        figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
        figure.supxlabel("step", fontsize=8)
        return png(figure)


def _observed(axes: "Axes", frame: pd.DataFrame, fact: str, begins: int | None) -> None:
    for kind in IMAGE_KINDS:
        name = f"{HELD_OUT}{fact}_{kind}"
        if name in frame:
            measured = frame[["step", name]].dropna()
            early = measured["step"] <= (-1 if begins is None else begins)
            for part, colour in ((measured[early], EARLY), (measured[~early], KIND_COLOURS[kind])):
                axes.plot(part["step"], part[name], color=colour, linestyle=DASHES[kind], **DOT)
    if begins is not None:
        axes.axvline(begins, **BEGINS)
