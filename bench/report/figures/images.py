"""Pictures of scenes: crops with error maps (the paper's Figs. 5, 6, 8 and 9), and maps of one prediction."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import fill
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.color.tonemap import for_display
from bench.color.transfer import mu_law
from bench.core.scene import Array, Radiance, Scene
from bench.report.figures.style import BOXES, INK, MUTED, bare, canvas, picture, png, webp

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, GAP = 10.6, 0.05
MARGIN, LINE = 0.1, 0.125
"""Room above the heads of columns, and for each line of them, in inches."""
SCORE = "PSNR-μ, whole picture:"
WHITE_PERCENTILE = 99.9
CROP_SHARE = 0.3
TOP, BETWEEN, FOOT = 0.45, 0.25, 0.4
"""Inches above, between and below the two rows of maps."""
FLOOR = 0.02
"""Smallest error that the colour bar of a map ends at: below it maps would show rounding."""


class Crop(NamedTuple):
    """A square crop: what it shows, upper left corner and edge in pixels."""

    shows: str
    top: int
    left: int
    edge: int

    def cut(self, image: Array) -> Array:
        """Cut the crop out of (H, W, ...)."""
        return image[self.top : self.top + self.edge, self.left : self.left + self.edge]


@dataclass(frozen=True)
class Exhibit:
    """A scene to show, with the areas that decide on its crops.

    masks       : name -> (H, W) bool, for example saturated and moving.
    predictions : label -> (H, W, 3) relative radiance, None if a method has none for this scene.
    values      : label -> PSNR-mu of the whole picture in dB, as far as it is known.
    """

    scene: Scene
    masks: Mapping[str, NDArray[np.bool_]]
    predictions: Mapping[str, Radiance | None]
    values: Mapping[str, float] = field(default_factory=dict)

    @property
    def scale(self) -> float:
        """Relative radiance shown as white: a percentile of the truth, else of the short frame.

        Not of the reference frame: it is clipped exactly where methods differ.
        """
        truth = self.scene.radiance
        source = self.scene.linear[0] if truth is None else truth
        return max(float(np.percentile(source, WHITE_PERCENTILE)), 1e-6)

    @property
    def heads(self) -> list[str]:
        """Heads of the columns: frame, methods, truth; where values are known, the last line says what they are."""
        ends = {label: f"\n{value:.2f} dB" for label, value in self.values.items()}
        named = [label + ends.get(label, "\n" if ends else "") for label in self.predictions]
        ending, empty = (f"\n{SCORE}", "\n") if ends else ("", "")
        return [f"reference frame{ending}", *named, *([] if self.scene.radiance is None else [f"truth{empty}"])]


def choose(interest: Mapping[str, tuple[str, float]], most: int) -> list[str]:
    """Choose the scenes to show: those with the largest saturated and moving shares, from different places first.

    interest : scene -> (place, summed shares).
    """
    ranked = sorted(interest, key=lambda name: (-interest[name][1], name))
    places: dict[str, str] = {}
    for name in ranked:
        places.setdefault(interest[name][0], name)
    first = list(places.values())
    return [*first, *(name for name in ranked if name not in first)][:most]


def crops_of(scene: Scene, masks: Mapping[str, NDArray[np.bool_]]) -> list[Crop]:
    """Return one crop per mask that isn't empty: the window with most detail of the short frame inside the mask.

    Detail is the mu-law gradient: the short frame alone shows what the reference lost. Crops don't overlap where
    that can be avoided. Without any masked pixel the crop is the centre.
    """
    height, width = scene.frames.shape[1:3]
    edge = max(8, round(CROP_SHARE * min(height, width)))
    short = mu_law(scene.linear[0].mean(axis=-1))
    detail = np.hypot(*np.gradient(short)) + 1e-3
    found: list[Crop] = []
    for name, mask in masks.items():
        weight = _windows(np.where(mask, detail, 0.0), edge)
        for crop in found:
            weight[max(0, crop.top - edge) : crop.top + edge, max(0, crop.left - edge) : crop.left + edge] *= 0.01
        if weight.max() > 0:
            top, left = np.unravel_index(int(np.argmax(weight)), weight.shape)
            found.append(Crop(name, int(top), int(left), edge))
    return found or [Crop("centre", (height - edge) // 2, (width - edge) // 2, edge)]


def _windows(weight: NDArray[np.float64], edge: int) -> NDArray[np.float64]:
    # Sums of all edge x edge windows from an integral image; rounding hides float noise, so that ties go one way.
    total = np.pad(weight, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    sums = total[edge:, edge:] - total[:-edge, edge:] - total[edge:, :-edge] + total[:-edge, :-edge]
    rounded: NDArray[np.float64] = np.maximum(np.round(sums, 6), 0.0)
    return rounded


def error(prediction: Array, truth: Array) -> NDArray[np.float64]:
    """Return the absolute difference in the mu-law domain, mean of channels: (H, W), 1 = black against white."""
    difference = np.abs(mu_law(prediction) - mu_law(truth))
    averaged: NDArray[np.float64] = difference.mean(axis=-1, dtype=np.float64)
    return averaged


def crop_figure(exhibit: Exhibit) -> bytes:
    """Draw inputs, whole picture, and for each crop the methods above their error maps, as WebP.

    Without truth there are no error maps, and white is what the short frame's percentile says.
    """
    scene, truth, crops = exhibit.scene, exhibit.scene.radiance, crops_of(exhibit.scene, exhibit.masks)
    columns = len(exhibit.heads)
    edge = min((WIDTH + GAP) / columns - GAP, 1.9)
    overview = ((WIDTH + GAP) / (len(scene.frames) + 1) - GAP) * scene.frames.shape[1] / scene.frames.shape[2]
    top = 0.22 + overview + MARGIN + LINE * max(head.count("\n") + 1 for head in exhibit.heads)
    height = top + len(crops) * ((1 if truth is None else 2) * (edge + GAP) + 0.1) + 0.42
    with canvas(WIDTH, height) as figure:
        _overview(figure, exhibit, crops, overview)
        limit = _limit(exhibit, crops)
        for index, crop in enumerate(crops):
            _methods(figure, exhibit, crop, top, edge, BOXES[index % len(BOXES)], index == 0)
            top += edge + GAP
            if truth is not None:
                _errors(figure, exhibit, truth, crop, top, edge, limit)
                top += edge + GAP
            top += 0.1
        figure.text(0, 0.02 / height, _legend(exhibit), fontsize=6.5, color=MUTED, va="bottom")
        return webp(figure)


def _axes(figure: "Figure", left: float, top: float, width: float, height: float) -> "Axes":
    """Add axes at a place given in inches from the upper left corner."""
    across, down = figure.get_size_inches()
    return figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))


def _overview(figure: "Figure", exhibit: Exhibit, crops: Sequence[Crop], height: float) -> None:
    from matplotlib.patches import Rectangle

    scene = exhibit.scene
    width = (WIDTH + GAP) / (len(scene.frames) + 1) - GAP
    pictures = [np.rint(frame * 255).astype(np.uint8) for frame in scene.ldr]
    titles = [f"frame {i + 1}, t = {t:g}{', reference' * (i == scene.reference)}" for i, t in enumerate(scene.times)]
    whole = pictures[scene.reference] if scene.radiance is None else for_display(scene.radiance, exhibit.scale)
    titles.append("reference frame, crops" if scene.radiance is None else "truth, tone-mapped")
    for index, (pixels, title) in enumerate(zip([*pictures, whole], titles, strict=True)):
        axes = _axes(figure, index * (width + GAP), 0.2, width, height)
        picture(axes, pixels, title, smooth=True)
        axes.set_aspect("auto")
    for index, crop in enumerate(crops):
        look: dict[str, Any] = {"edgecolor": BOXES[index % len(BOXES)], "linewidth": 1.4, "clip_on": False}
        corner = (crop.left - 0.5, crop.top - 0.5)
        axes.add_patch(Rectangle(corner, crop.edge, crop.edge, fill=False, **look))


def _methods(
    figure: "Figure", exhibit: Exhibit, crop: Crop, top: float, edge: float, colour: str, titled: bool
) -> None:
    scene = exhibit.scene
    radiances = [*exhibit.predictions.values(), *([] if scene.radiance is None else [scene.radiance])]
    shown: list[Array | None] = [np.rint(scene.ldr[scene.reference] * 255).astype(np.uint8)]
    shown += [None if one is None else for_display(one, exhibit.scale) for one in radiances]
    for index, (head, pixels) in enumerate(zip(exhibit.heads, shown, strict=True)):
        axes = _axes(figure, index * (edge + GAP), top, edge, edge)
        if pixels is None:
            bare(axes)
            text = "no prediction\nof this scene"
            axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=6.5, color=MUTED)
        else:
            picture(axes, crop.cut(pixels))
        if titled:
            axes.set_title(head, pad=3, fontsize=7)
        if index == 0:
            axes.spines[:].set(visible=True, color=colour, linewidth=2)


def _limit(exhibit: Exhibit, crops: Iterable[Crop]) -> float:
    """Return the largest error shown: 99th percentile over all methods and crops, rounded up to two digits."""
    truth, predictions = exhibit.scene.radiance, [one for one in exhibit.predictions.values() if one is not None]
    if truth is None or not predictions:
        return 1.0
    shown = [error(crop.cut(one), crop.cut(truth)).ravel() for crop in crops for one in predictions]
    return max(0.02, math.ceil(100 * float(np.percentile(np.concatenate(shown), 99))) / 100)


def _errors(
    figure: "Figure", exhibit: Exhibit, truth: Radiance, crop: Crop, top: float, edge: float, limit: float
) -> None:
    note = _axes(figure, 0, top, edge, edge)
    bare(note)
    text = f"{crop.shows} area\n\nerror maps\nof this crop"
    note.text(0.96, 0.5, text, ha="right", va="center", fontsize=7, color=INK)
    image = None
    for index, prediction in enumerate(exhibit.predictions.values(), start=1):
        axes = _axes(figure, index * (edge + GAP), top, edge, edge)
        bare(axes)
        if prediction is not None:
            values = np.clip(error(crop.cut(prediction), crop.cut(truth)), 0, limit)
            image = axes.imshow(values, cmap="magma", vmin=0, vmax=limit, interpolation="nearest")
    if image is not None:
        left = (len(exhibit.predictions) + 1) * (edge + GAP)
        bar = figure.colorbar(image, cax=_axes(figure, left + 0.08, top + 0.05, 0.1, edge - 0.1))
        bar.set_label("|ΔT|, mu-law", fontsize=6.5)
        bar.ax.tick_params(labelsize=6)


def _legend(exhibit: Exhibit) -> str:
    known = exhibit.scene.radiance is not None
    source = "the truth" if known else "the short frame (this scene has no truth)"
    white = f"white = {exhibit.scale:.3g} relative radiance, percentile {WHITE_PERCENTILE:g} of {source}"
    rule = "Crops: the windows where the short frame shows most detail inside the saturated and the moving area."
    maps = " |ΔT|: absolute difference of mu-law values, mean of channels, one scale for all maps." if known else ""
    return f"t: relative exposure time. Radiance shown by mu-law (mu = 5000), {white}.\n{rule}{maps}"


class SceneMaps(NamedTuple):
    """One scene to draw maps of.

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
        grid = [
            [_axes(figure, column * WIDTH / 2 + 0.05, TOP + row * (down + BETWEEN), across, down) for column in (0, 1)]
            for row in (0, 1)
        ]
        for axes, name, image in zip(grid[0], ("prediction", "truth"), (maps.prediction, maps.truth), strict=True):
            picture(axes, for_display(image, scale), name, smooth=True)
        differences = error(maps.prediction, maps.truth)
        limit = max(FLOOR, float(np.percentile(differences, 99.5)))
        left, right = grid[1]
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


def _map(axes: "Axes", values: NDArray[Any], limit: float, title: str, unit: str) -> None:
    bare(axes)
    axes.set_title(title, pad=3)
    image = axes.imshow(values, cmap="magma", vmin=0, vmax=limit, interpolation="nearest", aspect="auto")
    bar = axes.figure.colorbar(image, cax=axes.inset_axes((1.015, 0.0, 0.03, 1.0)))
    bar.set_label(unit, fontsize=6.5)
    bar.ax.tick_params(labelsize=6)
