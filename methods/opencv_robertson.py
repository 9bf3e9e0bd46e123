"""OpenCV's merge of Robertson: the frames as they are, without alignment, and the known response."""

from bench.color.merging import opencv_merge
from bench.core.method import method
from bench.core.scene import Radiance, Scene


@method(
    "opencv-robertson",
    label="Robertson merge (OpenCV, 8 bits)",
    cites="classical: Robertson et al. 1999 (OpenCV's MergeRobertson) of frames rounded to 8 bits, response known",
    trains=False,
)
class OpencvRobertson:
    """Mean of radiances by weights that favour long exposures and codes in mid-range; whatever moved ghosts."""

    def predict(self, scene: Scene) -> Radiance:
        """Return (H, W, 3) float32, relative radiance in [0, 1], of any number of frames."""
        import cv2

        return opencv_merge(scene, cv2.createMergeRobertson())
