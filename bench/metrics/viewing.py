"""HDR-VDP-2 in protocols: the viewing conditions, the metric, and the map of visible differences."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from bench.core.errors import UsageError
from bench.core.metric import metric, section
from bench.metrics.functional.viewing import pixels_per_degree
from bench.metrics.light import OwnMaximum, OwnPercentiles, Positive, TruthMaximum, light
from bench.metrics.settings import ProtocolSection

if TYPE_CHECKING:
    from torch import Tensor

    from bench.metrics.pair import ImagePair
    from bench.metrics.protocol import Protocol

Pixels = Annotated[int, Field(gt=0)]


class Display(ProtocolSection):
    """A screen with square pixels, and where the viewer sits."""

    diagonal_inches: Positive = Field(description="of the screen")
    resolution: Literal["image", "image-swapped"] | tuple[Pixels, Pixels] = Field(
        description="columns and rows; image: the image's own; image-swapped: its rows taken for columns"
    )
    distance_m: Positive = Field(description="from eye to screen")

    def pixels_per_degree(self, columns: int, rows: int) -> float:
        """Pixels per degree of visual angle for an image of this size, by HDR-VDP-2.2's rule."""
        own = {"image": (columns, rows), "image-swapped": (rows, columns)}
        size = own[self.resolution] if isinstance(self.resolution, str) else self.resolution
        return pixels_per_degree(self.diagonal_inches, size, self.distance_m)


NOT_PHOTOMETRIC = (
    "HDR-VDP-2 isn't photometric here: linear values are handed over as an sRGB display's code values, as the field "
    "does; with the light that they stand for, results can rank otherwise"
)
"""Of the encoding sRGB-display."""


@section("hdrvdp2", required=True)
class Hdrvdp2(ProtocolSection):
    """Options of HDR-VDP-2, which gives the correlate Q: 100 for identical images, without lower bound."""

    version: Literal["2.2.0", "2.2.1", "2.2.2"] = Field(
        default="2.2.2", description="release; the last two give the same Q, 2.2.0 its Q_MOS, which is another number"
    )
    encoding: Literal["sRGB-display", "rgb-bt.709", "XYZ"] = Field(
        default="sRGB-display",
        description="colour encoding option; sRGB-display decodes gamma, even from linear values: the field's habit, "
        "and not photometric",
    )
    scale: Positive | TruthMaximum | OwnMaximum | OwnPercentiles = Field(
        default=1.0,
        description="factor from linear relative values to what is handed over; or the luminance of a maximum, or of "
        "percentiles",
    )
    order: Literal["prediction-first", "truth-first"] = Field(
        default="prediction-first", description="order of the images; the second is the reference"
    )
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
    """Q of HDR-VDP-2.2.2 under the protocol's viewing conditions; see `bench.metrics.hdrvdp2.hdrvdp2`.

    Where the protocol says release 2.2.0, that one's Q_MOS.
    """
    x, y, view, options = _handed_over(pair, protocol)
    if view.version == "2.2.0":
        from bench.metrics.hdrvdp2 import older_q_mos

        with unwarned():
            return older_q_mos(x, y, **options)
    from bench.metrics.hdrvdp2 import hdrvdp2

    with unwarned():
        return hdrvdp2(x, y, maps=False, **options).q


def visibility(pair: "ImagePair", protocol: "Protocol") -> "Tensor":
    """HDR-VDP-2's probability in [0, 1] that the difference is seen: (H, W), of what the protocol compares.

    A protocol without viewing conditions, or a picture that is too small, raises UsageError.
    """
    from bench.metrics.hdrvdp2 import hdrvdp2

    x, y, _, options = _handed_over(pair, protocol)
    with unwarned():
        visible: Tensor = hdrvdp2(x, y, maps=True, **options).p_map
    return visible


@contextmanager
def unwarned() -> Iterator[None]:
    """Leave out that a scale looks odd: that is for those to hear who chose it, and here the protocol did."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def _handed_over(pair: "ImagePair", protocol: "Protocol") -> "tuple[Tensor, Tensor, Hdrvdp2, dict[str, Any]]":
    """Return both images in the order and on the scale that HDR-VDP-2 gets them, the section, and its options."""
    if protocol.hdrvdp2 is None:
        raise UsageError(f"protocol {protocol.id} says nothing of HDR-VDP-2's viewing conditions.")
    view = protocol.section(Hdrvdp2)
    x, y = light(pair, view.scale)
    rows, columns = x.shape[:2]
    options = {
        "color_encoding": view.encoding, "pixels_per_degree": view.density(columns, rows),
        "surround_l": view.surround, "precision": view.precision,
    }  # fmt: skip
    return *((x, y) if view.order == "prediction-first" else (y, x)), view, options
