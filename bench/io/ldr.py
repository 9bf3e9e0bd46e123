"""8- and 16-bit frames: TIFF, PNG and JPEG in, 16-bit TIFF out. RGB, never BGR. Masks are 8-bit grey PNGs."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.core.errors import UsageError
from bench.io.files import replacing

Frame = NDArray[np.uint8] | NDArray[np.uint16]
"""(H, W, 3) uint8 or uint16, RGB, as stored: the full range of the dtype is [0, 1]."""

MOST = 1 << 28
"""Pixels of the largest frame that is decoded."""

TIFF_SUFFIXES = (".tif", ".tiff")
SUFFIXES = (*TIFF_SUFFIXES, ".png", ".jpg", ".jpeg")


def read_frame(path: Path) -> Frame:
    """Read one frame: (H, W, 3) uint8 or uint16, RGB, values as stored.

    UsageError if the file is missing, damaged, of another kind, not 8 or 16 bits unsigned (such as a float TIFF), or
    not of three channels (grey, palette, alpha).
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path}: unknown kind of frame; expected one of {', '.join(SUFFIXES)}.")
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; expected a frame of a bracket.")
    if not path.is_file():
        raise UsageError(f"{path}: no such file; expected a frame of a bracket there.")
    try:
        pixels = _read_tiff(path) if path.suffix.lower() in TIFF_SUFFIXES else _read_other(path)
    except Exception as error:  # the readers raise a dozen kinds for damaged files
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{path}: damaged or cut short ({error}). Copy or download it again.") from error
    _refuse_kind(path, pixels.dtype, pixels.shape[-1] if pixels.ndim == 3 else 1)
    return np.ascontiguousarray(pixels)


def read_grey(path: Path) -> NDArray[np.uint8]:
    """Read an 8-bit grey PNG: (H, W) uint8, values as stored. UsageError if it is missing, damaged or another kind."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            _refuse_huge(*image.size)
            kind, pixels = f"{image.format}, {image.mode}", np.array(image)
    except Exception as error:  # Pillow raises a dozen kinds for damaged files
        raise UsageError(f"{path}: can't be read as a picture ({error}).") from error
    if kind != "PNG, L":
        raise UsageError(f"{path}: is {kind}; expected an 8-bit grey PNG.")
    return np.ascontiguousarray(pixels)


def write_tiff16(path: Path, frame: NDArray[np.uint16]) -> None:
    """Write (H, W, 3) uint16 RGB as an uncompressed TIFF; equal arrays give equal bytes. BenchError if it can't be."""
    import tifffile

    if frame.dtype != np.uint16 or frame.ndim != 3 or frame.shape[-1] != 3:
        raise UsageError(f"{path}: frame is {frame.dtype} {frame.shape}; expected uint16 (H, W, 3).")
    with replacing(Path(path)) as part:
        # No metadata: date, description and software version would differ between equal frames.
        tifffile.imwrite(part, frame, photometric="rgb", metadata=None, software=False)


def write_mask(path: Path, mask: NDArray[np.bool_]) -> None:
    """Write (H, W) bool as an 8-bit grey PNG, 255 where it is true; equal arrays give equal bytes."""
    from PIL import Image

    with replacing(Path(path)) as part:
        Image.fromarray(np.where(mask, np.uint8(255), np.uint8(0))).save(part, format="PNG")


def _read_tiff(path: Path) -> NDArray[Any]:
    import tifffile

    tifffile.logger().setLevel("CRITICAL")  # what it warns of is raised, too
    with tifffile.TiffFile(path) as file:
        if not file.pages:
            raise ValueError("it holds no picture")
        if len(file.pages) != 1:
            raise UsageError(f"{path}: holds {len(file.pages)} pictures; expected a TIFF of one.")
        page: Any = file.pages[0]
        _refuse_huge(page.imagewidth, page.imagelength)
        _refuse_tags(path, page)
        packed = page.compression != tifffile.COMPRESSION.NONE and page.planarconfig == tifffile.PLANARCONFIG.CONTIG
        rgb, ycbcr = tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR
        if page.photometric != ycbcr and not (packed and page.photometric == rgb):
            if page.compression != 1 and 0 in page.databytecounts:
                raise ValueError("a part of the pixels was never written")  # tifffile would make it black
            try:
                pixels: NDArray[Any] = page.asarray()
            except ValueError as error:
                if "imagecodecs" not in str(error):
                    raise
                raise UsageError(
                    f"{path}: can't be decoded here ({page.compression.name}, {page.bitspersample} bits, planes "
                    f"{page.planarconfig.name}); expected RGB of 8 or 16 bits. Write it uncompressed."
                ) from error
            return np.moveaxis(pixels, 0, -1) if pixels.ndim == 3 and page.axes == "SYX" else pixels
    # tifffile needs an extra package for LZW and PackBits, which MATLAB writes by default; OpenCV reads them. It turns
    # YCbCr into RGB, too, which tifffile leaves as it is. But packed planes one after the other it reads wrongly.
    return _read_opencv(path)


def _refuse_tags(path: Path, page: Any) -> None:
    # Before pixels are decoded: a missing decoder isn't what's wrong with a grey picture.
    from tifffile import PHOTOMETRIC, PLANARCONFIG

    if page.tags.get("Orientation") is not None and page.tags["Orientation"].value not in (0, 1):
        raise UsageError(f"{path}: is stored turned (TIFF orientation); turn the pixels themselves.")
    _refuse_kind(path, f"of {page.bitspersample} bits" if page.dtype is None else page.dtype, page.samplesperpixel)
    # Writers of 16 bits, such as GDAL, call three channels MINISBLACK if nobody tells them more.
    colours = [PHOTOMETRIC.RGB, PHOTOMETRIC.MINISBLACK]
    if page.planarconfig == PLANARCONFIG.CONTIG:
        colours.append(PHOTOMETRIC.YCBCR)
    if page.photometric not in colours:
        name = getattr(page.photometric, "name", page.photometric)
        raise UsageError(f"{path}: colours are stored as {name}; expected RGB. Convert it.")


def _read_other(path: Path) -> NDArray[Any]:
    from PIL import Image

    with Image.open(path) as image:
        _refuse_huge(*image.size)
        # Pillow reduces 16-bit RGB to 8 bits without a word: bit depth is byte 24 of a PNG.
        if image.format == "PNG" and path.read_bytes()[24] == 16:
            return _read_opencv(path)
        if image.mode == "P":
            raise UsageError(f"{path}: a palette image; expected three channels (RGB) of 8 or 16 bits.")
        return np.asarray(image)


def _refuse_huge(width: int, height: int) -> None:
    # Before pixels are decoded: a damaged header would ask for all of the memory.
    if width * height > MOST:
        raise ValueError(f"its header says {width}x{height} pixels")


def _read_opencv(path: Path) -> NDArray[Any]:
    import cv2

    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("OpenCV can't decode it")
    colour = pixels.ndim == 3 and pixels.shape[-1] == 3
    return np.ascontiguousarray(pixels[..., ::-1]) if colour else pixels


def _refuse_kind(path: Path, dtype: object, channels: int) -> None:
    if dtype not in (np.uint8, np.uint16):
        raise UsageError(f"{path}: pixels are {dtype}; expected 8 or 16 bits unsigned, gamma-encoded.")
    if channels != 3:
        raise UsageError(f"{path}: {channels} channel(s); expected three (RGB), without alpha.")
