"""Contrast sensitivity of HDR-VDP-3: of the nerves behind the eye's optics, which lose some of it with age."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..hdrvdp2 import csf
from ..hdrvdp2.keeping import kept
from ..hdrvdp2.receptors import LookupTable
from .optics import modulation

LUMINANCES = (0.0002, 0.002, 0.02, 0.2, 2.0, 20.0, 150.0)
PARAMETERS = (
    (1.26181, 0.893585, 0.84864, 0.699243, 0.530826, 0.459297, 0.312626),
    (4.27832, 4.27832, 3.57253, 3.94545, 4.25337, 3.78765, 4.15264),
    (0.361902, 0.361902, 0.530355, 0.68608, 0.866916, 0.981028, 0.952367),
    (3.11914, 2.18938, 3.12486, 4.41846, 4.65117, 4.33546, 3.22389),
)
"""p1 ... p4 of the sensitivity at each of LUMINANCES; linear over log10 luminance in between, constant outside."""

YOUNG = 24.0
"""Years of age up to which nothing is lost."""


class Observer(NamedTuple):
    """Whose sensitivity it is: the `mtf` of the optics, the age in years, and whether nerves age."""

    mtf: str
    age: float
    aging: bool

    def gain(self, rho: Tensor) -> Tensor:
        """Return the factor of the sensitivity at frequencies in cycles per degree: without optics, and by age."""
        years = max(0.0, self.age - YOUNG) if self.aging else 0.0
        loss = 10 ** (-(10**-2.711) * years * (rho + 10**-0.125539).log2())
        return loss / modulation(rho, self.mtf, self.age)


@kept(64)
def table(frequency: float, observer: Observer, dtype: torch.dtype, device: torch.device) -> LookupTable:
    """Return the sensitivity at one frequency by log10 luminance, at 256 luminances of 1e-5 to 1e5 cd/m2."""
    like = torch.empty(0, dtype=dtype, device=device)
    curve = csf.sensitivity(frequency, np.linspace(csf.LOWEST, csf.HIGHEST, csf.NODES), LUMINANCES, PARAMETERS)
    gain = observer.gain(torch.tensor(frequency, dtype=torch.float64))
    return LookupTable.of(curve * float(gain), csf.LOWEST, csf.HIGHEST, like)


def at(rho: Tensor, log_luminance: Tensor, observer: Observer) -> Tensor:
    """Return the sensitivity at one frequency and one log10 luminance (float64 without dimension); 0 at frequency 0."""
    return csf.on_lattice(rho, log_luminance, LUMINANCES, PARAMETERS) * observer.gain(rho)
