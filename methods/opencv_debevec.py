"""OpenCV's merge of Debevec: the frames as they are, without alignment, and the known response."""

from bench.color.merging import opencv_merge
from bench.core.method import method
from bench.core.scene import Radiance, Scene


@method(
    "opencv-debevec",
    label="Debevec merge (OpenCV, 8 bits)",
    cites="classical: Debevec and Malik 1997 (OpenCV's MergeDebevec) of frames rounded to 8 bits, response known",
    trains=False,
)
class OpencvDebevec:
    """Mean of logarithms, by triangle weights of the codes' mean over the channels; whatever moved ghosts."""

    def predict(self, scene: Scene) -> Radiance:
        """Return (H, W, 3) float32, relative radiance in [0, 1], of any number of frames."""
        import cv2

        return opencv_merge(scene, cv2.createMergeDebevec())
