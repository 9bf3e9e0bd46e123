"""Photoreceptors: responses of cones and rods to the light that reaches them, from their sensitivities."""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .keeping import kept

Curve = NDArray[np.float64]

LOWEST, HIGHEST, NODES = -5.0, 5.0, 2048
"""The response tables: log10 of cd/m2 at both ends, and their length."""

CORRECTION = 0.006894596 / 10**-2.4
"""Sensitivity K that the reference was calibrated to."""

DIMMEST = 1e-3
"""Sensitivity that cones keep where rods take over."""


class Sensitivities(NamedTuple):
    """Figures of the curves of a release: both kinds together, then rods above and below their peak."""

    joint: tuple[float, float, float, float]
    rod_peak: float
    exponents: tuple[float, float]
    widths: tuple[float, float]


RELEASE = Sensitivities((30.162, 4.0627, 1.6596, -0.2712), 10**1.1414, (2.9899, 1.2167), (0.5547, 1.1478))


def joint_sensitivity(luminance: Curve, release: Sensitivities = RELEASE) -> Curve:
    """Sensitivity of cones and rods together, s_A, at luminances in cd/m2."""
    peak, knee, rise, fall = release.joint
    curve: Curve = peak * ((knee / luminance) ** rise + 1) ** fall
    return curve


def rod_sensitivity(luminance: Curve, release: Sensitivities = RELEASE) -> Curve:
    """Sensitivity of rods, s_R, at luminances in cd/m2."""
    exponent, width = (np.where(luminance > 1.1732, *pair) for pair in (release.exponents, release.widths))
    curve: Curve = release.rod_peak * np.exp(-(np.abs(np.log10(luminance / 1.1732)) ** exponent) / width)
    return curve


def response_tables(release: Sensitivities = RELEASE, correction: float = CORRECTION) -> tuple[Curve, Curve]:
    """Return the responses of one kind of cone and of rods at NODES equal steps of log10 luminance, 0 at the first."""
    logs = np.linspace(LOWEST, HIGHEST, NODES)
    luminance = 10**logs
    rod = rod_sensitivity(luminance, release)
    both_cones = np.maximum(joint_sensitivity(luminance, release) - rod, DIMMEST)
    # Each of L and M has half the sensitivity of both at twice its own signal.
    cone = 0.5 * np.interp(np.minimum(2 * luminance, 10**HIGHEST), luminance, both_cones)
    return _integral(cone, logs, correction), _integral(rod, logs, correction)


def _integral(sensitivity: Curve, logs: Curve, correction: float) -> Curve:
    steps = np.diff(logs) * (sensitivity[1:] + sensitivity[:-1]) / 2
    integral: Curve = correction * math.log(10) * np.concatenate([[0.0], np.cumsum(steps)])
    return integral


class LookupTable(NamedTuple):
    """A function tabulated at equal steps of log10 luminance between two ends, linear in between, constant outside."""

    low: float
    high: float
    values: Tensor
    slopes: Tensor

    @classmethod
    def of(cls, values: Curve, low: float, high: float, like: Tensor) -> "LookupTable":
        """Store float64 values with dtype and device of `like`; slopes are differences to the next node."""
        slopes = np.diff(values, append=values[-1:])
        return cls(low, high, *(torch.as_tensor(x, dtype=like.dtype, device=like.device) for x in (values, slopes)))

    def __call__(self, logs: Tensor) -> Tensor:
        """Return the function at log10 luminances of any shape."""
        place = (logs.clamp(self.low, self.high) - self.low) * ((len(self.values) - 1) / (self.high - self.low))
        node = place.detach().floor()
        index = node.long()
        return torch.addcmul(self.values[index], self.slopes[index], place - node)


@kept(4)
def tables(dtype: torch.dtype, device: torch.device) -> tuple[LookupTable, LookupTable]:
    """Return the response tables of cones and rods."""
    like = torch.empty(0, dtype=dtype, device=device)
    cone, rod = (LookupTable.of(values, LOWEST, HIGHEST, like) for values in response_tables())
    return cone, rod


def response(long: Tensor, middle: Tensor, rod: Tensor) -> Tensor:
    """Return the joint response to the signals of L cones, M cones and rods in cd/m2, of any one shape."""
    of_cone, of_rod = tables(long.dtype, long.device)
    return of_cone(long.log10()) + of_cone(middle.log10()) + of_rod(rod.log10())
