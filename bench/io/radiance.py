"""Radiance files: OpenEXR for what we write, Radiance .hdr for the truth of public sets.

Arrays are (H, W, 3) float32, linear RGB.
"""

import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.errors import BenchError, UsageError
from bench.core.scene import Radiance
from bench.io import rgbe
from bench.io.files import replacing

MOST = 1 << 28
"""Pixels of the largest picture that is decoded: a damaged header would ask for all of the memory."""

EXR_MAGIC = b"\x76\x2f\x31\x01"

_turn = threading.Lock()


def read_exr(path: Path) -> Radiance:
    """Read the RGB channels of an OpenEXR file: (H, W, 3) float32, values as stored (NaN and inf included).

    Half, float and any compression are read; an alpha channel is dropped. UsageError if the file is missing, isn't
    OpenEXR, is damaged or has no R, G and B; nothing else is printed then.
    """
    import OpenEXR

    path = Path(path)
    if _bytes(path)[:4] != EXR_MAGIC:
        raise UsageError(f"{path}: not an OpenEXR file (its first bytes differ); expected linear RGB as .exr.")
    try:
        with _silenced(), OpenEXR.File(str(path), header_only=True) as file:  # it prints what it raises
            low, high = file.header()["dataWindow"]
            if int(high[0] - low[0] + 1) * int(high[1] - low[1] + 1) > MOST:
                raise ValueError("its header says too many pixels")
        with _silenced(), OpenEXR.File(str(path)) as file:  # in part to stdout
            channels = {name: np.array(channel.pixels) for name, channel in file.channels().items()}
    except Exception as error:  # OpenEXR raises plain RuntimeError, ValueError and more for damaged files
        raise UsageError(f"{path}: this OpenEXR file is damaged or cut short. Copy or download it again.") from error
    found = channels.get("RGB", channels.get("RGBA"))
    if found is None:
        raise UsageError(f"{path}: channels are {', '.join(sorted(channels))}; expected R, G and B.")
    return np.ascontiguousarray(found[..., :3], dtype=np.float32)


@contextmanager
def _silenced() -> Iterator[None]:
    """Drop what OpenEXR prints besides what it raises: to stdout by Python code, to stderr by C code.

    File descriptor 2 belongs to the whole process: other threads are silenced too, and one thread waits for another.
    Keep what is done inside short.
    """
    with _turn, redirect_stdout(StringIO()):
        if sys.stderr is not None:
            sys.stderr.flush()  # what was said before must not be dropped
        try:
            kept = os.dup(2)
        except OSError:  # the process was started without stderr
            yield
            return
        try:
            with open(os.devnull, "w") as nowhere:  # noqa: PTH123
                os.dup2(nowhere.fileno(), 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def write_exr(path: Path, radiance: Radiance) -> None:
    """Write (H, W, 3) float32 linear RGB, losslessly (ZIP), whole or not at all.

    BenchError if the file can't be written, a full disk included; then nothing stands under `path` that didn't before.
    """
    import OpenEXR

    pixels = np.ascontiguousarray(_checked(path, radiance), dtype=np.float32)
    header: dict[str, Any] = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with replacing(Path(path)) as part:
        try:
            OpenEXR.File(header, {"RGB": pixels}).write(str(part))
        except RuntimeError as error:  # how OpenEXR reports every failed write
            raise OSError(str(error)) from error
        # A full disk doesn't always make OpenEXR raise: the written file is read back.
        try:
            if read_exr(part).shape != pixels.shape:
                raise OSError("the file written has another size")
        except UsageError as error:
            raise OSError("the file written is incomplete; is the disk full?") from error


def read_rgbe(path: Path) -> Radiance:
    """Read a Radiance .hdr picture: (H, W, 3) float32 RGB >= 0, divided by EXPOSURE if the header holds one.

    Run-length packed ("new") and flat files are read. UsageError if the file is missing, isn't a Radiance picture in
    RGBE, is damaged, cut short, not stored row by row from the top left, or states an EXPOSURE that isn't above 0.
    """
    path = Path(path)
    data = _bytes(path)
    if data[:2] != b"#?":
        raise UsageError(f"{path}: not a Radiance picture (it doesn't start with '#?'); expected RGBE as .hdr.")
    end = re.search(rb"\n\r?\n", data)  # the empty line after the header; lines end with LF, or with CRLF
    header, separator, rest = (data[: end.start()], end[0], data[end.end() :]) if end else (data, b"", b"")
    line, end_of_line, pixels = rest.partition(b"\n")
    size = re.fullmatch(rb"-Y (\d+) \+X (\d+)", line.strip())
    if not (separator and end_of_line and size):
        raise UsageError(f"{path}: no line '-Y <height> +X <width>' after the header; the file is damaged or rotated.")
    if b"32-bit_rle_xyze" in header:
        raise UsageError(f"{path}: colours are XYZE; expected RGBE. Convert it, with Radiance's ra_xyze -r.")
    try:
        if not 0 < int(size[1]) * int(size[2]) <= MOST:
            raise ValueError(f"its header says {int(size[2])}x{int(size[1])} pixels")
        if b"\r" in separator and 0 < pixels.count(b"\n") == pixels.count(b"\r\n"):
            raise ValueError("it was copied as text, which changed its pixels")
        exposure = _exposure(header)
        quads = rgbe.unpack(pixels, int(size[1]), int(size[2]))
    except ValueError as error:
        raise UsageError(f"{path}: {error}. Copy or download it again.") from error
    with np.errstate(over="ignore"):  # what float32 can't hold becomes infinite
        return rgbe.to_float(quads) / exposure


def _exposure(header: bytes) -> np.float32:
    """Return the product of the exposures that a header states, 1 without any; ValueError if it isn't above 0."""
    words = [word.strip() for word in re.findall(rb"^EXPOSURE=(.*)$", header, re.MULTILINE)]
    told = b" * ".join(words).decode("ascii", "replace")
    try:
        with np.errstate(all="ignore"):
            exposure = np.float32(np.prod([float(word) for word in words]))
    except ValueError as error:
        raise ValueError(f"its EXPOSURE is {told!r}; expected a number above 0") from error
    if not 0 < exposure < np.inf:
        raise ValueError(f"its EXPOSURE is {told!r}; expected a number above 0")
    return exposure


def write_rgbe(path: Path, radiance: Radiance) -> None:
    """Write (H, W, 3) float32 linear RGB, finite and >= 0, as a run-length packed Radiance picture.

    Lossy: see `rgbe.from_float`. UsageError for negative or non-finite values, which RGBE can't hold; BenchError if the
    file can't be written. Equal arrays give equal bytes.
    """
    pixels = _checked(path, radiance)
    if not np.isfinite(pixels).all() or (pixels < 0).any():
        raise UsageError(f"{path}: RGBE can't hold negative or non-finite values; clip them, or write OpenEXR.")
    height, width = pixels.shape[:2]
    header = f"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y {height} +X {width}\n".encode()
    with replacing(Path(path)) as part:
        part.write_bytes(header + rgbe.pack(rgbe.from_float(pixels)))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror}); check the path.") from error


def _checked(path: Path, radiance: Radiance) -> Radiance:
    if radiance.ndim != 3 or radiance.shape[-1] != 3 or 0 in radiance.shape:
        raise BenchError(f"{path}: radiance to write has shape {radiance.shape}; expected (H, W, 3).")
    return radiance
