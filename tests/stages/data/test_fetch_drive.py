"""Hu's set comes as a Google Drive folder: many files, with one record for them all."""

import json
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.core import layout
from bench.core.errors import BenchError
from bench.core.registry import datasets
from bench.stages.data import fetch, prepare
from tests.data import builders


@pytest.fixture
def drive(monkeypatch, tmp_path):
    """Stands in for gdown: what lies in `tmp_path/drive` is what the Drive folder gives; it counts how often."""
    (tmp_path / "asked").touch()

    def download_folder(*, id, output, **options):
        with (tmp_path / "asked").open("a") as asked:
            asked.write("once\n")
        given = [path for path in sorted((tmp_path / "drive").rglob("*")) if path.is_file()]
        for path in given:
            target = Path(output) / path.relative_to(tmp_path / "drive")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
        return [str(Path(output) / path.relative_to(tmp_path / "drive")) for path in given]

    monkeypatch.setitem(sys.modules, "gdown", SimpleNamespace(download_folder=download_folder))
    builders.hu(tmp_path / "drive" / "SynHDR_Dataset2" / "001")
    builders.hu(tmp_path / "drive" / "SynHDR_Dataset2" / "086", seed=1)
    return tmp_path / "drive" / "SynHDR_Dataset2"


@pytest.fixture
def params(dataset_params):
    return dataset_params("hu", {"accept_licence": True})


def zipped(path, entries):
    """Write a zip of name -> content and return its bytes."""
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as bundle:
        for name, content in entries.items():
            bundle.writestr(name, content)
    return path.read_bytes()


def test_its_files_are_recorded_together_and_checked_from_then_on(drive, params, tmp_path, capsys):
    fetch.run(params, "hu")
    [(name, record)] = json.loads((tmp_path / "checksums.json").read_text())["hu"].items()
    assert name == "drive:1Sr2Jth4DT8K7dwviGsMhfDuc1d53XX0Z"
    assert record["bytes"] == sum(path.stat().st_size for path in drive.rglob("*") if path.is_file())
    prepare.run(params, "hu")
    (tmp_path / "store" / "hu" / "unpacked" / "SynHDR_Dataset2" / "086" / "input_exp.txt").unlink()
    (drive / "001" / "input_exp.txt").write_text("0\n2\n4.5\n")
    with pytest.raises(BenchError, match="were changed after their download, or the authors have published others"):
        fetch.run(params, "hu")


def test_drive_is_not_asked_again_for_a_complete_folder(drive, params, tmp_path, capsys):
    fetch.run(params, "hu")
    note = (layout.raw(params, "hu") / "on_disk.json").read_bytes()
    (drive / "001" / "input_exp.txt").write_text("0\n2\n4.5\n")  # what the authors publish later isn't looked for
    fetch.run(params, "hu")
    assert (tmp_path / "asked").read_text().count("once") == 1
    assert (layout.raw(params, "hu") / "on_disk.json").read_bytes() == note
    assert "as recorded; nothing to download" in capsys.readouterr().out


def test_an_archive_that_arrived_damaged_is_not_recorded(drive, params, tmp_path):
    good = zipped(drive.parent / "more.zip", {"SynHDR_Dataset2/002/readme.txt": b"y" * 500})
    (drive.parent / "more.zip").write_bytes(good.replace(b"y" * 500, b"y" * 499 + b"z"))
    with pytest.raises(BenchError, match=r"more\.zip: entry .* is damaged"):
        fetch.run(params, "hu")
    assert not (tmp_path / "checksums.json").exists()
    (drive.parent / "more.zip").write_bytes(good)
    fetch.run(params, "hu")
    assert (tmp_path / "store" / "hu" / "unpacked" / "SynHDR_Dataset2" / "002" / "readme.txt").exists()


def test_archives_that_share_names_are_unpacked_under_their_own(drive, params, tmp_path, capsys):
    zipped(drive.parent / "a.zip", {"001/exposure.txt": b"a", "001/a.txt": b""})
    zipped(drive.parent / "sub" / "b.ZIP", {"001/exposure.txt": b"b"})
    fetch.run(params, "hu")
    unpacked = tmp_path / "store" / "hu" / "unpacked"
    assert (unpacked / "a" / "001" / "exposure.txt").read_bytes() == b"a"
    assert (unpacked / "sub" / "b" / "001" / "exposure.txt").read_bytes() == b"b"
    assert not (unpacked / "001").exists()
    assert "note: a.zip and b.ZIP both hold '001/exposure.txt'" in capsys.readouterr().out


def test_scenes_of_archives_that_share_names_are_found(drive, params, tmp_path):
    """Tel's set, were it one archive for each split with scenes of the same numbers: merged, one would be lost."""
    for seed, split in enumerate(("Training", "Test")):
        scene = builders.kalantari(tmp_path / split / "1", seed=seed)
        entries = {f"1/{path.name}": path.read_bytes() for path in scene.iterdir()}
        zipped(drive.parent / f"{split}.zip", entries)
    fetch.run(params, "tel2023", accept_licence=True)
    for split, name in (("train", "Training"), ("test", "Test")):
        [scene] = datasets["tel2023"].find(tmp_path / "store" / "tel2023" / "unpacked", split).folders
        assert (scene / "HDRImg.hdr").read_bytes() == (tmp_path / name / "1" / "HDRImg.hdr").read_bytes()


def test_archives_that_share_no_names_are_unpacked_together(drive, params, tmp_path, capsys):
    zipped(drive.parent / "a.zip", {"SynHDR_Dataset2/002/x.txt": b"", "readme.txt": b"of a"})
    zipped(drive.parent / "b.ZIP", {"SynHDR_Dataset2/003/x.txt": b"", "readme.txt": b"of b, longer"})
    fetch.run(params, "hu")
    scenes = tmp_path / "store" / "hu" / "unpacked" / "SynHDR_Dataset2"
    assert {"001", "002", "003"} <= {path.name for path in scenes.iterdir()}
    assert "unpack" not in capsys.readouterr().out


def test_two_archives_of_one_stem_that_share_names_are_refused(drive, params):
    zipped(drive.parent / "a.zip", {"x": b"a"})
    zipped(drive.parent / "a.ZIP", {"x": b"b"})
    with pytest.raises(BenchError, match="both hold 'x', with another content each: one folder can't hold both"):
        fetch.run(params, "hu")


def test_archives_of_other_kinds_are_named(drive, params, capsys):
    for name in ("b.7z", "a.RAR", "c.tar.gz"):
        (drive.parent / name).write_bytes(b"x")
    fetch.run(params, "hu")
    said = "note: a.RAR, b.7z, c.tar.gz: only zip archives are unpacked here; unpack by hand into store/hu/unpacked."
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("fault", ["missing", "changed", "no list", "no record"])
def test_drive_is_asked_again_for_what_is_not_as_recorded(drive, params, tmp_path, fault):
    fetch.run(params, "hu")
    store, record = tmp_path / "store" / "hu", tmp_path / "checksums.json"
    file = store / "unpacked" / "SynHDR_Dataset2" / "001" / "input_exp.txt"
    {
        "missing": file.unlink,
        "changed": lambda: file.write_text("0\n"),
        "no list": (store / fetch.DRIVE).unlink,
        "no record": lambda: record.write_text("{}"),
    }[fault]()
    fetch.run(params, "hu")
    assert (tmp_path / "asked").read_text().count("once") == 2
    assert file.read_text() == (drive / "001" / "input_exp.txt").read_text()
    fetch.run(params, "hu")
    assert (tmp_path / "asked").read_text().count("once") == 2


def test_verify_names_what_changed_on_this_disk(drive, params, tmp_path, capsys):
    fetch.run(params, "hu")
    with pytest.raises(BenchError, match="hu isn't complete"):  # two scenes of a hundred
        fetch.check(params, "hu")
    assert "as recorded" in capsys.readouterr().out
    (tmp_path / "store" / "hu" / "unpacked" / "SynHDR_Dataset2" / "001" / "input_exp.txt").write_text("0\n")
    with pytest.raises(BenchError):
        fetch.check(params, "hu")
    assert "were changed after their download" in capsys.readouterr().out
