"""`bench score` on a folder with what isn't a picture at all: a line for each, the sound file scored, no waiting."""

import io
import os
import sys
import time

import numpy as np
import OpenEXR
import pytest
import tifffile

from bench.io.radiance import write_exr
from bench.io.tables import read_scores

FORGED = "name\x1b[31m\nbad: forged"


def linked(target):
    return lambda path, pixels: path.symlink_to(target)


def deep(path, pixels):
    samples = np.empty((8, 8), object)
    for place in np.ndindex(8, 8):
        samples[place] = np.ones(2, np.float32)
    header = {"type": OpenEXR.deepscanline, "compression": OpenEXR.ZIPS_COMPRESSION}
    OpenEXR.File(header, dict.fromkeys("RGB", samples)).write(str(path))


def never_written(path, pixels):
    tifffile.imwrite(path, pixels, photometric="rgb", rowsperstrip=8)
    with tifffile.TiffFile(path) as file:
        place = file.pages[0].tags["StripOffsets"].valueoffset
    data = bytearray(path.read_bytes())
    data[place : place + 4] = bytes(4)
    path.write_bytes(data)


BAD = {
    "pipe.exr": (lambda path, pixels: os.mkfifo(path), "this is a named pipe; expected a file."),
    "pipe-tiff.tif": (lambda path, pixels: os.mkfifo(path), "this is a named pipe; expected a file."),
    "zero.hdr": (linked("/dev/zero"), "this is a device; expected a file."),
    "random.npy": (linked("/dev/urandom"), "this is a device; expected a file."),
    "deep.exr": (deep, "a deep OpenEXR file (several samples a pixel); flatten it to one RGB value a pixel."),
    "damaged.tif": (never_written, "a part of its pixels was never written"),
    "empty.exr": (lambda path, pixels: path.touch(), "not an OpenEXR file (it is empty)"),
    "folder.exr": (lambda path, pixels: path.mkdir(), "this is a folder; expected a file."),
    f"{FORGED}.npy": (lambda path, pixels: path.write_bytes(b"junk"), "isn't a readable .npy file"),
}


@pytest.fixture
def folders(tmp_path, textured):
    """Folders of predictions and of truth, of which one prediction is sound."""
    predictions, truths = tmp_path / "theirs", tmp_path / "truth"
    predictions.mkdir()
    truths.mkdir()
    pixels = textured(0)
    write_exr(predictions / "sound.exr", pixels * np.float32(1.05))
    np.save(truths / "sound.npy", pixels)
    for name, (make, _) in BAD.items():
        make(predictions / name, pixels)
        np.save(truths / f"{name.rpartition('.')[0]}.npy", pixels)
    return predictions, truths


def test_each_bad_kind_is_one_line_and_the_sound_file_is_scored(fresh, main_in, folders, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(fresh.folder)
    out, begin = tmp_path / "out.csv", time.monotonic()
    words = ["--dataset", "mine", "--truth", str(folders[1]), "--out", str(out), "--protocol", "whole-float"]
    assert main_in(fresh, "score", str(folders[0]), *words, "--jobs", "1") == 1
    assert time.monotonic() - begin < 10
    said = capfd.readouterr()
    lines = [line for line in said.err.splitlines() if line.startswith("bad: ")]
    assert len(lines) == len(BAD) and "\x1b[31m" not in said.err
    for name, (_, expected) in BAD.items():
        shown = name.replace("\x1b", "\\x1b").replace("\n", "\\n")
        (line,) = [line for line in lines if line.startswith(f"bad: {shown}: ")]
        assert expected in line
    assert set(read_scores([out])["scene"]) == {"sound"}
    assert f"means of 1 of {len(BAD) + 1} scenes" in said.out


def test_other_primaries_are_a_note_and_no_fault(fresh, main_in, tmp_path, textured, capsys, monkeypatch):
    monkeypatch.chdir(fresh.folder)
    wide = {"chromaticities": (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290)}
    for folder in ("theirs", "truth"):
        (tmp_path / folder).mkdir()
        OpenEXR.File(wide, {"RGB": 0.5 * textured(0)}).write(str(tmp_path / folder / "a.exr"))
    words = ["--dataset", "mine", "--truth", str(tmp_path / "truth"), "--protocol", "whole-float", "--jobs", "1"]
    assert main_in(fresh, "score", str(tmp_path / "theirs"), *words, "--trust") in (0, 1)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "a.exr: " in line]
    assert "its colours have other primaries (0.708 0.292" in line
    assert "of its truth: its colours have other primaries" in line


def test_names_that_the_encoding_lacks_are_written_escaped(fresh, main_in, tmp_path, textured, monkeypatch):
    monkeypatch.chdir(fresh.folder)
    for folder in ("theirs", "truth"):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "\u65e5.npy", textured(0))
    words = ["--dataset", "mine", "--truth", str(tmp_path / "truth"), "--protocol", "whole-float", "--jobs", "1"]
    written = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", written)
    main_in(fresh, "score", str(tmp_path / "theirs"), *words)
    written.flush()
    assert b"\\u65e5" in written.buffer.getvalue() and written.buffer.getvalue().isascii()
