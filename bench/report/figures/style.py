"""The look of figures, and writing them to the same bytes each time."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL.Image import Image

DPI = 220
SCALE = 2
"""Pixels of a figure for one of the page, which shows it at half its size and opens it at full size."""
PALETTES = (64, 256)
"""Numbers of colours that a plot may be written with: the first that is near enough."""
NEAR = 45.0
"""PSNR in dB above which a palette is near enough: 1.4 levels of 255. Plots have it, photographs 38 to 41 at most."""
SETTLED = 10_000
"""Pixels that may still change their colour when k-means ends: going on gives 0.2 dB and takes five times as long."""
QUALITY = 82
"""Of photographs (WebP)."""
INK, MUTED, GRID = "#22262b", "#6b7480", "#e3e6ea"
QUARTERS = ("#0072b2", "#009e73", "#e69f00", "#cc4c7d")
"""Colours of the four quarters of a codebook, told apart by colour-blind readers (after Okabe and Ito)."""
KIND_COLOURS = {"L1": "#56b4e9", "L2": "#0072b2", "L3": "#22262b", "H": "#d55e00"}
"""Colours of the kinds of images, frames from short to long and the HDR image; lines differ in dashes too."""
TERMS = ("#22262b", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", "#7b61ff")
BOXES = ("#ff5a36", "#22c7f2")

SETTINGS: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "lines.linewidth": 1.1,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.hashsalt": "bench",
    "pdf.fonttype": 42,
}


@contextmanager
def canvas(width: float, height: float, **options: Any) -> Iterator["Figure"]:
    """Yield an empty figure of this size in inches under the report's settings, whatever the user's are."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # matplotlibrc files and environment variables of the user's machine must not change a pixel.
    settings: dict[Any, Any] = {**matplotlib.rcParamsDefault, **SETTINGS, "backend": "agg"}
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(width, height), dpi=DPI, **options)
        FigureCanvasAgg(figure)
        yield figure


def png(figure: "Figure") -> bytes:
    """Return a plot as PNG, without software name or date. Equal figures give equal bytes on one machine.

    Git keeps every version of every figure, and a palette takes a third of the bytes: it is used where it is as good
    as all colours.
    """
    full, out = _pixels(figure), io.BytesIO()
    (_palette(full) or full).save(out, format="PNG", optimize=True, dpi=(DPI, DPI))
    return out.getvalue()


def webp(figure: "Figure") -> bytes:
    """Return a figure that is mostly photographs as WebP, a fifth of the bytes of its PNG. Equal figures, equal bytes.

    A palette would take the hue of what is small and colourful.
    """
    out = io.BytesIO()
    _pixels(figure).save(out, format="WEBP", quality=QUALITY, method=6, use_sharp_yuv=True)
    return out.getvalue()


def _pixels(figure: "Figure") -> "Image":
    from PIL import Image

    canvas: Any = figure.canvas
    figure.set_dpi(DPI)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])


def _palette(picture: "Image") -> "Image | None":
    """Return an RGB picture with a palette of its own, if one is near enough."""
    from PIL import Image

    full = np.asarray(picture, np.float64)
    for colours in PALETTES:
        made = picture.quantize(colours, Image.Quantize.MEDIANCUT, kmeans=SETTLED, dither=Image.Dither.NONE)
        if np.mean((np.asarray(made.convert("RGB")) - full) ** 2) < 255**2 / 10 ** (NEAR / 10):
            return made
    return None


def drawn(figure: "Figure") -> dict[str, bytes]:
    """Return the figure as PNG, SVG and PDF by their names, without dates."""
    made = {"png": png(figure)}
    for kind, metadata in (("svg", {"Date": None, "Creator": None}), ("pdf", {"CreationDate": None, "Creator": None})):
        out = io.BytesIO()
        figure.savefig(out, format=kind, metadata=metadata)
        made[kind] = out.getvalue()
    return made


def picture(axes: "Axes", pixels: NDArray[np.uint8], title: str = "", smooth: bool = False) -> None:
    """Show (H, W, 3) uint8 sRGB without axes: pixel by pixel, or smoothly where it is shrunk."""
    axes.imshow(pixels, interpolation="antialiased" if smooth else "nearest")
    bare(axes)
    if title:
        axes.set_title(title, pad=3)


def bare(axes: "Axes") -> None:
    """Remove ticks, grid and frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def shrink(pixels: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """Average (H, W, 3) uint8 over square blocks so that it is not much wider than `width` pixels."""
    step = max(1, pixels.shape[1] // width)
    rows, columns = pixels.shape[0] // step, pixels.shape[1] // step
    blocks = pixels[: rows * step, : columns * step].reshape(rows, step, columns, step, 3)
    averaged: NDArray[np.uint8] = np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8)
    return averaged
