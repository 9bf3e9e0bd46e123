"""The window of SSIM's local statistics, and the ways in which public code applies it."""

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from bench.metrics.settings import ProtocolSection

SsimArea = Literal["valid", "replicate"]
SsimChannels = Literal["separate", "volume"]


class SsimWindow(ProtocolSection):
    """Weights of SSIM's local means and variances: the outer product of one normalised row with itself."""

    kind: Literal["gaussian", "uniform"] = Field(default="gaussian", description="shape of the weights")
    size: int = Field(default=11, ge=3, description="rows and columns, odd")
    sigma: float = Field(default=1.5, gt=0, description="pixels; the uniform window has none and ignores it")
    sample_covariance: bool = Field(default=False, description="variances times n/(n-1), n = size^2")

    @model_validator(mode="after")
    def _odd(self) -> Self:
        if self.size % 2 == 0:
            raise ValueError(f"size {self.size} has no centre; use an odd number")
        return self

    def border(self, area: SsimArea) -> int:
        """Width in pixels of the border that holds no window centre."""
        return self.size // 2 if area == "valid" else 0

    def taps(self) -> list[float]:
        """Weights of one row, size many, with sum 1."""
        radius = self.size // 2
        weights = [
            math.exp(-0.5 * (x / self.sigma) ** 2) if self.kind == "gaussian" else 1.0
            for x in range(-radius, radius + 1)
        ]
        return [weight / math.fsum(weights) for weight in weights]
