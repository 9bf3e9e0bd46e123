"""What a protocol may set: frozen models that reject unknown keys and settings nobody has implemented.

A choice that public code makes and that isn't implemented yet (resizing, RGBE rounding, a peak taken from the truth,
SSIM over a volume) widens the type of its field here, beside the code and the test that make it true.
"""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MetricName = Literal["psnr-l", "psnr-mu", "ssim-l", "ssim-mu"]
SsimArea = Literal["valid", "replicate"]


class Section(BaseModel):
    """A part of a protocol."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Region(Section):
    """Which pixels are compared."""

    crop: int = Field(default=0, ge=0, description="pixels dropped on every side before anything else")
    resize: Literal["none"] = Field(default="none", description="resampling before the comparison")


class Values(Section):
    """What happens to the numbers before they are encoded."""

    precision: Literal["float32"] = Field(default="float32", description="both images are rounded to it first")
    clip: Literal["none", "prediction"] = Field(default="none", description="what is clipped to [0, 1]")
    quantise: Literal["none"] = Field(default="none", description="rounding to a file format's code values")


class Mu(Section):
    """The mu-law encoding T(x) = log(1 + mu x) / log(1 + mu)."""

    constant: float = Field(default=5000.0, gt=0, description="mu")
    negative: Literal["clamp"] = Field(default="clamp", description="values below 0 count as 0 inside T")


class Psnr(Section):
    """Peak signal-to-noise ratio, the mean square taken over all pixels and channels together."""

    peak: float = Field(default=1.0, gt=0, description="peak value, in the linear and the mu domain")


class SsimWindow(Section):
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


class Ssim(Section):
    """Structural similarity (Wang 2004)."""

    peak: float = Field(default=1.0, gt=0, description="range L of the constants (0.01 L)^2 and (0.03 L)^2")
    window: SsimWindow = SsimWindow()
    area: SsimArea = Field(default="valid", description="valid: whole windows only; replicate: border repeated")
    channels: Literal["separate"] = Field(default="separate", description="filtered one by one, then one mean")


class Pu21(Section):
    """The PU21 encoding that psnr-pu and ssim-pu take."""

    variant: Literal["banding_glare"] = Field(default="banding_glare", description="set of fitted parameters")
    cd_m2: float = Field(default=4000.0, gt=0, description="luminance of linear 1.0, cd/m2")


class Hdrvdp2(Section):
    """The viewing conditions of HDR-VDP-2."""

    version: Literal["2.2.2"] = Field(default="2.2.2", description="release whose results are repeated")
    encoding: Literal["sRGB-display"] = Field(default="sRGB-display", description="colour encoding option")
    values: Literal["linear"] = Field(default="linear", description="what is handed over, in [0, 1]")
    pixels_per_degree: float = Field(
        default=26.7627, gt=0, description="24 in, 1500x1000, seen from 0.5 m; fixed, whatever the image's size"
    )


class MaskRule(Section):
    """Thresholds of the masks in `bench.metrics.masks`, on gamma-encoded values in [0, 1]."""

    metrics: tuple[MetricName, ...] = Field(
        default=("psnr-l", "psnr-mu", "ssim-mu"), description="metrics that are repeated inside each mask"
    )
    bright: float = Field(default=0.95, gt=0, le=1, description="saturated from here on")
    dark: float = Field(default=0.1, ge=0, lt=1, description="below, only an upper bound of the radiance is known")
    tolerance: float = Field(default=0.03, gt=0, description="largest difference that noise explains")
    slack: int = Field(default=2, ge=0, description="pixels that static content may be displaced by")
    smoothing: float = Field(default=1.0, ge=0, description="sigma in pixels of the filter on the differences")
    opening: int = Field(default=2, ge=0, description="radius in pixels; thinner regions are dropped")
    dilation: int = Field(default=2, ge=0, description="pixels added around what is left")
