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


Blocks = list[tuple[int, int, Tensor]]
"""A banded matrix: for each BLOCK of its rows the first and last column with a weight, and the weights there."""


def blocks(matrix: NDArray[np.float64], dtype: torch.dtype, device: torch.device) -> Blocks:
    """Cut a banded matrix (target, size) into blocks of rows."""
    found = []
    for top in range(0, len(matrix), BLOCK):
        rows = matrix[top : top + BLOCK]
        used = np.flatnonzero(rows.any(axis=0))
        first, last = int(used[0]), int(used[-1]) + 1
        found.append((first, last, torch.as_tensor(rows[:, first:last], dtype=dtype, device=device)))
    return found


@kept(128)
def _resizing(size: int, target: int, dtype: torch.dtype, device: torch.device) -> Blocks:
    return blocks(weights(size, target), dtype, device)


def along_rows(planes: Tensor, parts: Blocks) -> Tensor:
    """Multiply the columns (axis -2) of planes (..., h, w) by a matrix."""
    return torch.cat([rows @ planes[..., first:last, :] for first, last, rows in parts], dim=-2)


def along_columns(planes: Tensor, parts: Blocks) -> Tensor:
    """Multiply the rows (axis -1) of planes (..., h, w) by a matrix."""
    return torch.cat([planes[..., first:last] @ rows.mT for first, last, rows in parts], dim=-1)


def resized(planes: Tensor, shape: tuple[int, int]) -> Tensor:
    """Resize (..., h, w) to (..., *shape) as MATLAB's `imresize` does; the result isn't clipped."""
    height, width = planes.shape[-2:]
    if shape[0] != height:
        planes = along_rows(planes, _resizing(height, shape[0], planes.dtype, planes.device))
    if shape[1] != width:
        planes = along_columns(planes, _resizing(width, shape[1], planes.dtype, planes.device))
    return planes
