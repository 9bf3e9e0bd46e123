"""The page on a dataset: a row for each scene with its picture and figures, and the distribution of the figures."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.core.dataset import DatasetCard
from bench.data.statistics import Statistics
from bench.report.figures.style import TERMS, canvas, png
from bench.report.page.page import Figure, environment

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUALITY = 80
"""Of the thumbnails (WebP)."""


class SceneRow(NamedTuple):
    """A scene: split, name, picture strip ((H, W, 3) uint8: frames, then ground truth), figures and record."""

    split: str
    name: str
    strip: NDArray[np.uint8]
    figures: Statistics
    record: Mapping[str, Any]

    @property
    def checks(self) -> str:
        """Number of checks that passed, and of those that apply."""
        outcomes = list(self.record.get("checks", {}).values())
        applies = [said for said in outcomes if not said.startswith("not applicable")]
        return f"{sum(said == 'passed' for said in applies)} of {len(applies)}" if outcomes else "not recorded"

    @property
    def remarks(self) -> str:
        """Outcomes of the checks, a line each."""
        said = self.record.get("checks", {}).items()
        return "\n".join(f"{name}: {outcome}" for name, outcome in said)


@dataclass(frozen=True)
class DataSection:
    """A dataset on the page: its card, its scenes, and whether they are synthetic ones in the set's layout."""

    card: DatasetCard
    rows: Sequence[SceneRow]
    synthetic: bool = False

    @property
    def counts(self) -> dict[str, str]:
        """Split -> number of scenes, with the published number where it is another."""
        shown = dict.fromkeys((*self.card.splits, *(row.split for row in self.rows)))
        found = {split: sum(row.split == split for row in self.rows) for split in shown}
        expected = self.card.expected
        return {
            split: f"{count}" if expected.get(split) in (None, count) else f"{count} of {expected[split]} published"
            for split, count in found.items()
            if count or expected.get(split)
        }

    @property
    def layouts(self) -> str:
        """Layouts that the scenes were found in."""
        return ", ".join(sorted({str(row.record.get("layout", "not recorded")) for row in self.rows}))


def findings(rows: Sequence[SceneRow]) -> list[str]:
    """Return sentences about the exposures, saturation, motion and range of a dataset's scenes."""
    steps = sorted({" / ".join(f"{ev:g}" for ev in np.round(row.figures.evs, 2)) for row in rows})
    moving = [row.figures.moving for row in rows]
    saturated = [row.figures.saturated[len(row.figures.saturated) // 2] for row in rows]
    ranges = [row.figures.dynamic_range for row in rows if row.figures.dynamic_range is not None]
    told = [
        f"Exposures, EV above the shortest: {'; '.join(steps)}.",
        f"The middle frame is saturated in {np.median(saturated):.1%} of its pixels (median; {min(saturated):.1%} to "
        f"{max(saturated):.1%}).",
        f"In {sum(share > 0.01 for share in moving)} of {len(rows)} scenes something moves in more than 1 % of the "
        "pixels.",
    ]
    if ranges:
        told.append(
            f"Ground truths span {np.median(ranges):.1f} stops (median; {min(ranges):.1f} to {max(ranges):.1f})."
        )
    return told


def figures(section: DataSection) -> list[Figure]:
    """Draw the distributions of saturation, motion and dynamic range, split by split."""
    rows = {split: [row.figures for row in section.rows if row.split == split] for split in section.counts}
    middle = {split: [f.saturated[(len(f.saturated) - 1) // 2] for f in found] for split, found in rows.items()}
    panels: dict[str, dict[str, list[float]]] = {
        "saturated, short frame, %": {split: [100 * f.saturated[0] for f in found] for split, found in rows.items()},
        "saturated, reference, %": {split: [100 * share for share in shares] for split, shares in middle.items()},
        "saturated, long frame, %": {split: [100 * f.saturated[-1] for f in found] for split, found in rows.items()},
        "dark, reference, %": {split: [100 * f.dark for f in found] for split, found in rows.items()},
        "camera motion, pixels": {split: [f.camera for f in found] for split, found in rows.items()},
        "moving, %": {split: [100 * f.moving for f in found] for split, found in rows.items()},
        "range of ground truth, stops": {
            split: [f.dynamic_range for f in found if f.dynamic_range is not None] for split, found in rows.items()
        },
        "longest exposure, EV": {split: [f.evs[-1] for f in found] for split, found in rows.items()},
    }
    with canvas(10.5, 4.4, layout="constrained") as figure:
        grid = figure.subplots(2, 4, squeeze=False).ravel()
        for axes, (title, values) in zip(grid, panels.items(), strict=True):
            _distribution(axes, title, values)
        drawn = png(figure)
    title = f"{section.card.name}: how the scenes are distributed"
    return [Figure(f"distributions_{section.card.name}", drawn, title, "A dot is a scene, the bar the median.")]


def _distribution(axes: "Axes", title: str, values: Mapping[str, Sequence[float]]) -> None:
    axes.set_title(title)
    for place, found in enumerate(values.values()):
        spread = np.linspace(-0.22, 0.22, len(found)) if len(found) > 1 else np.zeros(len(found))
        axes.scatter(place + spread, sorted(found), s=9, color=TERMS[1 + place % 5], alpha=0.8, linewidths=0)
        if found:
            axes.hlines(float(np.median(found)), place - 0.3, place + 0.3, color=TERMS[0], linewidth=1.2)
    axes.set_xticks(range(len(values)), list(values))
    axes.grid(visible=False, axis="x")
    axes.set_xlim(-0.6, len(values) - 0.4)
    axes.set_ylim(bottom=0)


def render(profile: str, sections: Sequence[DataSection], again: str) -> str:
    """Return the page as HTML; equal input gives equal bytes.

    again : the command that makes the page.
    """
    parts = [(section, findings(section.rows), figures(section)) for section in sections]
    html: str = (
        environment().get_template("data.html.j2").render(profile=profile, again=again, sections=parts, webp=webp)
    )
    return html


def webp(pixels: NDArray[np.uint8]) -> str:
    """Return (H, W, 3) uint8 sRGB as a WebP data URI."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format="WEBP", quality=QUALITY, method=4)
    return f"data:image/webp;base64,{base64.b64encode(out.getvalue()).decode()}"
