"""Simoncelli's steerable pyramid in the space domain, its filters applied by FFT to mirrored images."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from . import taps
from .keeping import kept
from .taps import Taps

SMALLEST = 17
"""Rows and columns that an image must have to be split into bands."""


@dataclass(frozen=True, eq=False)  # equal only to itself: what is kept by filters needs no look at their taps
class Filters:
    """Filters that go over one plane together, the low pass of a level last."""

    kernels: tuple[Taps, ...]

    @property
    def radius(self) -> int:
        """Of the largest."""
        return max(len(kernel) for kernel in self.kernels) // 2


@dataclass(frozen=True, eq=False)
class Bank:
    """Filters of a pyramid: low and high pass before the levels, then those of each level, and a level's least size."""

    first: Filters
    level: Filters
    smallest: int


SP3 = Bank(Filters((taps.LOW_PASS, taps.HIGH_PASS)), Filters((*taps.BANDS, taps.SHRINK)), SMALLEST)


def height(rows: int, columns: int, smallest: int = SMALLEST) -> int:
    """Return the number of levels with oriented bands."""
    return 0 if min(rows, columns) < smallest else 1 + height(rows // 2, columns // 2, smallest)


def _fast(length: int) -> int:
    """Return the smallest even number from `length` on that has no prime factor above 5: FFTs of it are fast."""
    candidate = length + length % 2
    while True:
        rest = candidate
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return candidate
        candidate += 2


@kept(32)
def _responses(
    filters: Filters, rows: int, columns: int, flipped: bool, dtype: torch.dtype, device: torch.device
) -> list[Tensor]:
    """Return each filter's half spectrum for planes of rows x columns."""
    spectra = []
    for kernel in filters.kernels:
        shift = filters.radius - len(kernel) // 2
        # A correlation is a convolution with the flipped kernel; "valid" results begin at twice the radius.
        centred = np.pad(kernel if flipped else kernel[::-1, ::-1], shift)
        spectrum = torch.fft.rfft2(torch.from_numpy(centred), s=(rows, columns))
        spectra.append(spectrum.to(dtype=dtype.to_complex(), device=device))
    return spectra


def _spectrum(plane: Tensor, radius: int) -> tuple[Tensor, tuple[int, int]]:
    size = tuple(_fast(edge + 2 * radius) for edge in plane.shape)
    mirrored = pad(plane[None, None], (radius,) * 4, mode="reflect")[0, 0]
    return torch.fft.rfft2(mirrored, s=size), (size[0], size[1])


def analysed(plane: Tensor, filters: Filters) -> list[Tensor]:
    """Correlate (H, W) with each filter; edges are mirrored about the edge pixel's centre."""
    rows, columns = plane.shape
    radius = filters.radius
    spectrum, size = _spectrum(plane, radius)
    responses = _responses(filters, *size, False, plane.dtype, plane.device)
    return [_cut(torch.fft.irfft2(spectrum * r, s=size), radius, rows, columns) for r in responses]


def synthesised(planes: list[Tensor], filters: Filters) -> Tensor:
    """Convolve each of the (H, W) planes with its filter and add the results."""
    rows, columns = planes[0].shape
    radius = filters.radius
    total: Tensor | None = None
    for index, plane in enumerate(planes):
        spectrum, size = _spectrum(plane, radius)
        part = spectrum * _responses(filters, *size, True, plane.dtype, plane.device)[index]
        total = part if total is None else total + part
    assert total is not None
    return _cut(torch.fft.irfft2(total, s=size), radius, rows, columns)


def _cut(padded: Tensor, radius: int, rows: int, columns: int) -> Tensor:
    return padded[2 * radius : 2 * radius + rows, 2 * radius : 2 * radius + columns]


def split(plane: Tensor, bank: Bank = SP3, most: int | None = None) -> list[Tensor]:
    """Split (H, W) into bands (orientations, h, w): high-pass residual, the orientations of a level, low-pass residual.

    Level k has ceil(H / 2^k) rows; the residuals have one orientation. There are `most` levels at most.
    """
    low, high = analysed(plane, bank.first)
    bands = [high[None]]
    levels = height(plane.shape[0], plane.shape[1], bank.smallest)
    for _ in range(levels if most is None else min(most, levels)):
        *oriented, low = analysed(low, bank.level)
        bands.append(torch.stack(oriented))
        low = low[::2, ::2]
    return [*bands, low[None]]


def join(bands: list[Tensor], bank: Bank = SP3) -> Tensor:
    """Put bands, as `split` returns them, together to one plane (H, W)."""
    high, *levels, low = bands
    for oriented in reversed(levels):
        stuffed = low.new_zeros(oriented.shape[-2:])
        stuffed[::2, ::2] = low[0]
        low = synthesised([*oriented, stuffed], bank.level)[None]
    return synthesised([low[0], high[0]], bank.first)
