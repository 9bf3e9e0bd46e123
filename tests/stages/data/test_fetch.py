"""Fetch: from a server to the note that prepare reads, with licence, record, mirror and steps by hand."""

import json
import shutil
import zipfile
from dataclasses import replace

import pytest
import torch

from bench.core import layout
from bench.core.errors import BenchError, UsageError
from bench.core.registry import datasets
from bench.data import download as downloads
from bench.io.container import read_scene
from bench.stages.data import backbone, fetch, prepare
from bench.stages.training import networks
from tests.data import builders
from tests.data import server as servers

TRAIN, TEST = "SIGGRAPH17_HDR_Trainingset.zip", "SIGGRAPH17_HDR_Testset.zip"


def zipped(folder, path):
    with zipfile.ZipFile(path, "w") as bundle:
        for file in sorted(folder.rglob("*")):
            bundle.write(file, file.relative_to(folder))
    return path.read_bytes()


@pytest.fixture
def server(monkeypatch, tmp_path):
    """Serves a small Kalantari set by its official names."""
    monkeypatch.setattr(downloads, "PAUSES", (0.0,))
    builders.kalantari(tmp_path / "train" / "Training" / "001")
    builders.kalantari(tmp_path / "test" / "Test" / "PAPER" / "A", seed=1)
    running = servers.Server()
    running.files = {
        f"/{TRAIN}": zipped(tmp_path / "train", tmp_path / "a.zip"),
        f"/{TEST}": zipped(tmp_path / "test", tmp_path / "b.zip"),
    }
    yield running
    running.close()


@pytest.fixture
def site(dataset_params, server):
    """Parameters with a Kalantari set that is served by the mirror; the current folder."""

    def params(use=None, **changes):
        return dataset_params("kalantari", {"mirror": server.url(), "accept_licence": True, **(use or {})}, **changes)

    return params


def test_a_set_is_fetched_unpacked_noted_and_prepared(site, tmp_path, capsys):
    params = site()
    fetch.run(params, "kalantari")
    note = json.loads((layout.raw(params, "kalantari") / "on_disk.json").read_text())
    assert note["folder"] == "store/kalantari/unpacked"
    assert [file["name"] for file in note["files"]] == [TRAIN, TEST]
    record = json.loads((tmp_path / "checksums.json").read_text())["kalantari"]
    assert {file["name"]: file["sha256"] for file in note["files"]} == {
        name: entry["sha256"] for name, entry in record.items()
    }
    printed = capsys.readouterr().out
    assert "licence: none stated: research use" in printed and "2.70 GB to download" in printed
    prepare.run(params, "kalantari")
    assert read_scene(layout.scenes(params, "kalantari", "train") / "001").times.tolist() == [1, 4, 16]


def test_nothing_is_fetched_twice(site, server):
    params = site()
    fetch.run(params, "kalantari")
    first = (layout.raw(params, "kalantari") / "on_disk.json").read_bytes()
    asked = len(server.asked)
    fetch.run(params, "kalantari")
    assert len(server.asked) == asked == 2
    assert (layout.raw(params, "kalantari") / "on_disk.json").read_bytes() == first


@pytest.mark.parametrize("lost", ["Test/PAPER/A/HDRImg.hdr", "Training", ""])
def test_unpacked_files_that_were_deleted_come_back(site, server, tmp_path, lost):
    params, unpacked = site(), tmp_path / "store" / "kalantari" / "unpacked"
    fetch.run(params, "kalantari")
    files = sorted(unpacked.rglob("*"))
    shutil.rmtree(unpacked / lost) if (unpacked / lost).is_dir() else (unpacked / lost).unlink()
    fetch.run(params, "kalantari")
    assert sorted(unpacked.rglob("*")) == files and len(server.asked) == 2


def test_the_licence_must_be_accepted_once(site, server):
    params = site(use={"accept_licence": False})
    with pytest.raises(UsageError, match=r"say so once: --accept-licence, or datasets\.kalantari\.accept_licence"):
        fetch.run(params, "kalantari")
    assert not server.asked
    fetch.run(params, "kalantari", accept_licence=True)
    assert len(server.asked) == 2
    fetch.run(params, "kalantari")


def test_a_licence_that_changed_is_asked_for_again(site, tmp_path):
    fetch.run(site(use={"accept_licence": False}), "kalantari", accept_licence=True)
    (tmp_path / "store" / "kalantari" / "licence-accepted.txt").write_text("another licence")
    with pytest.raises(UsageError, match="say so once"):
        fetch.run(site(use={"accept_licence": False}), "kalantari")


def test_another_file_than_the_recorded_one_is_refused_with_the_steps_by_hand(site, server, tmp_path):
    (tmp_path / "checksums.json").write_text(json.dumps({"kalantari": {TRAIN: {"bytes": 1, "sha256": "0" * 64}}}))
    with pytest.raises(BenchError) as caught:
        fetch.run(site(), "kalantari")
    assert "another file than the recorded one" in str(caught.value)
    assert "By hand (https://cseweb" in str(caught.value) and "--verify" in str(caught.value)
    assert not (tmp_path / "store" / "kalantari" / TRAIN).exists()


def test_an_archive_that_would_overwrite_anothers_file_is_refused(site, server, tmp_path):
    first = tmp_path / "train" / "Training" / "001" / "exposure.txt"
    (tmp_path / "test" / "Training" / "001").mkdir(parents=True)
    second = shutil.copy(first, tmp_path / "test" / "Training" / "001" / "exposure.txt")
    server.files[f"/{TEST}"] = zipped(tmp_path / "test", tmp_path / "b.zip")
    fetch.run(site(), "kalantari")  # the same file twice does no harm
    shutil.rmtree(tmp_path / "store")
    (tmp_path / "checksums.json").unlink()
    second.write_text("0\n3\n6\n")
    server.files[f"/{TEST}"] = zipped(tmp_path / "test", tmp_path / "b.zip")
    with pytest.raises(UsageError, match=rf"(?s){TRAIN} and {TEST} both hold 'Training/001/exposure.txt'.*By hand"):
        fetch.run(site(), "kalantari")
    kept = tmp_path / "store" / "kalantari" / "unpacked" / "Training" / "001" / "exposure.txt"
    assert kept.read_text() == first.read_text()


def test_a_download_that_arrived_damaged_is_not_recorded(site, server, tmp_path, capsys):
    """Its first sum would refuse the good file ever after."""
    good = server.files[f"/{TEST}"]
    at = good.index(b"0.0\n2.0\n4.0")
    server.files[f"/{TEST}"] = good[:at] + b"1" + good[at + 1 :]
    with pytest.raises(UsageError, match=r"exposure\.txt' at byte \d+ is damaged .*Delete the archive and fetch it"):
        fetch.run(site(), "kalantari")
    with pytest.raises(BenchError):
        fetch.check(site(), "kalantari")
    assert "fail" in capsys.readouterr().out.splitlines()[-3]
    assert list(json.loads((tmp_path / "checksums.json").read_text())["kalantari"]) == [TRAIN]
    server.files[f"/{TEST}"] = good
    (tmp_path / "store" / "kalantari" / TEST).unlink()
    fetch.run(site(), "kalantari")
    assert list(json.loads((tmp_path / "checksums.json").read_text())["kalantari"]) == [TEST, TRAIN]


def test_a_folder_on_disk_is_read_in_place(site, server, tmp_path):
    builders.kalantari(tmp_path / "mine" / "Training" / "001")
    builders.kalantari(tmp_path / "mine" / "Test" / "7", seed=1)
    params = site()
    fetch.run(params, "kalantari", root=tmp_path / "mine")
    prepare.run(params, "kalantari")
    assert not server.asked and not list((tmp_path / "store").rglob("*.zip"))
    assert (layout.scenes(params, "kalantari", "test") / "7").exists()


def test_a_folder_named_once_is_found_by_the_pipeline_too(site, server, tmp_path):
    builders.kalantari(tmp_path / "mine" / "Training" / "001")
    builders.kalantari(tmp_path / "mine" / "Test" / "7", seed=1)
    params = site(use={"accept_licence": False, "mirror": None})
    fetch.run(params, "kalantari", root=tmp_path / "mine")
    fetch.run(params, "kalantari")
    note = json.loads((layout.raw(params, "kalantari") / "on_disk.json").read_text())
    assert note == {"folder": str(tmp_path / "mine")} and not server.asked
    fetch.run(params, "kalantari", mirror=server.url(), accept_licence=True)
    assert len(server.asked) == 2, "a mirror is another order"


def test_a_folder_that_is_not_there_is_named(site, tmp_path):
    with pytest.raises(UsageError, match="which is no folder"):
        fetch.run(site(use={"on_disk": "/nowhere"}), "kalantari")


def test_verify_counts_scenes_and_tells_what_changed(site, tmp_path, capsys):
    params = site()
    with pytest.raises(BenchError, match=r"(?s)kalantari isn't complete\.\nBy hand.*1\. Open the page"):
        fetch.check(params, "kalantari")
    assert f"fail  store/kalantari/{TRAIN}: not here" in capsys.readouterr().out
    fetch.run(params, "kalantari")
    with pytest.raises(BenchError):
        fetch.check(params, "kalantari")
    printed = capsys.readouterr().out
    assert "ok    store/kalantari/" in printed
    assert "fail  kalantari/train: 1 scenes of 74 published, layout official" in printed
    (tmp_path / "store" / "kalantari" / TEST).write_bytes(b"x")
    with pytest.raises(BenchError):
        fetch.check(params, "kalantari")
    assert "it was changed after its download" in capsys.readouterr().out


def test_a_complete_set_passes(site, monkeypatch, capsys):
    params = site()
    fetch.run(params, "kalantari")
    small = replace(datasets["kalantari"], expected={"train": 1, "test": 1})
    monkeypatch.setattr(fetch, "datasets", {"kalantari": small})
    fetch.check(params, "kalantari")
    assert "fail" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["challenge123", "folder"])
def test_what_no_machine_can_fetch_comes_with_steps(site, name):
    with pytest.raises(UsageError, match=r"(?s)can't be fetched by machine\.\nBy hand.*1\. .*on_disk.*--verify"):
        fetch.run(site(), name, accept_licence=True)


class TestInPlace:
    """A set that is read in place: `fetch` says so, what it follows from, and how to take it back."""

    NOTE = "store/kalantari/on-disk.txt"

    @pytest.fixture
    def params(self, tmp_path, dataset_params):
        """Write parameters with options of the Kalantari set, which lies in `mine`; the current folder."""
        builders.kalantari(tmp_path / "mine" / "Training" / "001")
        builders.kalantari(tmp_path / "mine" / "Test" / "7", seed=1)
        return lambda **use: dataset_params("kalantari", use)

    def test_a_folder_named_once_is_said_each_time(self, params, tmp_path, capsys):
        said = f"kalantari: read in place from {tmp_path / 'mine'} ({self.NOTE}; delete it to download)\n"
        fetch.run(params(), "kalantari", root=tmp_path / "mine")
        assert (first := capsys.readouterr().out).startswith(said)
        fetch.run(params(), "kalantari", accept_licence=True)
        assert capsys.readouterr().out == first
        with pytest.raises(BenchError):  # two scenes of 89
            fetch.check(params(), "kalantari")
        assert capsys.readouterr().out.startswith(said)
        (tmp_path / self.NOTE).unlink()
        with pytest.raises(UsageError, match="If you accept it, say so once"):
            fetch.run(params(), "kalantari")

    def test_a_folder_that_is_gone_comes_with_what_names_it(self, params, tmp_path):
        fetch.run(params(), "kalantari", root=tmp_path / "mine")
        shutil.rmtree(tmp_path / "mine")
        with pytest.raises(UsageError, match=rf"mine' \({self.NOTE}; delete it to download\), which is no folder"):
            fetch.run(params(), "kalantari")
        with pytest.raises(UsageError, match="no/where', which is no folder"):
            fetch.run(params(), "kalantari", root=tmp_path / "no" / "where")

    def test_a_folder_of_the_parameter_file_is_said_too(self, params, tmp_path, capsys):
        fetch.run(params(on_disk=str(tmp_path / "mine")), "kalantari")
        assert "mine (datasets.kalantari.on_disk in params.yaml)\n" in capsys.readouterr().out
        with pytest.raises(
            UsageError, match=r"'gone' \(datasets\.kalantari\.on_disk in params\.yaml\), which is no folder"
        ):
            fetch.run(params(on_disk="gone"), "kalantari")

    @pytest.mark.parametrize("name", ["a" * 300, "a\x1b[31m"])
    def test_so_is_a_name_that_is_none(self, params, name):
        with pytest.raises(UsageError, match="which is no folder") as found:
            fetch.run(params(on_disk=name), "kalantari")
        assert "\x1b" not in str(found.value)

    def test_what_no_machine_can_fetch_is_not_said_to_be_downloaded(self, params, tmp_path, capsys):
        fetch.run(params(), "folder", root=tmp_path / "mine")
        assert "(store/folder/on-disk.txt; delete it to forget that)" in capsys.readouterr().out


class TestBackbone:
    NAMES = ((0, 3, 64), (2, 64, 64), (5, 64, 128), (7, 128, 128), (10, 128, 256), (12, 256, 256), (14, 256, 256),
             (17, 256, 512), (19, 512, 512), (21, 512, 512))  # fmt: skip

    @pytest.fixture
    def state(self):
        stream = torch.Generator().manual_seed(0)
        layers = {"classifier.6.bias": torch.zeros(7)}
        for position, inputs, outputs in self.NAMES:
            layers[f"features.{position}.weight"] = torch.randn(outputs, inputs, 3, 3, generator=stream) * 0.01
            layers[f"features.{position}.bias"] = torch.zeros(outputs)
        return layers

    def params(self, site, **perceptual):
        return site(train={"kalantari": [0]}, perceptual={"backbone": "vgg16", **perceptual})  # else none is needed

    def test_weights_on_disk_are_converted_and_used(self, site, state, tmp_path):
        torch.save(state, tmp_path / "vgg.pth")
        params = self.params(site, weights=str(tmp_path / "vgg.pth"))
        backbone.run(params)
        first = (layout.backbone(params) / layout.VGG).read_bytes()
        vgg = networks.backbone(params, 1.0, 0, torch.device("cpu"))
        assert torch.equal(next(vgg.parameters()), state["features.0.weight"])
        card = json.loads((layout.backbone(params) / "card.json").read_text())
        assert vgg.origin == f"vgg16 sha256:{card['sha256'][:16]}" and card["file"] == "vgg.pth"
        backbone.run(params)
        assert (layout.backbone(params) / layout.VGG).read_bytes() == first

    def test_weights_are_downloaded_and_checked_by_the_beginning_of_their_sum(self, site, state, server, tmp_path):
        torch.save(state, tmp_path / "x.pth")
        server.files["/vgg16-397923af.pth"] = (tmp_path / "x.pth").read_bytes()
        url = server.url("/vgg16-397923af.pth")
        with pytest.raises(
            BenchError, match=r"397923af was expected(.|\n)*or train without it: `perceptual: {backbone: none}`"
        ):
            backbone.run(self.params(site, url=url))
        params = self.params(site, url=url, sha256="")
        backbone.run(params)
        assert networks.backbone(params, 1.0, 0, torch.device("cpu")) is not None

    @pytest.mark.parametrize(
        ("content", "said"),
        [(b"<html>", "can't be read as PyTorch weights"), (b"", "can't be read as PyTorch weights"),
         ([1], "holds a list, not named weights"), ({"features.0.weight": 1}, "layer features.0 is missing")],
    )  # fmt: skip
    def test_other_files_are_refused(self, site, tmp_path, content, said):
        path = tmp_path / "vgg.pth"
        path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
        with pytest.raises(UsageError, match=said):
            backbone.run(self.params(site, weights=str(path)))

    def test_a_download_that_cannot_be_read_is_not_recorded(self, site, server, tmp_path):
        server.files["/vgg16.pth"] = b"cut"
        with pytest.raises(UsageError, match="can't be read as PyTorch weights"):
            backbone.run(self.params(site, url=server.url("/vgg16.pth"), sha256=""))
        assert not (tmp_path / "checksums.json").exists()

    def test_a_missing_file_says_what_to_do(self, site):
        with pytest.raises(
            UsageError, match=r"'none\.pth' not found.*remove it to download(.|\n)*`perceptual: {backbone: none}`"
        ):
            backbone.run(self.params(site, weights="none.pth"))

    def test_without_the_stage_training_says_how_to_make_it(self, site):
        with pytest.raises(UsageError, match="Make it with: python -m bench backbone"):
            networks.backbone(self.params(site), 1.0, 0, torch.device("cpu"))

    @pytest.mark.parametrize("kind", ["none", "random-vgg16"])
    def test_profiles_without_it_leave_a_note(self, site, kind):
        params = site(train={"kalantari": [0]}, perceptual={"backbone": kind})
        backbone.run(params)
        assert json.loads((layout.backbone(params) / "card.json").read_text()) == {"backbone": kind}
