"""Synthetic sets under the public sets' names: official names and formats, read by the sets' own readers."""

import os
import shutil
import zipfile
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import tifffile
import torch

from bench.core.errors import UsageError
from bench.core.params import load, read
from bench.core.registry import datasets, methods
from bench.data import checks
from bench.data.synthetic import SETS, pack, write_set
from bench.io.radiance import read_rgbe
from bench.nn.vgg import VggFeatures
from bench.stages.tools import rehearse

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "datasets" / "panoramas"

MAY_DIFFER = {
    "profile", "params_file", "threads", "preset", "patches.size", "patches.stride", "downloads.folder",
    "downloads.checksums", "caps.steps", "caps.batch", "caps.patch", "caps.stride",
    *(f"datasets.{name}.{key}" for name in SETS for key in ("mirror", "accept_licence", "hold_out")),
    "perceptual.url", "perceptual.sha256",
    *(f"{stage}.{key}" for stage in ("stage1", "stage2")
      for key in ("steps", "batch", "log_every", "checkpoint_every", "observe_every", "workers")),
}  # fmt: skip
"""Names, addresses, sizes and step counts."""

REHEARSALS = [("paper", "rehearsal"), ("day", "day-rehearsal")]


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic")
    for name in SETS:
        write_set(name, SHIPPED, folder / name)
    return folder


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_kalantaris_files_have_their_names(synthetic):
    found = names(synthetic / "kalantari")
    assert [name for name in found if "Training/001" in name] == [
        f"Training/001/{name}"
        for name in ("262A0898.tif", "262A0899.tif", "262A0900.tif", "HDRImg.hdr", "exposure.txt")
    ]
    assert {name.rpartition("/")[0] for name in found} == {
        *(f"Training/{number:03d}" for number in range(1, 5)), "Test/EXTRA/001", "Test/PAPER/BarbequeDay",
    }  # fmt: skip


def test_hus_files_have_their_names(synthetic):
    base = "CVPR2020_NTIRE_Workshop/SynHDR_Dataset2"
    found = names(synthetic / "hu")
    assert {name.removeprefix(f"{base}/086/") for name in found if f"{base}/086/" in name} == {
        *(f"{kind}_{number}_aligned.tif" for kind in ("input", "ref") for number in (1, 2, 3)),
        "input_exp.txt", "ref_exp.txt", "ref_hdr_aligned_linear.hdr", "ldr_visualize.png",
    }  # fmt: skip
    for name in ("input_exp.txt", "ref_exp.txt"):
        assert {path.read_bytes() for path in (synthetic / "hu").rglob(name)} == {b"0 2 4\n"}
    assert {name.split("/")[2] for name in found} == {"001", "002", "003", "004", "086", "087"}


def test_tursuns_files_have_their_names_and_settings(synthetic):
    (scene, _) = sorted((synthetic / "tursun" / "dataset").iterdir())
    assert sorted(path.name for path in scene.iterdir()) == sorted(
        f"{n}.{e}" for n in range(1, 10) for e in ("tiff", "txt")
    )
    for number in range(1, 10):
        text = f"ExposureTime: 1/{4096 // 2 ** (number - 1)}\r\nISO: 1600\r\nFNumber: 5.0\r\n"
        assert (scene / f"{number}.txt").read_bytes() == text.encode()


@pytest.mark.parametrize(("name", "count"), [("kalantari", 6 * 3), ("hu", 6 * 6), ("tursun", 2 * 9)])
def test_frames_are_colour_pictures_of_sixteen_bits(synthetic, name, count):
    frames = [path for path in (synthetic / name).rglob("*") if path.suffix in {".tif", ".tiff"}]
    assert len(frames) == count
    for path in frames:
        pixels = tifffile.imread(path)
        assert (pixels.dtype, pixels.shape) == (np.uint16, (64, 96, 3))


def test_no_place_is_in_training_here_and_in_testing_there():
    train, test = ({name for c in SETS.values() for name in getattr(c.settings, role)} for role in ("train", "test"))
    assert not train & test


def test_hus_truth_is_on_the_short_frames_scale(synthetic):
    """Measured on the files, without the reader: truth * t / code^2.2, t = 1 for the short frame."""
    for scene in sorted((synthetic / "hu").glob("*/*/*")):
        truth = read_rgbe(scene / "ref_hdr_aligned_linear.hdr")
        for kind, shots in (("input", (2,)), ("ref", (1, 2, 3))):
            for index in shots:
                code = tifffile.imread(scene / f"{kind}_{index}_aligned.tif") / 65535
                good = (code > 0.1) & (code < 0.8)
                factor = np.median(truth[good] * 4.0 ** (index - 1) / code[good] ** 2.2)
                assert factor == pytest.approx(1, abs=0.05), (scene.name, kind, index)


@pytest.mark.parametrize("name", SETS)
def test_the_sets_own_readers_take_every_scene(synthetic, name):
    for split, role in datasets[name].splits.items():
        scenes = list(datasets[name].scenes(synthetic / name, split))
        assert len(scenes) == {"train": 4, "test": 2, "no-truth": 2}[role]
        for scene in scenes:
            assert set(checks.run(scene, name).values()) <= {"passed", "not applicable: no truth"}


def test_nine_frames_are_one_stop_apart(synthetic):
    for scene in sorted((synthetic / "tursun" / "dataset").iterdir()):
        frames = [tifffile.imread(scene / f"{number}.tiff") / 65535 for number in range(1, 10)]
        for number, (one, other) in enumerate(pairwise(frames), 1):
            good = (one > 0.15) & (one < 0.8) & (other > 0.15) & (other < 0.8)
            assert good.sum() > 200
            step = np.median(np.log2((other[good] / one[good]) ** 2.2))
            assert step == pytest.approx(1, abs=0.1), (scene.name, number)


def test_archives_depend_on_names_and_bytes_alone(synthetic, tmp_path):
    """Not on times, permissions or the order in which the files were made."""
    original = synthetic / "kalantari" / "Test"
    for path in sorted((path for path in original.rglob("*") if path.is_file()), reverse=True):
        copy = tmp_path / "Test" / path.relative_to(original)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        os.utime(copy, (10**9, 10**9))
        copy.chmod(0o600)
    pack(original, tmp_path / "a.zip")
    pack(tmp_path / "Test", tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as bundle:
        assert bundle.namelist() == sorted(bundle.namelist())
        assert "Test/PAPER/BarbequeDay/exposure.txt" in bundle.namelist() and bundle.testzip() is None


class TestRehearsal:
    def leaves(self, tree, prefix=""):
        if not isinstance(tree, dict):
            return {prefix.rstrip("."): tree}
        parts = [self.leaves(value, f"{prefix}{key}.") for key, value in tree.items()]
        return {key: value for part in parts for key, value in part.items()} or {prefix.rstrip("."): {}}

    @pytest.mark.parametrize(("real", "small"), REHEARSALS)
    def test_it_differs_in_addresses_sizes_and_steps_alone(self, real, small):
        paper, rehearsal = (self.leaves(read(ROOT / "profiles" / name / "params.yaml")) for name in (real, small))
        assert paper.keys() == rehearsal.keys()
        different = {key for key in paper if paper[key] != rehearsal[key]}
        assert not different - MAY_DIFFER
        assert rehearsal["preset"] == "smoke"

    @pytest.mark.parametrize(("real", "small"), REHEARSALS)
    def test_every_address_is_the_rehearsals_server_and_every_file_of_it_stays_in_runs(self, real, small):
        params = load(ROOT / "profiles" / small / "params.yaml")
        served = [urlsplit(use.mirror or "") for use in params.datasets.values()] + [urlsplit(params.perceptual.url)]
        assert {part.hostname for part in served} == {"127.0.0.1"}
        assert len({part.port for part in served}) == 1
        assert all(use.on_disk is None for use in params.datasets.values())
        for place in (params.downloads.folder, params.downloads.checksums):
            assert Path(place).is_relative_to(f"runs/{small}")

    def test_day_has_all_three_tables_a_second_seed_and_no_curve_on_the_test_set(self):
        params = load(ROOT / "profiles" / "day" / "params.yaml")
        paper = load(ROOT / "profiles" / "paper" / "params.yaml")
        assert {n: [*params.rows(n).values()] for n in (2, 3)} == {n: [*paper.rows(n).values()] for n in (2, 3)}
        learned = {name for name, method in methods.items() if method.trains and method.name != "olc"}
        assert {params.variants[name].method for name in params.rows(1).values()} >= learned
        second = {run.variant for run in params.runs.values() if run.seed == 1}
        assert second == {*params.rows(2).values(), *[*params.rows(3).values()][4:]}
        assert all(use.hold_out for use in params.datasets.values()) and params.stage2.observe_every
        assert {run.recipe or params.recipe for run in params.runs.values()} == {"common"}

    def test_paper_covers_both_training_sets_crossed_and_the_set_without_truth(self):
        params = load(ROOT / "profiles" / "paper" / "params.yaml")
        assert {run.trainset for run in params.runs.values()} == {"kalantari", "hu"}
        found = {(params.runs[c.run].trainset, c.dataset) for c in params.evaluations.values() if c.run in params.runs}
        crossed = {(one, other) for one in ("kalantari", "hu") for other in ("kalantari", "hu")}
        assert found == {*crossed, ("kalantari", "tursun")}

    def test_archives_are_made_once_and_served(self, tmp_path, monkeypatch):
        monkeypatch.chdir(ROOT)
        rehearse.make(tmp_path, "vgg16-397923af.pth")
        wanted = {name for made in SETS.values() for name in made.archives} | {"vgg16-397923af.pth"}
        assert wanted <= {path.name for path in tmp_path.iterdir()}
        times = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir() if path.is_file()}
        rehearse.make(tmp_path, "vgg16-397923af.pth")
        assert times == {path: path.stat().st_mtime_ns for path in times}
        state = torch.load(tmp_path / "vgg16-397923af.pth", weights_only=True)
        VggFeatures(state)
        shapes = {name: tuple(value.shape) for name, value in state.items() if name.endswith("weight")}
        widths = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512)
        positions = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21)
        assert shapes == {
            f"features.{p}.weight": (o, i, 3, 3) for p, (i, o) in zip(positions, pairwise(widths), strict=True)
        }
        first, before = tmp_path / "vgg16-397923af.pth", (tmp_path / "vgg16-397923af.pth").read_bytes()
        first.unlink()
        rehearse.make(tmp_path, first.name)
        assert first.read_bytes() == before

    def test_other_profiles_are_no_rehearsal(self):
        with pytest.raises(UsageError, match=r"is no rehearsal: perceptual.url is https://download"):
            rehearse.run(load(ROOT / "profiles" / "paper" / "params.yaml"))
