"""HDR-FLIP (Andersson et al. 2021): the difference seen when two images alternate, over a range of exposures."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from bench.core.metric import metric, section
from bench.metrics.library import need_release
from bench.metrics.settings import ProtocolSection

if TYPE_CHECKING:
    from torch import Tensor

    from bench.metrics.pair import ImagePair
    from bench.metrics.protocol import Protocol


class FlipExposures(ProtocolSection):
    """Exposures in stops that both images are tone-mapped at."""

    start: float = Field(description="the darkest")
    stop: float = Field(description="the brightest")
    count: int = Field(ge=1, description="how many, in equal steps")


@section("flip")
class Flip(ProtocolSection):
    """Options of HDR-FLIP, computed by the package flip-evaluator."""

    version: str = Field(default="1.7", description="release of flip-evaluator; another is refused")
    pixels_per_degree: float = Field(default=67.0206, gt=0, description="default: 0.7 m from 3840 pixels in 0.7 m")
    tonemapper: Literal["aces", "hable", "reinhard"] = Field(default="aces", description="tone curve of each exposure")
    exposures: Literal["from-truth"] | FlipExposures = Field(
        default="from-truth", description="from-truth: the range that FLIP finds in the truth's luminance"
    )


@metric(
    "flip", unit="1", better="lower", domain="vision", label="HDR-FLIP", digits=4, needs=("flip_evaluator",),
    extra="perceptual", sections=("flip",), local=False, column=False, low=0, high=1,
)  # fmt: skip
def flip(pair: "ImagePair", protocol: "Protocol", mask: "Tensor | None" = None) -> float:
    """Mean HDR-FLIP error, 0 for identical images, by the package flip-evaluator (extra `perceptual`)."""
    import flip_evaluator

    rule = protocol.section(Flip)
    need_release("flip-evaluator", rule.version)
    parameters: dict[str, Any] = {"ppd": rule.pixels_per_degree, "tonemapper": rule.tonemapper}
    if isinstance(rule.exposures, FlipExposures):
        given = rule.exposures
        parameters |= {"startExposure": given.start, "stopExposure": given.stop, "numExposures": given.count}
    pred, truth = (np.ascontiguousarray(image.cpu().numpy(), np.float32) for image in pair.linear)
    _, mean, _ = flip_evaluator.evaluate(truth, pred, "HDR", applyMagma=False, parameters=parameters)
    return float(mean)
