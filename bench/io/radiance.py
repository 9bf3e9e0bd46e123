"""Radiance files: OpenEXR for what we write, Radiance .hdr for the truth of public sets.

Arrays are (H, W, 3) float32, linear RGB.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.core.errors import BenchError, UsageError
from bench.core.reading import number, shown
from bench.core.scene import Radiance
from bench.io import rgbe
from bench.io.decoding import first_bytes, need_room, quiet
from bench.io.files import replacing
from bench.io.primaries import others, to_bt709

EXR_MAGIC = b"\x76\x2f\x31\x01"

HEADER = 1 << 16
"""Bytes of a Radiance picture within which its header must end; programs write some hundred."""

FLOATS = 12
"""Bytes of a pixel of float RGB."""

TAKES = 4
"""Times these bytes that decoding a Radiance picture takes, at most. The run lengths of now shrink none below what
`need_room` takes a file to hold; those of before 1991 do."""

Chromaticities = tuple[float, ...]
"""x, y of red, green, blue and white."""


def read_exr(path: Path) -> Radiance:
    """Read R, G and B of an OpenEXR file: (H, W, 3) float32, values as stored (NaN and inf included).

    Half, float, mixtures of them and any compression are read; of several parts the one that has R, G and B is taken.
    Other channels are dropped, and other primaries than BT.709 stay (`read_radiance` converts them). UsageError if the
    file is missing, isn't OpenEXR, is deep, damaged, too large, of integers or has no R, G and B, or several; nothing
    else is printed then.
    """
    return _exr(path)[0]


def _exr(path: Path, bounded: bool = True, told: list[str] | None = None) -> tuple[Radiance, Chromaticities | None]:
    """Return what `read_exr` does, and the chromaticities that the header of that part states.

    bounded : whether a picture may be too large for its file.
    told    : gets a sentence, without the file's name, if the picture isn't opaque.
    """
    import OpenEXR

    path = Path(path)
    if (start := first_bytes(path, 4)) != EXR_MAGIC:
        why = "its first bytes differ" if start else "it is empty"
        raise UsageError(f"{shown(path)}: not an OpenEXR file ({why}); expected linear RGB as .exr.")
    if any(0xD800 <= ord(letter) < 0xE000 for letter in str(path)):
        raise UsageError(f"{shown(path)}: its name isn't UTF-8, and OpenEXR can't open such files; rename it.")
    try:
        with quiet(), OpenEXR.File(str(path), header_only=True) as file:
            headers = [dict(part.header) for part in file.parts]  # copies: closing empties them
            chosen = _coloured(path, headers, bounded)
            stated = headers[chosen].get("chromaticities")
            chromaticities = None if stated is None else tuple(map(float, stated))  # of another type where damaged
        # All channels of all parts are decoded, of which one by one are asked for: their types may differ.
        with quiet(), OpenEXR.File(str(path), separate_channels=True) as file:
            channels = file.parts[chosen].channels
            planes = [np.asarray(channels[name].pixels) for name in "RGB"]
            alpha = np.asarray(channels["A"].pixels) if told is not None and "A" in channels else None
    except UsageError:
        raise
    except Exception as error:  # OpenEXR raises plain RuntimeError, ValueError and more for damaged files
        raise UsageError(
            f"{shown(path)}: this OpenEXR file is damaged or cut short. Copy or download it again."
        ) from error
    if len({plane.shape for plane in planes}) > 1 or any(plane.ndim != 2 for plane in planes):
        raise UsageError(f"{shown(path)}: R, G and B differ in size (subsampled); write them at one size.")
    if whole := [(name, plane.dtype) for name, plane in zip("RGB", planes, strict=True) if plane.dtype.kind != "f"]:
        which = "its channels hold" if len(whole) == 3 else f"channel {whole[0][0]} holds"
        raise UsageError(
            f"{shown(path)}: {which} integers ({whole[0][1]}), which are no light; expected linear RGB as half or "
            "float."
        )
    if told is not None and alpha is not None:
        tell_alpha(alpha, told)
    with np.errstate(all="ignore"):  # signalling NaN in half floats
        return np.stack(planes, axis=-1, dtype=np.float32), chromaticities


def tell_alpha(alpha: NDArray[Any], told: list[str]) -> None:
    """Tell of an alpha channel that isn't 1 everywhere: colours beside it may have been multiplied by it."""
    with np.errstate(all="ignore"):
        clear = int((alpha != 1).sum())
    if clear:
        told.append(
            f"its alpha isn't 1 on {clear} of {alpha.size} pixels; it is dropped, and colours that were multiplied by "
            "it stay so. Write the picture without alpha."
        )


def _coloured(path: Path, headers: list[dict[str, Any]], bounded: bool) -> int:
    """Return the part that has R, G and B; UsageError if none or several have, one is deep, or all ask for too much."""
    import OpenEXR

    if any(header["type"] in (OpenEXR.deepscanline, OpenEXR.deeptile) for header in headers):
        raise UsageError(
            f"{shown(path)}: a deep OpenEXR file (several samples a pixel); flatten it to one RGB value a pixel."
        )
    names = [[channel.name for channel in header["channels"]] for header in headers]
    size = 0
    for header, those in zip(headers, names, strict=True):
        low, high = (np.asarray(corner, np.int64) for corner in header["dataWindow"])
        area = int(np.prod(np.maximum(high - low + 1, 0)))
        tile = header.get("tiles")  # one is decoded whole, however small the picture
        size += 4 * len(those) * max(area, int(tile.xSize) * int(tile.ySize) if tile else 0)
    if bounded:
        need_room(path, size, takes=2)  # planes, and the picture that is made of them
    coloured = [index for index, those in enumerate(names) if {"R", "G", "B"} <= set(those)]
    if len(coloured) > 1:
        called = ", ".join(repr(str(headers[index].get("name", index))) for index in coloured)
        raise UsageError(
            f"{shown(path)}: holds {len(coloured)} pictures, parts {shown(called)}; expected an OpenEXR file of one. "
            "Write the one that is meant alone."
        )
    if coloured:
        return coloured[0]
    found = sorted({name for those in names for name in those})
    listed = shown(", ".join(found[:12])) + (f" and {len(found) - 12} more" if len(found) > 12 else "")
    raise UsageError(f"{shown(path)}: channels are {listed}; expected R, G and B.")


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
            if _exr(part, bounded=False)[0].shape != pixels.shape:
                raise OSError("the file written has another size")
        except UsageError as error:
            raise OSError("the file written is incomplete; is the disk full?") from error


def read_rgbe(path: Path, told: list[str] | None = None) -> Radiance:
    """Read a Radiance .hdr picture: (H, W, 3) float32 RGB >= 0, divided by EXPOSURE and COLORCORR of its header.

    told : gets a sentence, without the file's name, if the header states other primaries than BT.709.

    Flat files and both forms of run lengths are read; other primaries stay (`read_radiance` converts them). UsageError
    if the file is missing, isn't a Radiance picture in RGBE, is damaged, cut short, too large, not stored row by row
    from the top left, or states an EXPOSURE, COLORCORR or GAMMA that can't be undone.
    """
    radiance, chromaticities = _rgbe(path)
    if told is not None and chromaticities is not None and (words := others(chromaticities)):
        told.append(f"its header states other primaries ({words}), which aren't applied: values are taken as stored.")
    return radiance


def _rgbe(path: Path) -> tuple[Radiance, Chromaticities | None]:
    """Return what `read_rgbe` does, and the PRIMARIES that the header states."""
    path = Path(path)
    data = first_bytes(path, HEADER)
    if data[:2] != b"#?":
        raise UsageError(f"{shown(path)}: not a Radiance picture (it doesn't start with '#?'); expected RGBE as .hdr.")
    end = re.search(rb"\n\r?\n", data)  # the empty line after the header; lines end with LF, or with CRLF
    header, separator, rest = (data[: end.start()], end[0], data[end.end() :]) if end else (data, b"", b"")
    line, end_of_line, _ = rest.partition(b"\n")
    size = re.fullmatch(rb"-Y (\d{1,18}) \+X (\d{1,18})", line.strip())
    if not end and len(data) == HEADER:
        raise UsageError(
            f"{shown(path)}: its header doesn't end within {HEADER:,} bytes. Leave out what others don't need, or copy "
            "the file again."
        )
    if not (end and end_of_line and size):
        raise UsageError(
            f"{shown(path)}: no line '-Y <height> +X <width>' after the header; the file is damaged or rotated."
        )
    if b"32-bit_rle_xyze" in header:
        raise UsageError(f"{shown(path)}: colours are XYZE; expected RGBE. Convert it, with Radiance's ra_xyze -r.")
    height, width = int(size[1]), int(size[2])
    need_room(path, FLOATS, height, width, takes=TAKES)
    divisor, primaries = _divisor(path, header), _primaries(path, header)
    begin = end.end() + len(line) + 1
    try:
        if not height * width:
            raise ValueError(f"its header says {width}x{height} pixels")
        pixels = _from(path, begin, 8 * width * height + 4 * height)  # run lengths at their worst
        if b"\r" in separator and 0 < pixels.count(b"\n") == pixels.count(b"\r\n"):
            raise ValueError("it was copied as text, which changed its pixels")
        quads = rgbe.unpack(pixels, height, width)
    except ValueError as error:
        raise UsageError(f"{shown(path)}: {error}. Copy or download it again.") from error
    with np.errstate(all="ignore"):  # what float32 can't hold becomes infinite
        return rgbe.to_float(quads) / divisor, primaries


def _from(path: Path, begin: int, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(begin)
            return file.read(most)
    except OSError as error:
        raise UsageError(f"{shown(path)}: can't be read ({error.strerror}); check the path.") from error


def _numbers(path: Path, header: bytes, name: str, count: int, expected: str) -> list[list[float]]:
    """Return the numbers of each line `NAME=...` of a header; UsageError unless each line has so many."""
    found = []
    for line in re.findall(rf"^{name}=(.*)$".encode(), header, re.MULTILINE):
        try:
            values = [number(word.decode("ascii")) for word in line.split()]
        except ValueError:
            values = []
        if len(values) != count:
            raise _unusable(path, header, name, expected)
        found.append(values)
    return found


def _unusable(path: Path, header: bytes, name: str, expected: str) -> UsageError:
    lines = re.findall(rf"^{name}=(.*)$".encode(), header, re.MULTILINE)
    told = " * ".join(shown(line.strip().decode("ascii", "replace")) for line in lines)
    return UsageError(
        f"{shown(path)}: its {name} is '{told}'; expected {expected}. If its values are right as they are, delete the "
        "line from the header (some programs write 0 for unknown); else put right what it says."
    )


def _divisor(path: Path, header: bytes) -> NDArray[np.float32]:
    """Return what the pixels were multiplied by, () or (3,): the product of all EXPOSURE and COLORCORR lines."""
    wanted = {"EXPOSURE": (1, "a number above 0"), "COLORCORR": (3, "three numbers above 0")}
    divisor = np.ones((), np.float32)
    for name, (count, expected) in wanted.items():
        if lines := _numbers(path, header, name, count, expected):
            with np.errstate(all="ignore"):
                product = np.squeeze(np.prod(lines, axis=0)).astype(np.float32)
            if not ((product > 0) & np.isfinite(product)).all():
                raise _unusable(path, header, name, expected)
            divisor = divisor * product
    for (gamma,) in _numbers(path, header, "GAMMA", 1, "1, for linear values"):
        if gamma != 1:
            raise _unusable(path, header, "GAMMA", "1, for linear values")
    return divisor


def _primaries(path: Path, header: bytes) -> Chromaticities | None:
    lines = _numbers(path, header, "PRIMARIES", 8, "eight numbers, x and y of red, green, blue and white")
    return tuple(lines[-1]) if lines and any(lines[-1]) else None  # Photoshop writes eight zeros


def read_converted(path: Path, told: list[str]) -> Radiance:
    """Read .exr or .hdr as `read_exr` and `read_rgbe` do, converted to BT.709 where the header says other primaries.

    told : gets a sentence, without the file's name, if values were converted.
    """
    exr = path.suffix.lower() == ".exr"
    radiance, chromaticities = _exr(path, told=told) if exr else _rgbe(path)
    return radiance if chromaticities is None else to_bt709(path, radiance, chromaticities, told)


def write_rgbe(path: Path, radiance: Radiance) -> None:
    """Write (H, W, 3) float32 linear RGB, finite and >= 0, as a run-length packed Radiance picture.

    Lossy: see `rgbe.from_float`. UsageError for negative or non-finite values, which RGBE can't hold; BenchError if the
    file can't be written. Equal arrays give equal bytes.
    """
    pixels = _checked(path, radiance)
    if not np.isfinite(pixels).all() or (pixels < 0).any():
        raise UsageError(f"{shown(path)}: RGBE can't hold negative or non-finite values; clip them, or write OpenEXR.")
    height, width = pixels.shape[:2]
    header = f"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y {height} +X {width}\n".encode()
    with replacing(Path(path)) as part:
        part.write_bytes(header + rgbe.pack(rgbe.from_float(pixels)))


def _checked(path: Path, radiance: Radiance) -> Radiance:
    if radiance.ndim != 3 or radiance.shape[-1] != 3 or 0 in radiance.shape:
        raise BenchError(f"{shown(path)}: radiance to write has shape {radiance.shape}; expected (H, W, 3).")
    return radiance
