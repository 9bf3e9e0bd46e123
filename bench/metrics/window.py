"""The window of SSIM in protocols."""

from typing import Self

from pydantic import Field, model_validator

from bench.metrics.functional.window import WindowKind, WindowSettings
from bench.metrics.settings import ProtocolSection


class SsimWindow(ProtocolSection):
    """Weights of SSIM's local means and variances: the outer product of one normalised row with itself."""

    kind: WindowKind = Field(default="gaussian", description="shape of the weights")
    size: int = Field(default=11, ge=3, description="rows and columns, odd")
    sigma: float = Field(default=1.5, gt=0, description="pixels; the uniform window has none and ignores it")
    sample_covariance: bool = Field(default=False, description="variances times n/(n-1), n = size^2")

    @model_validator(mode="after")
    def _odd(self) -> Self:
        if self.size % 2 == 0:
            raise ValueError(f"size {self.size} has no centre; use an odd number")
        return self

    def taps(self) -> list[float]:
        """Weights of one row, size many, with sum 1."""
        return WindowSettings(self.kind, self.size, self.sigma).taps()
