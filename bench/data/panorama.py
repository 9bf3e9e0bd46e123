"""Panoramas as the light that the bracket engine photographs."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.core.errors import UsageError
from bench.core.scene import Array, Radiance
from bench.data.camera import Vectors
from bench.io.radiance import read_exr

LUMINANCE = (0.2126, 0.7152, 0.0722)
"""Weights of linear Rec. 709 RGB."""

BLOCK = 8
"""Lossy EXR compression works on blocks of 8 pixels."""

FLAW_MARGIN = 2
"""Blocks round the sun or a strong lamp that views keep out: compression leaves dark marks up to that far away."""

FLAW_FACTOR = 10
"""A light this many times above the cap counts as sun disc or strong lamp; weaker ones are capped and mended."""

HOLE = 0.25
"""Share of its surroundings below which a value counts as a hole left by compression."""


@dataclass(frozen=True)
class Panorama:
    """An equirectangular picture, prepared for sampling.

    log    : (H, W, 3) float64, natural logarithm of relative radiance, capped; the centre column lies ahead (z).
    flawed : (H, W) bool, pixels that a view must not show: sun disc, lamps and the damage round them.
    """

    name: str
    log: NDArray[np.float64]
    flawed: NDArray[np.bool_]

    def sample(self, directions: Vectors) -> NDArray[np.float64]:
        """Relative radiance seen along (..., 3) directions: (..., 3) float64.

        Bilinear in the logarithm: interpolating linear radiance makes lamps grow, cubic kernels ring round them.
        """
        rows, columns = self._place(directions)
        top, left = np.floor(rows).astype(np.intp), np.floor(columns).astype(np.intp)
        down, right = (rows - top)[..., None], (columns - left)[..., None]
        height, width = self.flawed.shape
        above, below = np.clip(top, 0, height - 1), np.clip(top + 1, 0, height - 1)
        left, next_ = left % width, (left + 1) % width
        upper = self.log[above, left] * (1 - right) + self.log[above, next_] * right
        lower = self.log[below, left] * (1 - right) + self.log[below, next_] * right
        return np.asarray(np.exp(upper * (1 - down) + lower * down))

    def shows_flaws(self, directions: Vectors) -> bool:
        """Tell whether any of (..., 3) directions meets a flawed pixel."""
        rows, columns = self._place(directions)
        height, width = self.flawed.shape
        nearest = np.clip(np.rint(rows).astype(np.intp), 0, height - 1), np.rint(columns).astype(np.intp) % width
        return bool(self.flawed[nearest].any())

    def _place(self, directions: Vectors) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        x, y, z = directions[..., 0], directions[..., 1], directions[..., 2]
        height, width = self.flawed.shape
        columns = (np.arctan2(x, z) / (2 * np.pi) + 0.5) * width - 0.5
        rows = (0.5 - np.arctan2(y, np.hypot(x, z)) / np.pi) * height - 0.5
        return rows, columns


def luminance(radiance: Array) -> NDArray[np.float64]:
    """Luminance (...,) of linear Rec. 709 RGB (..., 3), in the unit of the radiance."""
    red, green, blue = (radiance[..., i].astype(np.float64) * w for i, w in enumerate(LUMINANCE))
    return np.asarray(red + green + blue)


def load(folder: Path, name: str, cap: float) -> Panorama:
    """Read `<folder>/<name>.exr` and prepare it; light above `cap` times the 99.98th percentile is capped.

    Negative values (artefacts of compression) become 0. UsageError if the file is missing, isn't OpenEXR, or isn't
    twice as wide as high.
    """
    path = Path(folder) / f"{name}.exr"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in Path(folder).glob("*.exr"))) or "none"
        raise UsageError(f"panorama {name!r}: no file {path}. Panoramas there: {known}.")
    radiance = read_exr(path)
    height, width = radiance.shape[:2]
    if width != 2 * height:
        raise UsageError(f"{path}: {width}x{height} pixels; an equirectangular panorama is twice as wide as high.")
    if not np.isfinite(radiance).all() or radiance.max() <= 0:
        raise UsageError(f"{path}: holds non-finite values or no light at all; expected relative linear radiance.")
    return _prepare(name, np.maximum(radiance, 0), cap)


def _prepare(name: str, radiance: Radiance, cap: float) -> Panorama:
    light = luminance(radiance)
    limit = cap * float(np.percentile(light, 99.98))
    capped = radiance * np.minimum(1, limit / np.maximum(light, 1e-30))[..., None]
    capped = mend(capped)
    # The floor keeps the logarithm finite; it lies far below the noise of any exposure.
    floor = 1e-4 * float(np.median(light[light > 0]))
    return Panorama(name, np.log(np.maximum(capped.astype(np.float64), floor)), flaws(light, FLAW_FACTOR * limit))


def mend(radiance: Radiance) -> Radiance:
    """Fill holes that lossy compression left, (H, W, 3) to a new (H, W, 3).

    Next to lamps and along bright edges a channel rings down to zero, which no lens would show. A value is a hole if
    it is far below the lower quarter of its 5x5 surroundings, or, with a light among them, far below their median.
    The whole pixel takes the median: one channel alone would leave a coloured speck.
    """
    mended = radiance.copy()
    height, width = radiance.shape[:2]
    # Most pixels are ruled out by four neighbours; only the rest is compared with all of its surroundings.
    beside = np.maximum(np.roll(radiance, 2, axis=1), np.roll(radiance, -2, axis=1))
    above = np.maximum(np.roll(radiance, 2, axis=0), np.roll(radiance, -2, axis=0))
    rows, columns = np.nonzero((radiance < HOLE * np.maximum(beside, above)).any(axis=-1))
    down, right = np.stack(np.meshgrid(np.arange(-2, 3), np.arange(-2, 3), indexing="ij")).reshape(2, -1, 1)
    near = radiance[np.clip(rows + down, 0, height - 1), (columns + right) % width]
    quarter, middle, light = np.sort(near, axis=0)[[6, 12, 24]]
    value = radiance[rows, columns]
    holes = ((value < HOLE * quarter) | ((value < HOLE * middle) & (light > 8 * middle))).any(axis=-1)
    mended[rows[holes], columns[holes]] = middle[holes]
    return mended


def flaws(light: NDArray[np.float64], limit: float) -> NDArray[np.bool_]:
    """Mark pixels above `limit` and everything within FLAW_MARGIN compression blocks of them, (H, W) bool."""
    height, width = light.shape
    if height % BLOCK or width % BLOCK:
        raise UsageError(f"panorama of {width}x{height} pixels: expected multiples of {BLOCK}.")
    blocks: NDArray[np.bool_] = np.asarray(
        (light > limit).reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK).any(axis=(1, 3))
    )
    grown = blocks.copy()
    for down in range(-FLAW_MARGIN, FLAW_MARGIN + 1):
        rows = np.clip(np.arange(len(blocks)) + down, 0, len(blocks) - 1)
        for right in range(-FLAW_MARGIN, FLAW_MARGIN + 1):
            grown |= np.roll(blocks[rows], right, axis=1)
    return np.repeat(np.repeat(grown, BLOCK, axis=0), BLOCK, axis=1)
