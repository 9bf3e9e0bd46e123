"""Statistics of a prepared scene: exposures, saturation, motion, dynamic range. To be looked at; none is a score."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.color.exposure import encode, ev_from_times, linearise
from bench.core.scene import Array, Scene
from bench.data import checks
from bench.data.panorama import luminance

WORKING_WIDTH = 512
"""Pixels; motion and shares of larger pictures are measured on every n-th pixel."""

DARK = 6 / 255
"""Mean value, relative to the full range, below which a pixel counts as dark."""

FLOOR = 1e-5
"""Relative radiance below which a truth's darkest pixels are noise."""


@dataclass(frozen=True)
class Statistics:
    """Figures of one scene.

    evs           : exposure steps above the shortest frame, EV.
    bits          : of the stored values.
    saturated     : for each frame, the share of pixels whose brightest channel is at its full value.
    dark          : share of dark pixels in the reference frame.
    camera        : pixels of the full size by which the picture as a whole moves between neighbouring frames, at most.
    moving        : share of pixels where some frame contradicts the reference frame, as the protocol's mask says.
    dynamic_range : of the truth, log2 of its 99.9th over its 0.1st percentile of luminance; None without truth.
    scale         : median of truth / linearised reference; None if it can't be measured.
    """

    height: int
    width: int
    evs: tuple[float, ...]
    bits: int
    saturated: tuple[float, ...]
    dark: float
    camera: float
    moving: float
    dynamic_range: float | None
    scale: float | None


def measure(scene: Scene, moves: Callable[[Scene], NDArray[np.bool_]]) -> Statistics:
    """Measure a scene; equal scenes give equal figures.

    moves : where a scene moves, (H, W) bool; it is given the scene at the working size.
    """
    height, width = scene.frames.shape[1:3]
    step = max(1, width // WORKING_WIDTH)
    frames = checks.every_nth(scene, step)
    small = replace(scene, frames=np.ascontiguousarray(scene.frames[:, ::step, ::step]), radiance=None, uncovered=None)
    return Statistics(
        height=height,
        width=width,
        evs=tuple(float(ev) for ev in ev_from_times(scene.times.tolist())),
        bits=8 * scene.frames.dtype.itemsize,
        saturated=tuple(float((frame.max(axis=-1) >= 1).mean()) for frame in frames),
        dark=float((frames[scene.reference].mean(axis=-1) < DARK).mean()),
        camera=step * camera_motion(frames, scene.times),
        moving=float(moves(small).mean()),
        dynamic_range=None if scene.radiance is None else dynamic_range(scene.radiance[::step, ::step]),
        scale=checks.scale(scene),
    )


def dynamic_range(radiance: Array) -> float:
    """Stops between the 99.9th and the 0.1st percentile of luminance, of (H, W, 3) relative radiance."""
    low, high = np.percentile(luminance(radiance), [0.1, 99.9])
    return math.log2(max(float(high), FLOOR) / max(float(low), FLOOR))


def camera_motion(frames: list[NDArray[np.float32]], times: NDArray[np.float64]) -> float:
    """Return how many pixels neighbouring frames are displaced as a whole, at most.

    The median of the optical flow (DIS) between pictures of one exposure, where neither is saturated or dark.
    """
    return max(
        _between(frames[i], frames[j], float(times[i]), float(times[j])) for i, j in pairwise(range(len(frames)))
    )


def _between(shorter: Array, longer: Array, time: float, other: float) -> float:
    import cv2

    # Both as the longer exposure would hold them: what only the shorter one tells becomes white in both.
    one, two = (_grey(encode(linearise(frame, t), other)) for frame, t in ((shorter, time), (longer, other)))
    flow: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    field = flow.calc(one, two, None)
    told = (one > 10) & (one < 245) & (two > 10) & (two < 245)
    return float(np.hypot(*np.median(field[told], axis=0))) if int(told.sum()) >= checks.FEWEST else 0.0


def _grey(ldr: Array) -> NDArray[np.uint8]:
    grey: NDArray[np.uint8] = np.rint(255 * ldr.mean(axis=-1)).astype(np.uint8)
    return grey
