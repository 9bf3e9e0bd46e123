"""HDR-VDP-2 in protocols: the viewing conditions, the metric, and the map of visible differences."""

import warnings
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from bench.core.errors import UsageError
from bench.core.metric import metric, section
from bench.metrics.functional.viewing import pixels_per_degree
from bench.metrics.settings import ProtocolSection

if TYPE_CHECKING:
    from torch import Tensor

    from bench.metrics.hdrvdp2 import Hdrvdp2Result
    from bench.metrics.pair import ImagePair
    from bench.metrics.protocol import Protocol

Positive = Annotated[float, Field(gt=0)]
Pixels = Annotated[int, Field(gt=0)]


class Display(ProtocolSection):
    """A screen with square pixels, and where the viewer sits."""

    diagonal_inches: Positive = Field(description="of the screen")
    resolution: Literal["image"] | tuple[Pixels, Pixels] = Field(description="columns and rows; image: the image's own")
    distance_m: Positive = Field(description="from eye to screen")

    def pixels_per_degree(self, columns: int, rows: int) -> float:
        """Pixels per degree of visual angle for an image of this size, by HDR-VDP-2.2's rule."""
        size = (columns, rows) if self.resolution == "image" else self.resolution
        return pixels_per_degree(self.diagonal_inches, size, self.distance_m)


NOT_PHOTOMETRIC = (
    "HDR-VDP-2 isn't photometric here: linear values are handed over as an sRGB display's code values, as the field "
    "does; with the light that they stand for, results can rank otherwise"
)
"""Of the encoding sRGB-display."""


@section("hdrvdp2", required=True)
class Hdrvdp2(ProtocolSection):
    """Options of HDR-VDP-2, which gives the correlate Q: 100 for identical images, without lower bound."""

    version: Literal["2.2.1", "2.2.2"] = Field(default="2.2.2", description="release; both give the same numbers")
    encoding: Literal["sRGB-display", "rgb-bt.709", "XYZ"] = Field(
        default="sRGB-display",
        description="colour encoding option; sRGB-display decodes gamma, even from linear values: the field's habit, "
        "and not photometric",
    )
    scale: Positive = Field(default=1.0, description="factor from linear relative values to what is handed over")
    surround: Annotated[float, Field(gt=0)] | Literal[-1] = Field(
        default=1e-5, description="luminance around the image; -1: geometric mean of the truth"
    )
    pixels_per_degree: Positive | Display = Field(
        default=26.7627, description="a number, whatever the image's size, or a display that it follows from"
    )
    precision: Literal["fast", "double"] = Field(default="fast", description="fast: within 1e-4 of double")

    @property
    def caution(self) -> str:
        """The sentence that tables carry where Q isn't of the light that linear values stand for; "" elsewhere."""
        return NOT_PHOTOMETRIC if self.encoding == "sRGB-display" else ""

    def density(self, columns: int, rows: int) -> float:
        """Pixels per degree for an image of this size."""
        given = self.pixels_per_degree
        return given if isinstance(given, float) else given.pixels_per_degree(columns, rows)


@metric(
    "hdrvdp2", unit="Q", better="higher", domain="vision", label="HDR-VDP-2", digits=2, sections=("hdrvdp2",),
    local=False, high=100,
)  # fmt: skip
def quality(pair: "ImagePair", protocol: "Protocol", mask: "Tensor | None" = None) -> float:
    """Q of HDR-VDP-2.2.2 under the protocol's viewing conditions; see `bench.metrics.hdrvdp2.hdrvdp2`."""
    return _viewed(pair, protocol, maps=False).q


def visibility(pair: "ImagePair", protocol: "Protocol") -> "Tensor":
    """HDR-VDP-2's probability in [0, 1] that the difference is seen: (H, W), of what the protocol compares.

    A protocol without viewing conditions, or a picture that is too small, raises UsageError.
    """
    visible: Tensor = _viewed(pair, protocol, maps=True).p_map
    return visible


def _viewed(pair: "ImagePair", protocol: "Protocol", maps: bool) -> "Hdrvdp2Result":
    from bench.metrics.hdrvdp2 import hdrvdp2

    if protocol.hdrvdp2 is None:
        raise UsageError(f"protocol {protocol.id} says nothing of HDR-VDP-2's viewing conditions.")
    view = protocol.section(Hdrvdp2)
    x, y = pair.linear
    rows, columns = x.shape[:2]
    with warnings.catch_warnings():  # that a scale looks odd is for those to hear who chose it: here the protocol did
        warnings.simplefilter("ignore", UserWarning)
        return hdrvdp2(
            x.double() * view.scale,
            y.double() * view.scale,
            color_encoding=view.encoding,
            pixels_per_degree=view.density(columns, rows),
            surround_l=view.surround,
            maps=maps,
            precision=view.precision,
        )
