"""Exposures of one scale: the reference, what it can be trusted with, and how other exposures fill it up.

Pictures are (h, w, 3) float32 in [0, 1], gamma-encoded; radiance is relative, 1 saturates the shortest frame.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bench.color.exposure import encode, linearise
from bench.core.scene import GAMMA, Array

DARK, BRIGHT = np.float32(0.1), np.float32(0.9)
"""Encoded values between which a frame is trusted (the released code's)."""


def triangle(picture: Array) -> Array:
    """Weights of encoded values: 1 at 0.5, towards 0 at 0 and 1, and never 0, so that a mean always exists."""
    return np.asarray(np.float32(1 + 1e-4) - np.abs(2 * picture - 1))


@dataclass(frozen=True)
class Reference:
    """The reference frame at one scale.

    picture : (h, w, 3), encoded.
    times   : exposure times of all frames; `index` is the reference's.
    """

    picture: Array
    times: Sequence[float]
    index: int

    @property
    def longer(self) -> list[int]:
        """Frames exposed longer than the reference."""
        return [i for i, time in enumerate(self.times) if time > self.times[self.index]]

    @property
    def shorter(self) -> list[int]:
        """Frames exposed shorter than the reference."""
        return [i for i, time in enumerate(self.times) if time < self.times[self.index]]

    @cached_property
    def light(self) -> Array:
        """(h, w, 3) radiance of the reference."""
        return linearise(self.picture, self.times[self.index])

    @cached_property
    def dark(self) -> Array:
        """(h, w, 3) bool: too dark to be trusted. Nowhere, if no frame is exposed longer."""
        return np.asarray((self.picture < DARK) & bool(self.longer))

    @cached_property
    def bright(self) -> Array:
        """(h, w, 3) bool: too bright to be trusted. Nowhere, if no frame is exposed shorter."""
        return np.asarray((self.picture > BRIGHT) & bool(self.shorter))

    @cached_property
    def trust(self) -> Array:
        """(h, w, 3): 1 where the reference is trusted, falling linearly to 0 at 0 and at 1 (alpha)."""
        ramp = np.ones_like(self.picture)
        np.copyto(ramp, self.picture / DARK, where=self.dark)
        np.copyto(ramp, (1 - self.picture) / (1 - BRIGHT), where=self.bright)
        return ramp

    def lacks(self, frame: int) -> Array:
        """(h, w) bool: the pixels where frame `frame` has to help, in any channel."""
        return np.asarray((self.dark if frame in self.longer else self.bright).any(-1))

    def informs(self, frame: int, picture: Array) -> Array:
        """(h, w) bool: pixels of frame `frame` that show what the reference can't, in any channel."""
        seen = encode(linearise(picture, self.times[frame]), self.times[self.index])
        return np.asarray(((seen < DARK) if frame in self.longer else (seen > BRIGHT)).any(-1))

    def at(self, pixels: Array) -> "Reference":
        """Return the reference at pixels (h, w) bool alone, as a list of them, (n, 3)."""
        return Reference(self.picture[pixels], self.times, self.index)


def merge(reference: Reference, latent: Mapping[int, Array], *, consistent: bool) -> Array:
    """Merge the reference and the latent pictures of the other frames to radiance.

    H = alpha h(ref) + (1 - alpha) H~, where H~ is the triangle-weighted mean of the longer frames where the reference
    is too dark, and of the shorter ones where it is too bright.
    consistent : where a shorter frame's radiance would not saturate the reference, though it is saturated there, the
                 reference is kept, and likewise in the dark.
    """
    light, trust, own = reference.light, reference.trust, reference.times[reference.index]
    filled = light.copy()
    for frames, where, level, sign in (
        (reference.longer, reference.dark, DARK, -1),
        (reference.shorter, reference.bright, BRIGHT, 1),
    ):
        if not frames or not where.any():
            continue
        found = _mean({i: latent[i] for i in frames}, reference.times)
        told = trust * light + (1 - trust) * found
        if consistent:
            told = np.where(sign * found < sign * float(level) ** GAMMA / own, light, told)
        np.copyto(filled, told, where=where)
    return filled


def _mean(latent: Mapping[int, Array], times: Sequence[float]) -> Array:
    if len(latent) == 1:
        ((frame, picture),) = latent.items()
        return linearise(picture, times[frame])
    weights = {i: triangle(picture) for i, picture in latent.items()}
    light = sum(weights[i] * linearise(picture, times[i]) for i, picture in latent.items())
    return np.asarray(light / sum(weights.values()))
