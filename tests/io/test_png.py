"""What PNGs and EXIF say of colours without a profile (ICC): named as a profile is, and not taken for sRGB's unsaid."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.core.errors import UsageError
from bench.data.user_bracket import read_bracket
from bench.io.ldr import facts, read_frame

FRAME = np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)

CORNERS_709 = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
CORNERS_2020 = (31270, 32900, 70800, 29200, 17000, 79700, 13100, 4600)


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(path: Path, *chunks: tuple[bytes, bytes]) -> Path:
    """Write a PNG with chunks before its pixels."""
    Image.fromarray(FRAME).save(path)
    data = path.read_bytes()
    path.write_bytes(data[:33] + b"".join(chunk(*one) for one in chunks) + data[33:])
    return path


def numbers(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


STATED = {
    "none": ([], ""),
    "usual gamma": ([(b"gAMA", numbers(45455))], ""),
    "usual primaries": ([(b"gAMA", numbers(45455)), (b"cHRM", numbers(*CORNERS_709))], ""),
    "linear": ([(b"gAMA", numbers(100000))], "gamma 1"),
    "1.8": ([(b"gAMA", numbers(55556))], "gamma 1.8"),
    "primaries": ([(b"cHRM", numbers(*CORNERS_2020))], "other primaries"),
    "sRGB over gAMA": ([(b"sRGB", b"\0"), (b"gAMA", numbers(100000))], ""),
    "PQ": ([(b"cICP", bytes([9, 16, 0, 1]))], "cICP (primaries 9, transfer PQ)"),
    "P3": ([(b"cICP", bytes([12, 13, 0, 1]))], "cICP (primaries 12, transfer 13)"),
    "BT.709": ([(b"cICP", bytes([1, 13, 0, 1]))], ""),
    "cICP over gAMA": ([(b"cICP", bytes([1, 1, 0, 1])), (b"gAMA", numbers(100000))], ""),
    "damaged": ([(b"gAMA", b""), (b"cHRM", b"ab"), (b"cICP", b"")], ""),
}


@pytest.mark.parametrize("name", STATED)
def test_what_a_png_states_of_its_colours_is_told(tmp_path: Path, name: str) -> None:
    chunks, words = STATED[name]
    found = facts(png(tmp_path / "a.png", *chunks)).profile
    assert words in found and bool(found) == bool(words)


@pytest.mark.parametrize(
    ("space", "index", "name"), [(65535, "R03", "Adobe RGB"), (1, "R98", ""), (65535, "R98", ""), (2, "", "Adobe RGB")]
)
def test_adobe_rgb_as_cameras_write_it_is_told(tmp_path: Path, space: int, index: str, name: str) -> None:
    tags = Image.Exif()
    folder = tags.get_ifd(0x8769)
    folder[0xA001] = space
    folder[0xA005] = {1: index}
    Image.fromarray(FRAME).save(tmp_path / "a.jpg", exif=tags)
    found = facts(tmp_path / "a.jpg").profile
    assert name in found and bool(found) == bool(name)


def test_a_png_that_is_too_large_is_not_called_damaged(tmp_path: Path) -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0))
    content = chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + content)
    with pytest.raises(
        UsageError, match=r"a\.png: too large to be read: .*178 million pixels.*Write a smaller one"
    ) as e:
        read_frame(tmp_path / "a.png")
    assert "damaged" not in str(e.value)


def test_a_bracket_of_two_colours_is_refused_and_one_of_other_colours_told(tmp_path: Path) -> None:
    plain = png(tmp_path / "a.png")
    linear = [png(tmp_path / f"{name}.png", (b"gAMA", numbers(100000))) for name in "bc"]
    with pytest.raises(UsageError, match=r"the colour profile of a\.png is none, that of b\.png is of its chunks gAMA"):
        read_bracket("the bracket", [plain, *linear], [1, 2, 4], upright=True)
    assert "gamma 1" in read_bracket("the bracket", linear, [1, 4], upright=True).metadata["notes"][0]
