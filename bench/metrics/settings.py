"""Sections of every protocol: which pixels and values are compared, and inside which masks.

Frozen models that reject unknown keys and settings nobody has implemented. A choice of public code that isn't here yet
widens the type of its field, beside the code and the test that make it true. What only some metrics need is a section
of the metric's own file.
"""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from bench.core.errors import unknown_name
from bench.core.registry import metrics
from bench.core.section import as_written


def _known(name: str) -> str:
    if name not in metrics:
        raise ValueError(str(unknown_name("metric", name, metrics)))
    return name


MetricName = Annotated[str, AfterValidator(_known)]
"""Name of a registered metric."""


class ProtocolSection(BaseModel):
    """A part of a protocol."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    _as_written = field_validator("*", mode="before")(classmethod(as_written))


Pixels = Annotated[int, Field(ge=0)]


class Centre(ProtocolSection):
    """A crop to the middle."""

    centre: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]] = Field(
        description="rows and columns that are left; an image with fewer keeps its own"
    )


class Region(ProtocolSection):
    """Which pixels are compared: cropped first, then resampled."""

    crop: Pixels | tuple[Pixels, Pixels] | Centre = Field(
        default=0,
        description="pixels dropped on every side before anything else; or rows at top and bottom, and columns at left "
        "and right; or the size of the centre that is left",
    )
    resize: Literal["none", "bilinear"] = Field(
        default="none", description="resampling of both images; bilinear: half-pixel centres, no low-pass (OpenCV)"
    )
    scale: float = Field(default=1.0, gt=0, description="factor of the resampling in each axis; sizes are rounded")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.resize == "none" and self.scale != 1:
            raise ValueError(f"scale {self.scale} needs resize: bilinear")
        return self

    def window(self, rows: int, columns: int) -> tuple[slice, slice]:
        """Rows and columns of an image that its crop leaves; none where it is larger than the image."""
        size = (rows, columns)
        if isinstance(self.crop, Centre):
            kept = [min(most, length) for most, length in zip(self.crop.centre, size, strict=True)]
            borders = [(length - left) // 2 for length, left in zip(size, kept, strict=True)]
            return slice(borders[0], borders[0] + kept[0]), slice(borders[1], borders[1] + kept[1])
        down, across = self.crop if isinstance(self.crop, tuple) else (self.crop, self.crop)
        return slice(down, max(rows - down, down)), slice(across, max(columns - across, across))


class Composite(ProtocolSection):
    """Where a prediction counts at all: elsewhere the reference frame's linear values stand in its place.

    By the frame's Y = 0.299 R + 0.587 G + 0.114 B of its gamma-encoded values in [0, 1]. The prediction counts where
    the frame is too dark if it is the shortest, too bright if it is the longest, and in both cases if it is neither.
    """

    dark: float = Field(ge=0, le=1, description="too dark below this Y")
    bright: float = Field(ge=0, le=1, description="too bright above this Y")


class Values(ProtocolSection):
    """Steps before the encoding: rounded to the precision, clipped, quantised."""

    precision: Literal["float32"] = Field(default="float32", description="both images are rounded to it first")
    composite: Composite | None = Field(
        default=None, description="pixels where the reference frame is well exposed are taken from it; None: from none"
    )
    clip: Literal["none", "prediction", "both"] = Field(default="none", description="what is clipped to [0, clip_high]")
    clip_high: float | None = Field(default=1.0, gt=0, description="upper end of the clip; None: only negatives go")
    quantise: Literal["none", "rgbe", "png16"] = Field(
        default="none",
        description="rounding of both images to a file's values; rgbe: 8-bit mantissa, cut off; png16: 16 bit, "
        "each image scaled to its own maximum",
    )


class MaskRule(ProtocolSection):
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
