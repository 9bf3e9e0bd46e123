"""What a PNG says of its colours besides a profile (ICC), which Pillow leaves to its caller.

Reference: PNG, third edition (W3C), 11.3.2, of which the chunk that counts is taken: cICP, iCCP, sRGB, gAMA and cHRM.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.io.decoding import first_bytes
from bench.io.primaries import AGREES, BT709, GAMMA, NEAR

SIGNATURE = b"\x89PNG\r\n\x1a\n"

HEADER = 4 << 20
"""Bytes within which the pixels begin; a profile has some thousand."""

USUAL = {(1, 1), (1, 6), (1, 13), (1, 14), (1, 15)}
"""Primaries and transfer (ITU-T H.273) of cICP that are those of sRGB, or of BT.709 as video has it."""

TRANSFERS = {8: "linear", 16: "PQ", 18: "HLG"}
"""Transfers of cICP that a reader may know by name."""


def stated_colours(path: Path, profile: str) -> str:
    """Return the name of the colours that a PNG states, "" for none and for those of sRGB.

    profile : the name of its profile (ICC), "" for none: what counts unless cICP says other.
    """
    chunks = dict(_chunks(first_bytes(path, HEADER)))
    found = chunks.get(b"cICP", b"")
    if len(found) == 4:
        if (found[0], found[1]) in USUAL:
            return ""
        transfer = TRANSFERS.get(found[1], str(found[1]))
        return f"of its chunk cICP (primaries {found[0]}, transfer {transfer})"
    if profile or b"sRGB" in chunks:
        return profile
    gamma = int.from_bytes(chunks.get(b"gAMA", b""), "big") / 1e5
    corners = np.frombuffer(chunks.get(b"cHRM", b""), ">u4") / 1e5 if len(chunks.get(b"cHRM", b"")) == 32 else ()
    said = []
    if gamma and abs(gamma / GAMMA - 1) > NEAR:
        said.append(f"gamma {1 / gamma:.3g}")
    if len(corners) and not np.allclose((*corners[2:], *corners[:2]), BT709, rtol=0, atol=AGREES):
        said.append("other primaries")
    return f"of its chunks gAMA and cHRM ({', '.join(said)})" if said else ""


def need_whole(path: Path) -> None:
    """Raise ValueError if a chunk of a PNG is longer than its file: OpenCV allots what a chunk says that it has."""
    size, place = path.stat().st_size, len(SIGNATURE)
    with path.open("rb") as file:
        while place + 8 <= size:
            file.seek(place)
            head = file.read(8)
            place += 12 + int.from_bytes(head[:4], "big")
            if place > size:
                raise ValueError(f"its part {head[4:].decode('latin-1')} is longer than the file")


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and content of each chunk before the pixels."""
    place = len(SIGNATURE)
    while data.startswith(SIGNATURE) and place + 8 <= len(data):
        length, name = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        if name == b"IDAT":
            return
        yield name, data[place + 8 : place + 8 + length]
        place += 12 + length
