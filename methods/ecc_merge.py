"""ECC and merge: the camera's motion by correlation, then the triangle merge."""

from bench.color.merging import require_three, triangle_merge
from bench.color.registration import ecc, register
from bench.core.method import method
from bench.core.scene import Radiance, Scene


@method(
    "ecc-merge",
    label="ECC + merge",
    cites="classical: Evangelidis and Psarakis 2008 (OpenCV) on exposure-matched frames, then the triangle merge",
    trains=False,
)
class EccMerge:
    """The camera's motion is undone; what moved in the scene ghosts."""

    def predict(self, scene: Scene) -> Radiance:
        """Return (H, W, 3) float32, relative radiance; brackets of other than three frames are refused."""
        require_three(scene, "ecc-merge")
        return triangle_merge(register(scene, ecc))
