"""Raw files and HEICs: named with what helps where their libraries are missing, read by stand-ins of these."""

import sys
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from PIL import Image

from bench.core.errors import UsageError
from bench.io.camera import common_balance, need_reader, read_raw, white_balance
from bench.io.ldr import exif, read_frame

VALUES = np.random.default_rng(0).integers(0, 65536, (4, 6, 3), np.uint16)


@pytest.fixture
def bare(monkeypatch):
    """Neither library is installed."""
    monkeypatch.setitem(sys.modules, "rawpy", None)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)


@pytest.fixture
def rawpy(monkeypatch):
    """A stand-in for rawpy; returns the settings that pictures were developed with, and white balances by name."""
    seen = SimpleNamespace(settings=[], balances={}, error=None)

    @contextmanager
    def imread(path):
        if seen.error:
            raise seen.error

        def postprocess(**settings):
            seen.settings.append(settings)
            return VALUES

        name = path.rpartition("/")[2]
        yield SimpleNamespace(
            sizes=SimpleNamespace(raw_width=6, raw_height=4),
            camera_whitebalance=seen.balances.get(name, [512.0, 256.0, 384.0, 0.0]),
            postprocess=postprocess,
        )

    monkeypatch.setitem(sys.modules, "rawpy", SimpleNamespace(imread=imread))
    return seen


@pytest.fixture
def heif(monkeypatch):
    """A stand-in for pillow-heif, whose pictures are `heif.pixels`."""
    seen = SimpleNamespace(pixels=VALUES, error=None, registered=0)

    class File:
        size = (6, 4)
        __array_interface__ = property(lambda self: seen.pixels.__array_interface__)

    def open_heif(path, convert_hdr_to_8bit):
        assert not convert_hdr_to_8bit
        if seen.error:
            raise seen.error
        return File()

    def register_heif_opener():
        seen.registered += 1

    library = SimpleNamespace(open_heif=open_heif, register_heif_opener=register_heif_opener)
    monkeypatch.setitem(sys.modules, "pillow_heif", library)
    return seen


RAW = r"a camera's raw file \(\.{}\)\. Convert it to 16-bit TIFF or linear EXR .*pip install -e '\.\[raw\]'"
HEIC = r"a HEIC, as phones write them\. Convert it to PNG or TIFF.*pip install -e '\.\[raw\]'"


@pytest.mark.parametrize("suffix", ["CR2", "cr3", "nef", "ARW", "dng", "raf", "orf", "rw2"])
@pytest.mark.parametrize("read", [need_reader, read_frame])
def test_a_raw_file_is_named_with_what_helps(tmp_path, bare, read, suffix):
    (tmp_path / f"a.{suffix}").write_bytes(b"II*\0" + bytes(200))
    with pytest.raises(UsageError, match=rf"a\.{suffix}: " + RAW.format(suffix.lower())):
        read(tmp_path / f"a.{suffix}")


@pytest.mark.parametrize("name", ["a.heic", "a.HEIF", "a.jpg", "a.png"])
@pytest.mark.parametrize("read", [need_reader, read_frame])
def test_a_heic_is_named_with_what_helps_whatever_it_is_called(tmp_path, bare, read, name):
    (tmp_path / name).write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    with pytest.raises(UsageError, match=rf"{name}: {HEIC}"):
        read(tmp_path / name)


def test_other_frames_need_no_library(tmp_path, bare):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.jpg")
    need_reader(tmp_path / "a.jpg")


def test_a_raw_file_is_developed_linearly_and_alike_whatever_it_shows(tmp_path, rawpy):
    (tmp_path / "a.cr2").touch()
    pixels = read_raw(tmp_path / "a.cr2")
    assert pixels.dtype == np.float32
    np.testing.assert_array_equal(pixels, VALUES.astype(np.float32) / np.float32(65535))
    read_raw(tmp_path / "a.cr2", (2.0, 1.0, 1.5, 1.0), upright=True)
    alike = {"gamma": (1, 1), "no_auto_bright": True, "adjust_maximum_thr": 0.0, "output_bps": 16}
    assert rawpy.settings == [
        {**alike, "use_camera_wb": True, "user_flip": 0},
        {**alike, "user_wb": [2.0, 1.0, 1.5, 1.0]},
    ]
    assert white_balance(tmp_path / "a.cr2") == (2.0, 1.0, 1.5, 1.0)


def test_a_bracket_has_one_white_balance_which_is_told(tmp_path, rawpy):
    paths = [tmp_path / name for name in ("a.nef", "b.nef", "c.nef")]
    for path in paths:
        path.touch()
    rawpy.balances = {"c.nef": [600.0, 256.0, 384.0, 256.0]}
    balance, notes = common_balance(paths)
    assert balance == (2.0, 1.0, 1.5, 1.0)
    assert notes == [
        "raw files are developed linearly, with the camera's white balance (2 1 1.5), to BT.709",
        "c.nef: has another white balance; that of a.nef is taken",
    ]
    rawpy.balances = {path.name: [0.0, 0.0, 0.0, 0.0] for path in paths}
    assert common_balance(paths) == ((), ["raw files are developed linearly, with daylight, to BT.709"])


def test_what_the_libraries_raise_becomes_a_sentence(tmp_path, rawpy, heif):
    (tmp_path / "a.cr2").touch()
    (tmp_path / "a.heic").touch()
    rawpy.error = heif.error = RuntimeError(b"Unsupported file format\nor not RAW file".decode())
    for read, name, kind in ((read_raw, "a.cr2", "raw file"), (read_frame, "a.heic", "HEIC")):
        with pytest.raises(UsageError, match=rf"{name}: can't be read as a {kind} \(Unsupported file format or not"):
            read(tmp_path / name)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_heic_is_a_frame_without_its_alpha(tmp_path, heif, dtype):
    (tmp_path / "a.heic").touch()
    heif.pixels = np.dstack([VALUES, VALUES[..., 0]]).astype(dtype)
    frame = read_frame(tmp_path / "a.heic")
    assert frame.dtype == dtype
    np.testing.assert_array_equal(frame, VALUES.astype(dtype))
    need_reader(tmp_path / "a.heic")
    assert heif.registered == 1


def test_exif_of_a_raw_file_like_a_tiff_is_read(tmp_path):
    tags = [(34855, 3, 1, 400, True), (33434, 5, 1, (1, 250), True), (33437, 5, 1, (56, 10), True)]
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(VALUES, photometric="rgb", extratags=tags)
    (tmp_path / "a.tif").rename(tmp_path / "a.nef")
    found = exif(tmp_path / "a.nef")
    assert (found[33434], found[33437], found[34855]) == (1 / 250, 5.6, 400)
    (tmp_path / "a.nef").write_bytes(b"FUJIFILMCCD-RAW")
    assert exif(tmp_path / "a.nef") == {}
