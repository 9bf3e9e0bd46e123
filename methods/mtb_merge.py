"""MTB and merge: a shift by median threshold bitmaps, then the triangle merge."""

from bench.color.merging import require_three, triangle_merge
from bench.color.registration import mtb, register, unmatched
from bench.core.method import method
from bench.core.scene import Radiance, Scene


@method(
    "mtb-merge",
    label="MTB + merge",
    cites="classical: median threshold bitmaps (Ward 2003, OpenCV's AlignMTB), then the triangle merge",
    trains=False,
)
class MtbMerge:
    """Frames are shifted by whole pixels; rotations and what moved in the scene remain."""

    def predict(self, scene: Scene) -> Radiance:
        """Return (H, W, 3) float32, relative radiance; brackets of other than three frames are refused."""
        require_three(scene, "mtb-merge")
        return triangle_merge(register(scene, mtb, unmatched))
