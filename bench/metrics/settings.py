"""What a protocol may set: frozen models that reject unknown keys and settings nobody has implemented.

A choice of public code that isn't here yet widens the type of its field, beside the code and the test that make it
true. Viewing conditions, which PU21 and HDR-VDP-2 need, are in `bench.metrics.viewing`.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MetricName = Literal[
    "psnr-l", "psnr-mu", "psnr-mu-tanh", "psnr-pu", "psnr-pu-y", "ssim-l", "ssim-mu", "ssim-pu", "hdrvdp2"
]
SsimArea = Literal["valid", "replicate"]
SsimChannels = Literal["separate", "volume"]


class Section(BaseModel):
    """A part of a protocol."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Region(Section):
    """Which pixels are compared: cropped first, then resampled."""

    crop: int = Field(default=0, ge=0, description="pixels dropped on every side before anything else")
    resize: Literal["none", "bilinear"] = Field(
        default="none", description="resampling of both images; bilinear: half-pixel centres, no low-pass (OpenCV)"
    )
    scale: float = Field(default=1.0, gt=0, description="factor of the resampling in each axis; sizes are rounded")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.resize == "none" and self.scale != 1:
            raise ValueError(f"scale {self.scale} needs resize: bilinear")
        return self


class Values(Section):
    """What happens to the numbers before they are encoded: rounded to the precision, clipped, quantised."""

    precision: Literal["float32"] = Field(default="float32", description="both images are rounded to it first")
    clip: Literal["none", "prediction", "both"] = Field(default="none", description="what is clipped to [0, clip_high]")
    clip_high: float | None = Field(default=1.0, gt=0, description="upper end of the clip; None: only negatives go")
    quantise: Literal["none", "rgbe", "png16"] = Field(
        default="none",
        description="rounding of both images to a file's values; rgbe: 8-bit mantissa, cut off; png16: 16 bit, "
        "each image scaled to its own maximum",
    )


class Mu(Section):
    """The mu-law encoding T(x) = log(1 + mu x) / log(1 + mu)."""

    constant: float = Field(default=5000.0, gt=0, description="mu")
    negative: Literal["clamp", "nan"] = Field(
        default="clamp", description="clamp: values below 0 count as 0 inside T; nan: the plain logarithm, NaN < -1/mu"
    )


class Tanh(Section):
    """What psnr-mu-tanh does before T: tanh(x^exponent / percentile of such values)."""

    exponent: float = Field(default=2.24, gt=0, description="power that the values are raised to first")
    percentile: float = Field(default=99.0, gt=0, le=100, description="per cent; the value there divides both images")
    of: Literal["prediction", "truth"] = Field(default="truth", description="image that the percentile is taken of")


class Psnr(Section):
    """Peak signal-to-noise ratio, the mean square taken over all pixels and channels together."""

    peak: Literal["max-of-truth"] | Annotated[float, Field(gt=0)] = Field(
        default=1.0, description="peak value in the linear and the mu domain; max-of-truth: its largest value there"
    )
    identical: Literal["inf"] | float = Field(default="inf", description="dB that two identical images get")


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
        if self.channels == "volume" and self.area != "replicate":
            raise ValueError("channels: volume repeats the outer channels, and needs area: replicate")
        if self.arithmetic == "float32-direct" and (self.channels != "volume" or self.window.sample_covariance):
            raise ValueError("arithmetic: float32-direct needs channels: volume and no sample covariance")
        return self


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

    @model_validator(mode="after")
    def _local(self) -> Self:
        if "hdrvdp2" in self.metrics:
            raise ValueError("hdrvdp2 has no value inside a mask")
        return self
