"""Cameras' tone curves: frames that weren't encoded with gamma 2.2 are written anew as if they had been."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bench.color.transfer import srgb_inverse
from bench.core.errors import UsageError, unknown_name
from bench.core.scene import GAMMA, Array, Scene
from bench.io.decoding import quiet

GAMMA_CURVE, SRGB, ESTIMATE = CURVES = ("gamma", "srgb", "estimate")

SAMPLES, SMOOTHNESS = 300, 50.0
"""Of OpenCV's calibration after Debevec: pixels, and the weight of a smooth curve. On ten simulated brackets of a
camera with an S-shaped curve the largest error of codes 16 to 240 was 0.04 EV so, one curve for all channels; with
OpenCV's defaults (70, 10) and a curve for each channel up to 0.26 EV."""

LEAST = 2.0
"""EV that a bracket must span for its curve to be seen."""

LOWEST, HIGHEST = 8, 248
"""Codes between which the calibration is taken as it is: few pixels tell of the others, and of 0 and 255 none does."""

SMALLEST = 32
"""Pixels of the shorter side from which on a shift is looked for."""

FEWEST = 32
"""Different codes that frames must hold."""

Curve = NDArray[np.float64]
"""(256,): the linear value of each 8-bit code; 1 for code 255."""


def curve_of(scene: Scene, name: str) -> Curve:
    """Return the curve of this name; estimate takes it from the bracket itself (`estimated`)."""
    if name not in CURVES:
        raise unknown_name("curve", name, CURVES)
    if name == ESTIMATE:
        return estimated(scene)
    codes = np.arange(256) / 255
    return srgb_inverse(codes) if name == SRGB else codes**GAMMA


def recoded(scene: Scene, curve: Curve) -> Scene:
    """Return the scene with frames of a curve as 16-bit frames of gamma 2.2, which all methods decode."""
    full = np.iinfo(scene.frames.dtype).max
    codes = np.arange(full + 1) / full * 255
    linear = np.interp(codes, np.arange(256), curve)
    table = np.rint(65535 * np.clip(linear, 0, 1) ** (1 / GAMMA)).astype(np.uint16)
    return replace(scene, frames=table[scene.frames])


def estimated(scene: Scene) -> Curve:
    """Return the curve that the frames, shifted onto the reference, agree on (Debevec and Malik 1997, by OpenCV).

    One for all channels, as cameras have it: white balance comes before the curve. UsageError for a bracket that spans
    less than 2 EV or shows too little.
    """
    import cv2

    span = float(np.log2(scene.times[-1] / scene.times[0]))
    if span < LEAST:
        raise UsageError(f"a curve can't be estimated from frames {span:.1f} EV apart; they must span {LEAST:.0f} EV.")
    eight = _aligned(eight_bits(scene.frames), scene.reference)
    if len(np.unique(eight)) < FEWEST:
        raise UsageError("no curve can be estimated from these frames: they hold too few different values.")
    channels = [np.ascontiguousarray(frame.transpose(2, 0, 1).reshape(-1, frame.shape[1])) for frame in eight]
    calibration = cv2.createCalibrateDebevec(SAMPLES, SMOOTHNESS, False)
    with quiet():
        found = np.asarray(calibration.process(channels, scene.times.astype(np.float32)), np.float64).reshape(256)
    if not np.isfinite(found).all() or (found <= 0).any():
        raise UsageError("no curve can be estimated from these frames: they agree on none.")
    found = np.maximum.accumulate(found)
    codes = np.arange(256)
    # Beyond, on with the slope that the logarithm has there. Straight to black instead would tear dark noise apart
    # where stray light keeps a camera's curve from black.
    for end, inside in ((LOWEST, 2 * LOWEST), (HIGHEST, HIGHEST - LOWEST)):
        slope = np.log(found[end] / found[inside]) / (end - inside)
        beyond = codes <= end if end == LOWEST else codes >= end
        found[beyond] = found[end] * np.exp(slope * (codes[beyond] - end))
    return np.asarray(found / found[255])


def eight_bits(frames: Array) -> Array:
    """Return frames of 8 or 16 bits as those of 8."""
    return frames if frames.dtype == np.uint8 else np.rint(frames / 257.0).astype(np.uint8)


def _aligned(frames: Array, reference: int) -> list[Array]:
    """Return 8-bit frames shifted onto the reference by whole pixels: what moves them by fractions blends codes."""
    grey = [frame.mean(axis=-1).astype(np.uint8) for frame in frames]
    shifts = [_shift(grey[reference], one) if index != reference else (0, 0) for index, one in enumerate(grey)]
    return [np.roll(frame, shift, (0, 1)) for frame, shift in zip(frames, shifts, strict=True)]


def _shift(reference: Array, grey: Array) -> tuple[int, int]:
    """Return rows and columns by which a frame (H, W) must be rolled so that its codes depend on the reference's most.

    No curve has to be known for that, only that there is one. From a small copy to the whole, two pixels each way.
    """
    import cv2

    down = right = 0
    for level in reversed(range(max(1, int(np.log2(min(reference.shape) / SMALLEST)) + 1))):
        size = [max(side >> level, 1) for side in reference.shape[::-1]]
        one, other = (cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in (reference, grey))
        near = [(2 * down + y, 2 * right + x) for y in range(-2, 3) for x in range(-2, 3)]
        down, right = min(near, key=lambda shift: _scatter(one, np.roll(other, shift, (0, 1))))
    return down, right


def _scatter(reference: Array, grey: Array) -> float:
    """Return the mean variance of a frame's codes where the reference has one code."""
    codes, values = reference.ravel(), grey.ravel().astype(np.float64)
    counts = np.bincount(codes, minlength=256)
    sums, squares = np.bincount(codes, values, 256), np.bincount(codes, values**2, 256)
    return float((squares - sums**2 / np.maximum(counts, 1)).sum() / counts.sum())


def told(name: str, curve: Curve) -> str:
    """Return in words what curve it is, and how far from gamma 2.2 in shadows, mid-grey and highlights."""
    codes = (32, 128, 224)
    away = [float(np.log2(curve[code] / (code / 255) ** GAMMA)) for code in codes]
    said = ", ".join(f"{value:+.2f} EV at code {code}" for code, value in zip(codes, away, strict=True))
    return f"{'estimated from the frames' if name == ESTIMATE else name}; from gamma 2.2 it is {said}"
