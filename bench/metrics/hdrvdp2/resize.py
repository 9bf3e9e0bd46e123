"""MATLAB's `imresize`: bicubic with anti-aliasing and mirrored edges, as two products with sparse, banded matrices."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .keeping import kept

BLOCK = 64
"""Rows of the result computed by one small matrix product: each needs few rows of the input only."""


def _cubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    x = np.abs(distance)
    inside = (1.5 * x - 2.5) * x * x + 1
    outside = ((-0.5 * x + 2.5) * x - 4) * x + 2
    kernel: NDArray[np.float64] = np.where(x <= 1, inside, np.where(x <= 2, outside, 0.0))
    return kernel


def weights(size: int, target: int) -> NDArray[np.float64]:
    """Return the (target, size) matrix that resizes one axis, rows summing to 1.

    The cubic kernel (a = -0.5) is stretched when shrinking; samples beyond an edge are those before it, mirrored with
    the edge pixel doubled.
    """
    scale = target / size
    stretch = max(1.0, 1 / scale)
    centre = (np.arange(1, target + 1) / scale + 0.5 * (1 - 1 / scale))[:, None]
    taps = int(np.ceil(4 * stretch)) + 2
    index = np.floor(centre - 2 * stretch) + np.arange(taps)
    values = _cubic((centre - index) / stretch)
    values /= values.sum(axis=1, keepdims=True)
    mirrored = np.mod(index.astype(int) - 1, 2 * size)
    mirrored = np.where(mirrored < size, mirrored, 2 * size - 1 - mirrored)
    matrix = np.zeros((target, size))
    np.add.at(matrix, (np.arange(target)[:, None], mirrored), values)
    return matrix


@kept(128)
def _blocks(size: int, target: int, dtype: torch.dtype, device: torch.device) -> list[tuple[int, int, Tensor]]:
    matrix = weights(size, target)
    found = []
    for top in range(0, target, BLOCK):
        rows = matrix[top : top + BLOCK]
        used = np.flatnonzero(rows.any(axis=0))
        first, last = int(used[0]), int(used[-1]) + 1
        found.append((first, last, torch.as_tensor(rows[:, first:last], dtype=dtype, device=device)))
    return found


def resized(planes: Tensor, shape: tuple[int, int]) -> Tensor:
    """Resize (..., h, w) to (..., *shape) as MATLAB's `imresize` does; the result isn't clipped."""
    height, width = planes.shape[-2:]
    if shape[0] != height:
        parts = _blocks(height, shape[0], planes.dtype, planes.device)
        planes = torch.cat([rows @ planes[..., first:last, :] for first, last, rows in parts], dim=-2)
    if shape[1] != width:
        parts = _blocks(width, shape[1], planes.dtype, planes.device)
        planes = torch.cat([planes[..., first:last] @ rows.mT for first, last, rows in parts], dim=-1)
    return planes
