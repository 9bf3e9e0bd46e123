"""Colours that a file's header gives other primaries than BT.709, as files of other programs do.

References: SMPTE RP 177 (matrices of primaries), ICC.1 annex E (Bradford).
"""

import re
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.core.errors import UsageError
from bench.core.reading import shown
from bench.core.scene import Radiance
from bench.io.decoding import quiet

AGREES = 2e-3
"""Chromaticities nearer than this are the same: writers round them to two or three digits."""

BT709 = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)
"""Chromaticities x, y of red, green, blue and white that every array of ours has (ITU-R BT.709)."""

GAMMA, NEAR = 1 / 2.2, 0.1
"""Exponent with which usual pictures are encoded, and by what share it may differ: 1 / 2.4 and 1 / 2 are still near."""

XYZ = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
"""Chromaticities of the axes of CIE XYZ: values in them are no mixture of lights, and have no white of their own."""

BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
"""XYZ to cone responses, in which whites are exchanged (K. M. Lam, 1985; the ICC's choice)."""

OURS = re.compile(r"(?<!\be-)(?<!\bbg-)srgb|709")
"""Words, in small letters, in the names of profiles that have the primaries of BT.709. Not e-sRGB and bg-sRGB, which
stretch their range beyond that of sRGB (PIMA 7667, IEC 61966-2-1/A1)."""

LINEAR = re.compile(r"(?<!non)(?<!non[- ])linear|\blin(?:_|\b)|\bg(?:amma)?[ =:]*1(?:\.?0+)?(?!\.?\d)")
"""Words, in small letters, in the names of profiles whose values are proportional to light; Elle Stone's say g10."""

TINY_SRGB = "c2"
"""Name of a short sRGB profile that many pictures from the web have."""


def to_bt709(path: Path, radiance: Radiance, chromaticities: tuple[float, ...], told: list[str]) -> Radiance:
    """Return linear RGB (H, W, 3) of other primaries as BT.709; values stay where they are the same.

    chromaticities : x, y of red, green, blue and white.
    told           : gets a sentence, without the file's name, if values are converted.

    White becomes white (Bradford), but for XYZ, whose values are the light itself. Colours that BT.709 can't hold get
    negative values; where the file had none these are set to 0. UsageError for impossible chromaticities.
    """
    if not (words := others(chromaticities)):
        return radiance
    try:
        with np.errstate(all="ignore"):
            matrix = np.linalg.inv(_to_xyz(BT709)) @ _whites(chromaticities) @ _to_xyz(chromaticities)
        if not np.isfinite(matrix).all():
            raise np.linalg.LinAlgError
    except (np.linalg.LinAlgError, ZeroDivisionError) as error:  # on one line, or a white without light
        raise UsageError(
            f"{shown(path)}: its primaries and white ({words}) span no colours; expected those of BT.709 "
            "or of another space. Correct its header."
        ) from error
    with np.errstate(all="ignore"):  # NaN and infinity are named by whoever asks for radiance
        converted = np.asarray(radiance.astype(np.float64) @ matrix.T, np.float32)
        outside = (converted < 0) & (radiance >= 0).all(axis=-1, keepdims=True)
    converted[outside] = 0
    count = int(outside.sum())
    zeroed = (
        f"; {count} of {outside.size} values, of colours that it can't hold, were below 0: set to 0" if count else ""
    )
    told.append(f"its colours have other primaries ({words}); converted to BT.709{zeroed}.")
    return converted


def others(chromaticities: tuple[float, ...]) -> str:
    """Return chromaticities that aren't those of BT.709 in words; "" if they are."""
    if np.allclose(chromaticities, BT709, rtol=0, atol=AGREES):
        return ""
    return " ".join(f"{value:.4g}" for value in chromaticities) + ", as x y of red, green, blue, white"


def _to_xyz(chromaticities: tuple[float, ...]) -> NDArray[np.float64]:
    """Return the matrix that turns RGB of these primaries into XYZ, white being (1, 1, 1) with Y = 1."""
    if np.allclose(chromaticities[:6], XYZ):
        return np.eye(3)
    primaries = np.stack([_light(*chromaticities[i : i + 2]) for i in (0, 2, 4)], axis=-1)
    matrix = np.asarray(primaries * np.linalg.solve(primaries, _white(chromaticities)))
    if not np.linalg.cond(matrix) < 1e6:
        raise np.linalg.LinAlgError
    return matrix


def _white(chromaticities: tuple[float, ...]) -> NDArray[np.float64]:
    x, y = chromaticities[6:]
    return _light(x, y) / y


def _light(x: float, y: float) -> NDArray[np.float64]:
    return np.array([x, y, 1 - x - y])


def _whites(chromaticities: tuple[float, ...]) -> NDArray[np.float64]:
    """Return the matrix that turns XYZ under one white into XYZ under that of BT.709."""
    if np.allclose(chromaticities[:6], XYZ):
        return np.eye(3)
    cones = (BRADFORD @ _white(BT709)) / (BRADFORD @ _white(chromaticities))
    return np.asarray(np.linalg.inv(BRADFORD) @ (cones[:, None] * BRADFORD))


def profile_name(icc: bytes) -> str:
    """Return what a colour profile (ICC) calls itself; "" for none.

    A profile without a readable name is told by its hash: equal profiles have equal names.
    """
    if not icc:
        return ""
    from PIL import ImageCms

    try:
        with quiet():
            name = " ".join(ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(BytesIO(icc))).split())
    except Exception:  # LittleCMS refuses damaged ones, in several ways
        name = ""
    return shown(name) or f"without a name ({sha256(icc).hexdigest()[:8]})"


def is_bt709(name: str) -> bool:
    """Tell by its name whether a profile has the primaries of BT.709, which are those of sRGB; true for none."""
    return not name or name == TINY_SRGB or bool(OURS.search(name.lower()))


def is_linear(name: str) -> bool:
    """Tell by its name whether a profile has linear values; false for none, as frames are gamma-encoded."""
    return bool(LINEAR.search(name.lower()))
