"""The one-line rule: the short frame where the reference is clipped, on frames as they are or registered.

What a network with the head `rule-residual` gives before its first step, on the very frames that it is given. A network
that gains nothing on it has learnt nothing.
"""

from bench.color.merging import short_where_clipped
from bench.color.registration import registered
from bench.core.method import method
from bench.core.scene import Radiance, Scene


@method(
    "short-where-clipped",
    label="Short where clipped",
    cites="floor: for each channel the short frame where the reference exceeds 0.9, else the reference; no alignment",
    trains=False,
)
class ShortWhereClipped:
    """The rule on frames as they are: whatever is clipped in the reference stands where the short frame has it."""

    def predict(self, scene: Scene) -> Radiance:
        """Return (H, W, 3) float32, relative radiance in [0, 1]."""
        return short_where_clipped(scene)


@method(
    "dis-short-where-clipped",
    label="DIS + short where clipped",
    cites="classical: DIS flow (Kroeger et al. 2016, OpenCV) on exposure-matched frames, then the short frame where "
    "the reference exceeds 0.9, for each channel",
    trains=False,
)
class DisShortWhereClipped:
    """The rule on frames that optical flow brought to the reference."""

    def predict(self, scene: Scene) -> Radiance:
        """Return (H, W, 3) float32, relative radiance in [0, 1]."""
        return short_where_clipped(registered(scene, "dis"))


@method(
    "homography-short-where-clipped",
    label="Homography + short where clipped",
    cites="classical: a homography from matched features (SIFT, RANSAC; OpenCV), then the short frame where the "
    "reference exceeds 0.9, for each channel",
    trains=False,
)
class HomographyShortWhereClipped:
    """The rule on frames that one motion of the camera each brought to the reference: DeepHDR's."""

    def predict(self, scene: Scene) -> Radiance:
        """Return (H, W, 3) float32, relative radiance in [0, 1]."""
        return short_where_clipped(registered(scene, "homography"))
