"""PSNR after a tanh that compresses bright values, as the NTIRE challenges measure it."""

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from bench.core.metric import metric, section
from bench.metrics.mu import Mu
from bench.metrics.psnr import ratio
from bench.metrics.settings import ProtocolSection

if TYPE_CHECKING:
    from torch import Tensor

    from bench.metrics.pair import ImagePair
    from bench.metrics.protocol import Protocol


@section("tanh", required=True)
class Tanh(ProtocolSection):
    """Compression before the mu-law: tanh(x^exponent / percentile of such values)."""

    exponent: float = Field(default=2.24, gt=0, description="power that the values are raised to first")
    percentile: float = Field(default=99.0, gt=0, le=100, description="per cent; the value there divides both images")
    of: Literal["prediction", "truth"] = Field(default="truth", description="image that the percentile is taken of")


@metric(
    "psnr-mu-tanh", unit="dB", better="higher", domain="mu", label="PSNR-μ, tanh", digits=2,
    sections=("psnr", "mu", "tanh"), column=False,
)  # fmt: skip
def psnr_mu_tanh(pair: "ImagePair", protocol: "Protocol", mask: "Tensor | None" = None) -> float:
    """PSNR of relative radiance after tanh and the mu-law; a percentile of 0 makes 0 NaN, as in public code."""
    tanh, mu = protocol.section(Tanh), protocol.section(Mu)

    def encode(image: "Tensor") -> "Tensor":
        return mu.encode((image**tanh.exponent / scale).tanh())

    base = pair.linear[0 if tanh.of == "prediction" else 1].double()
    scale = base.new_tensor(np.percentile((base**tanh.exponent).cpu().numpy(), tanh.percentile))
    return ratio(pair.encoded((tanh, mu), encode), protocol, mask, peak=1.0)
