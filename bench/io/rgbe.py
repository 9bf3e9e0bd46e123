"""The pixel encoding of Radiance pictures: 8-bit mantissas, a shared exponent, run-length packed scanlines.

Format: G. Ward, "Real Pixels", Graphics Gems II, 1991, and the Radiance reference manual, "Picture file format".
Decoding is mantissa * 2^(exponent - 136), as in OpenCV, FreeImage and MATLAB (Radiance's own tools add half a step).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.core.scene import Radiance

Bytes = NDArray[np.uint8]

MIN_WIDTH, MAX_WIDTH = 8, 32767
"""Scanlines outside this range can't be run-length packed: their length has 15 bits and 8 is the shortest allowed."""

SMALLEST = 1e-38
"""Below this the exponent would underflow its byte; such pixels are stored as zero."""

ROWS = 64
"""Rows decoded at a time."""

RUN, LITERAL, WORTH = 127, 128, 4
"""Longest run packet, longest literal packet, and the shortest run that a packet of its own makes smaller."""


def from_float(radiance: Radiance) -> Bytes:
    """Encode (H, W, 3) float32, finite and >= 0, to (H, W, 4) mantissas and exponent, rounded to nearest.

    The error of a channel is at most 1/256 of the pixel's brightest channel: a small channel beside a large one is
    lost. Pixels darker than 1e-38 become zero; values from 2^127 * 255/256 on become that value.
    """
    values = np.minimum(radiance.astype(np.float64), 255 * 2.0**119)
    brightest = values.max(axis=-1)
    exponent = np.frexp(brightest)[1]
    # Rounding the brightest channel up to 256 would overflow its byte: such pixels take the next exponent.
    exponent += np.rint(np.ldexp(brightest, 8 - exponent)) > 255
    quads = np.zeros((*values.shape[:2], 4), np.uint8)
    quads[..., :3] = np.rint(np.ldexp(values, 8 - exponent[..., None]))
    quads[..., 3] = np.clip(exponent + 128, 0, 255)
    quads[(brightest < SMALLEST) | (exponent + 128 < 1)] = 0
    return quads


def to_float(quads: Bytes) -> Radiance:
    """Decode (H, W, 4) mantissas and exponent to (H, W, 3) float32; exponent 0 means black."""
    values = np.empty((*quads.shape[:2], 3), np.float32)
    for rows in range(0, len(quads), ROWS):  # a few rows at a time: float64 takes six times the room of the quads
        some = quads[rows : rows + ROWS]
        scale = np.ldexp(1.0, some[..., 3].astype(np.int32) - 136)
        scale[some[..., 3] == 0] = 0
        values[rows : rows + ROWS] = some[..., :3] * scale[..., None]
    return values


def pack(quads: Bytes) -> bytes:
    """Pack (H, W, 4) bytes into run-length scanlines; widths outside 8..32767 are stored flat.

    All packets of the picture are laid out at once, without a loop over pixels.
    """
    width = quads.shape[1]
    if not MIN_WIDTH <= width <= MAX_WIDTH:
        return quads.tobytes()
    planes = np.ascontiguousarray(quads.transpose(0, 2, 1)).reshape(-1)
    start, length, is_run = _packets(planes, width)
    opens_line = start % (4 * width) == 0
    size = np.where(is_run, 2, 1 + length) + 4 * opens_line
    offset = np.cumsum(size) - size + 4 * opens_line
    out = np.zeros(int(size.sum()), np.uint8)
    header = offset[opens_line, None] + np.arange(-4, 0)
    out[header] = np.array([2, 2, width >> 8, width & 255], np.uint8)
    out[offset] = np.where(is_run, 128 + length, length)
    out[offset[is_run] + 1] = planes[start[is_run]]
    source, target, count = start[~is_run], offset[~is_run] + 1, length[~is_run]
    within = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    out[np.repeat(target, count) + within] = planes[np.repeat(source, count) + within]
    return out.tobytes()


def _packets(planes: Bytes, width: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    # Start, length and kind of every packet: equal neighbours make runs, short runs merge into literals, and no packet
    # crosses from one channel of a scanline into the next.
    index = np.arange(planes.size)
    edge = np.ones(planes.size, bool)
    edge[1:] = planes[1:] != planes[:-1]
    edge[::width] = True
    start = index[edge]
    long = np.diff(start, append=planes.size) >= WORTH
    opens = long | (start % width == 0)
    opens[1:] |= long[:-1]
    start, is_run = start[opens], long[opens]
    length = np.diff(start, append=planes.size)
    limit = np.where(is_run, RUN, LITERAL)
    pieces = -(-length // limit)
    nth = np.arange(int(pieces.sum())) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    start, length, limit, is_run = (np.repeat(a, pieces) for a in (start, length, limit, is_run))
    return start + nth * limit, np.minimum(length - nth * limit, limit), is_run


def unpack(data: bytes, height: int, width: int) -> Bytes:
    """Unpack scanlines, run-length packed (new or old) or flat, to (H, W, 4); ValueError says why it can't be done."""
    flat = height * width * 4
    if not MIN_WIDTH <= width <= MAX_WIDTH or data[:2] != b"\x02\x02" or data[2:3] > b"\x7f":
        if len(data) < flat:
            return _unpack_old(data, height * width).reshape(height, width, 4)
        return np.frombuffer(data, np.uint8, flat).reshape(height, width, 4)
    header = bytes([2, 2, width >> 8, width & 255])
    out, place = bytearray(flat), 0
    for row in range(height):
        if data[place : place + 4] != header:
            raise ValueError(f"scanline {row} of {height} is cut short or damaged")
        place += 4
        for channel in range(4):
            begin = (4 * row + channel) * width
            place = _unpack_channel(data, place, out, begin, begin + width)
    return np.frombuffer(bytes(out), np.uint8).reshape(height, 4, width).transpose(0, 2, 1)


def _unpack_old(data: bytes, pixels: int) -> Bytes:
    """Unpack (N, 4) bytes of the run lengths that Radiance wrote until 1991: a pixel (1, 1, 1, n) repeats the last one.

    The counts of several such in a row are the digits of one number, the lowest first, to the base 256.
    """
    quads = np.frombuffer(data, np.uint8, len(data) // 4 * 4).reshape(-1, 4)
    index = np.arange(len(quads))
    repeats = (quads[:, :3] == 1).all(axis=-1)
    last = np.maximum.accumulate(np.where(repeats, -1, index)) if len(quads) else index
    digit = index - last - 1
    if not len(quads) or repeats[0] or digit.max() > 3:
        raise ValueError(f"{len(data)} bytes of pixels for {4 * pixels}: the pixels are cut short or damaged")
    count = np.where(repeats, quads[:, 3].astype(np.int64) << (8 * np.maximum(digit, 0)), 1)
    ends = np.cumsum(count)
    if ends[-1] < pixels:
        raise ValueError(f"{ends[-1]} of {pixels} pixels: they are cut short")
    used = int(np.searchsorted(ends, pixels)) + 1
    return np.repeat(quads[last[:used]], np.append(count[: used - 1], pixels - (ends[used - 2] if used > 1 else 0)), 0)


def _unpack_channel(data: bytes, place: int, out: bytearray, begin: int, end: int) -> int:
    # Where a packet starts depends on the one before it: a loop over packets (about 50 pixels each) can't be avoided.
    while begin < end:
        if place + 1 >= len(data):
            raise ValueError("the pixels are cut short")
        count = data[place]
        run = count > 128
        count -= 128 if run else 0
        if not 0 < count <= end - begin or (not run and place + count >= len(data)):
            raise ValueError("the pixels are cut short or damaged")
        out[begin : begin + count] = data[place + 1 : place + 2] * count if run else data[place + 1 : place + 1 + count]
        place += 2 if run else 1 + count
        begin += count
    return place
