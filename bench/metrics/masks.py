"""Where deghosting is hard: pixels that the reference frame lost to saturation, and pixels that moved.

Both masks come from the frames alone, so that they exist for real captures too; their thresholds are in the protocol.
A third, what other frames don't show, no frame tells: it comes with the scene (`bench.core.scene.Scene.uncovered`).
"""

import numpy as np
from numpy.typing import NDArray

from bench.core.errors import UsageError
from bench.core.scene import GAMMA, Array
from bench.metrics.settings import MaskRule

Mask = NDArray[np.bool_]
"""(H, W) bool."""


def reference_saturated(frame: Array, bright: float = 0.95) -> Mask:
    """Pixels where any channel of the reference frame (H, W, 3), gamma-encoded in [0, 1], is at least `bright`.

    0.95 lies below full scale because sensors bend, and noise spreads, before the code values end.
    """
    if frame.ndim != 3 or frame.shape[-1] != 3:
        raise UsageError(f"the reference frame has shape {frame.shape}; expected (height, width, 3).")
    saturated: Mask = np.any(frame >= bright, axis=-1)
    return saturated


def moving(ldr: Array, linear: Array, times: Array, reference: int, rule: MaskRule | None = None) -> Mask:
    """Pixels where some frame contradicts the reference frame by more than noise explains.

    ldr       : (N, H, W, 3) gamma-encoded in [0, 1].
    linear    : (N, H, W, 3) relative radiance, ldr^2.2 / t.
    times     : (N,) relative exposure times t.
    reference : index of the frame that the result is aligned to.

    The rule. Each frame bounds the gamma-encoded value that a pixel has at the reference's exposure: a well exposed
    frame gives that value, a saturated one a lower bound, a dark one an upper bound. The reference's bounds are widened
    to those of all pixels within `slack`, so that a camera that shook a little isn't motion. Where the bounds of a
    frame and of the reference leave a gap, its signed width is smoothed (noise cancels) and compared with `tolerance`,
    times the gain by which matching the exposures amplifies the noise of a shorter frame. Any frame and any channel
    may object. Regions thinner than the opening are dropped, the rest is dilated.

    Not seen: what moves where the frames are saturated or dark, or in front of something of its own colour. A camera
    that moved by more than `slack` marks textures and edges everywhere.
    """
    rule = rule or MaskRule()
    if ldr.shape != linear.shape or ldr.ndim != 4 or len(times) != len(ldr) or not 0 <= reference < len(ldr):
        raise UsageError(
            f"frames {ldr.shape}, linear {linear.shape}, {len(times)} times, reference {reference}; "
            "expected two arrays (N, H, W, 3), N times and an index below N."
        )
    from scipy import ndimage  # a third of a second, for masks alone

    low, high = _bounds(ldr[reference], linear[reference], times[reference], 1.0, rule)
    window = (2 * rule.slack + 1, 2 * rule.slack + 1, 1)
    low, high = ndimage.minimum_filter(low, window), ndimage.maximum_filter(high, window)
    objection = np.zeros(ldr.shape[1:3], dtype=bool)
    for i in range(len(ldr)):
        if i != reference:
            gain = float(times[reference] / times[i]) ** (1 / GAMMA)
            bottom, top = _bounds(ldr[i], linear[i], times[reference], gain, rule)
            gap = np.maximum(bottom - high, 0) - np.maximum(low - top, 0)
            gap = ndimage.gaussian_filter(gap, (rule.smoothing, rule.smoothing, 0), mode="nearest")
            objection |= (np.abs(gap) > rule.tolerance * max(gain, 1.0)).any(-1)
    return _clean(objection, rule.opening, rule.dilation)


def _bounds(ldr: Array, linear: Array, time: float, gain: float, rule: MaskRule) -> tuple[Array, Array]:
    """Lowest and highest value at the reference's exposure that one frame (H, W, 3) allows."""
    value = (linear * time) ** (1 / GAMMA)
    low = np.where(ldr < rule.dark, 0.0, np.minimum(value, rule.bright * gain))
    high = np.where(ldr >= rule.bright, np.inf, np.maximum(value, rule.dark * gain))
    return low, high


def _clean(mask: Mask, opening: int, dilation: int) -> Mask:
    """Open with a disc, then dilate; outside the image counts as moving, so that regions at the border survive."""
    from scipy import ndimage

    core = ndimage.binary_erosion(mask, _disc(opening), border_value=1)
    grown: Mask = ndimage.binary_dilation(core, _disc(opening + dilation))
    return grown


def _disc(radius: int) -> Mask:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disc: Mask = x**2 + y**2 <= radius**2
    return disc
