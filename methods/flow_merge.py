"""Flow and merge: dense optical flow, then the triangle merge of what agrees with the reference."""

import numpy as np
from numpy.typing import NDArray

from bench.color.merging import require_three, triangle
from bench.color.registration import exposed_alike, flow, register
from bench.core.method import method
from bench.core.scene import Radiance, Scene

AGREES, DIFFERS = 0.05, 0.15
"""Differences of two frames at one exposure, shares of the full range: trusted up to the first, not from the second.

Not out of the air, though nothing is trained: the best of seven pairs on half of the training views that the engine
drew of the shipped panoramas when it had no depth yet (PSNR-mu 39.8 dB; the others 38.3 to 39.6). No test view was
looked at, but places that networks are trained on were.
"""


@method(
    "flow-merge",
    label="DIS flow + merge",
    cites="classical: DIS flow (Kroeger et al. 2016, OpenCV) on exposure-matched frames, then the triangle merge where "
    "frame and reference agree",
    trains=False,
    tuned="no training, but its two thresholds were chosen among seven pairs on training views of the engine",
)
class FlowMerge:
    """Every pixel is brought to the reference; where the flow fails, the reference stands in."""

    def predict(self, scene: Scene) -> Radiance:
        """Return (H, W, 3) float32, relative radiance; brackets of other than three frames are refused."""
        require_three(scene, "flow-merge")
        found = register(scene, flow)
        weights, linear = triangle(found.ldr[found.reference]), found.linear
        merged = linear[found.reference].copy()
        for index in range(3):
            merged += weights[index] * trust(found, index) * (linear[index] - linear[found.reference])
        return np.asarray(np.maximum(merged, 0), dtype=np.float32)


def trust(scene: Scene, index: int) -> NDArray[np.float32]:
    """Return how far a registered frame agrees with the reference, (H, W, 1) float32 in [0, 1].

    1 up to a difference of `AGREES` and 0 from `DIFFERS`, linear between; the largest of the channels, as a mean over
    3x3 pixels, both at the longer exposure: where that is clipped in both, they agree.
    """
    import cv2

    full = np.float32(np.iinfo(scene.frames.dtype).max)
    reference, other = (frame.astype(np.float32) / full for frame in exposed_alike(scene, index))
    difference = np.asarray(cv2.blur(np.abs(other - reference).max(-1), (3, 3)))[..., None]
    return np.asarray(np.clip((DIFFERS - difference) / np.float32(DIFFERS - AGREES), 0, 1))
