"""Triangle merge: the weighted mean of the frames as they are, without alignment (eq. 1 and 2 of the paper)."""

import numpy as np

from bench.core.errors import UsageError
from bench.core.method import method
from bench.core.scene import Array, Radiance, Scene


def triangle(reference: Array) -> Array:
    """Weights (3, ...) of the short, mid and long frame for reference values x in [0, 1] (Kalantari 2017).

    a2 = 1 - |2x - 1|, a1 = max(2x - 1, 0), a3 = max(1 - 2x, 0); they sum to 1.
    """
    slope = 2 * reference - 1
    return np.stack([np.maximum(slope, 0), 1 - np.abs(slope), np.maximum(-slope, 0)])


@method(
    "triangle-merge",
    label="Triangle merge",
    cites="floor: Debevec and Malik 1997 with the weights of Kalantari and Ramamoorthi 2017, no alignment",
    trains=False,
)
class TriangleMerge:
    """Short frame in bright places, long frame in dark ones, whatever moved."""

    def predict(self, scene: Scene) -> Radiance:
        """Return sum(a_i * ldr_i^2.2 / t_i), (H, W, 3) float32; brackets of other than three frames are refused."""
        if len(scene.codes) != 3:
            raise UsageError(f"scene {scene.id!r} has {len(scene.codes)} frames; triangle-merge needs three.")
        weights = triangle(scene.ldr[scene.reference])
        return np.asarray((weights * scene.linear).sum(0), dtype=np.float32)
