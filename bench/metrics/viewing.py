"""Settings of the metrics that model vision: luminance for PU21, luminance and display for HDR-VDP-2."""

from typing import Annotated, Literal

from pydantic import Field

from bench.metrics.geometry import pixels_per_degree
from bench.metrics.settings import Section

Positive = Annotated[float, Field(gt=0)]
Pixels = Annotated[int, Field(gt=0)]


class Pu21(Section):
    """The PU21 encoding (Mantiuk & Azimi 2021) and what psnr-pu, psnr-pu-y and ssim-pu do with it."""

    variant: Literal["banding", "banding_glare", "peaks", "peaks_glare"] = Field(
        default="banding_glare", description="set of fitted parameters"
    )
    peak_luminance: Positive = Field(default=4000.0, description="luminance of linear 1.0, cd/m2")


class Display(Section):
    """A screen with square pixels, and where the viewer sits."""

    diagonal_inches: Positive = Field(description="of the screen")
    resolution: Literal["image"] | tuple[Pixels, Pixels] = Field(description="columns and rows; image: the image's own")
    distance_m: Positive = Field(description="from eye to screen")

    def pixels_per_degree(self, columns: int, rows: int) -> float:
        """Pixels per degree of visual angle for an image of this size, by HDR-VDP-2.2's rule."""
        size = (columns, rows) if self.resolution == "image" else self.resolution
        return pixels_per_degree(self.diagonal_inches, size, self.distance_m)


class Hdrvdp2(Section):
    """How HDR-VDP-2 is called. It gives the correlate Q: 100 for identical images, without lower bound."""

    version: Literal["2.2.1", "2.2.2"] = Field(default="2.2.2", description="release; both give the same numbers")
    encoding: Literal["sRGB-display", "rgb-bt.709", "XYZ"] = Field(
        default="sRGB-display",
        description="colour encoding option; sRGB-display decodes gamma, even from linear values",
    )
    scale: Positive = Field(default=1.0, description="factor from linear relative values to what is handed over")
    surround: Annotated[float, Field(gt=0)] | Literal[-1] = Field(
        default=1e-5, description="luminance around the image; -1: geometric mean of the truth"
    )
    pixels_per_degree: Positive | Display = Field(
        default=26.7627, description="a number, whatever the image's size, or a display that it follows from"
    )
    precision: Literal["fast", "double"] = Field(default="fast", description="fast: within 1e-4 of double")

    def density(self, columns: int, rows: int) -> float:
        """Pixels per degree for an image of this size."""
        given = self.pixels_per_degree
        return given if isinstance(given, float) else given.pixels_per_degree(columns, rows)
