"""Contrast sensitivity: how well gratings are seen, by their frequency and the luminance they are seen at."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .keeping import kept
from .receptors import LookupTable

LOWEST, HIGHEST, NODES = -5.0, 5.0, 256
"""The tables by luminance: log10 of cd/m2 at both ends, and their length."""

LUMINANCES = (0.002, 0.02, 0.2, 2.0, 20.0, 150.0)
PARAMETERS = (
    (0.991265, 0.800889, 0.476505, 0.405782, 0.334278, 0.394533),
    (3.74038, 3.54104, 4.37453, 4.40602, 3.79542, 2.7755),
    (0.50722, 0.682505, 0.750315, 0.935314, 1.07327, 1.16577),
    (4.46044, 4.94958, 5.28678, 5.61425, 6.4635, 7.45665),
)
"""p1 ... p4 of the sensitivity at each of LUMINANCES; linear over log10 luminance in between, constant outside."""

Numbers = NDArray[np.float64]


def sensitivity(
    frequency: float | Numbers,
    logs: float | Numbers,
    luminances: Sequence[float] = LUMINANCES,
    parameters: Sequence[Sequence[float]] = PARAMETERS,
) -> Numbers:
    """Normalised sensitivity at a frequency in cycles per degree and log10 of a luminance in cd/m2; 0 at frequency 0.

    nCSF = p4 / sqrt((1 + (p1 rho)^p2) / (1 - exp(-(rho / 7)^2))^p3).
    """
    p1, p2, p3, p4 = (np.interp(logs, np.log10(luminances), row) for row in parameters)
    low_cut = -np.expm1(-((np.asarray(frequency) / 7) ** 2))
    curve: Numbers = p4 * np.sqrt(low_cut**p3 / (1 + (p1 * frequency) ** p2))
    return curve


@kept(64)
def table(frequency: float, dtype: torch.dtype, device: torch.device) -> LookupTable:
    """Return the sensitivity at one frequency by log10 luminance, at NODES luminances of 1e-5 to 1e5 cd/m2."""
    like = torch.empty(0, dtype=dtype, device=device)
    return LookupTable.of(sensitivity(frequency, np.linspace(LOWEST, HIGHEST, NODES)), LOWEST, HIGHEST, like)


def on_lattice(
    rho: Tensor,
    log_luminance: Tensor,
    luminances: Sequence[float] = LUMINANCES,
    parameters: Sequence[Sequence[float]] = PARAMETERS,
) -> Tensor:
    """Sensitivity on a lattice of frequencies at one luminance, whose log10 (0-dim) stays on its device."""
    logs = rho.new_tensor(luminances).log10()
    right = torch.searchsorted(logs, log_luminance.detach()).clamp(1, len(luminances) - 1)
    share = ((log_luminance - logs[right - 1]) / (logs[right] - logs[right - 1])).clamp(0, 1)
    p1, p2, p3, p4 = (torch.lerp(row[right - 1], row[right], share) for row in rho.new_tensor(parameters))
    # The derivative of a power of 0 by its exponent is NaN, so frequency 0 never gets to see the powers.
    safe = torch.where(rho > 0, rho, 1.0)
    low_cut = -torch.expm1(-((safe / 7) ** 2))
    return torch.where(rho > 0, p4 * (low_cut**p3 / (1 + (p1 * safe) ** p2)).sqrt(), 0.0)
