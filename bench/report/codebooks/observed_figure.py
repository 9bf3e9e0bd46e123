"""The figure of how kinds of images used the codebooks while these were trained."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from bench.core.scene import IMAGE_KINDS
from bench.metrics.usage import HELD_OUT
from bench.report.figures.style import INK, KIND_COLOURS, canvas, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OBSERVED = {
    "used": "share of K used",
    "perplexity": "perplexity",
    "quantisation-error": "quantisation error",
    "psnr-mu": "PSNR-μ, dB",
}
DASHES: dict[str, Any] = {"L1": "-", "L2": "--", "L3": ":", "H": "-."}
QUANTISED = "codebook"
"""Column of a learning curve that a book fills only while it is quantised with."""
EARLY = "#b4bac2"
"""Colour of what was measured before that."""
DOT: dict[str, Any] = {"marker": "o", "markersize": 2.6}
"""A run may be measured once after it began to quantise: a line alone wouldn't show it."""
BEGINS: dict[str, Any] = {"color": INK, "linewidth": 0.9, "linestyle": (0, (4, 3))}


def observed(curve: pd.DataFrame) -> bool:
    """Whether a learning curve holds measurements on held-out images."""
    return any(str(name).startswith(HELD_OUT) for name in curve.columns)


def quantised_after(curve: pd.DataFrame) -> int | None:
    """Return the last logged step before a book was quantised with; None where it was from the start, or never.

    Told by the codebook term of eq. 7, which a run's curve has no value of until it quantises.
    """
    if QUANTISED not in curve:
        return None
    steps = curve.loc[curve[QUANTISED].notna(), "step"]
    before = curve.loc[curve["step"] < steps.min(), "step"]
    return int(before.max()) if len(before) else None


def observed_curves(curves: Mapping[str, pd.DataFrame]) -> bytes:
    """Draw usage, perplexity, quantisation error and PSNR-mu on held-out images over steps, a book a row, as PNG.

    curves : title -> columns `step` and held_out_<fact>_<kind>; rows without a measurement are passed over.

    What was measured before a run quantised is grey, behind a dashed line.
    """
    with canvas(10.5, 1.75 * len(curves) + 0.7, layout="constrained") as figure:
        grid = figure.subplots(len(curves), len(OBSERVED), squeeze=False, sharex=True, sharey="col")
        for row, (title, frame) in zip(grid, curves.items(), strict=True):
            for axes, fact in zip(row, OBSERVED, strict=True):
                _observed(axes, frame, fact)
            row[0].set_ylabel(title.replace(" (", "\n("), fontsize=7)
        for axes, label in zip(grid[0], OBSERVED.values(), strict=True):
            axes.set_title(label)
        _kinds_legend(figure, any(quantised_after(frame) is not None for frame in curves.values()))
        figure.supxlabel("step", fontsize=8)
        return png(figure)


def _kinds_legend(figure: "Figure", late: bool) -> None:
    """Name the kinds of images and, where a run began to quantise late, what grey lines and the dashed one are."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=KIND_COLOURS[kind], linestyle=DASHES[kind], label=kind, **DOT) for kind in IMAGE_KINDS
    ]
    if late:
        handles += [
            Line2D([], [], color=EARLY, label="before quantisation"),
            Line2D([], [], **BEGINS, label="quantisation begins"),
        ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))


def _observed(axes: "Axes", frame: pd.DataFrame, fact: str) -> None:
    begins = quantised_after(frame)
    for kind in IMAGE_KINDS:
        name = f"{HELD_OUT}{fact}_{kind}"
        if name in frame:
            measured = frame[["step", name]].dropna()
            early = measured["step"] <= (-1 if begins is None else begins)
            for part, colour in ((measured[early], EARLY), (measured[~early], KIND_COLOURS[kind])):
                axes.plot(part["step"], part[name], color=colour, linestyle=DASHES[kind], **DOT)
    if begins is not None:
        axes.axvline(begins, **BEGINS)
