"""Where a prediction is wrong and where people would see it: maps with a colour bar each."""

from textwrap import fill
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.color.tonemap import for_display
from bench.core.scene import Array
from bench.report.figures.crops import WHITE_PERCENTILE, error
from bench.report.figures.style import MUTED, bare, canvas, picture, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 10.6
TOP, BETWEEN, FOOT = 0.45, 0.25, 0.4
"""Inches above, between and below the two rows."""

FLOOR = 0.02
"""Smallest error that the colour bar ends at: below it maps would show rounding."""


class SceneMaps(NamedTuple):
    """What there is to draw of one scene.

    prediction, truth : (H, W, 3) linear relative radiance, finite.
    visibility        : (H, W) probability in [0, 1] that an observer sees the difference, or None with `reason`.
    title             : scene, file and protocol.
    """

    prediction: Array
    truth: Array
    visibility: Array | None
    title: str
    reason: str = ""


def map_figure(maps: SceneMaps) -> bytes:
    """Draw prediction and truth, below them the error and the visibility map, as PNG.

    The error map ends at its 99.5th percentile, the visibility map always runs from 0 to 1: pictures of several scenes
    compare in the second and not in the first, whose bar says what it shows.
    """
    scale = max(float(np.percentile(maps.truth, WHITE_PERCENTILE)), 1e-6)
    across = WIDTH / 2 - 0.75
    down = across * maps.truth.shape[0] / maps.truth.shape[1]
    height = TOP + 2 * down + BETWEEN + FOOT
    with canvas(WIDTH, height) as figure:
        for column, (name, image) in enumerate((("prediction", maps.prediction), ("truth", maps.truth))):
            axes = figure.add_axes(_place(column, 0, across, down, height))
            picture(axes, for_display(image, scale), name, smooth=True)
        differences = error(maps.prediction, maps.truth)
        limit = max(FLOOR, float(np.percentile(differences, 99.5)))
        left, right = (figure.add_axes(_place(column, 1, across, down, height)) for column in (0, 1))
        _map(left, np.clip(differences, 0, limit), limit, "error", "|ΔT|, mu-law values (1: black against white)")
        if maps.visibility is None:
            bare(right)
            right.text(0.5, 0.5, fill(f"no visibility map: {maps.reason}", 50), ha="center", va="center", color=MUTED)
        else:
            _map(right, maps.visibility, 1.0, "visibility", "probability of seeing a difference, 0 to 1")
        figure.text(0.005, 1 - 0.06 / height, maps.title, va="top")
        note = (
            f"Shown by mu-law (mu = 5000), white = {scale:.3g} relative radiance. Error: mean of channels. HDR-VDP-2 "
            "scales its map by the sum over the picture, so it saturates where much differs: it locates, Q compares."
        )
        figure.text(0.005, 0.08 / height, note, color=MUTED, fontsize=6.5)
        return png(figure)


def _place(column: int, row: int, across: float, down: float, height: float) -> tuple[float, float, float, float]:
    left, top = column * WIDTH / 2 + 0.05, TOP + row * (down + BETWEEN)
    return left / WIDTH, 1 - (top + down) / height, across / WIDTH, down / height


def _map(axes: "Axes", values: NDArray[Any], limit: float, title: str, unit: str) -> None:
    bare(axes)
    axes.set_title(title, pad=3)
    image = axes.imshow(values, cmap="magma", vmin=0, vmax=limit, interpolation="nearest", aspect="auto")
    bar = axes.figure.colorbar(image, cax=axes.inset_axes((1.015, 0.0, 0.03, 1.0)))
    bar.set_label(unit, fontsize=6.5)
    bar.ax.tick_params(labelsize=6)
