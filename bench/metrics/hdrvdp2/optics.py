"""Light scattered in the eye: the modulation transfer function, applied in float64 to each channel of a display."""

from typing import NamedTuple

import torch
from torch import Tensor

from .keeping import kept
from .strips import strips

DARKEST, BRIGHTEST = 1e-5, 1e10
"""cd/m2 that blurred channels are clamped to."""

SCATTER, DIRECT = 0.9972737002377707, 0.061466549455263
WEIGHTS = (0.426 * SCATTER, 0.574 * SCATTER, (1 - SCATTER) * DIRECT, (1 - SCATTER) * (1 - DIRECT))
DECAYS = (0.028, 0.37, 37.0, 360.0)
"""MTF(rho) = sum of WEIGHTS[k] exp(-DECAYS[k] rho), rho in cycles per degree; they sum to 1 at rho = 0."""


class Lattice(NamedTuple):
    """A lattice of spatial frequencies, fixed by the size of the image it is for, its resolution and its device."""

    height: int
    width: int
    pixels_per_degree: float
    device: torch.device

    def frequencies(self) -> Tensor:
        """Radial frequency in cycles per degree of the doubled image, one quadrant: (H + 1, W + 1) float64."""
        rows = torch.arange(self.height + 1, dtype=torch.float64, device=self.device) / (2 * self.height)
        columns = torch.arange(self.width + 1, dtype=torch.float64, device=self.device) / (2 * self.width)
        return torch.hypot(rows[:, None], columns[None]) * self.pixels_per_degree

    def unfold(self, quadrant: Tensor) -> Tensor:
        """Return the half spectrum (2H, W + 1) of a radial function from its quadrant: rows above Nyquist repeat."""
        return torch.cat([quadrant, quadrant[1:-1].flip(0)])


def modulation(rho: Tensor) -> Tensor:
    """Return the MTF at radial frequencies in cycles per degree, 1 at 0."""
    response = torch.zeros_like(rho)
    for weight, decay in zip(WEIGHTS, DECAYS, strict=True):
        response += weight * torch.exp(-decay * rho)
    return response


@kept(4)
def transfer(lattice: Lattice) -> Tensor:
    """Return the MTF on the half spectrum of the doubled image: (2H, W + 1) float64, 1 at frequency 0."""
    return lattice.unfold(modulation(lattice.frequencies()))


def filtered_rows(plane: Tensor, response: Tensor) -> Tensor:
    """Filter (H, W) standing in the corner of a 2H x 2W plane of zeros; return its rows' spectra, (H, W + 1).

    response : (2H, W + 1), real and even. The convolution is circular, as in the reference. Rows that are zero before
    it or cropped after it are never transformed.
    """
    height, width = plane.shape
    parts = strips(height, 2 * width, plane.device)
    rows = torch.cat([torch.fft.rfft(plane[part], n=2 * width) for part in parts])
    columns = []
    for part in strips(width + 1, 4 * height, plane.device):
        spectrum = torch.fft.fft(rows[:, part], n=2 * height, dim=0).mul_(response[:, part])
        columns.append(torch.fft.ifft(spectrum, dim=0)[:height])
    return torch.cat(columns, dim=1)


def cut(spectra: Tensor, width: int) -> Tensor:
    """Return the first `width` columns of rows given by the spectra of twice that length."""
    rows: Tensor = torch.fft.irfft(spectra, n=2 * width)
    return rows[:, :width]


def blurred(spectra: Tensor, surround: Tensor, width: int) -> Tensor:
    """Return rows of light in cd/m2 behind the optics, clamped to [1e-5, 1e10].

    spectra : of the rows of the filtered difference from the surround. MTF(0) = 1 leaves a constant as it is, so the
    constant is added afterwards.
    """
    return (cut(spectra, width) + surround).clamp(DARKEST, BRIGHTEST)
