"""Settings of metrics as plain values: the sections of a protocol, which is a mapping as its YAML file gives it."""

import math
from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

from ..errors import UsageError, unknown_name
from .viewing import pixels_per_degree
from .window import SsimArea, SsimChannels, WindowSettings

Positive = Annotated[float, "above 0"]

Section = TypeVar("Section")


class MuSettings(NamedTuple):
    """The mu-law T(x) = log(1 + mu x) / log(1 + mu); values below 0 count as 0, or as NaN below -1/mu.

    >>> MuSettings(constant=1000.0)
    MuSettings(constant=1000.0, negative='clamp')
    """

    constant: Positive = 5000.0
    negative: Literal["clamp", "nan"] = "clamp"


class PsnrSettings(NamedTuple):
    """Peak of PSNR in the domain that is compared, and the dB that identical images get.

    >>> PsnrSettings(peak="max-of-truth")
    PsnrSettings(peak='max-of-truth', identical='inf')
    """

    peak: Literal["max-of-truth"] | Positive = 1.0
    identical: Literal["inf"] | float = "inf"


class SsimSettings(NamedTuple):
    """Range L of the constants (0.01 L)^2 and (0.03 L)^2, the window, and where it stands.

    >>> section({"ssim": {"window": {"size": 7}}}, "ssim", SsimSettings).window.size
    7
    """

    peak: Literal["range-of-truth"] | Positive = 1.0
    window: WindowSettings = WindowSettings()
    clip: Literal["none", "both"] = "none"
    area: SsimArea = "valid"
    channels: SsimChannels = "separate"
    arithmetic: Literal["float64", "float32-direct"] = "float64"


class Pu21Settings(NamedTuple):
    """Variant of the encoding, and the luminance of linear 1.0 in cd/m2.

    >>> Pu21Settings(peak_luminance=1000.0)
    Pu21Settings(variant='banding_glare', peak_luminance=1000.0)
    """

    variant: Literal["banding", "banding_glare", "peaks", "peaks_glare"] = "banding_glare"
    peak_luminance: Positive = 4000.0


class Screen(NamedTuple):
    """A screen with square pixels, its columns and rows ("image": the image's own), and the viewer's distance.

    >>> Screen(diagonal_inches=24.0, resolution="image", distance_m=0.5).distance_m
    0.5
    """

    diagonal_inches: Positive
    resolution: Literal["image"] | tuple[int, int]
    distance_m: Positive


class Vdp2Settings(NamedTuple):
    """Viewing conditions of HDR-VDP-2; `scale` is the factor from linear values to what is handed over.

    >>> screen = {"diagonal_inches": 24, "resolution": [1500, 1000], "distance_m": 0.5}
    >>> round(section({"hdrvdp2": {"pixels_per_degree": screen}}, "hdrvdp2", Vdp2Settings).density(64, 96), 4)
    26.7627
    """

    version: Literal["2.2.1", "2.2.2"] = "2.2.2"
    encoding: Literal["sRGB-display", "rgb-bt.709", "XYZ"] = "sRGB-display"
    scale: Positive = 1.0
    order: Literal["prediction-first", "truth-first"] = "prediction-first"
    surround: Literal[-1] | Positive = 1e-5
    pixels_per_degree: Screen | Positive = 26.7627
    precision: Literal["fast", "double"] = "fast"

    def density(self, rows: int, columns: int) -> float:
        """Pixels per degree of visual angle for an image of this size."""
        return _density(self.pixels_per_degree, rows, columns)


class Vdp3Settings(NamedTuple):
    """Viewing conditions and observer of HDR-VDP-3; `scale` is the luminance of linear 1.0 in cd/m2.

    >>> section({"hdrvdp3": {"task": "flicker", "age": 60}}, "hdrvdp3", Vdp3Settings).age
    60.0
    """

    version: Literal["3.0.7"] = "3.0.7"
    task: Literal["quality", "side-by-side", "flicker", "detection"] = "quality"
    encoding: Literal["sRGB-display", "rgb-bt.709", "rgb-bt.2020", "rgb-native", "XYZ"] = "rgb-bt.709"
    scale: Positive = 4000.0
    display: Literal["led-lcd-srgb", "led-lcd-wcg", "oled", "crt", "ccfl-lcd", None] = None
    age: Positive = 24.0
    mtf: Literal["hdrvdp", "cie", "none"] = "hdrvdp"
    surround: Literal["none", "mean"] | float = "none"
    pixels_per_degree: Screen | Positive = 26.7627
    precision: Literal["fast", "double"] = "fast"

    def density(self, rows: int, columns: int) -> float:
        """Pixels per degree of visual angle for an image of this size."""
        return _density(self.pixels_per_degree, rows, columns)


def _density(given: Screen | float, rows: int, columns: int) -> float:
    if not isinstance(given, Screen):
        return given
    size = (columns, rows) if given.resolution == "image" else given.resolution
    return pixels_per_degree(given.diagonal_inches, size, given.distance_m)


def section(protocol: Mapping[str, Any] | None, name: str, kind: type[Section]) -> Section:
    """Return a protocol's section `name` as `kind`; what it doesn't write has its default.

    A section that is None, an unknown setting or a value that nothing here implements raises UsageError.

    >>> section({"mu": {"constant": 100}}, "mu", MuSettings)
    MuSettings(constant=100.0, negative='clamp')
    """
    content = (protocol or {}).get(name, {})
    if not isinstance(content, Mapping):
        raise UsageError(f"the protocol's section {name} is {content!r}; expected a mapping of settings to values.")
    return _filled(kind, content, name)


def _filled(kind: type[Section], content: Mapping[str, Any], where: str) -> Section:
    hints = get_type_hints(kind, include_extras=True)
    for key in content:
        if key not in hints:
            raise unknown_name(f"setting of the section {where}", str(key), hints)
    values = {key: _value(value, hints[key], f"{where}.{key}") for key, value in content.items()}
    if missing := [key for key in kind._fields if key not in {*values, *kind._field_defaults}]:  # type: ignore[attr-defined]
        raise UsageError(f"{where} lacks {' and '.join(missing)}.")
    found = kind(**values)
    if isinstance(found, WindowSettings) and (found.size < 3 or found.size % 2 == 0):
        raise UsageError(f"{where}.size is {found.size}; expected an odd number from 3 on.")
    return found


def _value(value: Any, hint: Any, where: str) -> Any:
    """Return a value as one of the kinds that its field takes."""
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    for kind in kinds:
        if get_origin(kind) is Literal and value in get_args(kind):
            return value
        if hasattr(kind, "_fields") and isinstance(value, Mapping):
            return _filled(kind, value, where)
        if get_origin(kind) is tuple and isinstance(value, list | tuple) and len(value) == len(get_args(kind)):
            return tuple(_value(one, inner, where) for one, inner in zip(value, get_args(kind), strict=True))
        if kind in (int, bool) and type(value) is kind:
            return value
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if number and (kind is float or (kind == Positive and value > 0)):
            return float(value)
    raise UsageError(f"{where} is {value!r}; expected {' or '.join(map(_said, kinds))}.")


def _said(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(repr(one) for one in get_args(kind))
    if hasattr(kind, "_fields"):
        return f"a mapping with {', '.join(kind._fields)}"
    if get_origin(kind) is tuple:
        return f"{len(get_args(kind))} integers"
    names: dict[Any, str] = {int: "an integer", bool: "true or false", float: "a number", Positive: "a number above 0"}
    return names[kind]
