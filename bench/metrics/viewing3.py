"""HDR-VDP-3 in protocols: who observes which display, and two metrics of one comparison."""

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from bench.core.metric import metric, section
from bench.metrics.light import Positive
from bench.metrics.settings import ProtocolSection
from bench.metrics.viewing import Display, unwarned

if TYPE_CHECKING:
    from torch import Tensor

    from bench.metrics.hdrvdp3 import Hdrvdp3Result
    from bench.metrics.pair import ImagePair
    from bench.metrics.protocol import Protocol


@section("hdrvdp3", required=True)
class Hdrvdp3(ProtocolSection):
    """Options of HDR-VDP-3, which gives Q and Q_JOD: 10 for identical images, without lower bound."""

    version: Literal["3.0.7"] = Field(default="3.0.7", description="release")
    task: Literal["quality", "side-by-side", "flicker", "detection"] = Field(
        default="quality", description="what its figures were fitted to; quality and side-by-side are one"
    )
    encoding: Literal["sRGB-display", "rgb-bt.709", "rgb-bt.2020", "rgb-native", "XYZ"] = Field(
        default="rgb-bt.709", description="colour encoding option; sRGB-display decodes gamma, the others are cd/m2"
    )
    scale: Positive = Field(
        default=4000.0,
        description="factor from linear relative values to what is handed over, so the luminance of linear 1.0 in "
        "cd/m2; it moves Q much",
    )
    display: Literal["led-lcd-srgb", "led-lcd-wcg", "oled", "crt", "ccfl-lcd"] | None = Field(
        default=None, description="its emission; None: oled for rgb-bt.2020 and XYZ, else led-lcd-srgb"
    )
    age: Annotated[float, Field(gt=0, le=120)] = Field(default=24.0, description="of the observer, in years")
    mtf: Literal["hdrvdp", "cie", "none"] = Field(default="hdrvdp", description="light scattered in the eye")
    surround: Annotated[float, Field(ge=0)] | Literal["none", "mean"] = Field(
        default="none", description="luminance around the image; none: its mirror image; mean: geometric, of the truth"
    )
    pixels_per_degree: Annotated[float, Field(gt=2)] | Display = Field(
        default=26.7627, description="a number, whatever the image's size, or a display that it follows from"
    )
    precision: Literal["fast", "double"] = Field(default="fast", description="fast: within 1e-5 of double")

    @model_validator(mode="after")
    def _scaled(self) -> Self:
        if self.encoding == "sRGB-display" and "scale" not in self.model_fields_set:
            raise ValueError("encoding sRGB-display takes code values in [0, 1]: say by which scale")
        return self

    def density(self, columns: int, rows: int) -> float:
        """Pixels per degree for an image of this size."""
        given = self.pixels_per_degree
        return given if isinstance(given, float) else given.pixels_per_degree(columns, rows)


@metric(
    "hdrvdp3", unit="Q3", better="higher", domain="vision", label="HDR-VDP-3", digits=2, sections=("hdrvdp3",),
    local=False, high=10,
)  # fmt: skip
def quality(pair: "ImagePair", protocol: "Protocol", mask: "Tensor | None" = None) -> float:
    """Q of HDR-VDP-3.0.7 under the protocol's viewing conditions; see `bench.metrics.hdrvdp3.hdrvdp3`."""
    return _observed(pair, protocol).Q


@metric(
    "hdrvdp3-jod", unit="JOD", better="higher", domain="vision", label="HDR-VDP-3, JOD", digits=2,
    sections=("hdrvdp3",), local=False, high=10,
)  # fmt: skip
def quality_jod(pair: "ImagePair", protocol: "Protocol", mask: "Tensor | None" = None) -> float:
    """Q_JOD of HDR-VDP-3.0.7, its Q in just-objectionable-differences; see `bench.metrics.hdrvdp3.hdrvdp3`."""
    return _observed(pair, protocol).Q_JOD


def _observed(pair: "ImagePair", protocol: "Protocol") -> "Hdrvdp3Result":
    view = protocol.section(Hdrvdp3)
    return pair.once(("hdrvdp3", view), lambda: _compared(pair, view))


def _compared(pair: "ImagePair", view: Hdrvdp3) -> "Hdrvdp3Result":
    from bench.metrics.hdrvdp3 import hdrvdp3

    x, y = pair.linear
    rows, columns = x.shape[:2]
    with unwarned():
        return hdrvdp3(
            x.double() * view.scale,
            y.double() * view.scale,
            encoding=view.encoding,
            pixels_per_degree=view.density(columns, rows),
            task=view.task,
            display=view.display,
            age=view.age,
            surround=view.surround,
            mtf=view.mtf,
            maps=False,
            precision=view.precision,
        )
