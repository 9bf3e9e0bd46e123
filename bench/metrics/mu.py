"""The mu-law, in which psnr-mu, ssim-mu and psnr-mu-tanh compare."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from bench.core.metric import section
from bench.metrics.functional.mu import mu_law
from bench.metrics.settings import ProtocolSection

if TYPE_CHECKING:
    from torch import Tensor

    from bench.metrics.pair import ImagePair, Images
    from bench.metrics.protocol import Protocol


@section("mu")
class Mu(ProtocolSection):
    """The mu-law encoding T(x) = log(1 + mu x) / log(1 + mu)."""

    constant: float = Field(default=5000.0, gt=0, description="mu")
    negative: Literal["clamp", "nan"] = Field(
        default="clamp", description="clamp: values below 0 count as 0 inside T; nan: the plain logarithm, NaN < -1/mu"
    )

    def encode(self, image: "Tensor") -> "Tensor":
        """Encode linear values of any shape; dtype and device are kept."""
        return mu_law(image, self.constant, self.negative)


def encoded(pair: "ImagePair", protocol: "Protocol") -> "Images":
    """Both images of a pair after the mu-law, (H, W, 3) float64."""
    mu = protocol.section(Mu)
    return pair.encoded(mu, mu.encode)
