"""Radiance files: exact for OpenEXR, as precise as RGBE allows for .hdr, and sentences for bad ones."""

import os
import resource
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.core.errors import BenchError, UsageError
from bench.io import decoding, rgbe
from bench.io.radiance import read_exr, read_rgbe, write_exr, write_rgbe


def picture(height: int = 40, width: int = 60, seed: int = 0) -> np.ndarray:
    """Smooth ramps, noise, a flat area and black: runs and literals of every kind."""
    rng = np.random.default_rng(seed)
    pixels = np.exp(rng.normal(0, 3, (height, width, 3))).astype(np.float32)
    pixels[: height // 4] = 0.25
    pixels[height // 4 : height // 2, : width // 2] = 0
    return pixels


def test_exr_keeps_every_value_and_equal_arrays_give_equal_bytes(tmp_path: Path) -> None:
    pixels = picture()
    pixels[0, 0] = [np.inf, -1, np.nan]
    for name in ("a.exr", "b.exr"):
        write_exr(tmp_path / name, pixels)
    np.testing.assert_array_equal(read_exr(tmp_path / "a.exr"), pixels)
    assert (tmp_path / "a.exr").read_bytes() == (tmp_path / "b.exr").read_bytes()


def test_a_black_exr_is_read_back_whatever_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "AT_ONCE", 1000)
    write_exr(tmp_path / "a.exr", np.zeros((800, 800, 3), np.float32))
    with pytest.raises(UsageError, match="its header asks for 8 MB of memory"):
        read_exr(tmp_path / "a.exr")


def test_a_flat_picture_of_today_s_run_lengths_is_read_whatever_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "AT_ONCE", 1000)
    write_rgbe(tmp_path / "a.hdr", np.ones((40, 12_700, 3), np.float32))
    assert read_rgbe(tmp_path / "a.hdr").all()


def test_exr_with_half_floats_and_alpha_is_read(tmp_path: Path) -> None:
    import OpenEXR

    pixels = np.random.default_rng(0).random((9, 11, 4)).astype(np.float16)
    OpenEXR.File({}, {"RGBA": pixels}).write(str(tmp_path / "half.exr"))
    np.testing.assert_array_equal(read_exr(tmp_path / "half.exr"), pixels[..., :3].astype(np.float32))


def test_exr_without_colours_is_refused(tmp_path: Path) -> None:
    import OpenEXR

    OpenEXR.File({}, {"Y": np.zeros((4, 4), np.float32)}).write(str(tmp_path / "grey.exr"))
    with pytest.raises(UsageError, match=r"grey\.exr: channels are Y; expected R, G and B"):
        read_exr(tmp_path / "grey.exr")


@pytest.mark.parametrize("keep", [0.02, 0.5, 0.95])
def test_a_cut_exr_is_refused_and_nothing_is_printed(
    tmp_path: Path, keep: float, capfd: pytest.CaptureFixture[str]
) -> None:
    write_exr(tmp_path / "whole.exr", picture())
    data = (tmp_path / "whole.exr").read_bytes()
    (tmp_path / "cut.exr").write_bytes(data[: int(keep * len(data))])
    with pytest.raises(UsageError, match=r"cut\.exr: this OpenEXR file is damaged or cut short"):
        read_exr(tmp_path / "cut.exr")
    os.write(2, b"afterwards")
    assert tuple(capfd.readouterr()) == ("", "afterwards")


def test_an_exr_is_read_without_stderr(tmp_path: Path) -> None:
    write_exr(tmp_path / "a.exr", picture())
    kept = os.dup(2)
    os.close(2)
    try:
        pixels = read_exr(tmp_path / "a.exr")
    finally:
        os.dup2(kept, 2)
        os.close(kept)
    np.testing.assert_array_equal(pixels, picture())


def test_what_is_not_exr_or_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "page.exr").write_text("<html>404</html>")
    with pytest.raises(UsageError, match=r"page\.exr: not an OpenEXR file"):
        read_exr(tmp_path / "page.exr")
    with pytest.raises(UsageError, match=r"none\.exr: can't be read \(No such file"):
        read_exr(tmp_path / "none.exr")


@pytest.mark.parametrize(("write", "name"), [(write_exr, "full.exr"), (write_rgbe, "full.hdr")])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, write, name: str) -> None:
    write(tmp_path / name, picture(4, 8))
    before = (tmp_path / name).read_bytes()
    # A limit on the size of files fails in the same place as a full disk: inside the system call that writes.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))
    try:
        with pytest.raises(BenchError, match=r"could not be written .*check free space"):
            write(tmp_path / name, picture(200, 200))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / name).read_bytes() == before
    assert os.listdir(tmp_path) == [name]  # noqa: PTH208


@pytest.mark.parametrize("width", [3, 8, 60, 700])
def test_rgbe_is_read_alike_by_opencv(tmp_path: Path, width: int) -> None:
    write_rgbe(tmp_path / "a.hdr", picture(20, width))
    theirs = cv2.imread(str(tmp_path / "a.hdr"), cv2.IMREAD_UNCHANGED)[..., ::-1]
    np.testing.assert_array_equal(read_rgbe(tmp_path / "a.hdr"), theirs)


@pytest.mark.parametrize("width", [3, 60, 700])
def test_what_opencv_writes_is_read(tmp_path: Path, width: int) -> None:
    pixels = picture(20, width)
    cv2.imwrite(str(tmp_path / "a.hdr"), pixels[..., ::-1])
    theirs = cv2.imread(str(tmp_path / "a.hdr"), cv2.IMREAD_UNCHANGED)[..., ::-1]
    np.testing.assert_array_equal(read_rgbe(tmp_path / "a.hdr"), theirs)


def test_a_flat_file_of_any_width_is_read(tmp_path: Path) -> None:
    quads = rgbe.from_float(picture(20, 60))
    quads[0, 0] = [200, 10, 10, 128]  # a first pixel that isn't the mark of a packed scanline
    (tmp_path / "flat.hdr").write_bytes(b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 20 +X 60\n" + quads.tobytes())
    np.testing.assert_array_equal(read_rgbe(tmp_path / "flat.hdr"), rgbe.to_float(quads))


def test_runs_make_a_flat_picture_small() -> None:
    quads = np.full((10, 1000, 4), 128, np.uint8)
    assert len(rgbe.pack(quads)) < quads.size / 50


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 300), st.integers(2, 256))
def test_packing_is_lossless(seed: int, height: int, width: int, levels: int) -> None:
    quads = np.random.default_rng(seed).integers(0, levels, (height, width, 4), np.uint8)
    if width >= rgbe.MIN_WIDTH:  # below, a flat file may begin like a packed one only by its first pixel
        np.testing.assert_array_equal(rgbe.unpack(rgbe.pack(quads), height, width), quads)
    else:
        assert rgbe.pack(quads) == quads.tobytes()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 2.0**126, width=32), min_size=3, max_size=3))
def test_rgbe_errs_by_less_than_half_a_step_of_the_brightest_channel(values: list[float]) -> None:
    pixel = np.array(values, np.float32).reshape(1, 1, 3)
    back = rgbe.to_float(rgbe.from_float(pixel))
    assert np.abs(back - pixel).max() <= pixel.max() / 256 + 2 * rgbe.SMALLEST


def test_values_that_rgbe_cannot_hold_are_refused(tmp_path: Path) -> None:
    for value in (np.nan, np.inf, -1e-3):
        with pytest.raises(UsageError, match="RGBE can't hold negative or non-finite values"):
            write_rgbe(tmp_path / "a.hdr", np.full((4, 8, 3), value, np.float32))
    assert not list(tmp_path.iterdir())


def test_exposure_in_the_header_is_undone(tmp_path: Path) -> None:
    write_rgbe(tmp_path / "a.hdr", picture())
    data = (tmp_path / "a.hdr").read_bytes().replace(b"\n\n", b"\nEXPOSURE=4\n\n", 1)
    (tmp_path / "b.hdr").write_bytes(data)
    np.testing.assert_array_equal(read_rgbe(tmp_path / "b.hdr"), read_rgbe(tmp_path / "a.hdr") / 4)
    (tmp_path / "b.hdr").write_bytes(data.replace(b"=4\n", b"=  4.0 \nEXPOSURE=0.5\n", 1))
    np.testing.assert_array_equal(read_rgbe(tmp_path / "b.hdr"), read_rgbe(tmp_path / "a.hdr") / 2)


@pytest.mark.parametrize(
    "told", ["1e", "1.0.0", "0", "-1", "nan", "1e400", "1e39", "1e-400", "1e30\nEXPOSURE=1e30", ""]
)
def test_an_impossible_exposure_is_refused(tmp_path: Path, told: str) -> None:
    write_rgbe(tmp_path / "a.hdr", picture())
    data = (tmp_path / "a.hdr").read_bytes().replace(b"\n\n", f"\nEXPOSURE={told}\n\n".encode(), 1)
    (tmp_path / "a.hdr").write_bytes(data)
    with pytest.raises(UsageError, match=r"a\.hdr: its EXPOSURE is '.*'; expected a number above 0") as caught:
        read_rgbe(tmp_path / "a.hdr")
    assert len(str(caught.value).splitlines()) == 1


def test_what_float32_cannot_hold_after_an_exposure_is_infinite_and_no_warning(tmp_path: Path) -> None:
    write_rgbe(tmp_path / "a.hdr", np.ones((4, 8, 3), np.float32))
    data = (tmp_path / "a.hdr").read_bytes().replace(b"\n\n", b"\nEXPOSURE=1e-45\n\n", 1)
    (tmp_path / "a.hdr").write_bytes(data)
    assert np.isinf(read_rgbe(tmp_path / "a.hdr")).all()


def crlf(data: bytes) -> bytes:
    """End the lines of the header and of the size with CR and LF."""
    end = data.index(b"\n", data.index(b"-Y")) + 1
    return data[:end].replace(b"\n", b"\r\n") + data[end:]


@pytest.mark.parametrize("width", [3, 60])
def test_header_lines_may_end_with_crlf(tmp_path: Path, width: int) -> None:
    write_rgbe(tmp_path / "a.hdr", picture(40, width))
    data = (tmp_path / "a.hdr").read_bytes().replace(b"\n\n", b"\nEXPOSURE=4\n\n", 1)
    (tmp_path / "b.hdr").write_bytes(crlf(data))
    np.testing.assert_array_equal(read_rgbe(tmp_path / "b.hdr"), read_rgbe(tmp_path / "a.hdr") / 4)


@pytest.mark.parametrize("width", [3, 60])
def test_a_picture_copied_as_text_is_refused(tmp_path: Path, width: int) -> None:
    write_rgbe(tmp_path / "a.hdr", picture(40, width))
    data = (tmp_path / "a.hdr").read_bytes()
    assert b"\n" in data[data.index(b"-Y") + 20 :]
    (tmp_path / "a.hdr").write_bytes(data.replace(b"\n", b"\r\n"))
    with pytest.raises(UsageError, match="copied as text"):
        read_rgbe(tmp_path / "a.hdr")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda data: b"MM" + data[2:], "not a Radiance picture"),
        (lambda data: data[: len(data) // 2], "cut short"),
        (lambda data: data[:-1], "cut short"),
        (lambda data: data.replace(b"-Y 40 +X 60", b"+X 60 -Y 40"), "damaged or rotated"),
        (lambda data: data.replace(b"rgbe", b"xyze"), "colours are XYZE; expected RGBE"),
        (lambda data: data[:60] + b"\x00" + data[61:], "damaged|cut short"),
        (lambda data: b"", "not a Radiance picture"),
        (lambda data: data.replace(b"-Y 40 +X 60", b"-Y 0 +X 60"), "header says 60x0 pixels"),
    ],
)
def test_damaged_radiance_pictures_are_refused(tmp_path: Path, change, sentence: str) -> None:
    write_rgbe(tmp_path / "a.hdr", picture())
    (tmp_path / "a.hdr").write_bytes(change((tmp_path / "a.hdr").read_bytes()))
    with pytest.raises(UsageError, match=rf"a\.hdr: .*({sentence})"):
        read_rgbe(tmp_path / "a.hdr")


def test_a_picture_that_isn_t_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"shape \(4, 4\); expected \(H, W, 3\)"):
        write_exr(tmp_path / "a.exr", np.zeros((4, 4), np.float32))


def layered(path: Path, *parts: dict[str, np.ndarray], **header) -> None:
    """Write an OpenEXR file of several parts; `header` is the last one's."""
    import OpenEXR

    made = [OpenEXR.Part({}, channels, name=f"part{i}") for i, channels in enumerate(parts[:-1])]
    OpenEXR.File([*made, OpenEXR.Part(header, parts[-1], name="last")]).write(str(path))


def planes(kinds: str, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Name planes by `kinds`, such as "Rf Gh": channel and f(loat), h(alf) or u(int)."""
    types = {"f": np.float32, "h": np.float16, "u": np.uint32}
    return {
        word[:-1]: np.ascontiguousarray(pixels[..., "RGB".find(word[0])], types[word[-1]]) for word in kinds.split()
    }


@pytest.mark.parametrize("kinds", ["Rf Gf Bf Ah", "Rh Gh Bh Af", "Rf Gh Bf", "Rh Gh Bh Zf", "Rf Gf Bf idu", "Rh Gf Bf"])
def test_channels_of_several_types_are_read(tmp_path: Path, kinds: str) -> None:
    pixels = np.random.default_rng(0).random((9, 11, 3)).astype(np.float16).astype(np.float32)
    layered(tmp_path / "a.exr", planes(kinds, pixels))
    np.testing.assert_array_equal(read_exr(tmp_path / "a.exr"), pixels)


def test_of_several_parts_the_one_with_colours_is_read(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).random((9, 11, 3), np.float32)
    layered(tmp_path / "a.exr", planes("Zf", pixels), {"N.x": pixels[..., 0].copy()}, planes("Rf Gf Bf Ah", pixels))
    np.testing.assert_array_equal(read_exr(tmp_path / "a.exr"), pixels)


def test_of_several_pictures_in_one_exr_none_is_guessed(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).random((9, 11, 3), np.float32)
    layered(tmp_path / "a.exr", planes("Rf Gf Bf", pixels), planes("Zf", pixels), planes("Rh Gh Bh Ah", pixels / 2))
    with pytest.raises(UsageError, match=r"a\.exr: holds 2 pictures, parts 'part0', 'last'; expected .* of one"):
        read_exr(tmp_path / "a.exr")


@pytest.mark.parametrize(("kinds", "channel"), [("Rf Gu Bf", "G"), ("Rh Gf Bu", "B"), ("Ru Gu Bf", "R")])
def test_a_channel_of_integers_is_named(tmp_path: Path, kinds: str, channel: str) -> None:
    layered(tmp_path / "a.exr", planes(kinds, np.ones((8, 8, 3), np.float32)))
    with pytest.raises(UsageError, match=rf"channel {channel} holds integers \(uint32\), which are no light"):
        read_exr(tmp_path / "a.exr")


def test_integers_and_other_layouts_of_exr_are_named(tmp_path: Path) -> None:
    pixels = 100 * np.random.default_rng(0).random((8, 8, 3), np.float32)
    layered(tmp_path / "a.exr", planes("Ru Gu Bu", pixels))
    with pytest.raises(UsageError, match=r"a\.exr: its channels hold integers \(uint32\), which are no light"):
        read_exr(tmp_path / "a.exr")
    layered(tmp_path / "a.exr", {f"layer{i:02}.R": pixels[..., 0].copy() for i in range(30)})
    with pytest.raises(UsageError, match=r"channels are layer00\.R, .* and 18 more; expected R, G and B"):
        read_exr(tmp_path / "a.exr")


def test_an_endless_header_and_a_huge_picture_are_told_so(tmp_path: Path) -> None:
    begin = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n"
    for rest, said in (
        (b"#" * 70_000, "doesn't end within 65,536 bytes"),
        (b"\n-Y 10000000000 +X 3\n", "MB of memory"),
    ):
        (tmp_path / "a.hdr").write_bytes(begin + rest)
        with pytest.raises(UsageError, match=said):
            read_rgbe(tmp_path / "a.hdr")


@pytest.mark.parametrize("name", ["deepscanline", "deeptile"])
def test_deep_exr_is_named(tmp_path: Path, name: str) -> None:
    import OpenEXR

    samples = np.empty((8, 8), object)
    for place in np.ndindex(8, 8):
        samples[place] = np.ones(1 + place[0] % 2, np.float32)
    header = {"type": getattr(OpenEXR, name), "compression": OpenEXR.ZIPS_COMPRESSION}
    if name == "deeptile":
        header["tiles"] = OpenEXR.TileDescription()
    OpenEXR.File(header, dict.fromkeys("RGB", samples)).write(str(tmp_path / "a.exr"))
    with pytest.raises(UsageError, match=r"a\.exr: a deep OpenEXR file \(several samples a pixel\); flatten it"):
        read_exr(tmp_path / "a.exr")


def with_lines(path: Path, *lines: str) -> Path:
    """Put lines into the header of a Radiance picture."""
    path.write_bytes(path.read_bytes().replace(b"\n\n", "".join(f"\n{line}" for line in lines).encode() + b"\n\n", 1))
    return path


def test_colour_corrections_in_the_header_are_undone(tmp_path: Path) -> None:
    for name in ("a.hdr", "b.hdr"):
        write_rgbe(tmp_path / name, picture())
    with_lines(tmp_path / "b.hdr", "COLORCORR=2 1 0.5", "EXPOSURE= 4", "COLORCORR= 1.0 1.0 0.25", "GAMMA=1")
    expected = read_rgbe(tmp_path / "a.hdr") / np.array([8, 4, 0.5], np.float32)
    np.testing.assert_array_equal(read_rgbe(tmp_path / "b.hdr"), expected)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("COLORCORR=1 2", "its COLORCORR is '1 2'; expected three numbers above 0"),
        ("COLORCORR=1 0 1", "its COLORCORR is '1 0 1'; expected three numbers above 0"),
        ("COLORCORR=1 x 1", "its COLORCORR is '1 x 1'; expected three numbers above 0"),
        ("EXPOSURE=0", "its EXPOSURE is '0'.*If its values are right as they are, delete the line"),
        ("GAMMA=2.2", "its GAMMA is '2.2'; expected 1, for linear values"),
        ("PRIMARIES=1 2 3", "its PRIMARIES is '1 2 3'; expected eight numbers"),
    ],
)
def test_headers_that_cannot_be_undone_are_refused_with_what_helps(tmp_path: Path, line: str, words: str) -> None:
    write_rgbe(tmp_path / "a.hdr", picture())
    with pytest.raises(UsageError, match=words) as caught:
        read_rgbe(with_lines(tmp_path / "a.hdr", line))
    assert "Copy or download" not in str(caught.value)


def old_runs(quads: np.ndarray) -> bytes:
    """Pack pixels as Radiance did before 1991: (1, 1, 1, n) repeats the last one, several are the digits of n."""
    out = b""
    for row in quads:
        place = 0
        while place < len(row):
            same = next((i for i in range(place, len(row)) if (row[i] != row[place]).any()), len(row)) - place
            out += row[place].tobytes()
            count = same - 1
            while count:
                out += bytes([1, 1, 1, count & 255])
                count >>= 8
            place += same
    return out


@pytest.mark.parametrize("width", [5, 60, 700])
def test_old_run_lengths_are_read(tmp_path: Path, width: int) -> None:
    quads = rgbe.from_float(picture(20, width))
    quads[0, :] = quads[0, 0]
    packed = old_runs(quads)
    assert len(packed) < quads.size
    header = f"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 20 +X {width}\n".encode()
    (tmp_path / "a.hdr").write_bytes(header + packed)
    np.testing.assert_array_equal(read_rgbe(tmp_path / "a.hdr"), rgbe.to_float(quads))
    for damaged in (packed[:-5], bytes([1, 1, 1, 9]) + packed[4:], packed[:4] + bytes([1, 1, 1, 255]) * 5):
        (tmp_path / "a.hdr").write_bytes(header + damaged)
        with pytest.raises(UsageError, match="cut short"):
            read_rgbe(tmp_path / "a.hdr")


def test_a_header_without_end_is_not_searched_for_ever(tmp_path: Path) -> None:
    with (tmp_path / "a.hdr").open("wb") as file:
        file.write(b"#?RADIANCE\n")
        file.truncate(1 << 34)
    with pytest.raises(UsageError, match="its header doesn't end within 65,536 bytes"):
        read_rgbe(tmp_path / "a.hdr")
