"""SSIM (Wang et al. 2004) of linear and of mu-law values."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from bench.core.errors import UsageError
from bench.core.metric import metric, section
from bench.metrics import mu
from bench.metrics.functional.window import SsimArea, SsimChannels, border
from bench.metrics.settings import ProtocolSection
from bench.metrics.window import SsimWindow

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from bench.metrics.pair import ImagePair, Images
    from bench.metrics.protocol import Protocol


@section("ssim")
class Ssim(ProtocolSection):
    """Structural similarity (Wang 2004)."""

    peak: Literal["range-of-truth"] | Annotated[float, Field(gt=0)] = Field(
        default=1.0,
        description="range L of the constants (0.01 L)^2 and (0.03 L)^2; range-of-truth: its largest value there less "
        "its smallest",
    )
    window: SsimWindow = SsimWindow()
    clip: Literal["none", "both"] = Field(default="none", description="both: encoded values are clipped to [0, L]")
    area: SsimArea = Field(default="valid", description="valid: whole windows only; replicate: border repeated")
    channels: SsimChannels = Field(
        default="separate", description="separate: one by one, then one mean; volume: the window spans channels too"
    )
    arithmetic: Literal["float64", "float32-direct"] = Field(
        default="float64",
        description="float32-direct: the rounding of public code, one convolution with the whole volume; slow",
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.peak == "range-of-truth" and self.clip != "none":
            raise ValueError("clip: both clips to [0, L], and needs a number as peak")
        if self.channels == "volume" and self.area != "replicate":
            raise ValueError("channels: volume repeats the outer channels, and needs area: replicate")
        if self.arithmetic == "float32-direct" and (self.channels != "volume" or self.window.sample_covariance):
            raise ValueError("arithmetic: float32-direct needs channels: volume and no sample covariance")
        return self


@metric(
    "ssim-l", unit="1", better="higher", domain="linear", label="SSIM-l", digits=4, sections=("ssim",), low=-1, high=1
)
def ssim_l(pair: "ImagePair", protocol: "Protocol", mask: "Tensor | None" = None) -> float:
    """SSIM of linear relative radiance."""
    rule = protocol.section(Ssim)
    return _mean(pair, rule, "linear", lambda: pair.linear, mask)


@metric(
    "ssim-mu", unit="1", better="higher", domain="mu", label="SSIM-μ", digits=4, sections=("ssim", "mu"), low=-1, high=1
)
def ssim_mu(pair: "ImagePair", protocol: "Protocol", mask: "Tensor | None" = None) -> float:
    """SSIM of relative radiance after the mu-law."""
    rule, law = protocol.section(Ssim), protocol.section(mu.Mu)

    def images() -> "Images":
        if rule.arithmetic == "float32-direct":  # then the encoding is float32 too, as in public code
            return law.encode(pair.linear[0]), law.encode(pair.linear[1])
        return mu.encoded(pair, protocol)

    return _mean(pair, rule, law, images, mask)


def _mean(pair: "ImagePair", rule: Ssim, domain: Any, images: "Callable[[], Images]", mask: "Tensor | None") -> float:
    """Mean of the local similarity, whose map is computed once for the whole image and all masks."""
    from bench.metrics.functional.images import pool

    values = pair.once(("ssim", rule, domain), lambda: _local(rule, *images()))
    return pool(values, mask, border(rule.window, rule.area))


def _local(rule: Ssim, x: "Tensor", y: "Tensor") -> "Tensor":
    from bench.metrics.functional.images import planes
    from bench.metrics.functional.similarity import similarity_map, volume_map

    peak = _range(y) if rule.peak == "range-of-truth" else rule.peak
    if rule.clip == "both":  # clamping keeps NaN, as public code's clip does
        x, y = x.clamp(0, peak), y.clamp(0, peak)
    x, y = planes(x), planes(y)
    if rule.arithmetic == "float32-direct":
        return volume_map(x, y, peak=peak, window=rule.window)
    return similarity_map(x, y, peak=peak, window=rule.window, area=rule.area, channels=rule.channels)


def _range(truth: "Tensor") -> float:
    if (found := float(truth.max() - truth.min())) <= 0:
        raise UsageError("SSIM takes the truth's largest value less its smallest as its range, but they are equal.")
    return found
