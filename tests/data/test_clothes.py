"""The engine in the public sets' clothes: official names and forms, read by the sets' own readers."""

import urllib.request
import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
import yaml

from bench.core.errors import UsageError
from bench.core.params import load
from bench.core.registry import datasets
from bench.data import checks
from bench.data.clothes import SETS, dress, pack
from bench.nn.vgg import VggFeatures
from bench.stages import rehearse

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "datasets" / "panoramas"

MAY_DIFFER = {
    "profile", "params_file", "threads", "olc_preset", "patches", "downloads",
    *(f"datasets.{name}.{key}" for name in SETS for key in ("mirror", "accept_licence")),
    "perceptual.url", "perceptual.sha256",
    *(f"{stage}.{key}" for stage in ("stage1", "stage2")
      for key in ("steps", "batch", "log_every", "checkpoint_every", "workers")),
}  # fmt: skip
"""Names, addresses, sizes and step counts; besides, each variant's preset may be "smoke"."""


@pytest.fixture(scope="module")
def dressed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dressed")
    for name in SETS:
        dress(name, SHIPPED, folder / name)
    return folder


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_kalantaris_files_have_their_names(dressed):
    found = names(dressed / "kalantari")
    assert [name for name in found if "Training/001" in name] == [
        f"Training/001/{name}"
        for name in ("262A0898.tif", "262A0899.tif", "262A0900.tif", "HDRImg.hdr", "exposure.txt")
    ]
    assert {name.rpartition("/")[0] for name in found} == {
        *(f"Training/{number:03d}" for number in range(1, 5)), "Test/EXTRA/001", "Test/PAPER/BarbequeDay",
    }  # fmt: skip


def test_hus_files_have_their_names(dressed):
    base = "CVPR2020_NTIRE_Workshop/SynHDR_Dataset2"
    found = names(dressed / "hu")
    assert {name.removeprefix(f"{base}/086/") for name in found if f"{base}/086/" in name} == {
        *(f"{kind}_{number}_aligned.tif" for kind in ("input", "ref") for number in (1, 2, 3)),
        "input_exp.txt", "ref_exp.txt", "ref_hdr_aligned_linear.hdr", "ldr_visualize.png",
    }  # fmt: skip
    assert {name.split("/")[2] for name in found} == {"001", "002", "003", "004", "086", "087"}


def test_tursuns_files_have_their_names_and_settings(dressed):
    (scene, _) = sorted((dressed / "tursun" / "dataset").iterdir())
    assert sorted(path.name for path in scene.iterdir()) == sorted(
        f"{n}.{e}" for n in range(1, 10) for e in ("tiff", "txt")
    )
    assert (scene / "1.txt").read_bytes() == b"ExposureTime: 1/4096\r\nISO: 1600\r\nFNumber: 5.0\r\n"
    assert tifffile.imread(scene / "1.tiff").dtype == np.uint16


@pytest.mark.parametrize("name", SETS)
def test_the_sets_own_readers_take_every_scene(dressed, name):
    for split, role in datasets[name].splits.items():
        scenes = list(datasets[name].scenes(dressed / name, split))
        assert len(scenes) == {"train": 4, "test": 2, "no-truth": 2}[role]
        for scene in scenes:
            assert set(checks.run(scene, name).values()) <= {"passed", "not applicable: no truth"}


def test_nine_frames_are_one_stop_apart(dressed):
    (scene, _) = sorted((dressed / "tursun" / "dataset").iterdir())
    frames = [tifffile.imread(scene / f"{number}.tiff") / 65535 for number in range(3, 10)]
    for one, other in pairwise(frames):
        good = (one > 0.15) & (one < 0.8) & (other > 0.15) & (other < 0.8)
        assert np.median(np.log2((other[good] / one[good]) ** 2.2)) == pytest.approx(1, abs=0.1)


def test_archives_depend_on_their_files_alone(dressed, tmp_path):
    for copy in ("a.zip", "b.zip"):
        pack(dressed / "kalantari" / "Test", tmp_path / copy)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as bundle:
        assert "Test/PAPER/BarbequeDay/exposure.txt" in bundle.namelist() and bundle.testzip() is None


class TestRehearsal:
    def leaves(self, tree, prefix=""):
        if not isinstance(tree, dict):
            return {prefix.rstrip("."): tree}
        parts = [self.leaves(value, f"{prefix}{key}.") for key, value in tree.items()]
        return {key: value for part in parts for key, value in part.items()} or {prefix.rstrip("."): {}}

    def test_it_differs_from_paper_in_addresses_sizes_and_steps_alone(self):
        paper, rehearsal = (
            self.leaves(yaml.safe_load((ROOT / "profiles" / name / "params.yaml").read_text(encoding="utf-8")))
            for name in ("paper", "rehearsal")
        )
        assert paper.keys() == rehearsal.keys()
        different = {key for key in paper if paper[key] != rehearsal[key]}
        presets = {key for key in different if key.startswith("variants.") and key.endswith(".preset")}
        assert {rehearsal[key] for key in presets} == {"smoke"}
        rest = {
            key for key in different - presets if not any(key == may or key.startswith(f"{may}.") for may in MAY_DIFFER)
        }
        assert not rest

    def test_paper_covers_both_training_sets_crossed_and_the_set_without_truth(self):
        params = load(ROOT / "profiles" / "paper" / "params.yaml")
        assert {run.trainset for run in params.runs.values()} == {"kalantari", "hu"}
        cells = {(params.runs[c.run].trainset, c.dataset) for c in params.evaluations.values() if c.run in params.runs}
        assert cells == {
            ("kalantari", "kalantari"),
            ("hu", "hu"),
            ("kalantari", "hu"),
            ("hu", "kalantari"),
            ("kalantari", "tursun"),
        }

    def test_archives_are_made_once_and_served(self, tmp_path, monkeypatch):
        monkeypatch.chdir(ROOT)
        rehearse.make(tmp_path, "vgg16-397923af.pth")
        wanted = {name for clothes in SETS.values() for name in clothes.archives} | {"vgg16-397923af.pth"}
        assert wanted <= {path.name for path in tmp_path.iterdir()}
        times = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir() if path.is_file()}
        rehearse.make(tmp_path, "vgg16-397923af.pth")
        assert times == {path: path.stat().st_mtime_ns for path in times}
        VggFeatures(torch.load(tmp_path / "vgg16-397923af.pth", weights_only=True))

    def free(self):
        import socket

        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    def test_the_server_serves_and_a_taken_port_is_told(self, tmp_path):
        (tmp_path / "x.zip").write_bytes(b"bytes")
        port = self.free()
        with rehearse.served(tmp_path, port):
            assert urllib.request.urlopen(f"http://127.0.0.1:{port}/x.zip").read() == b"bytes"
            with (
                pytest.raises(UsageError, match=f"port {port} of this machine is taken"),
                rehearse.served(tmp_path, port),
            ):
                pass

    def test_other_profiles_are_no_rehearsal(self):
        with pytest.raises(UsageError, match=r"is no rehearsal: perceptual.url is https://download"):
            rehearse.run(load(ROOT / "profiles" / "paper" / "params.yaml"))
