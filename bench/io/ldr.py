"""8- and 16-bit frames: TIFF, PNG, JPEG and HEIC in, 16-bit TIFF out. RGB, never BGR. Masks are 8-bit grey PNGs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.core.errors import UsageError
from bench.core.reading import need_regular, shown
from bench.io import png
from bench.io.camera import (
    EXIF_FOLDER,
    HEIF_SUFFIXES,
    RAW_SUFFIXES,
    is_heif,
    need_reader,
    raw_exif,
    read_heif,
    register_heif,
)
from bench.io.decoding import first_bytes, need_room, quiet
from bench.io.files import replacing
from bench.io.primaries import is_bt709, is_linear, profile_name
from bench.io.tiff import STRIP, profile, read_opencv, read_tiff, stated_colours

Frame = NDArray[np.uint8] | NDArray[np.uint16]
"""(H, W, 3) uint8 or uint16, RGB, as stored: the full range of the dtype is [0, 1]."""

TIFF_SUFFIXES = (".tif", ".tiff")
SUFFIXES = (*TIFF_SUFFIXES, ".png", ".jpg", ".jpeg")

EXPECTED = "8 or 16 bits unsigned, gamma-encoded"

MODES = {"CMYK": "CMYK", "P": "a palette", "LAB": "CIELAB", "YCbCr": "YCbCr", "HSV": "HSV"}
"""Pillow's modes that hold other colours than RGB."""

TOO_MANY = "its header asks for more than 178 million pixels, Pillow's bound"

ORIENTATION = 0x0112
"""EXIF tag: how the camera was held."""

COLOUR_SPACE, UNCALIBRATED, INTEROPERABILITY = 0xA001, 65535, 0xA005
"""EXIF tag of the colour space, its value for other ones than sRGB, and the folder whose R03 means Adobe RGB (DCF)."""

HELD: Mapping[int, str] = {
    1: "upright", 2: "mirrored", 3: "upside down", 4: "mirrored, upside down", 5: "mirrored, on its side",
    6: "on its left side", 7: "mirrored, on its side", 8: "on its right side",
}  # fmt: skip
"""EXIF orientation -> how the stored rows lie."""


class Facts(NamedTuple):
    """What a frame's file says of its pixels: EXIF orientation (1 if nothing) and name of its profile ("" for none)."""

    orientation: int
    profile: str


def read_frame(path: Path) -> Frame:
    """Read one frame: (H, W, 3) uint8 or uint16, RGB, values as stored.

    HEICs are read where `pillow-heif` is installed. UsageError if the file is missing, damaged, of another kind, too
    large, not 8 or 16 bits unsigned (such as a float TIFF), not of three channels (grey, palette, alpha) or not RGB.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in RAW_SUFFIXES:
        need_reader(path)
        raise UsageError(f"{shown(path)}: a camera's raw file; expected a gamma-encoded frame: {', '.join(SUFFIXES)}.")
    if suffix not in (*SUFFIXES, *HEIF_SUFFIXES):
        raise UsageError(f"{shown(path)}: unknown kind of frame; expected one of {', '.join(SUFFIXES)}.")
    try:
        need_regular(path)
    except UsageError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise UsageError(f"{shown(path)}: no such file; expected a frame of a bracket there.") from error
        raise
    if is_heif(path):
        pixels = read_heif(path)
    elif suffix in TIFF_SUFFIXES:
        pixels = read_tiff(path, "u", EXPECTED, packed=True)
    else:
        pixels = _read_other(path)
    _refuse_kind(path, pixels.dtype, pixels.shape[-1] if pixels.ndim == 3 else 1)
    return np.ascontiguousarray(pixels)


def facts(path: Path) -> Facts:
    """Return what a frame's file says of its pixels; nothing for what can't be read, which `read_frame` names."""
    from PIL import Image

    try:
        if path.suffix.lower() in TIFF_SUFFIXES:
            return Facts(1, profile_name(profile(path)) or stated_colours(path))  # turned ones are refused
        upright = is_heif(path) and register_heif()  # libheif turns pixels as the file says
        with quiet(), Image.open(need_regular(path)) as image:
            orientation = 1 if upright else int(image.getexif().get(ORIENTATION, 1))
            name = profile_name(image.info.get("icc_profile") or b"")
            if image.format == "PNG":
                name = png.stated_colours(path, name)
            return Facts(orientation, name or _exif_colours(image.getexif()))
    except Exception:  # Pillow can't open every file that `read_frame` can, nor does every file hold sound tags
        return Facts(1, "")


def _exif_colours(tags: Any) -> str:
    """Return the name of the colours that EXIF states, as cameras write Adobe RGB without a profile; "" for sRGB."""
    told = tags.get_ifd(EXIF_FOLDER)
    space, index = told.get(COLOUR_SPACE), str(tags.get_ifd(INTEROPERABILITY).get(1, ""))
    return "Adobe RGB (of EXIF)" if space == 2 or (space == UNCALIBRATED and index.startswith("R03")) else ""


def exif(path: Path) -> dict[int, Any]:
    """Return the EXIF tags of a frame's file by number, those of its EXIF folder among them; {} if it has none.

    HEICs are read where `pillow-heif` is installed, of raw files those that are laid out like TIFFs.
    """
    from PIL import Image

    try:
        if path.suffix.lower() in RAW_SUFFIXES:
            return raw_exif(path)
        if is_heif(path):
            register_heif()
        with quiet(), Image.open(need_regular(path)) as image:
            tags = image.getexif()
            return {**tags, **tags.get_ifd(EXIF_FOLDER)}
    except Exception:  # what is wrong with the file is said where its pixels are read
        return {}


def has_damaged_exif(path: Path) -> bool:
    """Tell whether a frame's file holds EXIF data whose lists of tags can't be; false for what is no picture."""
    from PIL import Image

    try:
        if is_heif(path):
            register_heif()
        with quiet(), Image.open(need_regular(path)) as image:
            data = image.info.get("exif") or b""
            return bool(data) and _is_damaged(data.removeprefix(b"Exif\0\0"))
    except Exception:  # what is wrong with the file is said where its pixels are read
        return False


def _is_damaged(data: bytes) -> bool:
    order: Literal["little", "big"] = "little" if data[:4] == b"II*\0" else "big"
    place: int | None = int.from_bytes(data[4:8], order)
    for _ in range(2):  # all tags, and the folder with what the camera did
        if place is None:
            return False
        begin, count = place + 2, int.from_bytes(data[place : place + 2], order)
        if data[:4] not in (b"II*\0", b"MM\0*") or place < 8 or begin + 12 * count > len(data):
            return True
        tags = [data[at : at + 12] for at in range(begin, begin + 12 * count, 12)]
        folders = (tag for tag in tags if int.from_bytes(tag[:2], order) == EXIF_FOLDER)
        place = next((int.from_bytes(tag[8:], order) for tag in folders), None)
    return False


def need_alike(paths: Sequence[Path], what: str, upright: bool) -> list[str]:
    """Raise UsageError unless the frames of a bracket can be taken together; return what to say of them.

    Their colours must mean the same: sRGB's are those of a file without a profile. They must have been held alike if
    they are to be turned; a camera that points down guesses, and stored rows are the sensor's all the same.

    what    : how errors name the bracket.
    upright : whether frames will be turned as EXIF says.
    """
    notes = []
    names, found = [shown(path.name) for path in paths], [facts(path) for path in paths]
    held = [fact.orientation if fact.orientation in HELD else 1 for fact in found]
    one, other = _odd(held)
    if held and held[one] != held[other]:
        said = (
            f"{names[other]} has EXIF orientation {held[other]} (stored {HELD[held[other]]}), {names[one]} has "
            f"{held[one]} ({HELD[held[one]]})"
        )
        if upright:
            raise UsageError(
                f"{what}: {said}; a bracket's frames are held alike. Turn the pixels, or give all files the "
                "orientation that is right."
            )
        notes.append(f"{said}; none is turned: rows are taken as stored")
    one, other = _odd([_meaning(fact.profile) for fact in found])
    if found and _meaning(found[one].profile) != _meaning(found[other].profile):
        raise UsageError(
            f"{what}: the colour profile of {names[other]} is {found[other].profile or 'none'}, that of {names[one]} "
            f"is {found[one].profile or 'none'}; a bracket's frames have one. Convert them all to sRGB, or remove a "
            "wrong profile."
        )
    if told := next((fact.profile for fact in found if fact.profile), ""):
        notes.append(f"frames have the colour profile {told}; {_taken(told)}")
    return notes


def _meaning(profile: str) -> str:
    """Return the name of a profile, "" if frames with it are taken for what those without one are."""
    return "" if is_bt709(profile) and not is_linear(profile) else profile


def _taken(profile: str) -> str:
    """Tell what is made of values that have a profile."""
    if is_linear(profile):
        return (
            "it says that values are linear, but they are decoded with gamma 2.2: linear frames are read as EXR or HDR"
        )
    return "decoded with gamma 2.2" if is_bt709(profile) else "it isn't applied: values are taken for sRGB's"


def _odd(values: Sequence[object]) -> tuple[int, int]:
    """Return the index of a value that most have, and that of one that differs, the same if none does."""
    common = max(values, key=values.count, default=None)
    one = next((index for index, value in enumerate(values) if value == common), 0)
    return one, next((index for index, value in enumerate(values) if value != common), one)


def read_grey(path: Path) -> NDArray[np.uint8]:
    """Read an 8-bit grey PNG: (H, W) uint8, values as stored. UsageError if it is missing, damaged or another kind."""
    try:
        kind, pixels = _read_pillow(need_regular(path))
    except UsageError as error:
        raise UsageError(f"{error} It can't be read as a picture; expected an 8-bit grey PNG.") from error
    if kind != "PNG, L":
        raise UsageError(f"{shown(path)}: is {kind}; expected an 8-bit grey PNG.")
    return np.ascontiguousarray(pixels)


def write_tiff16(path: Path, frame: NDArray[np.uint16]) -> None:
    """Write (H, W, 3) uint16 RGB as an uncompressed TIFF; equal arrays give equal bytes. BenchError if it can't be."""
    import tifffile

    if frame.dtype != np.uint16 or frame.ndim != 3 or frame.shape[-1] != 3:
        raise UsageError(f"{shown(path)}: frame is {frame.dtype} {frame.shape}; expected uint16 (H, W, 3).")
    with replacing(Path(path)) as part:
        # No metadata: date, description and software version would differ between equal frames.
        tifffile.imwrite(part, frame, photometric="rgb", metadata=None, software=False)


def write_mask(path: Path, mask: NDArray[np.bool_]) -> None:
    """Write (H, W) bool as an 8-bit grey PNG, 255 where it is true; equal arrays give equal bytes."""
    from PIL import Image

    with replacing(Path(path)) as part:
        Image.fromarray(np.where(mask, np.uint8(255), np.uint8(0))).save(part, format="PNG")


def _read_other(path: Path) -> NDArray[Any]:
    # Pillow reduces 16-bit RGB to 8 bits without a word: bit depth is byte 24 of a PNG.
    start = first_bytes(path, 25)
    if start[:4] == b"\x89PNG" and start[24:] == b"\x10":
        _read_pillow(path, pixels=False)  # judges size and kind
        with quiet():
            try:
                png.need_whole(path)
                return read_opencv(path)
            except Exception as error:
                raise _damaged(path, error) from error
    kind, pixels = _read_pillow(path)
    mode = kind.partition(", ")[2]
    if mode in MODES:
        raise UsageError(f"{shown(path)}: colours are stored as {MODES[mode]}; expected RGB of {EXPECTED}.")
    return pixels


def _read_pillow(path: Path, pixels: bool = True) -> tuple[str, NDArray[Any]]:
    """Return kind and mode, such as "PNG, RGB", and pixels of a JPEG or PNG; without `pixels` (of 16 bits) none."""
    from PIL import Image

    try:
        # Only these: Pillow would start Ghostscript for a page of PostScript that is called .png.
        with quiet(), Image.open(path, formats=("PNG", "JPEG")) as image:
            # Pillow keeps four bytes of each pixel beside ours; OpenCV's are copied once.
            need_room(path, *image.size, len(image.getbands()), 1 if pixels else 2, takes=3 if pixels else 2)
            if image.format == "PNG" and (count := getattr(image, "n_frames", 1)) > 1:
                raise UsageError(f"{shown(path)}: holds {count} pictures; expected one.")
            return f"{image.format}, {image.mode}", _decoded(image) if pixels else np.empty(0, np.uint8)
    except UsageError:
        raise
    except Exception as error:  # Pillow raises a dozen kinds for damaged files
        raise _damaged(path, error) from error


def _decoded(image: Any) -> NDArray[Any]:
    """Return the pixels of a Pillow image; of the whole, `np.array` would hold two more copies for a moment."""
    width, height = image.size
    image.load()
    first = np.array(image.crop((0, 0, width, min(STRIP, height))))
    pixels = np.empty((height, *first.shape[1:]), first.dtype)
    for top in range(0, height, STRIP):
        pixels[top : top + STRIP] = np.array(image.crop((0, top, width, min(height, top + STRIP))))
    return pixels


def _damaged(path: Path, error: Exception) -> UsageError:
    kind, said = type(error).__name__, " ".join(str(error).split())
    if kind == "DecompressionBombError":
        return UsageError(f"{shown(path)}: too large to be read: {TOO_MANY}. Write a smaller one.")
    said = "no JPEG or PNG" if kind == "UnidentifiedImageError" else said
    return UsageError(f"{shown(path)}: damaged or cut short ({shown(said)}). Copy or download it again.")


def _refuse_kind(path: Path, dtype: object, channels: int) -> None:
    if dtype not in (np.uint8, np.uint16):
        raise UsageError(f"{shown(path)}: pixels are {dtype}; expected {EXPECTED}.")
    if channels != 3:
        raise UsageError(f"{shown(path)}: {channels} channel(s); expected three (RGB), without alpha.")
