"""Detection of predictions that are a multiple or a tone-mapped form of linear radiance on the truth's scale."""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.color import likeness
from bench.color.transfer import mu_law_inverse, srgb_inverse
from bench.core.scene import GAMMA, Array

Samples = NDArray[np.float64]
"""(n,) values above 0."""


class Fit(NamedTuple):
    """The inverse of a prediction's encoding: division by `factor`, then the inverse of `curve` ("" for none)."""

    factor: float
    curve: str = ""


SAMPLES = 1 << 14
"""Pixels looked at, evenly spread over the picture."""

FEWEST = 0.05
"""Share of them that must be well exposed in both pictures; with fewer nothing can be said."""

OFF = 0.25
"""Misfit, as a median difference of natural logarithms, below which a prediction is left alone."""

BETTER = {"scale": 4.0, "curve": 2.5}
"""Factor by which the misfit must shrink before a multiple or a curve is called obvious.

A multiple needs more: its factor is fitted, and even noise fits better after that (up to 3.9 times, measured).
"""

FACTOR = 1.9
"""Smallest multiple that is called mis-scaled: the least common exposure step is 1 EV, a factor of 2."""

UNITS = (1.0, 255.0, 65535.0)


def _gamma_inverse(y: Samples) -> Samples:
    return np.asarray(y**GAMMA, np.float64)


def _mu_inverse(y: Samples) -> Samples:
    # Values far above 1 are no mu-law values; without a limit the exponential overflows.
    return np.asarray(mu_law_inverse(np.minimum(y, 4.0)), np.float64)


CURVES: Mapping[str, Callable[[Samples], Samples]] = {
    "the mu-law (mu = 5000)": _mu_inverse,
    "gamma 2.2": _gamma_inverse,
    "the sRGB curve": srgb_inverse,
}


def misfit(prediction: Array, truth: Array) -> Fit | None:
    """Return what obviously undoes a wrong encoding of a prediction, None if it is sound or nothing can be said.

    Both (H, W, 3), finite; the truth linear, of any scale. Compared are logarithms, on pixels that are neither dark nor
    clipped in either picture, by their median difference: another scale or curve is named only if it explains the
    prediction several times better than taking it as it is. A poor prediction is poor under every curve.
    """
    pair = _well_exposed(prediction, truth)
    if pair is None:
        return None
    values, true = pair
    plain = _distance(values, true)
    if plain < OFF:
        return None
    white = max(1.0, float(truth.max()))
    fits = {
        Fit(unit, name): _distance(white * decode(values / unit), true)
        for name, decode in CURVES.items()
        for unit in UNITS
    }
    factor = float(np.exp(np.median(np.log(values) - np.log(true))))
    if max(factor, 1 / factor) >= FACTOR:
        fits[Fit(factor)] = _distance(values / factor, true)
    best = min(fits, key=lambda fit: fits[fit])
    return best if fits[best] * BETTER["curve" if best.curve else "scale"] <= plain else None


def order(prediction: Array, truth: Array) -> tuple[int, ...]:
    """Return where red, green and blue stand in a prediction: (0, 1, 2) unless channels are obviously exchanged.

    Both (H, W, 3), linear, finite, of any scale; see `bench.color.likeness.order`.
    """
    values, true = _samples(prediction), _samples(truth)
    kept = _usable(values, true).all(axis=1)
    if kept.sum() < max(64, FEWEST * len(true)):
        return 0, 1, 2
    return likeness.order(values[kept], true[kept])


def _distance(values: Samples, true: Samples) -> float:
    return float(np.median(np.abs(np.log(values) - np.log(true))))


def _well_exposed(prediction: Array, truth: Array) -> tuple[Samples, Samples] | None:
    """Return equally long samples of both where neither is dark or clipped; None if they are too few."""
    values, true = _samples(prediction), _samples(truth)
    kept = _usable(values, true)
    return (values[kept], true[kept]) if kept.sum() >= max(64, FEWEST * true.size) else None


def _samples(image: Array) -> NDArray[np.float64]:
    step = max(1, image.shape[0] * image.shape[1] // SAMPLES)
    return np.asarray(image.reshape(-1, 3)[::step], np.float64)


def _usable(values: NDArray[np.float64], true: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where samples (n, 3) of prediction and truth are neither dark nor clipped."""
    low, high = np.quantile(true, (0.3, 0.95))
    kept = (true > 0) & (true >= max(low, high * math.exp(-10))) & (true <= high) & (true < 0.98 * true.max())
    # What a method clipped tells nothing of its scale: the reference frame alone is flat where it is saturated.
    return np.asarray(kept & (values > 0) & (values < 0.98 * values.max()))
