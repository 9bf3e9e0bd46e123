"""Every layout of the public sets: found, told apart, read, and refused with the reason where it is another thing."""

import shutil

import numpy as np
import pytest

from bench.core.errors import UsageError
from bench.core.registry import datasets
from bench.core.scene import Scene
from bench.data import checks
from bench.data.layouts.tursun import triplet

from ..data import builders

HU = "CVPR2020_NTIRE_Workshop/SynHDR_Dataset2"


def build(root, builder, *names):
    for seed, name in enumerate(names):
        builder(root / name, seed=seed)
    return root


CASES = {
    "kalantari-official": (
        "kalantari", "official", builders.kalantari,
        {"train": ["Training/010", "Training/002"], "test": ["Test/EXTRA/001", "Test/PAPER/BarbequeDay"]},
    ),
    "kalantari-flattened": (
        "kalantari", "flattened-test", builders.kalantari, {"train": [], "test": ["Test/10", "Test/9"]},
    ),
    "kalantari-oxford": (
        "kalantari", "oxford", builders.oxford,
        {"train": ["kalantari/train/16-09-28-01", "kalantari/train/16-09-28-02"], "test": ["kalantari/test/007"]},
    ),
    "kalantari-wrapped": (
        "kalantari", "official", builders.kalantari,
        {"train": ["SIGGRAPH17_HDR_Trainingset/Training/001"], "test": ["SIGGRAPH17_HDR_Testset/Test/PAPER/A"]},
    ),
    "hu": ("hu", "dataset2", builders.hu, {"train": [f"{HU}/001", f"{HU}/085"], "test": [f"{HU}/086", f"{HU}/100"]}),
    "hu-bare": ("hu", "dataset2", builders.hu, {"train": ["001"], "test": ["100"]}),
    "tursun": ("tursun", "numbered-frames", builders.tursun, {"no-truth": ["dataset/Cafe", "dataset/Bench"]}),
    "tursun-bare": ("tursun", "numbered-frames", builders.tursun, {"no-truth": ["Cafe"]}),
    "tursun-wrapped": ("tursun", "numbered-frames", builders.tursun, {"no-truth": ["eg2016/Cafe"]}),
    "tel2023": ("tel2023", "kalantari-like", builders.kalantari, {"train": ["Training/1"], "test": ["Test/2"]}),
    "challenge123": (
        "challenge123", "three-moments", builders.challenge123,
        {"train": ["Training/001_2", "Training/012_2"], "test": ["Test/001_2"]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_scenes_of_every_layout_are_found_and_read(tmp_path, case):
    name, layout, builder, splits = CASES[case]
    build(tmp_path, builder, *(place for places in splits.values() for place in places))
    for split, places in splits.items():
        if places:
            found = datasets[name].find(tmp_path, split)
            assert found.layout == layout
            assert {folder.relative_to(tmp_path).as_posix() for folder in found.folders} == set(places)
            for scene in datasets[name].scenes(tmp_path, split):
                # Tursun's times are written in decimals.
                np.testing.assert_allclose(scene.times, [1, 4, 16], rtol=1e-4)
                assert scene.frames.shape == (3, 48, 64, 3)
                assert (scene.radiance is None) == (name == "tursun")
                assert set(checks.run(scene).values()) <= {"passed", "not applicable: no truth"}
                assert scene.metadata["capture"] == scene.id


def test_scenes_are_in_the_order_of_their_numbers(tmp_path):
    build(tmp_path, builders.kalantari, "Training/10", "Training/9", "Training/100")
    assert [folder.name for folder in datasets["kalantari"].find(tmp_path, "train").folders] == ["9", "10", "100"]


def test_a_layout_can_be_forced(tmp_path):
    build(tmp_path, builders.kalantari, "Test/EXTRA/001", "Training/001")
    assert datasets["kalantari"].find(tmp_path, "test", "official").layout == "official"
    with pytest.raises(UsageError, match=r"(?s)expected folders in train \(oxford\)\. There: Test, Training"):
        datasets["kalantari"].find(tmp_path, "train", "oxford")
    with pytest.raises(UsageError, match=r"no layout of kalantari is called 'offical'\. Did you mean 'official'"):
        datasets["kalantari"].find(tmp_path, "train", "offical")


def test_hus_other_dataset_is_refused_with_the_reason(tmp_path):
    build(tmp_path, builders.hu, "CVPR2020_NTIRE_Workshop/SynHDR_Dataset1/001")
    with pytest.raises(UsageError, match="SynHDR_Dataset1, which is another thing: two exposures, 8-bit RGBA"):
        datasets["hu"].find(tmp_path, "train")


def test_both_datasets_of_hu_side_by_side_are_told_apart(tmp_path):
    build(tmp_path, builders.hu, "x/SynHDR_Dataset1/001", "x/SynHDR_Dataset2/002")
    assert [folder.name for folder in datasets["hu"].find(tmp_path, "train").folders] == ["002"]


def test_a_root_that_is_a_link_is_fine(tmp_path):
    build(tmp_path / "nfs", builders.kalantari, "Training/001")
    (tmp_path / "here").symlink_to(tmp_path / "nfs")
    (scene,) = datasets["kalantari"].scenes(tmp_path / "here", "train")
    assert scene.id == "001"


@pytest.mark.parametrize("origin", [0, -2, -3])
def test_the_origin_of_the_exposures_does_not_matter(tmp_path, origin):
    builders.hu(tmp_path / "001", origin=origin)
    (scene,) = datasets["hu"].scenes(tmp_path, "train")
    assert scene.times.tolist() == [1, 4, 16] and checks.scale(scene) == pytest.approx(1, abs=0.01)


class TestChallenge123:
    """A scene takes the short frame of the first moment, the middle one of the second and the long one of the third."""

    def scene(self, root):
        (scene,) = datasets["challenge123"].scenes(root, "train")
        return scene

    def test_frames_are_of_three_moments_and_the_rest_is_of_the_middle_one(self, tmp_path):
        folder = builders.challenge123(tmp_path / "Training" / "001_2")
        for other in ("001_1", "001_3"):
            (folder.with_name(other) / "exposure.txt").write_text("0\n3\n6\n")
        scene, light = self.scene(tmp_path), builders.light()
        wanted = [builders.frame(np.roll(light, shift, 1), time) for shift, time in ((-4, 1.0), (0, 4.0), (4, 16.0))]
        np.testing.assert_array_equal(scene.frames, wanted)
        np.testing.assert_array_equal(scene.times, [1, 4, 16])
        np.testing.assert_allclose(scene.radiance, light, atol=0.01)
        assert (scene.id, scene.metadata["capture"], scene.reference) == ("001", "001", 1)

    def test_either_name_of_the_truth_is_read(self, tmp_path):
        folder = builders.challenge123(tmp_path / "Training" / "001_2")
        (folder / "hdr_img.hdr").rename(folder / "HDRImg.hdr")
        assert self.scene(tmp_path).radiance is not None

    @pytest.mark.parametrize(
        ("gone", "said"),
        [("001_1/ldr_img_1.tif", "no 001_1/ldr_img_1.tif"), ("001_3/ldr_img_3.tif", "no 001_3/ldr_img_3.tif"),
         ("001_2/hdr_img.hdr", "no hdr_img.hdr, the truth"), ("001_2/exposure.txt", "exposure.txt can't be read")],
    )  # fmt: skip
    def test_what_is_missing_is_named(self, tmp_path, gone, said):
        folder = builders.challenge123(tmp_path / "Training" / "001_2")
        (folder.parent / gone).unlink()
        with pytest.raises(UsageError, match=f'scene "001" of challenge123: {said}'):
            self.scene(tmp_path)

    def test_scenes_in_another_layout_are_refused(self, tmp_path):
        builders.kalantari(tmp_path / "Training" / "001")
        with pytest.raises(UsageError, match="Training has no folder of a middle moment; expected xxx_1, xxx_2 and"):
            datasets["challenge123"].find(tmp_path, "train")


class TestTursun:
    def read(self, root):
        (scene,) = datasets["tursun"].scenes(root, "no-truth")
        return scene

    def test_nine_frames_give_the_fifth_seventh_and_ninth(self, tmp_path):
        builders.tursun(tmp_path / "Cafe")
        scene = self.read(tmp_path)
        assert scene.metadata["frames"] == ["5.tiff", "7.tiff", "9.tiff"] and scene.metadata["frames_found"] == 9
        np.testing.assert_array_equal(scene.frames[scene.reference], builders.frame(builders.light(), 2.0**6))
        # The first time is stated as 1/4098 and the others in decimals.
        np.testing.assert_allclose(scene.times, [1, 4, 16], rtol=1e-4)

    @pytest.mark.parametrize(
        ("frames", "step", "wanted"),
        [(3, 2.0, [0, 1, 2]), (5, 1.0, [0, 2, 4]), (5, 2.0, [2, 3, 4]), (9, 1.0, [4, 6, 8]), (9, 0.5, [0, 4, 8]),
         (4, 1.0, [0, 1, 3]), (3, 3.0, [0, 1, 2])],
    )  # fmt: skip
    def test_the_triplet_is_two_stops_apart_as_near_as_there_is(self, frames, step, wanted):
        assert triplet([2.0 ** (step * number) for number in range(frames)], 2.0) == wanted

    def test_iso_and_aperture_count(self, tmp_path):
        folder = builders.tursun(tmp_path / "Cafe", frames=3, step=2.0)
        builders.settings(folder / "2.txt", "1/4098", iso="6400")
        builders.settings(folder / "3.txt", "1/4098", iso="6400", number="2.5")
        np.testing.assert_allclose(self.read(tmp_path).times, [1, 4, 16])

    @pytest.mark.parametrize(
        ("damage", "said"),
        [
            (lambda f: (f / "7.txt").unlink(), "7.txt can't be read"),
            (lambda f: (f / "7.tiff").unlink(), "one between them is missing"),
            (lambda f: builders.settings(f / "7.txt", "1/0"), "'1/0' for ExposureTime"),
            (lambda f: builders.settings(f / "7.txt", "nan"), "'nan' for ExposureTime|ExposureTime: nan"),
            (lambda f: builders.settings(f / "7.txt", "-1"), "'-1' for ExposureTime; expected one line"),
            (lambda f: builders.settings(f / "7.txt", "1/4098"), "7.tiff isn't exposed longer than 6.tiff"),
            (lambda f: (f / "7.txt").write_text("ISO: 100\nFNumber: 5\n"), "0 of them for ExposureTime"),
            (lambda f: [(f / f"{n}.tiff").unlink() for n in range(3, 10)], "2 frames found"),
        ],
    )
    def test_other_scenes_are_refused(self, tmp_path, damage, said):
        damage(builders.tursun(tmp_path / "Cafe"))
        with pytest.raises(UsageError, match=said):
            self.read(tmp_path)


class TestFolder:
    def test_scenes_with_truth_are_the_test_split(self, tmp_path):
        builders.kalantari(tmp_path / "with")
        shutil.copytree(tmp_path / "with", tmp_path / "without")
        (tmp_path / "without" / "HDRImg.hdr").unlink()
        card = datasets["folder"]
        assert [scene.id for scene in card.scenes(tmp_path, "test")] == ["with"]
        (blind,) = card.scenes(tmp_path, "no-truth")
        assert blind.id == "without" and blind.radiance is None
        assert blind.times.tolist() == [1, 4, 16]

    def test_frames_in_any_order_with_seconds_by_name(self, tmp_path):
        folder = builders.kalantari(tmp_path / "s")
        (folder / "exposure.txt").unlink()
        (folder / "262A0898.tif").rename(folder / "z.tif")
        (folder / "exposure_times.txt").write_text("z.tif 1/320\n262A0899 1/80\r\n262A0900.tif=0.05\n")
        (scene,) = datasets["folder"].scenes(tmp_path, "test")
        assert scene.metadata["frames"] == ["z.tif", "262A0899.tif", "262A0900.tif"]
        np.testing.assert_allclose(scene.times, [1, 4, 16])

    def test_an_empty_folder_says_what_is_expected(self, tmp_path):
        with pytest.raises(UsageError, match="no scenes under"):
            datasets["folder"].find(tmp_path, "test")


class TestChecks:
    def scene(self, **changes):
        frames = np.stack([builders.frame(builders.light(), time) for time in (1.0, 4.0, 16.0)])
        values = {
            "id": "s",
            "frames": frames,
            "times": np.array([1.0, 4, 16]),
            "reference": 1,
            "radiance": builders.light(),
        }
        return Scene(**{**values, **changes})

    def test_outcomes_are_named(self):
        assert checks.run(self.scene()) == dict.fromkeys(checks.CHECKS, "passed")

    def test_a_camera_curve_is_noted_where_there_is_no_truth(self):
        """Frames whose curve is steeper than gamma 2.2 look further apart than they are."""
        curved = np.rint(65535 * (self.scene().frames / 65535) ** 1.6).astype(np.uint16)
        outcome = checks.run(self.scene(frames=curved, radiance=None))
        assert outcome["steps"].startswith("noted: frames 1 and 2 are 3.") and "2.00 is stated" in outcome["steps"]
        with pytest.raises(UsageError, match=r"are 3\.\d+ EV apart where 2\.00 is stated"):
            checks.run(self.scene(frames=curved))

    @pytest.mark.parametrize("change", ["brighter", "half the size", "noise"])
    def test_the_same_picture_has_nearly_the_same_fingerprint(self, change):
        radiance = builders.light(height=96, width=128)
        other = {
            "brighter": lambda: np.clip(radiance * 1.4, 0, 1),
            "half the size": lambda: radiance[::2, ::2],
            "noise": lambda: np.clip(radiance + np.random.default_rng(1).normal(0, 0.003, radiance.shape), 0, 1),
        }[change]()
        prints = [
            checks.fingerprint(Scene("s", np.stack([builders.frame(r, t) for t in (1.0, 4.0)]), np.array([1.0, 4]), 0))
            for r in (radiance, other)
        ]
        assert checks.duplicates({"train": {"a": prints[0]}, "test": {"b": prints[1]}}) == [
            "train/a and test/b show the same."
        ]

    def test_different_pictures_are_no_duplicates(self):
        prints = {
            str(seed): checks.fingerprint(
                Scene(
                    "s", np.stack([builders.frame(builders.light(seed), t) for t in (1.0, 4.0)]), np.array([1.0, 4]), 0
                )
            )
            for seed in range(20)
        }
        half = {"train": dict(list(prints.items())[:10]), "test": dict(list(prints.items())[10:])}
        assert checks.duplicates(half) == []
