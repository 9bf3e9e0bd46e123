"""Homography and merge: the camera's motion from matched features, then the triangle merge."""

from bench.color.merging import require_three, triangle_merge
from bench.color.registration import homography, register
from bench.core.method import method
from bench.core.scene import Radiance, Scene


@method(
    "homography-merge",
    label="Homography + merge",
    cites="classical: SIFT (Lowe 2004) and RANSAC (OpenCV) on exposure-matched frames, then the triangle merge",
    trains=False,
)
class HomographyMerge:
    """The camera's motion is undone; what moved in the scene ghosts."""

    def predict(self, scene: Scene) -> Radiance:
        """Return (H, W, 3) float32, relative radiance; brackets of other than three frames are refused."""
        require_three(scene, "homography-merge")
        return triangle_merge(register(scene, homography))
