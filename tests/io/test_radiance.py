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
from bench.io import rgbe
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
