"""One-line rules: the reference and, where it is clipped, the short frame or the brighter of both.

What a network with the head `rule-residual` gives before its first step is the brighter rule on the very frames that it
is given. A network that gains nothing on it has learnt nothing.
"""

from typing import ClassVar

from bench.color.merging import brighter_where_clipped, short_where_clipped, take
from bench.color.registration import registered
from bench.core.method import method
from bench.core.scene import Radiance, Scene


class Rule:
    """A rule of reference and short frame, on frames as taken or registered."""

    registration: ClassVar[str] = "none"
    choose = staticmethod(brighter_where_clipped)

    def predict(self, scene: Scene) -> Radiance:
        """Return (H, W, 3) float32, relative radiance in [0, 1]; brackets may have any number of frames."""
        return take(registered(scene, self.registration), self.choose)


@method(
    "short-where-clipped",
    label="Short where clipped",
    cites="floor: for each channel the short frame where the reference exceeds 0.9, else the reference; no alignment",
    trains=False,
)
class ShortWhereClipped(Rule):
    """Whatever is clipped in the reference stands where the short frame has it."""

    choose = staticmethod(short_where_clipped)


@method(
    "dis-short-where-clipped",
    label="DIS + short where clipped",
    cites="classical: DIS flow (Kroeger et al. 2016, OpenCV) on exposure-matched frames, then the short frame where "
    "the reference exceeds 0.9, for each channel",
    trains=False,
)
class DisShortWhereClipped(ShortWhereClipped):
    """The same on frames that optical flow brought to the reference."""

    registration = "dis"


@method(
    "brighter-where-clipped",
    label="Brighter where clipped",
    cites="floor: for each channel the brighter of short frame and reference where the reference exceeds 0.9, else the "
    "reference; no alignment",
    trains=False,
)
class BrighterWhereClipped(Rule):
    """What clips the reference is bright: where the short frame is darker, something has moved."""


@method(
    "dis-brighter-where-clipped",
    label="DIS + brighter where clipped",
    cites="classical: DIS flow (Kroeger et al. 2016, OpenCV) on exposure-matched frames, then the brighter of short "
    "frame and reference where the reference exceeds 0.9, for each channel",
    trains=False,
)
class DisBrighterWhereClipped(BrighterWhereClipped):
    """The same on frames that optical flow brought to the reference."""

    registration = "dis"


@method(
    "homography-brighter-where-clipped",
    label="Homography + brighter where clipped",
    cites="classical: a homography from matched features (SIFT, RANSAC; OpenCV), then the brighter of short frame and "
    "reference where the reference exceeds 0.9, for each channel",
    trains=False,
)
class HomographyBrighterWhereClipped(BrighterWhereClipped):
    """The same on frames that one motion of the camera each brought to the reference: DeepHDR's."""

    registration = "homography"
