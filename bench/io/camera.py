"""What cameras and phones store besides JPEG: raw values and HEIC, read where the optional libraries are installed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.errors import UsageError
from bench.core.reading import need_regular, shown
from bench.core.scene import Array, Radiance
from bench.io.decoding import FILE, first_bytes, need_room, quiet

RAW_SUFFIXES = (
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mos", ".mrw", ".nef",
    ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
)  # fmt: skip
HEIF_SUFFIXES = (".heic", ".heif", ".hif")

HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
"""What follows `ftyp` at byte 8 of a HEIC, whatever the file is called: phones rename what they send."""

INSTALL = "or install what reads it here: pip install -e '.[raw]'"

EXIF_FOLDER = 0x8769
"""EXIF tag: the folder of what else the camera wrote."""

FRACTIONS = (0x829A, 0x829D, 0x9201, 0x9202)
"""EXIF tags that are stored as two numbers: ExposureTime, FNumber, ShutterSpeedValue, ApertureValue."""

EQUAL = 1e-3
"""White balances nearer than this, relative, are the same."""


def need_reader(path: Path) -> None:
    """Raise UsageError, which says what helps, for a raw file or a HEIC whose library isn't installed.

    The content is asked too where the name says something else. Where HEICs can be read, Pillow can open them from now
    on.
    """
    if path.suffix.lower() in RAW_SUFFIXES:
        _rawpy(path)
    elif is_heif(path):
        _pillow_heif(path)
        register_heif()


def is_heif(path: Path) -> bool:
    """Tell whether a regular file is a HEIC by its name or, whatever its name is, by its first bytes."""
    if path.suffix.lower() in HEIF_SUFFIXES:
        return True
    start = first_bytes(path, 12)
    return start[4:8] == b"ftyp" and start[8:12] in HEIF_BRANDS


def _rawpy(path: Path) -> Any:
    try:
        import rawpy
    except ImportError as error:
        raise UsageError(
            f"{shown(path)}: a camera's raw file ({path.suffix.lower()}). Convert it to 16-bit TIFF or linear EXR with "
            f"a raw converter (darktable, RawTherapee, dcraw -4 -T), {INSTALL}."
        ) from error
    return rawpy


def _pillow_heif(path: Path) -> Any:
    try:
        import pillow_heif
    except ImportError as error:
        raise UsageError(
            f"{shown(path)}: a HEIC, as phones write them. Convert it to PNG or TIFF, or let the phone write JPEG "
            f"(camera settings, 'most compatible'), {INSTALL}."
        ) from error
    return pillow_heif


def read_raw(path: Path, balance: Sequence[float] = (), upright: bool = False) -> Radiance:
    """Develop a raw file: (H, W, 3) float32 linear RGB (BT.709) in [0, 1], 1 being the sensor's white.

    balance : multipliers of red, green, blue and second green; () for the camera's own (`white_balance`).
    upright : whether rows are turned as the camera was held; else as the sensor read them.

    Nothing depends on what the picture shows: no automatic brightness, no maximum that follows the content. UsageError
    without the library `rawpy`, or if the file is damaged or no raw file.
    """
    rawpy, path = _rawpy(path), need_regular(path, FILE)
    settings: dict[str, Any] = {"user_wb": list(balance)} if balance else {"use_camera_wb": True}
    if not upright:
        settings["user_flip"] = 0
    try:
        with quiet(), rawpy.imread(str(path)) as raw:
            need_room(path, int(raw.sizes.raw_width), int(raw.sizes.raw_height), 12)
            pixels = raw.postprocess(
                gamma=(1, 1), no_auto_bright=True, adjust_maximum_thr=0.0, output_bps=16, **settings
            )
    except UsageError:
        raise
    except Exception as error:  # LibRaw has a class for each of its errors
        raise _damaged(path, "raw file", error) from error
    return np.asarray(pixels, np.float32) / np.float32(65535)


def white_balance(path: Path) -> tuple[float, ...]:
    """Return the multipliers that the camera chose: red, green, blue, second green, green being 1; () if it didn't.

    UsageError as in `read_raw`.
    """
    rawpy, path = _rawpy(path), need_regular(path, FILE)
    try:
        with quiet(), rawpy.imread(str(path)) as raw:
            values = [float(value) for value in raw.camera_whitebalance]
    except Exception as error:
        raise _damaged(path, "raw file", error) from error
    if len(values) != 4 or not all(np.isfinite(values)) or min(values[:3]) <= 0:
        return ()
    return tuple(value / values[1] for value in (*values[:3], values[3] or values[1]))


def common_balance(paths: Sequence[Path]) -> tuple[tuple[float, ...], list[str]]:
    """Return the white balance to develop all raw files of a bracket with, that of the first, and what to say of it.

    Each frame with its own would be a bracket of other colours.
    """
    found = {path: white_balance(path) for path in paths}
    first = found[paths[0]]
    words = f"the camera's white balance ({' '.join(f'{value:.3g}' for value in first[:3])})" if first else "daylight"
    others = [path.name for path, other in found.items() if other != first and not _close(other, first)]
    notes = [f"raw files are developed linearly, with {words}, to BT.709"]
    if others:
        notes.append(f"{shown(', '.join(others))}: has another white balance; that of {shown(paths[0].name)} is taken")
    return first, notes


def _close(one: Sequence[float], other: Sequence[float]) -> bool:
    return len(one) == len(other) and bool(np.allclose(one, other, rtol=EQUAL, atol=0))


def read_heif(path: Path) -> Array:
    """Read a HEIC as its writer meant it to be seen: (H, W, 3) uint8, or uint16 of 10 and 12 bits, upright.

    UsageError without the library `pillow-heif`, or if the file is damaged or not of three channels.
    """
    library, path = _pillow_heif(path), need_regular(path, FILE)
    try:
        with quiet():
            file = library.open_heif(str(path), convert_hdr_to_8bit=False)
            need_room(path, *file.size, 6)
            pixels = np.asarray(file)
    except UsageError:
        raise
    except Exception as error:
        raise _damaged(path, "HEIC", error) from error
    if pixels.ndim == 3 and pixels.shape[-1] == 4:
        pixels = pixels[..., :3]  # phones add an alpha of nothing
    return pixels


def _damaged(path: Path, kind: str, error: Exception) -> UsageError:
    said = shown(" ".join(str(error).split()) or type(error).__name__)
    return UsageError(f"{shown(path)}: can't be read as a {kind} ({said}). Copy or download it again.")


def register_heif() -> bool:
    """Let Pillow open HEICs, whose EXIF it then reads, where `pillow-heif` is installed; tell whether it is."""
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


def raw_exif(path: Path) -> dict[int, Any]:
    """Return the EXIF tags of a raw file that is laid out like a TIFF, by number, fractions as floats.

    Whatever tifffile raises for another one is raised.
    """
    import tifffile

    with quiet(), tifffile.TiffFile(need_regular(path)) as file:
        tags: Any = file.pages.first.tags
        found = {tag.code: tag.value for tag in tags}
        folder = found.pop(EXIF_FOLDER, None)
    named = folder if isinstance(folder, dict) else {}
    found |= {code: named[name] for code, name in tifffile.TIFF.EXIF_TAGS.items() if name in named}
    return {code: value[0] / value[1] if _fraction(code, value) else value for code, value in found.items()}


def _fraction(code: int, value: Any) -> bool:
    return code in FRACTIONS and isinstance(value, tuple) and len(value) == 2 and bool(value[1])
