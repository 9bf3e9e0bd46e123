"""ColorVideoVDP (Mantiuk et al., ACM ToG 43(4), 2024): a model of colour vision, for still images here."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic import Field

from bench.core.errors import UsageError
from bench.core.metric import metric, section
from bench.metrics.library import need_release
from bench.metrics.settings import ProtocolSection

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bench.metrics.pair import ImagePair
    from bench.metrics.protocol import Protocol


@section("cvvdp")
class Cvvdp(ProtocolSection):
    """Display and viewer of ColorVideoVDP, computed by the package cvvdp."""

    version: str = Field(default="0.5.7", description="release of cvvdp; another is refused")
    peak_luminance: float = Field(default=4000.0, gt=0, description="luminance of linear 1.0, cd/m2")
    display_peak: float = Field(default=4000.0, gt=0, description="brightest that the display shows, cd/m2")
    contrast: float = Field(default=1e6, ge=1, description="display_peak by its black level")
    ambient: float = Field(default=0.0, ge=0, description="light on the display, lux")
    reflectivity: float = Field(default=0.005, ge=0, le=1, description="share of it that the display reflects")
    pixels_per_degree: float = Field(default=26.7627, gt=0, description="of visual angle")


@metric(
    "cvvdp", unit="JOD", better="higher", domain="vision", label="ColorVideoVDP", digits=2,
    needs=("pycvvdp", "torchvision"), extra="perceptual", sections=("cvvdp",), local=False, column=False, high=10,
)  # fmt: skip
def cvvdp(pair: "ImagePair", protocol: "Protocol", mask: "Tensor | None" = None) -> float:
    """Just-objectionable differences of ColorVideoVDP, 10 for identical images, by the package cvvdp (`perceptual`)."""
    rule = protocol.section(Cvvdp)
    need_release("cvvdp", rule.version)
    pred, truth = (image.float() * rule.peak_luminance for image in pair.linear)
    rows, columns = truth.shape[:2]
    quality, _ = _model(rule, columns, rows, truth.device).predict(pred, truth, dim_order="HWC")
    return float(quality)


@lru_cache(maxsize=2)
def _model(rule: Cvvdp, columns: int, rows: int, device: "torch.device") -> Any:
    try:
        import pycvvdp
    except (ImportError, RuntimeError) as error:  # torchvision of another release than torch's ends in either
        said = "install it with what it needs, torchvision of the release that suits torch"
        raise UsageError(f"the package cvvdp can't be imported ({error}); {said}.") from error
    shown = pycvvdp.vvdp_display_photo_eotf(
        rule.display_peak,
        contrast=rule.contrast,
        source_colorspace="BT.709-linear",
        E_ambient=rule.ambient,
        k_refl=rule.reflectivity,
    )
    seen = pycvvdp.vvdp_display_geometry([columns, rows], ppd=rule.pixels_per_degree)
    return pycvvdp.cvvdp(display_photometry=shown, display_geometry=seen, quiet=True, device=device)
