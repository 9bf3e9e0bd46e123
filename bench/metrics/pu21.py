"""PU21 metrics: PSNR and SSIM of absolute luminance in steps that are about equally visible.

As defined with the encoding (Mantiuk & Azimi, PCS 2021; gfxdisp/pu21, August 2022): the peak and the range are 256,
whatever the largest encoded value. Each colour channel is encoded by itself for `pu21_psnr`; for the other two the
luminance of linear RGB is taken first.
"""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from bench.core.errors import UsageError
from bench.core.metric import metric, section
from bench.metrics.functional.pu21 import PEAK, luminance
from bench.metrics.functional.pu21 import pu21_decode as decode
from bench.metrics.functional.pu21 import pu21_encode as encode
from bench.metrics.light import CodeDisplay, Positive, TruthMaximum, light
from bench.metrics.psnr import ratio
from bench.metrics.settings import ProtocolSection
from bench.metrics.window import SsimWindow

if TYPE_CHECKING:
    from torch import Tensor

    from bench.metrics.functional.images import Image
    from bench.metrics.pair import ImagePair, Images
    from bench.metrics.protocol import Protocol

__all__ = ["decode", "encode", "luminance", "pu21_psnr", "pu21_psnr_y", "pu21_ssim"]


@section("pu21", required=True)
class Pu21(ProtocolSection):
    """The PU21 encoding (Mantiuk & Azimi 2021) and what psnr-pu, psnr-pu-y and ssim-pu do with it."""

    variant: Literal["banding", "banding_glare", "peaks", "peaks_glare"] = Field(
        default="banding_glare", description="set of fitted parameters"
    )
    peak_luminance: Positive | TruthMaximum | CodeDisplay = Field(
        default=4000.0,
        description="luminance of linear 1.0, cd/m2; or that of the truth's largest value; or the display of a picture",
    )


@metric("psnr-pu", unit="dB", better="higher", domain="pu21", label="PSNR-PU", digits=2, sections=("pu21", "psnr"))
def psnr_pu(pair: "ImagePair", protocol: "Protocol", mask: "Tensor | None" = None) -> float:
    """PU21-PSNR of relative radiance on the protocol's display; see `pu21_psnr`."""
    return ratio(_encoded(pair, protocol.section(Pu21)), protocol, mask, PEAK)


@metric(
    "psnr-pu-y", unit="dB", better="higher", domain="pu21", label="PSNR-PU-Y", digits=2, sections=("pu21", "psnr"),
    column=False,
)  # fmt: skip
def psnr_pu_y(pair: "ImagePair", protocol: "Protocol", mask: "Tensor | None" = None) -> float:
    """PU21-PSNR-Y of relative radiance on the protocol's display; see `pu21_psnr_y`."""
    return ratio(_encoded_luminance(pair, protocol.section(Pu21)), protocol, mask, PEAK)


@metric(
    "ssim-pu", unit="1", better="higher", domain="pu21", label="SSIM-PU", digits=4, sections=("pu21",), low=-1, high=1
)
def ssim_pu(pair: "ImagePair", protocol: "Protocol", mask: "Tensor | None" = None) -> float:
    """PU21-SSIM of relative radiance on the protocol's display; see `pu21_ssim`."""
    return _mean_similarity(pair, protocol.section(Pu21), mask)


def pu21_psnr(
    pred: "Image", truth: "Image", *, peak_luminance: float | None = None, variant: str = "banding_glare"
) -> float:
    """PU21-PSNR in dB, peak 256, of linear RGB (H, W, 3), every channel encoded, or of luminance (H, W).

    peak_luminance : cd/m2 of linear 1.0; None if the values are cd/m2 already, which is refused for images that
                     nowhere exceed 1.
    variant        : of the encoding; see `bench.metrics.functional.pu21.VARIANTS`.
    +inf for images that are equal after encoding. Values outside [0.005, 10000] cd/m2 count as the nearer end. NaN,
    infinity, unequal shapes or an unknown variant raise UsageError.
    """
    return _decibels(*_encoded(*_viewed(pred, truth, peak_luminance, variant)))


def pu21_psnr_y(
    pred: "Image", truth: "Image", *, peak_luminance: float | None = None, variant: str = "banding_glare"
) -> float:
    """PU21-PSNR-Y in dB, peak 256: luminance of linear RGB first, then the encoding. Arguments as in `pu21_psnr`."""
    return _decibels(*_encoded_luminance(*_viewed(pred, truth, peak_luminance, variant)))


def pu21_ssim(
    pred: "Image", truth: "Image", *, peak_luminance: float | None = None, variant: str = "banding_glare"
) -> float:
    """PU21-SSIM, at most 1: luminance, encoding, then MATLAB's `ssim` with range 256. Arguments as in `pu21_psnr`.

    That is an 11x11 Gaussian of sigma 1.5, edges repeated, population variances, the mean over all pixels.
    """
    return _mean_similarity(*_viewed(pred, truth, peak_luminance, variant), None)


def _viewed(pred: "Image", truth: "Image", peak_luminance: float | None, variant: str) -> "tuple[ImagePair, Pu21]":
    """Both images, and what they are encoded by."""
    from bench.metrics.functional.images import pair
    from bench.metrics.pair import ImagePair

    x, y = pair(pred, truth, (2, 3))
    if peak_luminance is None and (largest := max(float(x.max()), float(y.max()))) <= 1:
        raise UsageError(
            f"the largest value is {largest:g}, which as cd/m2 is nearly dark: PU21 takes absolute luminance. "
            "Say how bright linear 1.0 is, for example peak_luminance=4000."
        )
    if peak_luminance is not None and not 0 < peak_luminance < float("inf"):
        raise UsageError(f"peak_luminance is {peak_luminance}; expected a positive number of cd/m2.")
    scale = 1.0 if peak_luminance is None else peak_luminance
    return ImagePair(x, y), Pu21.model_construct(variant=variant, peak_luminance=scale)  # `encode` checks the variant


def _encoded(pair: "ImagePair", pu21: Pu21) -> "Images":
    lit, factor = _lit(pair, pu21)
    return lit.encoded(pu21, lambda rows: encode(rows * factor, pu21.variant))


def _encoded_luminance(pair: "ImagePair", pu21: Pu21) -> "Images":
    key, (lit, factor) = ("luminance", pu21), _lit(pair, pu21)
    return lit.encoded(key, lambda rows: encode(luminance(rows * factor), pu21.variant))


def _lit(pair: "ImagePair", pu21: Pu21) -> "tuple[ImagePair, float]":
    """Return a pair and the factor by which it is in cd/m2."""
    rule = pu21.peak_luminance
    if isinstance(rule, float):
        return pair, rule
    return pair.once(("lit", rule), lambda: type(pair)(*light(pair, rule))), 1.0


def _decibels(x: "Tensor", y: "Tensor") -> float:
    from bench.metrics.functional.fidelity import decibels, mean_square_error

    return decibels(mean_square_error(x, y), PEAK)


def _mean_similarity(pair: "ImagePair", pu21: Pu21, mask: "Tensor | None") -> float:
    """Mean SSIM of encoded luminance: MATLAB's `ssim` with range 256, edges repeated."""
    from bench.metrics.functional.images import planes, pool
    from bench.metrics.functional.similarity import similarity_map

    def compute() -> "Tensor":
        x, y = map(planes, _encoded_luminance(pair, pu21))
        return similarity_map(x, y, peak=PEAK, window=SsimWindow(), area="replicate")

    return pool(pair.once(("ssim", pu21), compute), mask)
