"""Simoncelli's steerable pyramid in the space domain, its filters applied by FFT to mirrored images."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from . import taps
from .keeping import kept
from .taps import Taps

SMALLEST = 17
"""Rows and columns that an image must have to be split into bands."""

FILTERS: dict[str, tuple[Taps, ...]] = {
    "first": (taps.LOW_PASS, taps.HIGH_PASS),
    "level": (*taps.BANDS, taps.SHRINK),
}


def height(rows: int, columns: int) -> int:
    """Return the number of levels with oriented bands."""
    return 0 if min(rows, columns) < SMALLEST else 1 + height(rows // 2, columns // 2)


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


def _radius(group: str) -> int:
    return max(len(kernel) for kernel in FILTERS[group]) // 2


@kept(32)
def _responses(
    group: str, rows: int, columns: int, flipped: bool, dtype: torch.dtype, device: torch.device
) -> list[Tensor]:
    """Return each filter's half spectrum for planes of rows x columns."""
    spectra = []
    for kernel in FILTERS[group]:
        shift = _radius(group) - len(kernel) // 2
        # A correlation is a convolution with the flipped kernel; "valid" results begin at twice the radius.
        centred = np.pad(kernel if flipped else kernel[::-1, ::-1], shift)
        spectrum = torch.fft.rfft2(torch.from_numpy(centred), s=(rows, columns))
        spectra.append(spectrum.to(dtype=dtype.to_complex(), device=device))
    return spectra


def _spectrum(plane: Tensor, radius: int) -> tuple[Tensor, tuple[int, int]]:
    size = tuple(_fast(edge + 2 * radius) for edge in plane.shape)
    mirrored = pad(plane[None, None], (radius,) * 4, mode="reflect")[0, 0]
    return torch.fft.rfft2(mirrored, s=size), (size[0], size[1])


def analysed(plane: Tensor, group: str) -> list[Tensor]:
    """Correlate (H, W) with each filter of a group; edges are mirrored about the edge pixel's centre."""
    rows, columns = plane.shape
    radius = _radius(group)
    spectrum, size = _spectrum(plane, radius)
    responses = _responses(group, *size, False, plane.dtype, plane.device)
    return [_cut(torch.fft.irfft2(spectrum * r, s=size), radius, rows, columns) for r in responses]


def synthesised(planes: list[Tensor], group: str) -> Tensor:
    """Convolve each of the (H, W) planes with its filter of a group and add the results."""
    rows, columns = planes[0].shape
    radius = _radius(group)
    total: Tensor | None = None
    for index, plane in enumerate(planes):
        spectrum, size = _spectrum(plane, radius)
        part = spectrum * _responses(group, *size, True, plane.dtype, plane.device)[index]
        total = part if total is None else total + part
    assert total is not None
    return _cut(torch.fft.irfft2(total, s=size), radius, rows, columns)


def _cut(padded: Tensor, radius: int, rows: int, columns: int) -> Tensor:
    return padded[2 * radius : 2 * radius + rows, 2 * radius : 2 * radius + columns]


def split(plane: Tensor) -> list[Tensor]:
    """Split (H, W) into bands (orientations, h, w): high-pass residual, four orientations a level, low-pass residual.

    Level k has ceil(H / 2^k) rows; the residuals have one orientation.
    """
    low, high = analysed(plane, "first")
    bands = [high[None]]
    for _ in range(height(*plane.shape)):
        *oriented, low = analysed(low, "level")
        bands.append(torch.stack(oriented))
        low = low[::2, ::2]
    return [*bands, low[None]]


def join(bands: list[Tensor]) -> Tensor:
    """Put bands, as `split` returns them, together to one plane (H, W)."""
    high, *levels, low = bands
    for oriented in reversed(levels):
        stuffed = low.new_zeros(oriented.shape[-2:])
        stuffed[::2, ::2] = low[0]
        low = synthesised([*oriented, stuffed], "level")[None]
    return synthesised([low[0], high[0]], "first")
