"""From stored pixel values to light: display models, emission spectra seen by cones and rods, and viewing geometry."""

import math
import warnings
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import unknown_name

PEAK, BLACK = 99.0, 1.0
"""cd/m2 that the built-in display adds for a full channel, and emits for an empty one."""

KNEE = 0.04045
"""sRGB value up to which the curve is a straight line."""

NOT_A_NUMBER = 1e-5
"""Luminance of a NaN pixel, cd/m2."""

FAR_ABOVE = 10.0
"""Largest value of a display encoding that can still be an overshoot of [0, 1]."""

XYZ_TO_RGB = ((3.240708, -1.537259, -0.498570), (-0.969257, 1.875995, 0.041555), (0.055636, -0.203996, 1.057069))


class Encoding(NamedTuple):
    """A colour encoding: its channels, and whether its values are absolute (cd/m2) instead of [0, 1]."""

    channels: int
    absolute: bool


ENCODINGS = {
    "luminance": Encoding(1, True),
    "luma-display": Encoding(1, False),
    "sRGB-display": Encoding(3, False),
    "rgb-bt.709": Encoding(3, True),
    "XYZ": Encoding(3, True),
}

# Rows: input channels; columns: L cone, M cone, rod. Integrals over wavelength of sensitivity times emission.
SPECTRA = {
    "ccfl-lcd": (
        (0.1989961203379287, 0.04100586040758893, 0.01437736862111919),
        (0.40476260703812544, 0.25492330644134564, 0.4809208410841319),
        (0.05439061925532116, 0.050012248959300676, 0.45427589566935994),
    ),
    "led-lcd": (
        (0.1787174708325443, 0.04729528934232731, 0.0688682732168711),
        (0.44171841764736336, 0.2649529315030187, 0.584439209301964),
        (0.037298983813337794, 0.03406751621076706, 0.33097358677530136),
    ),
    "crt": (
        (0.19352143856780377, 0.045053209085706196, 0.04707366617554174),
        (0.4142240107638399, 0.25627519596218484, 0.5384547675333984),
        (0.05071663628626743, 0.04523801971999734, 0.40041394231638844),
    ),
}
D65 = ((0.601847152244699, 0.31670829557916946, 0.9046706545995032),)


def encoding(name: str, among: Iterable[str] = ENCODINGS) -> str:
    """Return the encoding's name as spelt here, whatever its case; an unknown one raises UsageError."""
    for known in among:
        if known.lower() == name.lower():
            return known
    raise unknown_name("colour encoding", name, among)


def spectral_matrix(color_encoding: str, rgb_display: str | None) -> list[list[float]]:
    """Return the (channels, 3) weights of L cone, M cone and rod signals for the channels of an encoding.

    rgb_display : ccfl-lcd (what None means for three channels), led-lcd or crt. One channel without a display has the
    spectrum D65; with one, all three primaries carry it.
    """
    if rgb_display is not None:
        rgb_display = rgb_display.lower()
        if rgb_display not in SPECTRA:
            raise unknown_name("display", rgb_display, SPECTRA)
    if ENCODINGS[color_encoding].channels == 3:
        return [list(row) for row in SPECTRA[rgb_display or "ccfl-lcd"]]
    if rgb_display is None:
        return [list(row) for row in D65]
    return [[math.fsum(column) for column in zip(*SPECTRA[rgb_display], strict=True)]]


def emitted(image: list[Tensor], color_encoding: str) -> list[Tensor]:
    """Return the light of the channels (H, W) of an image in cd/m2; nothing is clipped.

    `luma-display` is 99 V^2.2 + 1, `sRGB-display` 99 sRGB^-1(V) + 1 for each channel; the others are absolute.
    """
    if color_encoding == "luma-display":
        # Below 0 there is no power; NaN goes the same way, and neither gets a slope.
        light = [torch.where(v >= 0, PEAK * v.clamp(min=0) ** 2.2 + BLACK, NOT_A_NUMBER) for v in image]
    elif color_encoding == "sRGB-display":
        light = [PEAK * srgb_decoded(plane) + BLACK for plane in image]
    elif color_encoding == "XYZ":
        light = [x * image[0] + y * image[1] + z * image[2] for x, y, z in XYZ_TO_RGB]
    else:
        light = image
    return [plane.nan_to_num(nan=NOT_A_NUMBER, posinf=math.inf, neginf=-math.inf) for plane in light]


def srgb_decoded(encoded: Tensor) -> Tensor:
    """Decode sRGB values; below 0 and above 1 the curve goes on."""
    # The power's own slope at the values it isn't used for would be NaN: it never gets to see them.
    power = ((encoded.clamp(min=KNEE) + 0.055) / 1.055) ** 2.4
    return torch.where(encoded <= KNEE, encoded / 12.92, power)


def warn_of_scale(image: list[Tensor], color_encoding: str, absolute: bool, release: str = "HDR-VDP-2") -> None:
    """Warn where values look like those of another encoding: relative radiance for luminance, or code values."""
    largest = max(float(plane.detach().max()) for plane in image)
    takes = f"{release} with {color_encoding} takes"
    if absolute and color_encoding != "XYZ" and largest <= 1:
        advice = "multiply relative radiance by the luminance that 1 stands for"
        warnings.warn(f"{takes} cd/m2, but no value is above 1: {advice}.", stacklevel=4)
    if not absolute and largest > FAR_ABOVE:
        advice = "divide code values by the largest code"
        warnings.warn(f"{takes} [0, 1], but values reach {largest:g}: {advice}.", stacklevel=4)
