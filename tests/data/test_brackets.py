"""Kalantari's layout: public loaders' numbers where conventions coincide, and a sentence for every way to be wrong.

`golden/kalantari_layout`: a tiny scene made for this purpose (96 x 144) in four variants. ev_m2_0_2 and
ev_0_2_4_one_line have the frames and truth of ev_0_2_4 and only an exposure file of their own; ev_m3_0_3 is cut to its
first 32 rows. `loaders.csv`: what public loaders make of them. MATLAB-preparation is Kalantari's own preparation
(emulated in single precision: RGB, values / 65535, linear = LDR^2.2 / 2^EV); the truth is from SAFNet's loader.
"""

import csv
import shutil
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from bench.core.errors import Incomplete, UsageError
from bench.core.registry import datasets
from bench.core.scene import Scene
from bench.data import checks
from bench.data.layouts import brackets
from bench.data.layouts.brackets import check_floating, read_evs
from bench.data.layouts.places import natural
from bench.io.radiance import read_rgbe, write_rgbe

GOLDEN = Path(__file__).parent / "golden" / "kalantari_layout"
PIXELS = {"y0_x0": (0, 0), "y17_x101": (17, 101), "y48_x72": (48, 72), "y60_x5": (60, 5), "y95_x143": (95, 143)}


def read_scene(folder: Path, truth: bool = True) -> Scene:
    return brackets.read_scene(folder, "kalantari", truth=truth)


FOUR = ("ev_0_2_4", "ev_m2_0_2", "ev_0_2_4_one_line", "ev_m3_0_3")


@pytest.fixture
def golden(tmp_path: Path) -> Callable[[str], Path]:
    """Return a complete copy of one golden scene, free to be damaged."""

    def copy(name: str = "ev_0_2_4") -> Path:
        folder = tmp_path / name
        if name != "ev_m3_0_3":
            shutil.copytree(GOLDEN / "ev_0_2_4", folder)
        return Path(shutil.copytree(GOLDEN / name, folder, dirs_exist_ok=True))

    return copy


def loaders(scene: str) -> list[dict[str, str]]:
    with (GOLDEN / "loaders.csv").open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["scene"] == scene]


def plane(scene: Scene, row: dict[str, str]) -> np.ndarray:
    """Our counterpart of one row of loaders.csv: input<frame> holds LDR, then linear; label is the truth."""
    channel = int(row["channel"])
    if row["array"] == "label":
        assert scene.radiance is not None
        return scene.radiance[..., channel]
    frame = int(row["array"][-1])
    return (scene.ldr if channel < 3 else scene.linear)[frame][..., channel % 3]


def test_statistics_equal_those_of_public_loaders(golden: Callable[[str], Path]) -> None:
    scene = read_scene(golden("ev_0_2_4"))
    rows = loaders("ev_0_2_4")
    assert len(rows) == 3 * 6 + 3
    for row in rows:
        ours = plane(scene, row)
        for name, function in (("min", np.min), ("mean", np.mean), ("std", np.std), ("max", np.max)):
            # Both sides are single precision, theirs printed with nine digits.
            assert function(ours.astype(np.float64)) == pytest.approx(float(row[name]), rel=2e-6), (row, name)
        for name, place in PIXELS.items():
            assert ours[place] == pytest.approx(float(row[name]), rel=2e-6), (row, name)


def test_pixels_with_3_ev_equal_those_of_public_loaders(golden: Callable[[str], Path]) -> None:
    scene = read_scene(golden("ev_m3_0_3"))
    for row in loaders("ev_m3_0_3"):
        # They take 2^EV as written, we subtract the lowest: their linear half is 8 times ours.
        factor = 8 if int(row["channel"]) >= 3 else 1
        for name in ("y0_x0", "y17_x101"):
            assert factor * plane(scene, row)[PIXELS[name]] == pytest.approx(float(row[name]), rel=2e-6)


def test_the_origin_of_the_exposures_and_their_form_change_nothing(golden: Callable[[str], Path]) -> None:
    scenes = {name: read_scene(golden(name)) for name in FOUR}
    first = scenes["ev_0_2_4"]
    for name in ("ev_m2_0_2", "ev_0_2_4_one_line"):
        for ours, theirs in zip(astuple(first)[1:5], astuple(scenes[name])[1:5], strict=True):
            np.testing.assert_array_equal(ours, theirs)
    other = scenes["ev_m3_0_3"]
    np.testing.assert_array_equal(first.times, [1, 4, 16])
    np.testing.assert_array_equal(other.times, [1, 8, 64])
    # The short frame and the truth are the same picture; the others differ in exposure, not in scale.
    np.testing.assert_array_equal(other.frames[0], first.frames[0, :32])
    np.testing.assert_array_equal(other.radiance, first.radiance[:32])
    for scene in scenes.values():
        assert scene.radiance is not None
        assert checks.scale(scene) == pytest.approx(1, abs=0.01)


def test_uncovered_pixels_come_from_their_picture(golden: Callable[[str], Path]) -> None:
    folder = golden("ev_0_2_4")
    assert read_scene(folder).uncovered is None
    marks = np.zeros((96, 144), np.uint8)
    marks[10:20, 100:] = 255
    Image.fromarray(marks).save(folder / "uncovered.png")
    found = read_scene(folder).uncovered
    assert found is not None
    assert found.dtype == np.bool_
    np.testing.assert_array_equal(found, marks == 255)


@pytest.mark.parametrize(
    ("marks", "sentence"),
    [
        (np.zeros((96, 143), np.uint8), "is 143x96 with values from 0 to 0; expected 144x96 as the frames"),
        (np.full((96, 144), 128, np.uint8), "values from 128 to 128; expected 144x96 as the frames, 0 and 255 alone"),
        (np.zeros((96, 144, 3), np.uint8), "is PNG, RGB; expected an 8-bit grey PNG"),
        (None, "can't be read as a picture"),
    ],
)
def test_uncovered_pixels_of_another_kind_end_in_a_sentence(
    golden: Callable[[str], Path], marks: np.ndarray | None, sentence: str
) -> None:
    folder = golden("ev_0_2_4")
    if marks is None:
        (folder / "uncovered.png").write_bytes(b"no picture")
    else:
        Image.fromarray(marks).save(folder / "uncovered.png")
    with pytest.raises(UsageError, match=sentence):
        read_scene(folder)


@pytest.mark.parametrize(
    "text",
    [
        "0.0\r\n2.0\r\n4.0\r\n", "0\r\n2\r\n4\r\n", "\n 0 \n\n2\n4", "0 2 4", "0, 2, 4", "0, 2, 4\n", "-2\t0\t2",
        "-2\t0\t2\n", "\ufeff0\n2\n4\n", "\ufeff-3\n-1\n1\n\n", "0\r2\r4",
    ],
)  # fmt: skip
def test_exposure_files_of_every_form(golden: Callable[[], Path], text: str) -> None:
    folder = golden()
    (folder / "exposure.txt").write_bytes(text.encode())
    np.testing.assert_array_equal(read_scene(folder).times, [1, 4, 16])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"low\nmid\nhigh\n", r"exposure\.txt holds 'low\\nmid\\nhigh'; expected 3 numbers"),
        (b"0\n2\n", r"holds 2 value\(s\).*expected 3 finite EVs"),
        (b"0\n2\n4\n6\n", r"holds 4 value\(s\)"),
        (b"", r"holds 0 value\(s\)"),
        (b"0\nnan\n4\n", r"holds '0\\nnan\\n4'; expected 3 numbers"),
        (b"0\n6_6.6\n99\n", "expected 3 numbers"),
        ("0\n\u0662\n4\n".encode(), "expected 3 numbers"),
        (b"4\n2\n0\n", r"the EVs \[4\.0, 2\.0, 0\.0\] in exposure\.txt don't rise"),
        (b"0\n0\n2\n", "don't rise"),
        (b"\xff\xfe0\x00", r"holds 1 value\(s\), 0; expected 3 finite EVs"),
        (b"0\n2\n\xff", "can't be read as 3 EVs: .*not UTF-8"),
    ],
)
def test_other_exposure_files_are_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "exposure.txt").write_bytes(content)
    with pytest.raises(UsageError, match=sentence):
        read_evs(tmp_path / "exposure.txt", 'scene "001" of kalantari', 3)


@pytest.mark.parametrize(
    ("gone", "missing"),
    [
        (["3.tif"], "the long exposure"),
        (["2.tif"], "the middle exposure"),
        (["1.tif"], "the short exposure"),
        (["1.tif", "2.tif"], "more than one, or one that the names don't tell"),
        (["1.tif", "2.tif", "3.tif"], "all of them"),
    ],
)
def test_missing_frames_are_named(golden: Callable[[], Path], gone: list[str], missing: str) -> None:
    folder = golden()
    for name in gone:
        (folder / name).unlink()
    with pytest.raises(UsageError) as caught:
        read_scene(folder)
    assert str(caught.value) == (
        f'scene "ev_0_2_4" of kalantari: {3 - len(gone)} exposures found, 3 expected.\n'
        f"Missing: {missing}. The download may be incomplete."
    )


def put(name: str, pixels: np.ndarray) -> Callable[[Path], None]:
    """Write another frame under this name."""
    return lambda folder: tifffile.imwrite(folder / name, pixels, photometric="rgb")


def truth(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    """Change the values of the truth."""
    return lambda folder: write_rgbe(folder / "HDRImg.hdr", change(read_rgbe(folder / "HDRImg.hdr")))


def picture_as_truth(folder: Path) -> None:
    cv2.imwrite(str(folder / "x.png"), np.zeros((96, 144, 3), np.uint8))
    (folder / "x.png").rename(folder / "HDRImg.hdr")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (
            put("3.tif", np.zeros((90, 144, 3), np.uint16)),
            r"3\.tif is 144x90 uint16, 1\.tif is 144x96 uint16; a bracket's frames must agree",
        ),
        (put("3.tif", np.zeros((96, 144, 3), np.uint8)), r"3\.tif is 144x96 uint8, 1\.tif is 144x96 uint16"),
        (put("3.tif", np.zeros((96, 144, 3), np.float32)), r"3\.tif: pixels are float32; expected 8 or 16 bits"),
        (
            lambda folder: shutil.copy(folder / "3.tif", folder / "4.tif"),
            r"4 exposures found \(1\.tif, 2\.tif, 3\.tif, 4\.tif\), 3 expected",
        ),
        (lambda folder: (folder / "HDRImg.hdr").unlink(), r"no HDRImg\.hdr, the truth"),
        (picture_as_truth, r"HDRImg\.hdr: not a Radiance picture"),
        (truth(lambda values: values[:90]), "the truth is 144x90 float32, the frames are 144x96 uint16"),
        (
            truth(lambda values: 4 * values),
            r"the truth is (4|3\.9\d) times the linearised reference frame.*2\^2: most likely .*origin",
        ),
        (truth(lambda values: 1.45 * values), r"the truth is 1\.4\d times .*scaled by its own maximum"),
        (truth(lambda values: 0 * values), "the truth is black where the reference frame is well exposed"),
        (lambda folder: (folder / "exposure.txt").unlink(), r"exposure\.txt can't be read"),
        (shutil.rmtree, "no folder"),
    ],
)
def test_damaged_scenes_are_refused(golden: Callable[[], Path], damage: Callable[[Path], None], sentence: str) -> None:
    folder = golden()
    damage(folder)
    with pytest.raises(UsageError, match=sentence):
        checks.run(read_scene(folder), "kalantari")


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_a_truth_with_impossible_values_is_refused(golden: Callable[[], Path], value: float) -> None:
    scene = read_scene(golden())
    changed = np.array(scene.radiance)
    changed[3, 3, 1] = value
    with pytest.raises(UsageError, match=r"non-finite and \d negative values"):
        check_floating(changed, scene.frames[1], "scene")


def test_a_truth_that_a_library_turned_into_a_picture_is_refused(golden: Callable[[], Path]) -> None:
    scene = read_scene(golden())
    with pytest.raises(UsageError, match="decoded to uint8; expected linear floating point"):
        check_floating(np.zeros((96, 144, 3), np.uint8), scene.frames[1], "scene")


def test_truth_beyond_the_short_exposure_is_clipped(golden: Callable[[], Path]) -> None:
    folder = golden()
    bright = read_rgbe(folder / "HDRImg.hdr")
    bright[:4] = 7
    write_rgbe(folder / "HDRImg.hdr", bright)
    radiance = read_scene(folder).radiance
    assert radiance is not None
    assert (radiance[:4] == 1).all()
    assert radiance.max() == 1


def test_the_scale_is_not_judged_without_well_exposed_pixels() -> None:
    frames = np.full((3, 8, 8, 3), 65535, np.uint16)
    assert checks.scale(Scene("white", frames, np.array([1.0, 4, 16]), 1, np.ones((8, 8, 3), np.float32))) is None


def test_without_truth_none_is_read(golden: Callable[[], Path]) -> None:
    folder = golden()
    (folder / "HDRImg.hdr").unlink()
    assert read_scene(folder, truth=False).radiance is None


def test_names_sort_as_numbers() -> None:
    names = ["262A0900.tif", "10.tif", "2.tif", "262A0899.tif", "b.tif", "a.tif"]
    ordered = ["2.tif", "10.tif", "262A0899.tif", "262A0900.tif", "a.tif", "b.tif"]
    assert sorted(sorted(names), key=natural) == sorted(ordered, key=natural)
    assert sorted(["9.tif", "10.tif", "8.tif"], key=natural) == ["8.tif", "9.tif", "10.tif"]


def test_frames_are_ordered_as_numbers(golden: Callable[[], Path]) -> None:
    folder = golden()
    for old, new in (("1.tif", "IMG_9.tif"), ("2.tif", "IMG_10.tif"), ("3.tif", "IMG_11.tif")):
        (folder / old).rename(folder / new)
    means = read_scene(folder).frames.mean(axis=(1, 2, 3))
    assert (np.diff(means) > 0).all()


def test_an_empty_root_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        Incomplete, match=r"(?s)expected folders in Test/EXTRA or Test/PAPER.*Place the unpacked archives there"
    ):
        datasets["kalantari"].find(tmp_path, "test")


def test_primaries_of_a_truth_are_told_and_change_nothing(golden: Callable[[str], Path]) -> None:
    folder = golden("ev_0_2_4")
    before, path = read_scene(folder), folder / "HDRImg.hdr"
    assert "notes" not in before.metadata
    line = b"PRIMARIES=0.640 0.330 0.290 0.600 0.150 0.060 0.333 0.333"  # what Radiance writes by default
    path.write_bytes(path.read_bytes().replace(b"\n\n", b"\n" + line + b"\n\n", 1))
    scene = read_scene(folder)
    np.testing.assert_array_equal(scene.radiance, before.radiance)
    (note,) = scene.metadata["notes"]
    assert note.startswith("HDRImg.hdr: its header states other primaries (0.64 0.33 0.29")
    assert note.endswith("which aren't applied: values are taken as stored.")


def test_frames_of_several_colours_are_refused_and_of_one_are_the_set_s_own(golden: Callable[[str], Path]) -> None:
    folder = golden("ev_0_2_4")
    paths = sorted(folder.glob("*.tif"))
    wide = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for index, path in enumerate(paths):
        tifffile.imwrite(path, tifffile.imread(path), photometric="rgb", iccprofile=wide)
        if index == 1:
            with pytest.raises(UsageError, match=r'scene "ev_0_2_4" of kalantari: the colour profile of .* that of'):
                read_scene(folder)
    assert read_scene(folder).metadata == {"capture": "ev_0_2_4"}
