"""Q of the same predictions under published settings, and what single steps do, as a picture."""

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import TYPE_CHECKING

from bench.report.figures.style import GRID, INK, MUTED, TERMS, canvas, png
from bench.report.protocols.why import ScoredSetting, ScoredSettings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, ROW = 12.5, 0.235
"""Width of the figure and height of a step's row, in inches."""

APART = 0.2
"""Of a row, between the dots of two predictions."""

CAPTION = (
    "Left: HDR-VDP-2's Q of the same predictions under each setting that public code states; dotted: under {base}, "
    "this benchmark's own. Right: what a single step does to Q. Higher is better; within a colour nothing but the "
    "setting differs. ppd: pixels per degree."
)


def why_figure(found: ScoredSettings) -> bytes:
    """Draw both panels as PNG; only values of Q, since others don't compare."""
    order = {
        one.name: (one.name != found.base, round(mean(one.values.values()), 2), one.name) for one in found.published
    }
    published = sorted(found.published, key=lambda one: order[one.name])
    heads = list(dict.fromkeys(one.group for one in found.steps))
    height = ROW * max(len(published) * 1.6, len(found.steps) + len(heads)) + 1.0
    with canvas(WIDTH, height, layout="constrained") as figure:
        left, right = figure.subplots(1, 2)
        _published(left, found, published)
        _steps(right, found, heads)
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
        return png(figure)


def _dots(axes: "Axes", found: ScoredSettings, points: Mapping[str, Sequence[tuple[float, int]]]) -> None:
    """Draw each prediction's dots, those of one row below each other."""
    for i, (colour, name) in enumerate(zip(TERMS, found.predictions, strict=False)):
        away = APART * (i - (len(found.predictions) - 1) / 2)
        xs, ys = [x for x, _ in points[name]], [y + away for _, y in points[name]]
        axes.plot(xs, ys, "o", color=colour, ms=5.5, mec="white", mew=0.5, zorder=3, label=name)


def _published(axes: "Axes", found: ScoredSettings, settings: Sequence[ScoredSetting]) -> None:
    _dots(
        axes,
        found,
        {
            name: [(one.values[name], y) for y, one in enumerate(settings) if name in one.values]
            for name in found.predictions
        },
    )
    for colour, name in zip(TERMS, found.predictions, strict=False):
        if (own := found.settings[0].values.get(name)) is not None:
            axes.axvline(own, color=colour, lw=0.9, ls=":", zorder=1)
    for y, one in enumerate(settings):
        axes.annotate(
            one.handed_over, (0, y), xycoords=("axes fraction", "data"), xytext=(-4, -7),
            textcoords="offset points", ha="right", va="center", fontsize=6, color=MUTED,
        )  # fmt: skip
    axes.set_yticks(range(len(settings)), [one.name for one in settings], color=INK, va="bottom")
    axes.set_ylim(len(settings) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("HDR-VDP-2, Q")
    axes.set_title("Published settings", loc="left", fontweight="bold")


def _steps(axes: "Axes", found: ScoredSettings, heads: Sequence[str]) -> None:
    labels: list[str] = []
    points: dict[str, list[tuple[float, int]]] = {name: [] for name in found.predictions}
    for head in heads:
        members = [one for one in found.steps if one.group == head]
        axes.axhspan(len(labels) - 0.5, len(labels) + 0.5, color=GRID, lw=0, zorder=0)
        labels.append(f"{head}, from {members[0].against}")
        for one in members:
            for name, those in points.items():
                if (by := found.difference(one, name)) is not None:
                    those.append((by, len(labels)))
            labels.append(one.name)
    _dots(axes, found, points)
    axes.axvline(0, color=INK, lw=0.9)
    axes.set_yticks(range(len(labels)), labels, color=INK)
    for text in axes.get_yticklabels():
        text.set_fontweight("bold" if ", from " in text.get_text() else "normal")
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("difference of Q")
    axes.set_title("Single steps", loc="left", fontweight="bold")
