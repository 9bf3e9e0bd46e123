"""Prepare where only a part of a set is on disk: the splits that are named, and how to get the others."""

import json
import shutil

import pytest
import tifffile
from typer.testing import CliRunner

from bench.__main__ import app
from bench.cli import doctor
from bench.core import layout
from bench.core.dataset import DatasetCard, Listing
from bench.core.errors import UsageError
from bench.core.registry import ROOT
from bench.stages.data import fetch, prepare
from tests.data import builders


@pytest.fixture
def params(tmp_path, dataset_params):
    """Parameters, in a file of another name than the default, of a Kalantari set read in place; the current folder."""
    builders.kalantari(tmp_path / "mine" / "Training" / "001")
    builders.kalantari(tmp_path / "mine" / "Test" / "EXTRA" / "007", seed=1)
    loaded = dataset_params("kalantari", file="other.yaml")
    note = layout.raw(loaded, "kalantari") / "on_disk.json"
    note.parent.mkdir(parents=True)
    note.write_text(json.dumps({"folder": str(tmp_path / "mine")}))
    return loaded


def splits(params):
    return {path.name for path in layout.scenes(params, "kalantari").iterdir()}


def records(params):
    return json.loads(layout.prepared(params, "kalantari").read_text())


def test_the_test_scenes_alone_can_be_prepared(params, tmp_path):
    shutil.rmtree(tmp_path / "mine" / "Training")
    prepare.run(params, "kalantari", ["test"])
    assert splits(params) == {"test"} and list(records(params)) == ["test"]


def test_without_a_split_named_all_must_be_there_and_the_error_says_what_to_do(params, tmp_path):
    shutil.rmtree(tmp_path / "mine" / "Training")
    with pytest.raises(UsageError) as caught:
        prepare.run(params, "kalantari")
    assert str(caught.value).splitlines()[1:] == [
        "Place the unpacked archives there. Get what is missing: python -m bench --params other.yaml fetch kalantari",
        "Or prepare only what is there: python -m bench --params other.yaml prepare kalantari --split test",
    ]
    with pytest.raises(UsageError, match=r"fetch kalantari$"):
        prepare.run(params, "kalantari", ["train"])
    assert not layout.scenes(params, "kalantari").exists()


def test_one_split_leaves_the_scenes_and_records_of_others(params, tmp_path):
    prepare.run(params, "kalantari")
    whole = records(params)
    shutil.rmtree(tmp_path / "mine" / "Training")
    prepare.run(params, "kalantari", ["test", "test"])
    assert splits(params) == {"train", "test"} and records(params) == whole
    shutil.rmtree(layout.scenes(params, "kalantari", "train"))
    prepare.run(params, "kalantari", ["test"])
    assert records(params) == {"test": whole["test"]}


def test_a_scene_that_another_split_was_prepared_with_is_refused(params, tmp_path):
    prepare.run(params, "kalantari", ["train"])
    shutil.copytree(tmp_path / "mine" / "Training" / "001", tmp_path / "mine" / "Test" / "EXTRA" / "008")
    with pytest.raises(UsageError, match="train/001 and test/008 show the same"):
        prepare.run(params, "kalantari", ["test"])
    assert splits(params) == {"train"}


def test_test_scenes_with_the_same_frames_are_refused_unless_it_is_said_to_be_right(params, tmp_path, dataset_params):
    extra = tmp_path / "mine" / "Test" / "EXTRA"
    shutil.copytree(extra / "007", extra / "008")
    (extra / "008" / "exposure.txt").write_text("1\n3\n5\n")  # the same steps
    with pytest.raises(UsageError, match=r"(?s)test/007 and test/008 have the same frames.*duplicates: <your reason>"):
        prepare.run(params, "kalantari", ["test"])
    assert not layout.scenes(params, "kalantari").exists()
    prepare.run(dataset_params("kalantari", {"waive": {"duplicates": "one picture twice"}}), "kalantari", ["test"])
    assert len(records(params)["test"]) == 2


def test_test_scenes_that_look_the_same_are_told(params, tmp_path, capsys):
    extra = tmp_path / "mine" / "Test" / "EXTRA"
    shutil.copytree(extra / "007", extra / "008")
    for path in (extra / "008").glob("*.tif"):
        tifffile.imwrite(path, tifffile.imread(path) // 8 * 8, photometric="rgb", metadata=None)
    prepare.run(params, "kalantari", ["test"])
    assert "note: test/007 and test/008 look the same; one scene would count twice." in capsys.readouterr().out


def test_a_split_that_is_unknown_is_answered(params):
    with pytest.raises(UsageError, match=r"no split of kalantari is called 'tset'\. Did you mean 'test'"):
        prepare.run(params, "kalantari", ["tset"])


def test_the_command_line_takes_several_splits(monkeypatch):
    asked = []
    monkeypatch.setattr(prepare, "run", lambda params, name, splits: asked.append((name, splits)))
    monkeypatch.chdir(ROOT)  # the command goes there
    for options in ([], ["--split", "test", "--split", "train"]):
        assert CliRunner().invoke(app, ["prepare", "kalantari", *options]).exit_code == 0
    assert asked == [("kalantari", ()), ("kalantari", ("test", "train"))]


def test_several_scenes_that_lack_files_come_with_it_once(params, tmp_path):
    for folder in (tmp_path / "mine").rglob("00?"):
        (folder / "HDRImg.hdr").unlink()
    with pytest.raises(UsageError) as caught:
        prepare.run(params, "kalantari")
    lines = str(caught.value).splitlines()
    assert len(lines) == 4 and lines[3] == "Get what is missing: python -m bench --params other.yaml fetch kalantari"


@pytest.mark.parametrize("name", ["262A0899.tif", "HDRImg.hdr"])
def test_a_scene_that_lacks_files_comes_with_the_command_of_the_profile(params, tmp_path, name):
    (tmp_path / "mine" / "Training" / "001" / name).unlink()
    with pytest.raises(UsageError, match=r"incomplete\. Get what .*: python -m bench --params other\.yaml fetch k"):
        prepare.run(params, "kalantari")


def test_a_scene_that_is_wrong_is_no_reason_to_fetch(params, tmp_path):
    (tmp_path / "mine" / "Training" / "001" / "exposure.txt").write_text("4\n2\n0\n")
    with pytest.raises(UsageError, match="don't rise") as caught:
        prepare.run(params, "kalantari")
    assert "fetch" not in str(caught.value)


class Careless:
    """A reader that doesn't look before it lists and opens."""

    def find(self, root, split):
        return Listing("folders", sorted((root / split).iterdir()))

    def read(self, folder, split):
        (folder / "frame.png").read_bytes()


def test_what_a_reader_misses_is_a_sentence(dataset_params, tmp_path, monkeypatch):
    monkeypatch.setattr(DatasetCard, "reader", lambda *_: Careless())
    mine = tmp_path / "mine"
    (mine / "test" / "room").mkdir(parents=True)
    loaded = dataset_params("kalantari", {"on_disk": str(mine)})
    fetch.run(loaded, "kalantari")
    with pytest.raises(UsageError) as caught:
        prepare.run(loaded, "kalantari")
    first, last = str(caught.value).splitlines()
    said = f"kalantari/train: {mine / 'train'} can't be read (No such file or directory). Get what is missing: "
    assert first.startswith(said) and last.endswith("prepare kalantari --split test")
    with pytest.raises(
        UsageError, match=r'^scene "room" of kalantari: .*frame\.png can.t be read .*\. Get what is missing'
    ):
        prepare.run(loaded, "kalantari", ["test"])
    assert doctor.in_place(loaded, "kalantari", mine).detail == (
        f"kalantari at {mine}: 1 test. kalantari/train: 0 of 74 scenes; numbers from them don't compare with the whole "
        "set's. kalantari/test: 1 of 15 scenes; numbers from them don't compare with the whole set's."
    )
    (mine / "train").touch()
    with pytest.raises(UsageError, match=r"train can't be read \(Not a directory\)"):
        prepare.run(loaded, "kalantari", ["train"])
