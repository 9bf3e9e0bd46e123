"""Merging frames into radiance: the paper's triangle weights (eq. 1 and 2), the one-line rules, OpenCV's merges."""

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.color.exposure import linearise
from bench.color.transfer import Values
from bench.core.errors import UsageError
from bench.core.scene import Array, Radiance, Scene

CLIPPED = 0.9
"""Stored values of the reference above this, shares of the full range, count as clipped for the one-line rules."""


def short_where_clipped(reference: Values, short: Values, linear: Values) -> Values:
    """Return the one-line rule: for each value the short frame's where the reference's is clipped, else its own.

    reference : the reference frame as stored, in [0, 1]; NaN isn't clipped.
    short     : relative radiance of the short frame; linear: of the reference.

    All are of one shape and kind, NumPy arrays or torch tensors, and so is the result. Channels count one by one.
    """
    if isinstance(reference, (np.ndarray, np.generic)):
        return np.where(reference > CLIPPED, short, linear)
    return short.where(reference > CLIPPED, linear)


def brighter_where_clipped(reference: Values, short: Values, linear: Values) -> Values:
    """Return the one-line rule with a bound: where the reference is clipped, the brighter of short frame and reference.

    What clipped the reference is at least as bright as what clips it. A short frame that is darker there shows
    something else: an object that has moved, or what an error of the registration put there. Arguments and result as
    of `short_where_clipped`.
    """
    return short_where_clipped(reference, short.clip(min=linear), linear)


def take(scene: Scene, rule: Callable[[Array, Array, Array], Array]) -> Radiance:
    """Return what a rule of reference and short frame gives of a bracket of any number of frames, (H, W, 3) float32."""
    linear = scene.linear
    return rule(scene.ldr[scene.reference], linear[int(np.argmin(scene.times))], linear[scene.reference])


def triangle(reference: Array) -> Array:
    """Weights (3, ...) of the short, mid and long frame for reference values x in [0, 1] (Kalantari 2017).

    a2 = 1 - |2x - 1|, a1 = max(2x - 1, 0), a3 = max(1 - 2x, 0); they sum to 1.
    """
    slope = 2 * reference - 1
    return np.stack([np.maximum(slope, 0), 1 - np.abs(slope), np.maximum(-slope, 0)])


class NotThree(UsageError):
    """A bracket has another number of frames than the three that a method takes."""


def require_three(scene: Scene, method: str) -> None:
    """Refuse brackets of other than three frames, which is what the triangle weights are for; NotThree."""
    if len(scene.frames) != 3:
        raise NotThree(f"scene {scene.id!r} has {len(scene.frames)} frames; {method} needs three.")


def triangle_merge(scene: Scene) -> Radiance:
    """Return sum(a_i * ldr_i^2.2 / t_i) of a bracket of three, (H, W, 3) float32."""
    weights = triangle(scene.ldr[scene.reference])
    return np.asarray((weights * scene.linear).sum(0), dtype=np.float32)


def opencv_merge(scene: Scene, merger: Any) -> Radiance:
    """Merge all frames, rounded to 8 bits, with an OpenCV merger that is told their response, the power law 2.2.

    Returns (H, W, 3) float32 in [0, 1]: the response at exposure time t is that of radiance * t, so the result is in
    our scale. Code 0 responds like half a code, for its logarithm's sake. Values that no frame holds, as all their
    values are 0 or 255, are the shortest frame's: OpenCV gives them no weight at all, or equal ones.
    """
    full = np.iinfo(scene.frames.dtype).max
    frames = np.rint(np.asarray(scene.frames) * (255 / full)).astype(np.uint8)
    levels = np.arange(256) / 255
    levels[0] = 0.5 / 255
    response = np.repeat(linearise(levels).astype(np.float32)[:, None, None], 3, axis=2)
    radiance = merger.process(list(frames), scene.times.astype(np.float32), response)
    shortest = frames[int(np.argmin(scene.times))]
    held = ((frames > 0) & (frames < 255)).any(0)
    return np.clip(np.where(held, radiance, linearise(shortest / np.float32(255))), 0, 1).astype(np.float32)
