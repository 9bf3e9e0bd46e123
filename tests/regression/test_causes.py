"""Causes from the lock files of both sides: the origin of rows, and differences upstream of them."""

import pytest
import yaml

from bench.core.errors import UsageError
from bench.regression import listing
from bench.regression.comparison import compare
from bench.regression.locks import parse

from .conftest import lock
from .test_planted import BANDS, changed, names

NET = "ahdrnet--panoramas--s0"
EVALUATION = f"evaluate@{NET}--panoramas"
PREDICTIONS = f"evaluate__work/demo/predictions/{NET}/panoramas"
WEIGHTS = f"work/demo/weights/{NET}.safetensors"
SCENES = "work/demo/scenes/panoramas"


def kinds(found):
    return dict(found.rows)


def causes(found):
    (lines,) = {change.cause for change in found.changes}
    return [f"{stage}: {', '.join(differences)}" for stage, differences in lines]


def both(side, rows, made, **options):
    """Compare BASE with a NEW whose ahdrnet is a little worse on one scene, made under the lock `made`."""
    new = changed(rows, lambda value: value - 0.5)
    return compare(side("base", rows, lock()), side("new", new, made), bands=BANDS, **options)


def test_equal_locks_ask_for_equal_rows(side, rows):
    found = both(side, rows, lock())
    assert kinds(found) == {"rerun": 16, "rescored": 16}  # the lock of the test has no stage for two of the methods
    assert found.failed
    assert causes(found) == []


def test_equal_predictions_ask_for_equal_rows_but_for_rounding(side, rows):
    made = lock(**{f"{EVALUATION}__bench/metrics": "new"})
    found = both(side, rows, made)
    assert kinds(found)["rescored"] == 24
    assert causes(found) == [f"{EVALUATION}: code bench/metrics"]
    assert "cause: evaluate: code of bench/metrics (upstream of 1 changed row)" in listing.text(found)


def test_other_predictions_are_held_to_the_bands(side, rows):
    made = lock(**{PREDICTIONS: "new", f"evaluate__{WEIGHTS}": "new", f"train__{WEIGHTS}": "new"})
    made["stages"][f"train@{NET}"]["params"]["plan.yaml"]["plan.stage2"]["steps"] = 700
    assert kinds(both(side, rows, made)) == {"retrained": 8, "rerun": 8, "rescored": 16}
    assert not both(side, rows, made).changes
    found = both(side, rows, made, kind="rescored")
    assert causes(found) == [f"train@{NET}: parameter plan.stage2.steps 600 -> 700"]


def test_other_scenes_are_followed_to_what_made_them(side, rows):
    prepared = {f"{stage}__{SCENES}": "new" for stage in ("prepare", "train", "evaluate")}
    made = lock(**prepared, **{"prepare__bench/data": "new", f"evaluate__{WEIGHTS}": "new"})
    found = both(side, rows, made, kind="rerun")
    assert causes(found) == ["prepare@panoramas: code bench/data"]
    assert found.notes == ("between the lock files differ: code bench/data (1 stage)",)


def test_what_gave_the_same_result_is_no_cause(side, rows):
    made = lock(**{"train__bench/train": "new"})
    found = both(side, rows, made)
    assert causes(found) == []
    assert found.notes == ("between the lock files differ: code bench/train (1 stage)",)


def test_same_inputs_with_another_result_are_another_machine(side, rows):
    made = lock(**{f"evaluate__{WEIGHTS}": "new", f"train__{WEIGHTS}": "new", PREDICTIONS: "new"})
    found = both(side, rows, made, kind="rescored")
    assert causes(found) == [
        f"train@{NET}: same inputs, other result (another machine, or not determined by its inputs)"
    ]


def test_a_stage_that_one_side_lacks(side, rows):
    made = lock()
    del made["stages"][EVALUATION]
    assert causes(both(side, rows, made)) == [f"{EVALUATION}: not in the lock file of NEW"]


def test_a_lock_of_other_scores_tells_nothing(side, rows, tmp_path):
    base = side("base", rows, lock())
    side("new", rows, lock())
    worse = changed(rows, lambda value: value - 0.05)
    found = compare(base, side("new", worse))  # the lock file stays as it was
    assert names(found) == ["worse"]
    assert kinds(found) == {"rescored": 32}
    (note,) = found.notes
    assert "new: new/dvc.lock tells of other scores" in note or "dvc.lock tells of other scores" in note


def test_a_damaged_lock_is_one_sentence():
    with pytest.raises(UsageError, match="isn't a whole lock file of DVC"):
        parse(b"stages: [1, 2]", "dvc.lock of here")


def test_stages_of_an_older_lock_have_todays_names():
    text = yaml.safe_dump(lock()).replace("  train@", "  train_plain@").replace("  evaluate@t", "  evaluate_classic@t")
    assert "train_plain@" in text and "evaluate_classic@" in text
    assert parse(text.encode(), "dvc.lock of here") == parse(yaml.safe_dump(lock()).encode(), "dvc.lock of here")
