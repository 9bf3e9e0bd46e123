"""How bright relative values are: a factor, or what public code does in its place before HDR-VDP-2 and PU21."""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from bench.core.errors import UsageError
from bench.metrics.settings import ProtocolSection

if TYPE_CHECKING:
    from torch import Tensor

    from bench.metrics.pair import ImagePair, Images

Positive = Annotated[float, Field(gt=0)]


class TruthMaximum(ProtocolSection):
    """Both images times one factor, by which the truth's largest value has this luminance."""

    truth_maximum: Positive = Field(description="of the truth's largest value, all channels together, cd/m2")

    def brighten(self, image: "Tensor", truth: "Tensor") -> "Tensor":
        """Return the image's light in cd/m2, float64."""
        return image.double() * (self.truth_maximum / largest(truth, "truth"))


class OwnMaximum(ProtocolSection):
    """Each image times a factor of its own, by which its largest value has this luminance."""

    own_maximum: Positive = Field(description="of each image's own largest value, all channels together, cd/m2")

    def brighten(self, image: "Tensor", truth: "Tensor") -> "Tensor":
        """Return the image's light in cd/m2, float64."""
        return image.double() * (self.own_maximum / largest(image, "truth" if image is truth else "prediction"))


class OwnPercentiles(ProtocolSection):
    """Each image by a line of its own through two of its values; what falls below 0 is set to 0."""

    percent: Annotated[float, Field(gt=0, lt=50)] = Field(
        description="per cent of an image's values, of all channels, that lie below the low and above the high one"
    )
    low: Positive = Field(description="luminance of the value of that rank from below, cd/m2")
    high: Positive = Field(description="luminance of the value of that rank from above, cd/m2")

    def brighten(self, image: "Tensor", truth: "Tensor") -> "Tensor":
        """Return the image's light in cd/m2, float64."""
        values = image.double().flatten()
        rank = max(1, round(len(values) * self.percent / 100))
        bottom, top = values.kthvalue(rank).values, values.kthvalue(len(values) + 1 - rank).values
        if bottom == top:
            role = "truth" if image is truth else "prediction"
            raise UsageError(f"the {role} has one value from its percentile {self.percent:g} to the opposite one.")
        return ((image.double() - bottom) * ((self.high - self.low) / (top - bottom)) + self.low).clamp(min=0)


class CodeDisplay(ProtocolSection):
    """A picture of integer codes after the mu-law, on a display of gain, gamma and offset.

    V = round(T(x) (2^bits - 1)) / (2^bits - 1), clipped to [0, 1], and L = (peak - black) V^gamma + black.
    """

    mu: Positive = Field(description="of the mu-law that makes the picture")
    bits: Annotated[int, Field(ge=1, le=16)] = Field(description="of the picture's codes")
    peak: Positive = Field(description="luminance of the largest code, cd/m2")
    black: Annotated[float, Field(ge=0)] = Field(description="luminance of code 0, reflections included, cd/m2")
    gamma: Positive = Field(description="of the display")

    def brighten(self, image: "Tensor", truth: "Tensor") -> "Tensor":
        """Return the picture's light in cd/m2, float64."""
        from bench.color.transfer import mu_law

        most = 2**self.bits - 1
        codes = (mu_law(image.double(), self.mu) * most).clamp(0, most).round()
        shown: Tensor = (self.peak - self.black) * (codes / most) ** self.gamma + self.black
        return shown


Rule = float | TruthMaximum | OwnMaximum | OwnPercentiles | CodeDisplay
"""How bright relative values are; a number is the luminance of linear 1.0, or what a metric takes in its place."""


def light(pair: "ImagePair", rule: Rule) -> "Images":
    """Light of both images, (H, W, 3) float64, in cd/m2 or what else the rule is in."""
    x, y = pair.linear
    if isinstance(rule, float):
        return x.double() * rule, y.double() * rule
    return pair.once(("light", rule), lambda: (rule.brighten(x, y), rule.brighten(y, y)))


def largest(image: "Tensor", role: str) -> float:
    """Return an image's largest value; UsageError where none is above 0.

    role : "prediction" or "truth", for the message.
    """
    found = float(image.max())
    if found <= 0:
        raise UsageError(f"the {role} is scaled by its largest value, but no value is above 0.")
    return found
