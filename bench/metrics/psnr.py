"""PSNR of linear and of mu-law values."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from bench.core.errors import UsageError
from bench.core.metric import metric, section
from bench.metrics import mu
from bench.metrics.settings import ProtocolSection

if TYPE_CHECKING:
    from torch import Tensor

    from bench.metrics.pair import ImagePair, Images
    from bench.metrics.protocol import Protocol


@section("psnr")
class Psnr(ProtocolSection):
    """Peak signal-to-noise ratio, the mean square taken over all pixels and channels together."""

    peak: Literal["max-of-truth"] | Annotated[float, Field(gt=0)] = Field(
        default=1.0, description="peak value in the linear and the mu domain; max-of-truth: its largest value there"
    )
    identical: Literal["inf"] | float = Field(default="inf", description="dB that two identical images get")


@metric("psnr-l", unit="dB", better="higher", domain="linear", label="PSNR-l", digits=2, sections=("psnr",))
def psnr_l(pair: "ImagePair", protocol: "Protocol", mask: "Tensor | None" = None) -> float:
    """PSNR of linear relative radiance."""
    return ratio(pair.linear, protocol, mask)


@metric("psnr-mu", unit="dB", better="higher", domain="mu", label="PSNR-μ", digits=2, sections=("psnr", "mu"))
def psnr_mu(pair: "ImagePair", protocol: "Protocol", mask: "Tensor | None" = None) -> float:
    """PSNR of relative radiance after the mu-law."""
    return ratio(mu.encoded(pair, protocol), protocol, mask)


def ratio(images: "Images", protocol: "Protocol", mask: "Tensor | None", peak: float | None = None) -> float:
    """PSNR in dB of two images in one domain; `peak` None takes that of the protocol."""
    from bench.metrics.functional.fidelity import decibels, mean_square_error
    from bench.metrics.functional.images import pool

    x, y = images
    if mask is None:
        mean_square = mean_square_error(x, y)
    else:
        square = (x.double() - y).square_()
        mean_square = pool(square.mean(-1) if square.ndim == 3 else square, mask)
    if mean_square == 0:
        return float(protocol.section(Psnr).identical)
    return decibels(mean_square, _peak(protocol, y) if peak is None else peak)


def _peak(protocol: "Protocol", truth: "Tensor") -> float:
    peak = protocol.section(Psnr).peak
    if peak != "max-of-truth":
        return peak
    if (largest := float(truth.max())) <= 0:
        raise UsageError(f"protocol {protocol.id} takes the truth's largest value as peak, but no value is above 0.")
    return largest
