"""A figure of what is printed for one data set: each method's numbers on a line, against the gaps between methods."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bench.report.figures.style import GRID, INK, MUTED, canvas, png
from bench.report.literature.numbers import PrintedNumber, best, ranges

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOOKS = {
    "own": ("D", "#d55e00", "printed by its authors"),
    "retrained": ("o", "#0072b2", "trained again by others"),
    "measured or quoted": ("|", INK, "measured or quoted by others"),
}
SOURCES = 2
"""Sources that a method needs to stand in the figure."""


def spread_figure(rows: Sequence[PrintedNumber], dataset: str, metrics: Sequence[str]) -> bytes:
    """Return a PNG with a panel for each metric; methods with numbers of two sources, ordered by the first metric."""
    own = [row for row in rows if row.dataset == dataset and not row.suspect]
    found = ranges(own)
    there = {key[1] for key, entry in found.items() if key[2] == metrics[0] and entry.sources >= SOURCES}
    methods = sorted(there, key=lambda method: best(found, dataset, method, metrics[0]))
    with canvas(9.4, 0.9 + 0.21 * len(methods), layout="constrained") as figure:
        panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
        for axes, metric in zip(panels, metrics, strict=True):
            _panel(axes, [row for row in own if row.metric == metric], methods, metric)
        panels[0].set_yticks(range(len(methods)), methods)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(LOOKS), frameon=False)
        return png(figure)


def _panel(axes: "Axes", rows: Sequence[PrintedNumber], methods: Sequence[str], metric: str) -> None:
    for at, method in enumerate(methods):
        values = [float(row.value) for row in rows if row.method == method]
        if values:
            axes.plot(
                [min(values), max(values)], [at, at], color=MUTED, linewidth=2.2, solid_capstyle="round", zorder=1
            )
    for origin, (marker, colour, label) in LOOKS.items():
        drawn = [row for row in rows if row.origin == origin and row.method in methods]
        values, places = [float(row.value) for row in drawn], [methods.index(row.method) for row in drawn]
        look: dict[str, Any] = {"marker": marker, "color": colour, "markersize": 4.6, "markeredgewidth": 1.4}
        look |= {"fillstyle": "none" if origin == "retrained" else "full", "linestyle": "none"}
        axes.plot(values, places, label=label, zorder=3, **look)
    axes.set_xlabel(metric)
    axes.grid(axis="x", color=GRID)
    axes.set_axisbelow(True)
