"""Gaussian smoothing as the reference does it, in its two ways and with its edges, as products with banded matrices.

Both of its ways are separable: from a standard deviation of 4.3 pixels on it filters by FFT, below with a kernel.
"""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..hdrvdp2.keeping import kept
from ..hdrvdp2.resize import Blocks, along_columns, along_rows, blocks

LARGE = 4.3
"""Standard deviation in pixels from which on the reference filters by FFT."""

NOTHING = 1e-17
"""Weights below are rounding noise of the kernel's FFT."""

Edges = Literal["zero", "repeated"]


def weights(size: int, sigma: float, edges: Edges) -> NDArray[np.float64]:
    """Return the (size, size) matrix that smooths one axis; `sigma` in pixels."""
    return _by_fft(size, sigma, edges) if sigma >= LARGE else _by_kernel(size, sigma, edges)


def _by_fft(size: int, sigma: float, edges: Edges) -> NDArray[np.float64]:
    """Filter the axis in twice its length, in a circle: repeated is only the last pixel, and the first sees it too."""
    waves = 2 * np.pi * np.arange(size + 1) / (2 * size)
    kernel = np.fft.irfft(np.exp(-((waves * sigma) ** 2) / 2), n=2 * size)
    kernel[np.abs(kernel) < NOTHING] = 0
    place = np.arange(size)[:, None] - np.arange(2 * size)
    circle = kernel[place % (2 * size)]
    matrix: NDArray[np.float64] = circle[:, :size].copy()
    if edges == "repeated":
        matrix[:, -1] += circle[:, size:].sum(axis=1)
    return matrix


def _by_kernel(size: int, sigma: float, edges: Edges) -> NDArray[np.float64]:
    length = int(np.floor(6 * sigma + 0.5))
    radius = length // 2  # an even length grows by one
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-(offsets**2) / (2 * sigma**2))
    kernel /= kernel.sum()
    matrix = np.zeros((size, size))
    source = np.arange(size)[:, None] + offsets
    inside = (source >= 0) & (source < size)
    values = np.where(inside, kernel, 0.0) if edges == "zero" else np.broadcast_to(kernel, source.shape)
    np.add.at(matrix, (np.arange(size)[:, None], source.clip(0, size - 1)), values)
    return matrix


@kept(16)
def _smoothing(size: int, sigma: float, edges: Edges, dtype: torch.dtype, device: torch.device) -> Blocks:
    return blocks(weights(size, sigma, edges), dtype, device)


def smoothed(plane: Tensor, sigma: float, edges: Edges) -> Tensor:
    """Smooth (H, W) with a Gaussian of standard deviation `sigma` in pixels; beyond the edges are zeros or edge pixels.

    From `LARGE` on edge pixels are repeated after the last row and column only, and the first ones see those too.
    """
    height, width = plane.shape
    rows = along_rows(plane, _smoothing(height, sigma, edges, plane.dtype, plane.device))
    return along_columns(rows, _smoothing(width, sigma, edges, plane.dtype, plane.device))
