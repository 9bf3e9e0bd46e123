"""From stored pixel values to the light of a display's primaries, and how cones and rods of an age see it.

`spectra.npz` holds 420 wavelengths from 360 to 780 nm of: `receptors` (L, M, rod sensitivity), the emission of each
display's primaries and of `d65`, the CIE 1931 `observer` (x, y, z) and the `lens` density TL1 of Pokorny, Smith and
Lutze (1987). They are the reference's tables, resampled: CVRL's and the CIE's, and measured displays.
"""

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import UsageError, unknown_name
from ..hdrvdp2.display import BLACK, PEAK, srgb_decoded

SPECTRA = Path(__file__).with_name("spectra.npz")
STEP = 420 / 419
"""nm between wavelengths: 420 of them, both ends included."""

DISPLAYS = ("led-lcd-srgb", "led-lcd-wcg", "oled", "crt", "ccfl-lcd")

DARKEST = 1e-6
"""cd/m2: the least that primaries emit after a change of colour space."""

NOT_A_NUMBER = 1e-5
"""Luminance of a NaN pixel, cd/m2."""

BT_709 = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
BT_2020 = ((0.6370, 0.1446, 0.1689), (0.2627, 0.6780, 0.0593), (0.0000, 0.0281, 1.0610))
IDENTITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))

Matrix = tuple[tuple[float, ...], ...]
Figures = NDArray[np.float64]


class InputEncoding(NamedTuple):
    """A colour encoding.

    channels : 1 or 3.
    absolute : values are cd/m2 instead of [0, 1].
    display  : what it is shown on by default.
    to_xyz   : the colour space's matrix; None leaves the primaries to the display.
    """

    channels: int
    absolute: bool
    display: str | None
    to_xyz: Matrix | None


ENCODINGS = {
    "luminance": InputEncoding(1, True, None, None),
    "luma-display": InputEncoding(1, False, None, None),
    "sRGB-display": InputEncoding(3, False, "led-lcd-srgb", BT_709),
    "rgb-bt.709": InputEncoding(3, True, "led-lcd-srgb", BT_709),
    "rgb-bt.2020": InputEncoding(3, True, "oled", BT_2020),
    "rgb-native": InputEncoding(3, True, "led-lcd-srgb", None),
    "XYZ": InputEncoding(3, True, "oled", IDENTITY),
}


def need_display(name: str | None) -> str | None:
    """Return the name as spelt here, whatever its case; an unknown one raises UsageError."""
    if name is None:
        return None
    if name.lower() not in DISPLAYS:
        raise unknown_name("display", name, DISPLAYS)
    return name.lower()


@cache
def _spectra() -> dict[str, Figures]:
    with np.load(SPECTRA) as tables:
        return dict(tables)


def _integrals(rows: Figures, columns: Figures) -> Figures:
    """Trapezoid sums over wavelength of each product of a row of (m, 420) and one of (n, 420): (m, n)."""
    return np.asarray(np.trapezoid(rows[:, None] * columns[None], dx=STEP, axis=-1))


def lens(age: float) -> Figures:
    """Return the share of light that passes the lens at an age in years, compared with 32 years: (420,)."""
    growth = 0.02 * (age - 32) if age <= 60 else 0.56 + 0.0667 * (age - 60)
    passed: Figures = 10 ** (-growth * _spectra()["lens"])
    return passed


@cache
def sensed(encoding: str, display: str | None, age: float, lens_ages: bool) -> Matrix:
    """Return what L cones, M cones and rods get of each channel: (channels, 3); white of 1 gives L + M = 1."""
    known, spectra = ENCODINGS[encoding], _spectra()
    emission = spectra[display or known.display or "d65"]
    if known.channels == 1:
        emission = emission.sum(axis=0, keepdims=True)
    received = spectra["receptors"] * (lens(age) if lens_ages else 1.0)
    matrix = _integrals(emission, received)
    matrix /= matrix[:, :2].sum()
    return tuple(map(tuple, matrix.tolist()))


@cache
def to_native(encoding: str, display: str | None) -> Matrix | None:
    """Return the matrix from an encoding's channels to a display's primaries; None for encodings without one."""
    known, spectra = ENCODINGS[encoding], _spectra()
    if known.to_xyz is None:
        return None
    primaries = _integrals(spectra["observer"], spectra[display or known.display or "d65"])
    primaries /= primaries[1].sum()
    return tuple(map(tuple, np.linalg.solve(primaries, np.array(known.to_xyz)).tolist()))


def shown(image: list[Tensor], role: str, encoding: str) -> list[Tensor]:
    """Return the light of the channels (H, W) float64 of an image, in cd/m2 where it is absolute.

    NaN is black for `sRGB-display` and stays NaN otherwise. Negative values of `luma-display` raise UsageError.
    """
    if encoding == "luma-display":
        if bool((image[0] < 0).any()):
            raise UsageError(f"the {role} image has negative luma, which has no power of 2.2; expected [0, 1].")
        return [_around_gaps(plane, lambda v: PEAK * v**2.2 + BLACK) for plane in image]
    if encoding == "sRGB-display":
        return [PEAK * srgb_decoded(torch.where(plane.isnan(), 0.0, plane)) + BLACK for plane in image]
    return image


def _around_gaps(plane: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply a function to a plane, but not to its NaN, which would make the gradients of all NaN."""
    gaps = plane.isnan()
    if not bool(gaps.any()):
        return function(plane)
    return torch.where(gaps, math.nan, function(torch.where(gaps, 0.0, plane)))


def native(light: list[Tensor], role: str, encoding: str, display: str | None) -> list[Tensor]:
    """Return the light of a display's primaries in cd/m2 for the channels (H, W) that `shown` returns.

    Where there is a colour matrix the least is 1e-6, and NaN makes all primaries of the pixel NaN, or 1e-6 if anything
    else in the image is below that. Infinite or far too large values raise UsageError.
    """
    gaps = [plane.isnan() for plane in light]
    holes = any(bool(gap.any()) for gap in gaps)
    known = [torch.where(gap, 0.0, plane) for gap, plane in zip(gaps, light, strict=True)] if holes else light
    matrix = to_native(encoding, display)
    if matrix is not None:
        colours = torch.stack(known)
        known = list(torch.tensordot(colours.new_tensor(matrix), colours, 1))
    if not all(math.isfinite(float(plane.detach().sum())) for plane in known):
        raise UsageError(f"the {role} image holds infinite or far too large values; HDR-VDP-3 compares finite light.")
    filled = math.nan
    if matrix is not None:
        gaps = [gaps[0] | gaps[1] | gaps[2]] * 3
        if any(bool(((plane < DARKEST) & ~gaps[0]).any()) for plane in known):
            filled = DARKEST
        known = [plane.clamp(min=DARKEST) for plane in known]
    return [torch.where(gap, filled, plane) for gap, plane in zip(gaps, known, strict=True)] if holes else known


def visible(light: list[Tensor]) -> list[Tensor]:
    """Return the primaries' light with NaN as nearly dark."""
    return [torch.where(plane.isnan(), NOT_A_NUMBER, plane) for plane in light]
