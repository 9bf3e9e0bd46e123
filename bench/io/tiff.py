"""TIFF, of which there are many kinds: one set of checks for frames and for radiance, and the decoding of both.

What a file holds is judged by its tags before a pixel is decoded, so that the message says what it is: tifffile takes
parts that were never written for black, the first of several pages, and any colours for RGB.
"""

import math
import zlib
from itertools import islice, pairwise
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.errors import UsageError
from bench.core.reading import need_regular, shown
from bench.core.scene import Array
from bench.io.decoding import FILE, need_room, quiet
from bench.io.primaries import BT709, GAMMA, NEAR, others

STRIP = 256
"""Rows that are copied from a decoder at once: a copy of all would be as large as the picture."""

MOST_PAGES = 1000
"""Pages that are counted; a file may claim any number."""

COLOURS = {
    "MINISWHITE": "grey, 0 being white",
    "PALETTE": "a palette",
    "MASK": "a mask",
    "SEPARATED": "CMYK",
    "YCBCR": "YCbCr",
    "CIELAB": "CIELAB",
    "ICCLAB": "CIELAB",
    "ITULAB": "CIELAB",
    "CFA": "a camera's raw mosaic",
    "LINEAR_RAW": "a camera's raw values",
    "LOGL": "LogL (logarithms of luminance)",
    "LOGLUV": "LogLuv (logarithms of luminance, and u'v')",
}
"""Photometric interpretation -> what a reader may know it by."""

ICC, TRANSFER, WHITE, PRIMARIES = 34675, 301, 318, 319
"""Tags of a colour profile, of a table from code values to light, and of the x and y of white and of the primaries."""

SLACK = 1 << 20
"""Bytes that a compressed part may have beyond twice its pixels: noise grows a little, tables of JPEG are stored."""

INFLATES = 1032
"""Bytes that one byte of Deflate can become."""

UNASKED = 256 << 20
"""Bytes that a part may inflate to without being tried first."""


def read_tiff(path: Path, kinds: str, expected: str, packed: bool = False) -> Array:
    """Read a TIFF of one RGB picture: (H, W, 3) or, with alpha or other extra samples, (H, W, S), as stored.

    kinds    : kinds of numbers that are taken, as in `numpy.dtype.kind`: "u" or "f".
    expected : what pixels should be, for messages: "linear float32".
    packed   : whether compressed 8- and 16-bit pixels are decoded by OpenCV, which knows more compressions than
               tifffile, and YCbCr.

    UsageError if the file is none, is damaged or cut short, holds several pictures, parts that were never written,
    other colours than RGB, turned rows, other numbers, or asks for too much memory. Nothing else is printed.
    """
    import tifffile

    path = need_regular(path)
    try:
        with quiet():
            tifffile.logger().setLevel("CRITICAL")  # what it warns of is raised, or checked here
            with tifffile.TiffFile(path) as file:
                page = _only_page(path, file)
                _judge(path, page, kinds, expected, packed)
                _need_written(path, page)
                return _decoded(path, page, packed)
    except UsageError:
        raise
    except Exception as error:  # tifffile and OpenCV raise a dozen kinds for damaged files
        if "is not a valid SAMPLEFORMAT" in str(error.__context__):  # how tifffile says that there are several
            raise UsageError(
                f"{shown(path)}: its channels have different sample formats, such as integers and floats; expected "
                f"{expected}."
            ) from error
        raise UsageError(f"{shown(path)}: damaged or cut short ({_said(error)}). Copy or download it again.") from error


def _said(error: Exception) -> str:
    return shown(" ".join(str(error).split()) or type(error).__name__)


def _only_page(path: Path, file: Any) -> Any:
    """Return the page of the one picture; thumbnails and overviews, which say that they are reduced, don't count."""
    reduced = [bool(page.is_reduced) for page in islice(file.pages, MOST_PAGES)]
    if not reduced:
        raise ValueError("it holds no picture")
    whole = reduced.count(False) or len(reduced)
    if whole > 1:
        many = f"{whole}" if len(reduced) < MOST_PAGES else f"{whole} or more"
        raise UsageError(f"{shown(path)}: holds {many} pictures; expected a TIFF of one.")
    if len(reduced) > 1 and reduced[0]:
        raise UsageError(f"{shown(path)}: begins with a reduced copy of its picture; expected the picture first.")
    return file.pages[0]


def _judge(path: Path, page: Any, kinds: str, expected: str, packed: bool) -> None:
    """Raise UsageError unless the tags say RGB of the wanted numbers, of a bearable size, rows from the top left."""
    from tifffile import COMPRESSION, PHOTOMETRIC, PLANARCONFIG

    name = getattr(page.photometric, "name", str(page.photometric))
    # Writers of 16 bits, such as GDAL, call three channels MINISBLACK if nobody tells them more.
    taken = [PHOTOMETRIC.RGB, PHOTOMETRIC.MINISBLACK]
    if packed and page.planarconfig == PLANARCONFIG.CONTIG:
        taken.append(PHOTOMETRIC.YCBCR)
    if page.photometric not in taken and name != "MINISWHITE":
        raise UsageError(
            f"{shown(path)}: colours are stored as {COLOURS.get(name, shown(name))}; expected RGB. Convert it."
        )
    bits = f"of {page.bitspersample} bits" if page.dtype is None else str(page.dtype)
    if page.dtype is None or page.dtype.kind not in kinds or (kinds == "u" and page.dtype.itemsize > 2):
        raise UsageError(f"{shown(path)}: pixels are {bits}; expected {expected}.")
    if not (page.samplesperpixel == 3 or (kinds == "f" and page.samplesperpixel == 4)):
        raise UsageError(
            f"{shown(path)}: {page.samplesperpixel} channel(s); expected three (RGB), {expected}, without alpha."
        )
    if name == "MINISWHITE":
        raise UsageError(f"{shown(path)}: colours are stored as {COLOURS[name]}; expected RGB. Convert it.")
    turned = page.tags.get("Orientation")
    if turned is not None and turned.value not in (0, 1):
        raise UsageError(
            f"{shown(path)}: is stored turned (TIFF orientation {turned.value}); turn the pixels themselves."
        )
    if page.axes not in ("YXS", "SYX"):
        raise UsageError(f"{shown(path)}: pixels are ordered {shown(page.axes)}; expected rows, columns, RGB.")
    across = ceil(page.imagewidth / page.tilewidth) * page.tilewidth if page.is_tiled else page.imagewidth
    down = ceil(page.imagelength / page.tilelength) * page.tilelength if page.is_tiled else page.imagelength
    # Packed parts, of which there may be one, are unpacked beside the picture.
    need_room(path, across, down, page.samplesperpixel, page.dtype.itemsize, takes=2)
    if page.predictor == 3 and page.compression != COMPRESSION.NONE:
        raise UsageError(
            f"{shown(path)}: its values are stored as differences (predictor 3, floating point), which isn't decoded "
            "here; write it uncompressed, or with Deflate and no predictor."
        )


def _need_written(path: Path, page: Any) -> None:
    """Raise ValueError unless every strip or tile has a place of its own within the file.

    An offset or a byte count of 0 means a part that was never written; tifffile would make it black.
    """
    from tifffile import COMPRESSION

    offsets, counts = [int(value) for value in page.dataoffsets], [int(value) for value in page.databytecounts]
    if page.is_tiled:
        parts = ceil(page.imagewidth / page.tilewidth) * ceil(page.imagelength / page.tilelength)
    else:
        parts = ceil(page.imagelength / max(1, min(page.rowsperstrip, page.imagelength)))
    if page.planarconfig == 2:
        parts *= page.samplesperpixel
    if len(offsets) != len(counts) or len(offsets) < parts:
        raise ValueError(f"{min(len(offsets), len(counts))} of {parts} parts of its pixels are there")
    offsets, counts = offsets[:parts], counts[:parts]
    if any(offset < 8 or count < 1 for offset, count in zip(offsets, counts, strict=True)):
        raise ValueError("a part of its pixels was never written")
    if max(counts) > 2 * _part(page) + SLACK:
        raise ValueError("a part of its pixels is longer than pixels can be")
    if page.compression == COMPRESSION.NONE and not page.is_tiled:
        counts = [min(count, needed) for count, needed in zip(counts, _strips(page), strict=True)]
    places = sorted(zip(offsets, counts, strict=True))
    if sum(places[-1]) > path.stat().st_size:
        raise ValueError("its pixels are cut short")
    if page.compression == COMPRESSION.NONE:
        if any(one[0] + one[1] > other[0] for one, other in pairwise(places)):
            raise ValueError("parts of its pixels overlap")
        needed = page.imagewidth * page.imagelength * page.samplesperpixel * page.dtype.itemsize
        if not page.is_tiled and sum(counts) < needed:
            raise ValueError(f"{sum(counts)} of {needed} bytes of its pixels are there")
    elif page.compression in (COMPRESSION.ADOBE_DEFLATE, COMPRESSION.DEFLATE):
        for offset, count in places:
            if count * INFLATES > UNASKED:
                _need_bounded(path, offset, count, page)


def _part(page: Any) -> int:
    """Return the bytes of a strip's or a tile's pixels."""
    rows = page.tilelength if page.is_tiled else min(page.rowsperstrip, page.imagelength)
    columns = page.tilewidth if page.is_tiled else page.imagewidth
    return int(rows * columns * page.samplesperpixel * page.dtype.itemsize)


def _strips(page: Any) -> list[int]:
    """Return the bytes that the rows of each strip take; some writers count the last strip as long as the others."""
    planes = page.samplesperpixel if page.planarconfig == 2 else 1
    row = page.imagewidth * page.samplesperpixel // planes * page.dtype.itemsize
    down = max(1, min(page.rowsperstrip, page.imagelength))
    tops = range(0, page.imagelength, down)
    return [min(down, page.imagelength - top) * row for top in tops] * planes


def _need_bounded(path: Path, offset: int, count: int, page: Any) -> None:
    # tifffile inflates a part whole, whatever size it becomes.
    most = _part(page)
    with path.open("rb") as file:
        file.seek(offset)
        inflater = zlib.decompressobj()
        if len(inflater.decompress(file.read(count), most + 1)) > most:
            raise ValueError("a part of its pixels is larger than the header says")


def _decoded(path: Path, page: Any, packed: bool) -> Array:
    from tifffile import COMPRESSION, PHOTOMETRIC, PLANARCONFIG

    together = page.planarconfig == PLANARCONFIG.CONTIG
    if packed and (
        page.photometric == PHOTOMETRIC.YCBCR
        or (page.compression != COMPRESSION.NONE and together and page.photometric == PHOTOMETRIC.RGB)
    ):
        # tifffile needs an extra package for LZW and PackBits, which MATLAB writes by default; OpenCV reads them. It
        # turns YCbCr into RGB, too, which tifffile leaves as it is. But packed planes one after the other it reads
        # wrongly.
        return read_opencv(path)
    try:
        pixels: Array = page.asarray()
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        name = getattr(page.compression, "name", page.compression)
        raise UsageError(
            f"{shown(path)}: can't be decoded here ({name}, {page.bitspersample} bits, planes "
            f"{page.planarconfig.name}). Write it uncompressed, or with Deflate and no predictor."
        ) from error
    if pixels.size == 0:
        raise ValueError("it holds no pixels")
    return np.moveaxis(pixels, 0, -1) if page.axes == "SYX" else pixels


def read_opencv(path: Path) -> Array:
    """Decode 8- or 16-bit pixels with OpenCV, RGB; ValueError if it can't. To be called within `quiet`."""
    import cv2

    # By content: it ends the process where a name isn't UTF-8.
    pixels = cv2.imdecode(np.fromfile(need_regular(path, FILE), np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("OpenCV can't decode it")
    colour = pixels.ndim == 3 and pixels.shape[-1] == 3
    if colour:
        for top in range(0, len(pixels), STRIP):
            pixels[top : top + STRIP] = pixels[top : top + STRIP, :, ::-1].copy()
    return pixels


def profile(path: Path) -> bytes:
    """Return the colour profile (ICC) that a sound TIFF holds, b"" without one."""
    import tifffile

    with quiet(), tifffile.TiffFile(path) as file:
        page: Any = file.pages[0]
        tag = page.tags.get(ICC)
        return b"" if tag is None else bytes(tag.value)


def chromaticities(path: Path) -> tuple[float, ...] | None:
    """Return x, y of red, green, blue and white that the tags of a sound TIFF state; None unless they state primaries.

    White is D65 where only the primaries are stated. What a damaged tag holds isn't taken.
    """
    import tifffile

    with quiet(), tifffile.TiffFile(path) as file:
        page: Any = file.pages[0]
        tags = page.tags.get(PRIMARIES), page.tags.get(WHITE)
        colours, white = (None if tag is None else _pairs(tag.value) for tag in tags)
    return None if colours is None or len(colours) != 6 else (*colours, *(white or BT709[6:]))


def stated_colours(path: Path) -> str:
    """Return the name of the colours that the tags of a sound TIFF state without a profile, "" for none and sRGB's."""
    import tifffile

    with quiet(), tifffile.TiffFile(path) as file:
        page: Any = file.pages[0]
        tag = page.tags.get(TRANSFER)
        codes = 0 if page.dtype is None else 1 << 8 * page.dtype.itemsize
        table = np.zeros(0) if tag is None else np.asarray(tag.value, np.float64).ravel()[:codes]  # red's, of three
    said = []
    gamma = _gamma(table) if len(table) == codes else 0.0
    if gamma and abs(gamma * GAMMA - 1) > NEAR:
        said.append(f"gamma {gamma:.3g}")
    if (stated := chromaticities(path)) is not None and others(stated):
        said.append("other primaries")
    return f"of its tags TransferFunction and PrimaryChromaticities ({', '.join(said)})" if said else ""


def stated_gamma(path: Path) -> float:
    """Return the exponent by which a sound TIFF of floats says that its values become light; 0 where it says none.

    A table has an entry for each code value, which floats don't have: whatever its length, its middle tells. What a
    damaged tag holds isn't taken.
    """
    import tifffile

    with quiet(), tifffile.TiffFile(path) as file:
        page: Any = file.pages[0]
        tag = page.tags.get(TRANSFER)
        stored = () if tag is None else tag.value
    try:
        table = np.asarray(stored, np.float64).ravel()
    except (TypeError, ValueError):
        return 0.0
    return _gamma(table[: len(table) // 3] if len(table) % 3 == 0 else table)  # red's, of three


def _gamma(table: Array) -> float:
    """Return the exponent of a table from code values to light by its middle; 0 for none that rises."""
    middle = float(table[len(table) // 2]) / float(table[-1]) if len(table) > 1 and table[-1] > 0 else 0.0
    return -math.log2(middle) if 0 < middle < 1 else 0.0


def _pairs(numbers: Any) -> tuple[float, ...] | None:
    """Return what numerators and denominators in turn stand for; None for anything else."""
    try:
        return tuple(over / under for over, under in zip(numbers[::2], numbers[1::2], strict=True))
    except (TypeError, ValueError, ZeroDivisionError):
        return None
