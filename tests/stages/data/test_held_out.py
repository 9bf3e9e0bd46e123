"""Training scenes held out for curves: which, where they go, and that nothing is trained on them."""

import json

import pytest

from bench.core import layout
from bench.core.errors import UsageError
from bench.stages.data import prepare
from bench.stages.training.validation import validation
from tests.data import builders


@pytest.fixture
def held_out(tmp_path, dataset_params):
    """Parameters of a Kalantari set of seven training scenes and a test scene, so many of them held out."""
    for number in range(1, 8):
        builders.kalantari(tmp_path / "mine" / "Training" / f"{number:03d}", seed=number)
    builders.kalantari(tmp_path / "mine" / "Test" / "EXTRA" / "001", seed=9)

    def make(number):
        loaded = dataset_params("kalantari", {"hold_out": number, "on_disk": "mine"})
        note = layout.raw(loaded, "kalantari") / "on_disk.json"
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps({"folder": str(tmp_path / "mine")}))
        return loaded

    return make


def names(params):
    folder = layout.scenes(params, "kalantari")
    return {split.name: sorted(path.name for path in split.iterdir()) for split in folder.iterdir()}


def records(params):
    return {split: list(found) for split, found in json.loads(layout.prepared(params, "kalantari").read_text()).items()}


WANTED = {"test": ["001"], "train": ["001", "003", "004", "005", "007"], "validation": ["002", "006"]}


def test_they_are_spread_evenly_and_stand_in_a_split_of_their_own(held_out):
    params = held_out(2)
    assert params.splits("kalantari") == {"train": "train", "test": "test", "validation": "validation"}
    prepare.run(params, "kalantari")
    assert names(params) == WANTED and records(params) == WANTED
    assert validation(params, "kalantari") == ["validation"]
    prepare.run(params, "kalantari", ["test"])
    assert names(params) == WANTED and records(params) == WANTED


def test_without_any_there_is_no_such_split(held_out):
    params = held_out(0)
    prepare.run(params, "kalantari")
    assert "validation" not in names(params)
    assert validation(params, "kalantari") == []


def test_another_number_moves_scenes_back(held_out):
    prepare.run(held_out(2), "kalantari")
    params = held_out(1)
    prepare.run(params, "kalantari", ["train"])
    assert names(params)["validation"] == ["004"]
    assert names(params)["train"] == ["001", "002", "003", "005", "006", "007"]


@pytest.mark.parametrize("splits", [(), ("train",)])
def test_none_any_more_moves_all_back(held_out, splits):
    prepare.run(held_out(2), "kalantari")
    params = held_out(0)
    prepare.run(params, "kalantari", ["test"])
    assert names(params) == WANTED, "nothing was said of the training scenes"
    prepare.run(params, "kalantari", splits)
    assert set(names(params)) == {"train", "test"} and len(names(params)["train"]) == 7


def test_some_scenes_must_be_left(held_out):
    with pytest.raises(UsageError, match=r"datasets\.kalantari\.hold_out is 7, but kalantari has 7 training scenes"):
        prepare.run(held_out(7), "kalantari")
