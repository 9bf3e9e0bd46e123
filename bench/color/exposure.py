"""Exposure values, exposure times and the power law between frames and linear values (Kalantari 2017)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.core.scene import GAMMA, Array


def times_from_ev(ev: Sequence[float]) -> NDArray[np.float64]:
    """Relative exposure times 2^(EV - min EV), (N,) float64: the shortest is 1, whatever the origin of the EVs."""
    values = np.asarray(ev, np.float64)
    return np.asarray(2.0 ** (values - values.min()))


def ev_from_times(times: Sequence[float]) -> NDArray[np.float64]:
    """Exposure values log2(t / min t), (N,) float64: the lowest is 0. Times must be positive."""
    values = np.asarray(times, np.float64)
    return np.asarray(np.log2(values / values.min()))


def linearise(ldr: Array, time: float = 1.0) -> Array:
    """Relative radiance ldr^2.2 / time of a gamma-encoded frame, any shape, [0, 1] to [0, 1/time]; dtype is kept."""
    return np.asarray(ldr**GAMMA / time)


def encode(linear: Array, time: float = 1.0) -> Array:
    """Gamma-encode relative radiance as a frame of this exposure time holds it: clip(linear * time)^(1/2.2).

    Any shape; the result lies in [0, 1]: negative values become 0, radiance above 1/time becomes 1. dtype is kept.
    """
    return np.asarray(np.clip(linear * time, 0, 1) ** (1 / GAMMA))
