"""Frames of one bracket: held alike, with colours alike, raw files developed alike; what isn't as stored is told."""

import sys
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import OpenEXR
import pytest
import tifffile
from PIL import Image, ImageCms

from bench.color.exposure import encode
from bench.core.errors import UsageError
from bench.data.user_bracket import list_frames, read_bracket

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
TIMES = (1.0, 4.0, 16.0)


def icc(name):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace("sRGB built-in".encode("utf-16-be"), name.ljust(13).encode("utf-16-be"))


def shots(folder, *kinds, suffix=".jpg"):
    """Write frames; `kinds` are keywords of `save` of each."""
    paths = []
    for name, kind in zip("abc", kinds, strict=False):
        paths.append(folder / f"{name}{suffix}")
        Image.fromarray(PIXELS // (ord("d") - ord(name))).save(paths[-1], **kind)
    return paths


def held(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return {"exif": exif}


@pytest.mark.parametrize(("other", "words"), [(3, "upside down"), (6, "on its left side"), (2, "mirrored")])
def test_a_frame_held_otherwise_is_named_with_its_orientation(tmp_path, other, words):
    paths = shots(tmp_path, held(1), held(other), {})
    with pytest.raises(
        UsageError, match=rf"b\.jpg has EXIF orientation {other} \(stored {words}\), a\.jpg has 1 \(upright\)"
    ):
        read_bracket("mine", paths, TIMES, upright=True)
    scene = read_bracket("mine", paths, TIMES)
    np.testing.assert_array_equal(scene.frames[1], np.array(Image.open(paths[1])))
    assert scene.metadata["notes"] == [
        f"b.jpg has EXIF orientation {other} (stored {words}), a.jpg has 1 (upright); "
        "none is turned: rows are taken as stored"
    ]


def test_frames_of_one_name_in_several_folders_are_compared(tmp_path):
    paths = []
    for folder, kind in zip("abc", (held(1), held(3), held(1)), strict=True):
        (tmp_path / folder).mkdir()
        paths += shots(tmp_path / folder, kind)
    with pytest.raises(UsageError, match="EXIF orientation 3"):
        read_bracket("mine", paths, TIMES, upright=True)


@pytest.mark.parametrize("orientation", [0, 1, 9, 8])
def test_frames_held_alike_are_read(tmp_path, orientation):
    scene = read_bracket("mine", shots(tmp_path, *[held(orientation)] * 3), TIMES, upright=True)
    assert scene.frames.shape[1:3] == ((9, 6) if orientation == 8 else (6, 9))
    assert "notes" not in scene.metadata


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_a_mixture_of_profiles_is_refused_and_one_is_told(tmp_path, suffix):
    wide = {"icc_profile": icc("Adobe RGB")}
    paths = shots(tmp_path, {}, {}, wide, suffix=suffix)
    with pytest.raises(UsageError, match=rf"the colour profile of c\{suffix} is Adobe RGB, that of a\{suffix} is none"):
        read_bracket("mine", paths, TIMES)
    scene = read_bracket("mine", shots(tmp_path, wide, wide, wide, suffix=suffix), TIMES)
    assert scene.metadata["notes"] == [
        "frames have the colour profile Adobe RGB; it isn't applied: values are taken for sRGB's"
    ]
    scene = read_bracket("mine", shots(tmp_path, *[{"icc_profile": icc("sRGB built-in")}] * 3, suffix=suffix), TIMES)
    assert scene.metadata["notes"] == ["frames have the colour profile sRGB built-in; decoded with gamma 2.2"]


@pytest.mark.parametrize("name", ["sRGB IEC61966", "c2", "Rec. 709"])
def test_no_profile_means_srgb(tmp_path, name):
    paths = shots(tmp_path, {}, {"icc_profile": icc(name)}, {})
    scene = read_bracket("mine", paths, TIMES)
    assert scene.metadata["notes"] == [f"frames have the colour profile {name}; decoded with gamma 2.2"]


@pytest.mark.parametrize("name", ["Linear sRGB", "sRGB g=1.0", "e-sRGB"])
def test_a_profile_that_is_not_quite_srgb_is_told_and_no_part_of_a_mixture(tmp_path, name):
    kind = {"icc_profile": icc(name)}
    with pytest.raises(UsageError, match=rf"the colour profile of c\.jpg is {name}, that of a\.jpg is sRGB"):
        read_bracket("mine", shots(tmp_path, *[{"icc_profile": icc("sRGB")}] * 2, kind), TIMES)
    (note,) = read_bracket("mine", shots(tmp_path, kind, kind, kind), TIMES).metadata["notes"]
    assert ("it isn't applied" if name == "e-sRGB" else "says that values are linear, but they are decoded") in note


def test_linear_frames_of_other_primaries_are_converted_and_told(tmp_path):
    paths = [tmp_path / f"{name}.exr" for name in "abc"]
    for index, path in enumerate(paths):
        header = {"chromaticities": (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290)} if index else {}
        grey = np.full((6, 9, 3), 0.01 * 4**index, np.float32)
        OpenEXR.File(header, {"RGB": grey}).write(str(path))
    scene = read_bracket("mine", paths, TIMES)
    assert np.ptp(scene.frames.astype(int), axis=-1).max() <= 3  # grey stays grey
    assert [note.split(" (")[0] for note in scene.metadata["notes"]] == [
        "b.exr: its colours have other primaries", "c.exr: its colours have other primaries"
    ]  # fmt: skip


def test_raw_frames_become_frames(tmp_path, monkeypatch):
    linear = {f"{name}.nef": np.full((6, 9, 3), 300 * 4**index, np.uint16) for index, name in enumerate("abc")}

    @contextmanager
    def imread(path):
        yield SimpleNamespace(
            sizes=SimpleNamespace(raw_width=9, raw_height=6),
            camera_whitebalance=[2.0, 1.0, 1.5, 0.0],
            postprocess=lambda **_: linear[path.rpartition("/")[2]],
        )

    monkeypatch.setitem(sys.modules, "rawpy", SimpleNamespace(imread=imread))
    paths = [tmp_path / name for name in linear]
    for path in paths:
        path.touch()
    scene = read_bracket("mine", paths, TIMES)
    assert scene.frames.dtype == np.uint16
    expected = np.rint(65535 * encode(np.float32([300 / 65535])))
    assert (scene.frames[0] == expected).all()
    assert scene.metadata["notes"] == [
        "raw files are developed linearly, with the camera's white balance (2 1 1.5), to BT.709"
    ]


def test_raw_files_beside_their_jpegs_are_passed_over(tmp_path):
    for name in ("a.CR2", "b.CR2", "c.heic", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in list_frames(tmp_path)] == ["a.CR2", "b.CR2", "c.heic"]
    tifffile.imwrite(tmp_path / "a.tif", PIXELS)
    assert [path.name for path in list_frames(tmp_path)] == ["a.tif"]
