"""Triangle merge: the weighted mean of the frames as they are, without alignment (eq. 1 and 2 of the paper)."""

from bench.color.merging import require_three, triangle_merge
from bench.core.method import method
from bench.core.scene import Radiance, Scene


@method(
    "triangle-merge",
    label="Triangle merge",
    cites="floor: Debevec and Malik 1997 with the weights of Kalantari and Ramamoorthi 2017, no alignment",
    trains=False,
)
class TriangleMerge:
    """Short frame in bright places, long frame in dark ones, whatever moved."""

    def predict(self, scene: Scene) -> Radiance:
        """Return (H, W, 3) float32, relative radiance; brackets of other than three frames are refused."""
        require_three(scene, "triangle-merge")
        return triangle_merge(scene)
