"""What every reader of pictures refuses alike: what is no regular file, and headers that ask for gigabytes."""

import os
import re
import resource
import socket
import warnings
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest
import tifffile
from PIL import Image

from bench.core.errors import UsageError
from bench.core.scene import Scene
from bench.io import decoding
from bench.io.container import read_scene, write_scene
from bench.io.decoding import need_room, quiet
from bench.io.ldr import read_frame, read_grey
from bench.io.radiance import read_exr, read_rgbe, write_exr, write_rgbe
from bench.io.submission import READERS, read_radiance

PIXELS = np.random.default_rng(0).random((6, 9, 3), np.float32)
FRAMES = (".tif", ".png", ".jpg", ".jpeg")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def linked_pipe(path: Path) -> None:
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to("pipe")


def bound_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(os.path.relpath(path))


KINDS = {
    "pipe": (pipe, "this is a named pipe; expected a file"),
    "link to a pipe": (linked_pipe, "this is a named pipe; expected a file"),
    "zero": (lambda path: path.symlink_to("/dev/zero"), "this is a device; expected a file"),
    "random": (lambda path: path.symlink_to("/dev/urandom"), "this is a device; expected a file"),
    "folder": (lambda path: path.mkdir(), "this is a folder; expected a file"),
    "socket": (bound_socket, "this is a socket; expected a file"),
    "loop": (lambda path: path.symlink_to(path.name), "can't be read|no such file"),
}


@pytest.mark.parametrize(("make", "words"), KINDS.values(), ids=KINDS)
@pytest.mark.parametrize(
    ("read", "suffix"), [*((read_radiance, suffix) for suffix in READERS), *((read_frame, suffix) for suffix in FRAMES)]
)
def test_only_regular_files_are_opened(tmp_path, monkeypatch, read, suffix, make, words):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / f"a{suffix}")
    with pytest.raises(UsageError, match=words):
        read(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("name", ["a" * 300 + ".tif", "a\0.tif", "none/a.tif", "file/a.tif"])
@pytest.mark.parametrize("read", [read_radiance, read_frame])
def test_names_that_cannot_be_are_told(tmp_path, read, name):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"can't be read|no such file"):
        read(tmp_path / name)


@pytest.mark.parametrize("name", ["scene.json", "ldr.npy", "radiance.npy"])
def test_a_pipe_within_a_prepared_scene_is_named(tmp_path, name):
    scene = Scene("a", np.zeros((2, 6, 9, 3), np.uint8), np.array([1.0, 2.0]), 0, PIXELS)
    write_scene(tmp_path / "s", scene)
    (tmp_path / "s" / name).unlink()
    os.mkfifo(tmp_path / "s" / name)
    with pytest.raises(UsageError, match=r"not a complete prepared scene .*named pipe"):
        read_scene(tmp_path / "s")


def test_a_mask_is_a_regular_file(tmp_path):
    os.mkfifo(tmp_path / "m.png")
    with pytest.raises(UsageError, match="named pipe"):
        read_grey(tmp_path / "m.png")


NAME = "a\x1b[31m\nbad: forged"


@pytest.mark.parametrize("suffix", READERS)
def test_names_of_radiance_files_forge_no_lines(tmp_path, suffix):
    (tmp_path / f"{NAME}{suffix}").write_bytes(b"junk")
    with pytest.raises(UsageError, match=r"a\\x1b\[31m\\nbad: forged") as caught:
        read_radiance(tmp_path / f"{NAME}{suffix}")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("suffix", [*FRAMES, ".psd", ".cr2", ".heic"])
def test_names_of_frames_forge_no_lines(tmp_path, suffix):
    (tmp_path / f"{NAME}{suffix}").write_bytes(b"junk")
    with pytest.raises(UsageError, match=r"a\\x1b\[31m\\nbad: forged") as caught:
        read_frame(tmp_path / f"{NAME}{suffix}")
    assert str(caught.value).isprintable()


def wide_exr(path: Path) -> None:
    write_exr(path, PIXELS)
    data = path.read_bytes()
    window = b"dataWindow\0box2i\0" + (16).to_bytes(4, "little")
    at = data.index(window) + len(window) + 8
    size = (30_000).to_bytes(4, "little") + (30_000).to_bytes(4, "little")
    path.write_bytes(data[:at] + size + data[at + 8 :])


def many_channels(path: Path) -> None:
    # Zeros shrink a thousandfold, and R, G and B are a twentieth of what OpenEXR would decode.
    plane = np.zeros((300, 300), np.float32)
    OpenEXR.File({}, {**{f"layer{i}.Z": plane for i in range(60)}, "R": plane, "G": plane, "B": plane}).write(str(path))


def many_parts(path: Path) -> None:
    plane = np.zeros((300, 300), np.float32)
    parts = [OpenEXR.Part({}, {"Z": plane}, name=f"depth{i}") for i in range(60)]
    OpenEXR.File([*parts, OpenEXR.Part({}, dict.fromkeys("RGB", plane), name="beauty")]).write(str(path))


def wide_hdr(path: Path) -> None:
    write_rgbe(path, PIXELS)
    path.write_bytes(path.read_bytes().replace(b"-Y 6 +X 9", b"-Y 60000 +X 30000"))


def wide_npy(path: Path) -> None:
    np.save(path, PIXELS)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"(6, 9, 3), }       ", b"(60000, 90000, 3),}"))


def wide_tiff(path: Path) -> None:
    tifffile.imwrite(path, PIXELS, photometric="rgb")
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        for tag in ("ImageWidth", "ImageLength"):
            at = file.pages[0].tags[tag].offset
            data[at + 2 : at + 12] = b"\4\0" + (1).to_bytes(4, "little") + (50_000).to_bytes(4, "little")
    path.write_bytes(data)


def wide_png(path: Path) -> None:
    import zlib

    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(path)
    data = bytearray(path.read_bytes())
    data[16:24] = (13_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    path.write_bytes(data)


def wide_jpeg(path: Path) -> None:
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(path)
    data = path.read_bytes()
    at = data.index(b"\xff\xc0") + 5
    path.write_bytes(data[:at] + b"\x30\x00\x30\x00" + data[at + 4 :])


ASKS = {
    "exr": (read_radiance, "a.exr", wide_exr),
    "channels": (read_radiance, "a.exr", many_channels),
    "parts": (read_radiance, "a.exr", many_parts),
    "hdr": (read_radiance, "a.hdr", wide_hdr),
    "tiff": (read_radiance, "a.tif", wide_tiff),
    "png": (read_frame, "a.png", wide_png),
    "jpeg": (read_frame, "a.jpg", wide_jpeg),
}


@pytest.mark.parametrize(("read", "name", "make"), ASKS.values(), ids=ASKS)
def test_headers_that_ask_for_too_much_are_refused_before_a_pixel_is_decoded(tmp_path, monkeypatch, read, name, make):
    make(tmp_path / name)
    monkeypatch.setattr(decoding, "AT_ONCE", 4 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UsageError, match=r"its header asks for [\d,]+ MB of memory, for a file of [\d.,]+ MB"):
        read(tmp_path / name)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes


def test_an_array_that_its_file_cannot_hold_is_refused_unallocated(tmp_path):
    wide_npy(tmp_path / "a.npy")
    with pytest.raises(UsageError, match=r"isn't a readable \.npy file"):
        read_radiance(tmp_path / "a.npy")


def test_a_large_picture_in_a_file_of_its_size_is_read(tmp_path, monkeypatch):
    (tmp_path / "a.raw").write_bytes(b"\0" * 100)
    monkeypatch.setattr(decoding, "AT_ONCE", 1000)
    need_room(tmp_path / "a.raw", 100, decoding.SHRUNK)
    with pytest.raises(UsageError, match="asks for"):
        need_room(tmp_path / "a.raw", 101, decoding.SHRUNK)


@pytest.mark.parametrize(("sizes", "takes"), [((10_000, 10_000, 3, 1), 3), ((10_000, 6_000, 3, 2), 2)])
def test_pictures_of_cameras_are_read_from_any_file(tmp_path, sizes, takes):
    (tmp_path / "a.raw").touch()
    need_room(tmp_path / "a.raw", *sizes, takes=takes)
    with pytest.raises(UsageError, match="asks for"):
        need_room(tmp_path / "a.raw", *sizes, 2, takes=takes)


def peak():
    """The most bytes that this process has had, and what it has."""
    status = Path("/proc/self/status").read_text()
    return [1024 * int(re.search(rf"{name}:\s+(\d+)", status)[1]) for name in ("VmHWM", "VmRSS")]


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells the most memory of a while")
def test_a_large_picture_is_read_without_copies_of_the_whole(tmp_path):
    rows, columns = 4000, 5000
    Image.new("RGB", (columns, rows), (1, 2, 3)).save(tmp_path / "a.png", compress_level=1)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    _, before = peak()
    frame = read_frame(tmp_path / "a.png")
    assert frame.shape == (rows, columns, 3) and (frame == [1, 2, 3]).all(axis=(0, 1)).all()
    most, _ = peak()
    assert most - before < 8.5 * rows * columns


def test_a_chunk_that_is_longer_than_its_file_takes_no_memory(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((16, 24, 3), np.uint16))
    data = bytearray((tmp_path / "a.png").read_bytes())
    place = data.index(b"IDAT")
    data[place - 4] = 0x40
    (tmp_path / "a.png").write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UsageError, match=r"a\.png: damaged or cut short \(its part IDAT is longer than the file\)"):
        read_frame(tmp_path / "a.png")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes


def test_what_libraries_print_is_dropped_and_ours_is_not(capfd):
    with quiet():
        print("from Python")
        os.write(2, b"from C")
        warnings.warn("from NumPy", stacklevel=1)
        with quiet():
            os.write(2, b"from C")
        os.write(2, b"from C again")
    os.write(2, b"ours")
    assert tuple(capfd.readouterr()) == ("", "ours")


def overwritten(path: Path, rng: np.random.Generator) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(int(rng.integers(1, 6))):
        data[int(rng.integers(0, min(len(data), 600)))] = int(rng.choice([0, 1, 127, 255, int(rng.integers(256))]))
    path.write_bytes(data if rng.random() < 0.7 else data[: int(rng.integers(1, len(data)))])


WRITERS = {
    "a.exr": (read_radiance, write_exr),
    "a.hdr": (read_radiance, lambda path, pixels: write_rgbe(path, pixels)),
    "a.npy": (read_radiance, np.save),
    "a.tif": (read_radiance, lambda path, pixels: tifffile.imwrite(path, pixels, photometric="rgb", rowsperstrip=2)),
    "b.tif": (read_frame, lambda path, pixels: cv2.imwrite(str(path), (pixels * 65535).astype(np.uint16))),
    "b.png": (read_frame, lambda path, pixels: cv2.imwrite(str(path), (pixels * 65535).astype(np.uint16))),
    "c.png": (read_frame, lambda path, pixels: Image.fromarray((pixels * 255).astype(np.uint8)).save(path)),
    "b.jpg": (read_frame, lambda path, pixels: Image.fromarray((pixels * 255).astype(np.uint8)).save(path)),
}


@pytest.mark.parametrize("prefix", [b"\xff\xfe", "日²é".encode(), b"50%d{}*[a]"], ids=["bytes", "letters", "patterns"])
@pytest.mark.parametrize("name", WRITERS)
def test_names_of_any_bytes_are_opened_or_told(tmp_path, name, prefix):
    read, write = WRITERS[name]
    write(tmp_path / name, PIXELS)
    named = tmp_path / os.fsdecode(prefix + name.encode())
    (tmp_path / name).rename(named)
    if name.endswith(".exr") and prefix == b"\xff\xfe":
        with pytest.raises(UsageError, match="its name isn't UTF-8, and OpenEXR can't open such files; rename it"):
            read(named)
    else:
        assert read(named).shape == PIXELS.shape


@pytest.mark.parametrize("name", WRITERS)
def test_damaged_files_end_in_one_sentence_of_ours_and_nothing_is_printed(tmp_path, capfd, name):
    read, write = WRITERS[name]
    path, rng = tmp_path / name, np.random.default_rng(11)
    write(path, PIXELS)
    whole, refused = path.read_bytes(), 0
    for _ in range(40):
        path.write_bytes(whole)
        overwritten(path, rng)
        try:
            read(path)
        except UsageError as error:
            refused += 1
            assert str(error).startswith(str(path)) and str(error).isprintable()
    assert refused > 8
    assert tuple(capfd.readouterr()) == ("", "")


def test_readers_of_our_own_files_are_as_strict(tmp_path):
    for read, name in ((read_exr, "a.exr"), (read_rgbe, "a.hdr")):
        os.mkfifo(tmp_path / name)
        with pytest.raises(UsageError, match="named pipe"):
            read(tmp_path / name)
