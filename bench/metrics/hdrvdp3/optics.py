"""Light scattered in the eye: two transfer functions, and filtering of an image that goes on as its mirror image."""

import math

import torch
from torch import Tensor

from ..hdrvdp2 import optics
from ..hdrvdp2.keeping import kept
from ..hdrvdp2.optics import Lattice

MTFS = ("hdrvdp", "cie", "none")


def modulation(rho: Tensor, mtf: str, age: float) -> Tensor:
    """Return the MTF at radial frequencies in cycles per degree, float64, 1 at 0.

    mtf : `hdrvdp` as in release 2; `cie` the CIE's glare of 1999, which grows with the age; `none` is 1.
    """
    if mtf == "hdrvdp":
        return optics.modulation(rho)
    if mtf == "none":
        return torch.ones_like(rho)
    angular = 2 * math.pi * rho
    whole = _cie(torch.full((), 1e-4, dtype=rho.dtype, device=rho.device), age)
    far = angular >= 1e-4
    return torch.where(far, _cie(torch.where(far, angular, 1.0), age) / whole, 1.0)


def _cie(w: Tensor, age: float) -> Tensor:
    """Fourier transform of the CIE's glare spread function, for a pigmentation p = 0.5 (brown eyes)."""
    k0, k1 = torch.special.modified_bessel_k0, torch.special.modified_bessel_k1
    p, g = 0.5, (age / 70) ** 4
    near = 2 * 9.2e6 * 0.0046**2 * w * k1(0.0046 * w) + 2 * 1.5e5 * 0.045**2 * w * k1(0.045 * w)
    wide = 2 * 0.1 * 0.8 * k0(0.1 * w) + 2 * 0.1**2 * 1300 * w * k1(0.1 * w)
    veil = 400 * 0.1 * math.pi * torch.exp(-0.1 * w) * (1.6 * g + 1)
    spread: Tensor = p * (1 + 1.6 * g) * wide + (1 - 0.08 * g) * near + veil
    return spread / (p * (0.0417 + 0.055 * g) + 1)


@kept(4)
def transfer(lattice: Lattice, mtf: str, age: float) -> Tensor:
    """Return the MTF at the frequencies of the doubled image, one quadrant: (H + 1, W + 1) float64."""
    return modulation(lattice.frequencies(), mtf, age)


def blurred(plane: Tensor, surround: Tensor | None, quadrant: Tensor) -> Tensor:
    """Return a channel of light (H, W) in cd/m2 behind the optics, clamped to [1e-5, 1e10].

    surround : light around the image, without dimension; None continues it as its mirror image, edge pixels doubled.
    quadrant : of the MTF, as `transfer` returns it.
    """
    if surround is None:
        height, width = plane.shape
        # The spectrum of an even sequence is real: cosines of half the length do.
        waves = _cosines(_cosines(plane).mT) * quadrant[:height, :width].mT
        light = _sequence(_sequence(waves).mT)
    else:
        # Row 1 ... H - 1 of the quadrant once more, for the negative frequencies.
        response = torch.cat([quadrant, quadrant[1:-1].flip(0)])
        light = optics.cut(optics.filtered_rows(plane - surround, response), plane.shape[1]) + surround
    return light.clamp(optics.DARKEST, optics.BRIGHTEST)


@kept(8)
def _turn(length: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return exp(-i pi k / 2n) for k = 0 ... n / 2."""
    angle = torch.arange(length // 2 + 1, dtype=dtype, device=device) * (-math.pi / (2 * length))
    return torch.polar(torch.ones_like(angle), angle)


def _cosines(rows: Tensor) -> Tensor:
    """Discrete cosine transform (type II, without factors) of each row, by one FFT of its own length.

    Makhoul, "A fast cosine transform in one and two dimensions", IEEE Trans. ASSP 28(1), 1980.
    """
    length = rows.shape[-1]
    shuffled = torch.cat([rows[..., ::2], rows[..., 1::2].flip(-1)], dim=-1)
    spectrum = torch.fft.rfft(shuffled) * _turn(length, rows.dtype, rows.device)
    upper = spectrum.imag[..., 1 : (length + 1) // 2].flip(-1).neg()
    return torch.cat([spectrum.real, upper], dim=-1)


def _sequence(waves: Tensor) -> Tensor:
    """Undo `_cosines`."""
    length = waves.shape[-1]
    lower = waves[..., : length // 2 + 1]
    upper = torch.cat([torch.zeros_like(waves[..., :1]), waves[..., (length + 1) // 2 :].flip(-1)], dim=-1)
    spectrum = torch.complex(lower, -upper) * _turn(length, waves.dtype, waves.device).conj()
    shuffled = torch.fft.irfft(spectrum, n=length)
    rows = torch.empty_like(shuffled)
    half = (length + 1) // 2
    rows[..., ::2] = shuffled[..., :half]
    rows[..., 1::2] = shuffled[..., half:].flip(-1)
    return rows
