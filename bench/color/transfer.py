"""Transfer functions between linear values and the domains that images are compared or trained in."""

import math
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Values = TypeVar("Values", NDArray[Any], "Tensor")
"""A NumPy array or a torch tensor; torch itself is never imported here."""

MU = 5000.0
"""Compression of the field's mu-law (Kalantari 2017, eq. 6)."""


def mu_law(x: Values, mu: float = MU) -> Values:
    """Encode linear values: T(x) = log(1 + mu x) / log(1 + mu); [0, 1] to [0, 1], any shape, dtype and device kept.

    Negative values are clamped to 0 (their gradient is 0); values above 1 are encoded above 1. NaN stays NaN.
    """
    if isinstance(x, (np.ndarray, np.generic)):
        return np.asarray(np.log1p(np.maximum(x, 0) * mu) / math.log1p(mu))
    return (x.clamp(min=0) * mu).log1p() / math.log1p(mu)


def mu_law_inverse(y: Values, mu: float = MU) -> Values:
    """Decode mu-law values: ((1 + mu)^y - 1) / mu; [0, 1] to [0, 1], any shape, dtype and device kept.

    Negative values are clamped to 0; values above 1 are decoded above 1.
    """
    if isinstance(y, (np.ndarray, np.generic)):
        return np.asarray(np.expm1(np.maximum(y, 0) * math.log1p(mu)) / mu)
    return (y.clamp(min=0) * math.log1p(mu)).expm1() / mu


def srgb_inverse(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Decode sRGB values (IEC 61966-2-1) to linear ones: [0, 1] to [0, 1], any shape; above 1 the curve goes on."""
    return np.where(y <= 0.04045, y / 12.92, ((np.maximum(y, 0.04045) + 0.055) / 1.055) ** 2.4)
