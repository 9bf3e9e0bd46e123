"""Scales: their sizes and iterations, and pictures brought to a size."""

import numpy as np

from bench.core.scene import Array

SCALES = 10
COARSEST = 35
"""Pixels of the short side at the coarsest scale."""

NEAREST = 1.19
"""Smallest factor between scales: a picture of less than 170 rows gets fewer than ten (our choice)."""

MOST, LEAST = 50, 5
"""Iterations at the coarsest and at the finest scale; between them they fall evenly."""


def sizes(shape: tuple[int, int], max_side: int = 0) -> list[tuple[int, int]]:
    """(height, width) of each scale, coarse to fine, spaced geometrically; the last one is at most `max_side` long.

    max_side : 0 for the picture's own size.
    """
    limit = min(1.0, max_side / max(shape)) if max_side else 1.0
    finest = (max(1, round(shape[0] * limit)), max(1, round(shape[1] * limit)))
    span = max(1.0, min(finest) / COARSEST)
    count = min(SCALES, 1 + round(np.log(span) / np.log(NEAREST)))
    shares = [span ** (k / (count - 1) - 1) for k in range(count)] if count > 1 else [1.0]
    return [(max(1, round(finest[0] * share)), max(1, round(finest[1] * share))) for share in shares]


def iterations(count: int) -> list[int]:
    """Iterations of each of `count` scales: for ten 50, 45, ... 5."""
    return [round(n) for n in np.linspace(MOST, LEAST, count)] if count > 1 else [MOST]


def resized(picture: Array, size: tuple[int, int]) -> Array:
    """(h, w, 3) float32 in [0, 1] to `size` by Lanczos-3, widened where it shrinks, clamped to [0, 1]."""
    from PIL import Image

    if picture.shape[:2] == size:
        return picture
    planes = [
        Image.fromarray(np.ascontiguousarray(picture[..., c])).resize(size[::-1], Image.Resampling.LANCZOS)
        for c in range(3)
    ]
    return np.clip(np.stack([np.asarray(plane, np.float32) for plane in planes], -1), 0, 1)
