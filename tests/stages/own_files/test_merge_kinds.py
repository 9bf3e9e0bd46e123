"""`bench merge` on frames of other kinds: raw files, HEICs, deep EXR, frames held otherwise, colour profiles."""

import os
import sys

import numpy as np
import OpenEXR
import pytest
from PIL import Image, ImageCms

PIXELS = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)


@pytest.fixture
def merge(fresh, main_in, tmp_path, capsys, monkeypatch):
    """Merge the files of a folder; return the exit code and what was printed."""
    monkeypatch.chdir(fresh.folder)
    monkeypatch.setitem(sys.modules, "rawpy", None)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)

    def run(folder, *options):
        words = ["--method", "triangle-merge", "-o", str(tmp_path / "out" / "out.exr"), *options]
        code = main_in(fresh, "merge", str(folder), *words)
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


def deep(path):
    samples = np.empty((8, 8), object)
    for place in np.ndindex(8, 8):
        samples[place] = np.ones(2, np.float32)
    header = {"type": OpenEXR.deepscanline, "compression": OpenEXR.ZIPS_COMPRESSION}
    OpenEXR.File(header, dict.fromkeys("RGB", samples)).write(str(path))


KINDS = {
    "raw": (".CR2", lambda path: path.write_bytes(b"II*\0" + bytes(99)), "a camera's raw file (.cr2). Convert it to"),
    "heic": (".heic", lambda path: path.touch(), "a HEIC, as phones write them. Convert it to PNG or TIFF"),
    "named jpg": (".jpg", lambda path: path.write_bytes(b"\0\0\0\x18ftypheic"), "a HEIC, as phones write them"),
    "deep": (".exr", deep, "a deep OpenEXR file (several samples a pixel); flatten it"),
    "device": (".jpg", lambda path: path.symlink_to("/dev/zero"), ""),
    "pipe": (".png", lambda path: os.mkfifo(path), ""),
}


@pytest.mark.parametrize("options", [(), ("--exposures", "1,4,16")], ids=["exif", "given"])
def test_a_kind_that_is_not_merged_is_one_sentence(merge, tmp_path, options):
    for kind, (suffix, make, words) in KINDS.items():
        (tmp_path / kind).mkdir()
        for name in "abc":
            make(tmp_path / kind / f"{name}{suffix}")
        code, said = merge(tmp_path / kind, *options)
        assert code == 2
        (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
        assert line == said.splitlines()[-1] and f"a{suffix}" in line
        if suffix != ".exr" or options:  # without its exposure a frame isn't opened
            assert words in line


def test_a_frame_held_otherwise_and_a_profile_are_told(merge, tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for index, name in enumerate("abc"):
        Image.fromarray(PIXELS // 4 ** (2 - index)).save(folder / f"{name}.png", icc_profile=icc)
    code, said = merge(folder, "--exposures", "1,4,16")
    assert code == 0
    assert "note: frames have the colour profile sRGB built-in; decoded with gamma 2.2" in said.splitlines()
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(PIXELS).save(folder / "c.png", icc_profile=icc, exif=exif)
    code, said = merge(folder, "--exposures", "1,4,16", "--force")
    assert code == 2
    assert "c.png has EXIF orientation 3 (stored upside down), a.png has 1 (upright)" in said
