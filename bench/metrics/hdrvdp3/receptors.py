"""Photoreceptors and pupil of HDR-VDP-3."""

import torch
from torch import Tensor

from ..hdrvdp2 import receptors
from ..hdrvdp2.keeping import kept
from ..hdrvdp2.receptors import LookupTable, Sensitivities

REFERENCE_AGE = 28.0
"""Years of age whose pupil counts as 1."""


@kept(8)
def tables(correction: float, rods: float, dtype: torch.dtype, device: torch.device) -> tuple[LookupTable, LookupTable]:
    """Return the response of cones and of rods by log10 luminance, in units of just noticeable differences.

    correction, rods : exponents of 10 of the sensitivity of both kinds, and of rods alone.
    """
    release = Sensitivities((315.98, 6.7977, 1.6008, -0.25534), 10 ** (1.8 + rods), (2.9899, 1.095), (0.5547, 1.32))
    like = torch.empty(0, dtype=dtype, device=device)
    curves = receptors.response_tables(release, 10**correction)
    cone, rod = (LookupTable.of(curve, receptors.LOWEST, receptors.HIGHEST, like) for curve in curves)
    return cone, rod


def pupil(luminance: Tensor, area: float, age: float) -> Tensor:
    """Return the diameter in mm of the pupils at a luminance in cd/m2 over an area in square degrees.

    Watson and Yellott, "A unified formula for light-adapted pupil size", Journal of Vision 12(10), 2012; ages outside
    [20, 83] count as the nearer one.
    """
    flux = (luminance * area / 846) ** 0.41
    young = 7.75 - 5.75 * flux / (flux + 2)
    return young + (min(max(age, 20.0), 83.0) - 28.58) * (0.02132 - 0.009562 * young)


def pupil_factor(luminance: Tensor, area: float, age: float) -> Tensor:
    """Return the light that the pupil lets in, compared with that of REFERENCE_AGE."""
    return (pupil(luminance, area, age) / pupil(luminance, area, REFERENCE_AGE)) ** 2
