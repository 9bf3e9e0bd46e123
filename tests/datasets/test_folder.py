"""`folder`, anyone's brackets as a data set: its splits, its places, its truths, and refusals that name the scene."""

import shutil

import numpy as np
import pytest

from bench.core.errors import UsageError
from bench.core.registry import datasets
from tests.data import builders


@pytest.fixture
def folder():
    return datasets["folder"]


def names(card, root):
    return {split: [path.name for path in card.find(root, split).folders] for split in card.splits}


def truthless(path, **options):
    builders.kalantari(path, **options)
    (path / "HDRImg.hdr").unlink()
    return path


@pytest.mark.parametrize("truth", ["truth.hdr", "ref_hdr_aligned.hdr", "hdr_img.hdr", "gt.hdr"])
def test_a_truth_by_any_known_name_is_the_truth(folder, tmp_path, truth):
    (builders.kalantari(tmp_path / "a") / "HDRImg.hdr").rename(tmp_path / "a" / truth)
    (scene,) = folder.scenes(tmp_path, "test")
    assert scene.radiance is not None and len(scene.frames) == 3


class TestSplits:
    def test_scenes_below_train_are_trained_on(self, folder, tmp_path):
        builders.kalantari(tmp_path / "train" / "street-1")
        builders.kalantari(tmp_path / "hall-2")
        truthless(tmp_path / "hall-10")
        assert names(folder, tmp_path) == {"train": ["street-1"], "test": ["hall-2"], "no-truth": ["hall-10"]}

    def test_the_others_may_lie_in_a_folder_too(self, folder, tmp_path):
        builders.kalantari(tmp_path / "train" / "street")
        builders.kalantari(tmp_path / "test" / "hall")
        assert names(folder, tmp_path) == {"train": ["street"], "test": ["hall"], "no-truth": []}

    def test_a_scene_may_be_called_train(self, folder, tmp_path):
        builders.kalantari(tmp_path / "train")
        assert names(folder, tmp_path) == {"train": [], "test": ["train"], "no-truth": []}

    def test_a_place_is_trained_on_or_tested_on(self, folder, tmp_path):
        builders.kalantari(tmp_path / "train" / "hall-1")
        builders.kalantari(tmp_path / "hall-2")
        builders.kalantari(tmp_path / "street")
        for split in folder.splits:
            with pytest.raises(UsageError, match="train/hall-1 and hall-2 are views of one place by their names"):
                folder.find(tmp_path, split)

    def test_numbers_of_a_camera_are_no_place(self, folder, tmp_path):
        builders.kalantari(tmp_path / "train" / "IMG_1")
        builders.kalantari(tmp_path / "IMG_2")
        assert names(folder, tmp_path) == {"train": ["IMG_1"], "test": ["IMG_2"], "no-truth": []}

    @pytest.mark.parametrize(
        ("trained", "tested"),
        [
            (["IMG_0001", "DSC_0001"], ["IMG_0042"]),
            (["262A0898", "hall"], ["262A0901"]),
            (["P1010001"], ["P1010002"]),
        ],
    )
    def test_numbers_of_several_cameras_are_no_places(self, folder, tmp_path, trained, tested):
        for name in (*(f"train/{name}" for name in trained), *tested):
            builders.kalantari(tmp_path / name)
        found = names(folder, tmp_path)
        assert (set(found["train"]), set(found["test"])) == (set(trained), set(tested))

    @pytest.mark.parametrize(
        ("trained", "tested"), [("kitchen1", "kitchen2"), ("hall--take-1", "hall--take-2"), ("hall", "hall-3--take-2")]
    )
    def test_places_are_those_of_intervals(self, folder, tmp_path, trained, tested):
        for name in (f"train/{trained}", tested, "street"):
            builders.kalantari(tmp_path / name)
        with pytest.raises(UsageError, match=f"train/{trained} and {tested} are views of one place"):
            folder.find(tmp_path, "test")

    @pytest.mark.parametrize("stray", ["Thumbs.db", "desktop.ini", "README.txt", "exposure_times.txt", ".x.png"])
    def test_a_stray_file_makes_no_scene_of_a_split(self, folder, tmp_path, stray):
        builders.kalantari(tmp_path / "train" / "street")
        builders.kalantari(tmp_path / "test" / "hall")
        for split in ("train", "test"):
            (tmp_path / split / stray).touch()
        assert names(folder, tmp_path) == {"train": ["street"], "test": ["hall"], "no-truth": []}

    @pytest.mark.parametrize("frame", ["1.tif", "1.exr", "1.CR2"])
    def test_a_scene_with_folders_of_its_own_is_a_scene(self, folder, tmp_path, frame):
        (tmp_path / "train" / "raw").mkdir(parents=True)
        (tmp_path / "train" / frame).touch()
        assert names(folder, tmp_path) == {"train": [], "test": [], "no-truth": ["train"]}

    def test_without_truth_nothing_is_trained(self, folder, tmp_path):
        truthless(tmp_path / "train" / "street")
        with pytest.raises(UsageError, match=r'scene "street" of folder: no truth .* to train on'):
            list(folder.scenes(tmp_path, "train"))

    def test_an_empty_folder_is_refused_for_every_split(self, folder, tmp_path):
        for split in folder.splits:
            with pytest.raises(UsageError, match="folder: no scenes under"):
                folder.find(tmp_path, split)


DAMAGE = {
    "no exposures": (lambda f: (f / "exposure.txt").unlink(), "no exposure time is stored"),
    "a line": (lambda f: (f / "exposure.txt").write_text("262A0898.tif x"), r"exposure\.txt: line 1"),
    "a number": (lambda f: (f / "exposure.txt").write_text("0\n1e999999999\n4"), r"exposure\.txt: line 2"),
    "equal": (lambda f: (f / "exposure.txt").write_text("0\n0\n4"), "have the same exposure"),
    "no frames": (lambda f: [path.unlink() for path in f.glob("*.tif")], "no frames there"),
    "one frame": (lambda f: ([p.unlink() for p in sorted(f.glob("*.tif"))[:2]], (f / "exposure.txt").write_text("0")),
                  r"1 frame\(s\)"),
    "cut": (lambda f: (f / "262A0899.tif").write_bytes(b"II*"), "damaged or cut short"),
    "truth": (lambda f: (f / "HDRImg.hdr").write_bytes(b"x"), r"HDRImg\.hdr"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGE)
def test_refusals_name_the_scene_and_only_what_prepare_has(folder, tmp_path, kind):
    damage, said = DAMAGE[kind]
    damage(builders.kalantari(tmp_path / "hall"))
    with pytest.raises(UsageError, match=rf'^scene "hall" of folder: (?s:.)*{said}') as caught:
        list(folder.scenes(tmp_path, "test"))
    assert "--" not in str(caught.value)


@pytest.mark.parametrize("name", ["\u00b20", "\u6771\u4eac", "a b", "\u202fx"])
def test_names_in_every_script_are_scenes(folder, tmp_path, name):
    builders.kalantari(tmp_path / name)
    shutil.move(tmp_path / name / "262A0898.tif", tmp_path / name / f"{name}.tif")
    (tmp_path / name / "exposure.txt").write_text(f"262A0899 2\n262A0900 4\n{name}.tif 0\n")
    (scene,) = folder.scenes(tmp_path, "test")
    np.testing.assert_array_equal(scene.times, [1, 4, 16])


@pytest.mark.parametrize("name", ["x" * 250, "a\nb", "\x1b[31m", b"\xff".decode(errors="surrogateescape")])
def test_names_that_cannot_be_written_are_refused(folder, tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(UsageError, match="folder: a scene is called") as caught:
        folder.find(tmp_path, "test")
    assert str(caught.value).isprintable()
