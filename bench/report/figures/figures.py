"""Learning curves and the contact sheet."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.core.optimisation import HELD_OUT
from bench.report.figures.style import TERMS, canvas, picture, png, webp
from bench.report.results.seeds import families

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VALIDATED = f"{HELD_OUT}psnr-mu"
"""Column of a network's learning curve: mean PSNR-mu of the validation scenes, dB."""

COLUMNS = 4
SHEET = 8.4
"""Width of the contact sheet in inches: photographs weigh, and git keeps every version."""
FIRST_SEED, OTHER_SEEDS = (1.1, 0.9), (0.6, 0.4)
"""Line width in points and opacity."""


def learning_curves(curves: Mapping[str, pd.DataFrame], title: str) -> bytes:
    """Draw every loss term over its steps, one small panel for the runs that differ in their seed alone, as PNG.

    curves : run -> columns `step` and one per loss term; values that aren't above 0 leave a gap (logarithmic axis).
             The PSNR-mu on validation places, where it was measured, has an axis of its own on the right, in dB; other
             measurements on held-out images are left to `observed_curves`.

    The first seed of a panel is drawn strongly, the others thin.
    """
    validated = {run: frame.dropna(subset=[VALIDATED]) for run, frame in curves.items() if VALIDATED in frame}
    curves = {run: _losses(frame) for run, frame in curves.items()}
    terms = list(dict.fromkeys(str(name) for frame in curves.values() for name in frame.columns if name != "step"))
    colours = {term: TERMS[i % len(TERMS)] for i, term in enumerate(terms)}
    panels = families(curves)
    columns = min(COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    with canvas(10.5, 1.75 * rows + 0.7, layout="constrained") as figure:
        grid = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
        for axes, (family, runs) in zip(grid, panels.items(), strict=False):
            axes.set_title(runs[0] if len(runs) == 1 else f"{family}, {len(runs)} seeds", fontsize=7)
            axes.set_yscale("log")
            for run in reversed(runs):  # the strong lines of the first lie on top
                _curve(axes, curves[run], colours, FIRST_SEED if run == runs[0] else OTHER_SEEDS)
            if any(run in validated for run in runs):
                _validation(axes, [validated[run] for run in runs if run in validated])
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        handles = [grid[0].plot([], [], color=colour)[0] for colour in colours.values()]
        if validated:
            handles.append(grid[0].plot([], [], color="black", marker=".", markersize=3)[0])
            colours["PSNR-μ on validation places, dB (right)"] = "black"
        figure.legend(handles, list(colours), loc="outside upper center", ncols=min(len(colours), 9))
        figure.supxlabel("step", fontsize=8)
        figure.supylabel(title, fontsize=8)
        return png(figure)


def _losses(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the loss terms alone: without measurements on held-out images, nor the rows that hold nothing else."""
    terms = frame[[name for name in frame.columns if not str(name).startswith(HELD_OUT)]]
    return terms.dropna(how="all", subset=[name for name in terms.columns if name != "step"])


def _curve(axes: "Axes", frame: pd.DataFrame, colours: Mapping[str, str], look: tuple[float, float]) -> None:
    for term, colour in colours.items():
        if term in frame:
            # Signed terms (the adversarial one) have no logarithm; a gap is honest, an absolute value isn't.
            values = frame[term].astype("float64").where(frame[term] > 0)
            axes.plot(frame["step"], values, color=colour, linewidth=look[0], alpha=look[1])


def _validation(axes: "Axes", frames: Sequence[pd.DataFrame]) -> None:
    beside = axes.twinx()
    beside.tick_params(labelsize=6)
    for number, frame in enumerate(frames):
        width, opacity = OTHER_SEEDS if number else FIRST_SEED
        beside.plot(frame["step"], frame[VALIDATED], color="black", marker=".", markersize=3, lw=width, alpha=opacity)


def contact_sheet(views: Sequence[tuple[str, Sequence[NDArray[np.uint8]]]]) -> bytes:
    """Draw the frames of every view, short to long, as WebP.

    views : (caption, frames), each frame (H, W, 3) uint8, gamma-encoded as stored.
    """
    columns = 3 if len(views) > 4 else 2
    rows = math.ceil(len(views) / columns)
    height, width = views[0][1][0].shape[:2]
    frames = len(views[0][1])
    cell = SHEET / columns
    rise = cell / frames * height / width + 0.25
    margins = {"left": 0, "right": 1, "bottom": 0, "top": 1 - 0.2 / (rows * rise), "wspace": 0.03, "hspace": 0.25}
    with canvas(SHEET, rows * rise) as figure:
        figure.subplots_adjust(**margins)
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, (caption, shots) in zip(grid, views, strict=False):
            gap = np.full((shots[0].shape[0], max(1, width // 60), 3), 255, np.uint8)
            strip = [part for shot in shots for part in (shot, gap)][:-1]
            picture(axes, np.concatenate(strip, axis=1), smooth=True)
            axes.set_title(caption, fontsize=7, pad=2)
        for axes in grid[len(views) :]:
            axes.set_visible(False)
        return webp(figure)
