"""The simulated camera sensor: electrons, noise, clipping, gamma, quantisation."""

import numpy as np
from numpy.typing import NDArray

from bench.color.exposure import encode
from bench.core.scene import Array

FULL = 65535
"""Full range of a stored frame."""


def expose(
    radiance: Array, time: float, *, full_well: float, read_noise: float, bits: int, rng: np.random.Generator
) -> NDArray[np.uint16]:
    """Photograph relative radiance (H, W, 3), 1 saturating an exposure of time 1: (H, W, 3) uint16, as stored.

    Shot noise is Poisson over `full_well` electrons, read noise Gaussian with `read_noise` electrons. The result is
    clipped, gamma-encoded, quantised to 2^bits levels and spread over the full 16-bit range.
    """
    # Twice the full well is dozens of deviations above clipping: brighter light changes nothing but the time it takes.
    mean = np.clip(radiance * time * full_well, 0, 2 * full_well)
    # On a grid of 1/64 electron the draw doesn't hang on the last bit of the mean, which differs between machines.
    electrons = rng.poisson(np.rint(mean * 64) / 64) + read_noise * rng.standard_normal(mean.shape)
    levels = 2**bits - 1
    quantised = np.rint(encode(electrons / full_well) * levels)
    stored: NDArray[np.uint16] = np.rint(quantised * (FULL / levels)).astype(np.uint16)
    return stored


def saturated(frame: NDArray[np.uint16]) -> float:
    """Share of pixels of an (H, W, 3) frame whose brightest channel is at its full value."""
    return float((frame.max(axis=-1) == FULL).mean())


def dark(frame: NDArray[np.uint16]) -> float:
    """Share of pixels of an (H, W, 3) frame whose mean value is below 6/255 of the full one."""
    return float((frame.mean(axis=-1) < FULL * 6 / 255).mean())
