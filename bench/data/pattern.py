"""A bracket of any size without any data: what inference is timed on."""

import numpy as np
from numpy.typing import NDArray

from bench.core.scene import GAMMA, Scene
from bench.core.seeding import generator

TIMES = (1.0, 4.0, 16.0)
"""Relative exposure times, as in most scenes of Kalantari's set."""

OCTAVES = (128, 64, 32, 16, 8, 4, 2)
"""Periods of the texture in pixels."""

SHAKE = ((2, -3), (0, 0), (-3, 4))
"""Rows and columns that the camera moves by, frame by frame."""

MARGIN = 4
"""Pixels around the picture that a shaken camera sees."""


def bracket(height: int, width: int, seed: int = 0) -> Scene:
    """Return three frames (3, H, W, 3) uint16 of texture at all scales, by a shaken camera, with an object that moves.

    The middle frame has saturated and dark places, and corners to register frames by: methods do the work that a
    photograph gives them. There is no truth.
    """
    rng = generator(seed, "pattern", height, width)
    rows, columns = height + 2 * MARGIN, width + 2 * MARGIN
    light = np.exp2(1.8 * _texture(rng, rows, columns) - 4.5)
    frames = []
    for (down, right), time, step in zip(SHAKE, TIMES, (-1, 0, 1), strict=True):
        seen = np.roll(_with_object(light, step), (down, right), (0, 1))[MARGIN:-MARGIN, MARGIN:-MARGIN]
        frames.append(np.rint(65535 * np.clip(seen * time, 0, 1) ** (1 / GAMMA)).astype(np.uint16))
    return Scene(f"pattern-{height}x{width}", np.stack(frames), np.array(TIMES), 1)


def _texture(rng: np.random.Generator, rows: int, columns: int) -> NDArray[np.float32]:
    """Noise (rows, columns, 3) of about unit variance, with the same share of it at each period."""
    total = np.zeros((rows, columns, 3), np.float32)
    for period in OCTAVES:
        grid = rng.normal(size=(rows // period + 2, columns // period + 2, 3)).astype(np.float32)
        grid = 1.6 * grid.mean(-1, keepdims=True) + 0.3 * grid  # colours go mostly together
        total += _between(_between(grid, rows, period).swapaxes(0, 1), columns, period).swapaxes(0, 1)
    return total / np.float32(len(OCTAVES) ** 0.5)


def _between(grid: NDArray[np.float32], size: int, period: int) -> NDArray[np.float32]:
    """Interpolate linearly along the first axis to `size` values, `period` of them from one node to the next."""
    place = np.arange(size) / period
    low = place.astype(int)
    share = (place - low).astype(np.float32)[:, None, None]
    mixed: NDArray[np.float32] = grid[low] * (1 - share) + grid[low + 1] * share
    return mixed


def _with_object(light: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Put a bright copy of one corner over the middle, `step` tenths of its edge beside it."""
    rows, columns, _ = light.shape
    edge = max(min(rows, columns) // 4, 1)
    top, left = (rows - edge) // 2, (columns - edge) // 2 + step * max(edge // 10, 1)
    left = min(max(left, 0), columns - edge)
    moved = light.copy()
    moved[top : top + edge, left : left + edge] = 2 * light[:edge, :edge]
    return moved
