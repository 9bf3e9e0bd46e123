"""Scoring: what is computed again and what isn't, the same by one process and by several, and in little memory."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.core import fingerprint, parallel
from bench.core.errors import UsageError
from bench.core.registry import protocols
from bench.core.scene import Scene
from bench.io.container import write_scene
from bench.metrics.functional.images import one_thread
from bench.metrics.scorer import Scorer
from bench.stages.scoring import score_cache, scoring
from bench.stages.scoring.scoring import Rules, Task, score_all

ROOT = Path(__file__).resolve().parents[3]
COUNT = 3


@pytest.fixture
def default():
    return protocols["whole-float"]


@pytest.fixture
def second(default):
    """Another protocol, as somebody might write it."""
    return default.model_copy(update={"name": "cropped", "region": default.region.model_copy(update={"crop": 5})})


@pytest.fixture
def tasks(tmp_path, textured):
    """Predictions of three prepared scenes."""
    made = []
    for index in range(COUNT):
        truth = textured(index)
        frames = np.stack([np.rint(np.clip(truth * t, 0, 1) ** (1 / 2.2) * 255) for t in (1, 4, 16)]).astype(np.uint8)
        scene = tmp_path / "scenes" / f"hall-{index}"
        write_scene(scene, Scene(scene.name, frames, np.array([1.0, 4.0, 16.0]), 1, truth))
        np.save(tmp_path / f"hall-{index}.npy", truth * np.float32(1.1))
        made.append(Task(scene.name, tmp_path / f"hall-{index}.npy", scene))
    return made


@pytest.fixture
def rules(default, second, tmp_path):
    return Rules((default,), (second,), tmp_path / "cache")


@pytest.fixture
def computed(monkeypatch):
    """Names of the protocols that were really applied, one entry each time."""
    names = []
    real = Scorer.scores

    def scores(self, rule, masks=None):
        names.append(rule.name if masks is None else f"{rule.name}@")
        return real(self, rule, masks)

    monkeypatch.setattr(Scorer, "scores", scores)
    return names


def score(tasks, rules, workers=1):
    return [outcome.scores for outcome in score_all(tasks, rules, workers=workers, label="score")]


def test_scores_are_those_of_the_protocols(tasks, rules, default, second):
    scores = score(tasks, rules)
    prediction, truth = np.load(tasks[0].prediction), np.load(tasks[0].truth / "radiance.npy")
    with one_thread():  # as scoring does: sums associate differently with another number of threads
        assert scores[0]["cropped"] == second.evaluate(prediction, truth)
        whole = default.evaluate(prediction, truth)
    assert {name: scores[0]["whole-float"][name] for name in whole} == whole
    assert "psnr-mu@moving" in scores[0]["whole-float"]


def test_without_a_place_for_the_cache_everything_is_scored(tasks, rules, tmp_path):
    (tmp_path / "cache").touch()  # as good as a read-only checkout: no folder can be made here
    expected = score(tasks, replace(rules, cache=tmp_path / "other"))
    assert str(score(tasks, rules)) == str(expected)  # NaN included


def test_a_second_time_nothing_is_computed_and_everything_is_equal(tasks, rules, computed):
    first = score(tasks, rules)
    assert computed == ["whole-float@", "cropped"] * COUNT
    computed.clear()
    assert json.dumps(score(tasks, rules)) == json.dumps(first)
    assert computed == []


def test_on_another_device_protocols_get_tensors_there(tasks, rules, monkeypatch):
    """ "cpu:0" is the CPU by another name, so that the way a GPU goes is taken here too."""
    seen = []
    monkeypatch.setattr(scoring, "Scorer", lambda *images: (seen.extend(images[:2]), Scorer(*images))[1])
    elsewhere = score(tasks, Rules(rules.masked, rules.whole, rules.cache, "cpu:0"))
    assert {(type(image), image.dtype) for image in seen[: 2 * COUNT]} == {(torch.Tensor, torch.float32)}
    assert repr(elsewhere) == repr(score(tasks, rules))
    assert len(list(rules.cache.rglob("*.json"))) == 4 * COUNT  # each device's scores are kept apart


def test_infinite_and_undefined_scores_are_kept(tasks, rules, computed):
    np.save(tasks[0].prediction, np.load(tasks[0].truth / "radiance.npy"))
    first = score(tasks, rules)
    computed.clear()
    assert first[0]["whole-float"]["psnr-mu"] == np.inf
    assert repr(score(tasks, rules)) == repr(first)
    assert computed == []


def test_a_changed_prediction_rescores_that_one_only(tasks, rules, computed):
    before = repr(score(tasks, rules)[::2])
    computed.clear()
    changed = np.load(tasks[1].prediction)
    changed[0, 0, 0] = np.nextafter(changed[0, 0, 0], np.float32(2))
    np.save(tasks[1].prediction, changed)
    assert repr(score(tasks, rules)[::2]) == before
    assert computed == ["whole-float@", "cropped"]


def test_a_changed_truth_rescores(tasks, rules, computed, textured):
    score(tasks, rules)
    computed.clear()
    card = tasks[2].truth / "scene.json"
    card.write_text(card.read_text().replace('"reference": 1', '"reference": 0'))
    score(tasks, rules)
    assert computed == ["whole-float@", "cropped"]


@pytest.mark.parametrize("name", ["radiance.npy", "ldr.npy"])
def test_altered_arrays_of_a_scene_are_refused_and_not_scored_from_the_cache(tasks, rules, default, name):
    score(tasks, rules)
    array = np.load(tasks[1].truth / name)
    array[0, 0, 0] += 1
    np.save(tasks[1].truth / name, array)
    with pytest.raises(UsageError, match="arrays differ from their sha256"):
        score(tasks, rules)
    outcomes = score_all(tasks, replace(rules, examined=True), workers=1, label="score")
    assert [bool(outcome.scores) for outcome in outcomes] == [True, False, True]
    (finding,) = outcomes[1].findings
    assert finding.kind == "truth" and "hall-1: arrays differ" in finding.said


def test_a_changed_protocol_rescores_under_that_one_only(tasks, rules, second, computed):
    score(tasks, rules)
    computed.clear()
    changed = second.model_copy(update={"version": 2})
    score(tasks, Rules(rules.masked, (changed,), rules.cache))
    assert computed == ["cropped"] * COUNT


def test_masks_are_part_of_the_question(tasks, rules, default, computed):
    score(tasks, rules)
    computed.clear()
    (scores, *_) = score(tasks, Rules((), (default,), rules.cache))
    assert computed == ["whole-float"] * COUNT
    assert "psnr-mu@moving" not in scores["whole-float"]


@pytest.mark.parametrize("change", ["bench/metrics/psnr.py", "bench/color/transfer.py"])
def test_changed_metric_code_rescores(tasks, rules, computed, monkeypatch, tmp_path, change):
    for name in (change, "bench/metrics/protocols/whole-float.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    monkeypatch.setattr(fingerprint, "ROOT", tmp_path)
    monkeypatch.setitem(fingerprint.DECIDES, "score", (str(Path(change).parent),))
    seen = []
    for text in ("", "# comment of a protocol", "x = 1\n"):
        where = change if text.startswith("x") else "bench/metrics/protocols/whole-float.yaml"
        with (tmp_path / where).open("a") as file:
            file.write(text)
        fingerprint._code.cache_clear()
        score(tasks, rules)
        seen.append(len(computed))
        computed.clear()
    fingerprint._code.cache_clear()
    assert seen == [2 * COUNT, 0, 2 * COUNT]


def test_another_library_version_rescores(tasks, rules, computed, monkeypatch):
    score(tasks, rules)
    computed.clear()
    monkeypatch.setattr(score_cache, "version", lambda name: f"{name} of tomorrow")
    score(tasks, rules)
    assert computed == ["whole-float@", "cropped"] * COUNT


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_text(""),
        lambda path: path.write_bytes(path.read_bytes()[:50]),
        lambda path: path.write_text("[]"),
        lambda path: path.write_text(path.read_text().replace('"psnr-mu": "', '"psnr-mu": "1')),
        lambda path: path.write_bytes(b"\xff\xfe"),
    ],
    ids=["empty", "cut short", "other", "another number", "no text"],
)
def test_a_damaged_entry_is_ignored_and_rewritten(tasks, rules, computed, damage):
    before = repr(score(tasks, rules))
    files = {path: path.read_bytes() for path in rules.cache.rglob("*.json")}
    assert len(files) == 2 * COUNT
    for path in files:
        damage(path)
    computed.clear()
    assert repr(score(tasks, rules)) == before
    assert len(computed) == 2 * COUNT
    assert {path: path.read_bytes() for path in files} == files


def test_several_processes_give_the_same_bytes(tasks, rules, monkeypatch, tmp_path, default, second):
    monkeypatch.setattr(parallel, "WORTHWHILE", -1.0)
    alone = Rules((default,), (second,), tmp_path / "alone")
    assert repr(score(tasks, rules, workers=2)) == repr(score(tasks, alone))
    together, single = (
        {path.name: path.read_bytes() for path in folder.rglob("*.json")} for folder in (rules.cache, alone.cache)
    )
    assert together == single


def test_what_was_done_before_an_interruption_is_kept(tasks, rules, computed, monkeypatch):
    read = scoring.read_radiance

    def interrupted(path, told=None):
        if path == tasks[2].prediction:
            raise KeyboardInterrupt
        return read(path, told)

    monkeypatch.setattr(scoring, "read_radiance", interrupted)
    with pytest.raises(KeyboardInterrupt):
        score(tasks, rules)
    monkeypatch.setattr(scoring, "read_radiance", read)
    computed.clear()
    assert len(score(tasks, rules)) == COUNT
    assert computed == ["whole-float@", "cropped"]


def test_files_of_our_own_that_cannot_be_read_end_the_stage(tasks, rules):
    tasks[1].prediction.write_bytes(b"")
    with pytest.raises(UsageError, match="hall-1\\.npy isn't a readable"):
        score(tasks, rules)


def deep(rule):
    """A protocol that crops all of a small picture."""
    return rule.model_copy(update={"region": rule.region.model_copy(update={"crop": 24})})


def test_a_protocol_that_suits_no_such_picture_is_no_fault_of_the_file(tasks, rules, second):
    (outcome, *_) = score_all(tasks, replace(rules, whole=(deep(second),)), workers=1, label="score")
    assert set(outcome.scores) == {"whole-float"}
    (finding,) = outcome.findings
    assert (finding.kind, finding.bad) == ("unsuited", False)
    assert "can't be scored under cropped@1" in finding.said


def test_it_is_one_if_nothing_could_be_scored(tasks, rules, second):
    (outcome, *_) = score_all(tasks, replace(rules, masked=(), whole=(deep(second),)), workers=1, label="score")
    (finding,) = outcome.findings
    assert not outcome.scores and (finding.kind, finding.bad) == ("refused", True)


def test_a_prediction_that_a_protocol_refuses_is_a_fault(tasks, rules, second, monkeypatch):
    real = Scorer.scores

    def scores(self, rule, masks=None):
        x, y = self.images
        if rule.name == "cropped" and not torch.equal(x, y):
            raise UsageError("too unlike the truth.")
        return real(self, rule, masks)

    monkeypatch.setattr(Scorer, "scores", scores)
    (outcome, *_) = score_all(tasks, rules, workers=1, label="score")
    (finding,) = outcome.findings
    assert set(outcome.scores) == {"whole-float"} and (finding.kind, finding.bad) == ("refused", True)


def test_protocols_that_share_a_preparation_come_one_after_the_other(tasks, rules, default, second, computed):
    alike = default.model_copy(update={"name": "alike"})
    score(tasks[:1], replace(rules, masked=(default, second, alike), whole=()))
    assert computed == ["whole-float@", "alike@", "cropped@"]


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("{path}: cut short.", "cut short."),
        ("{path} holds uint8.", "holds uint8."),
        ("no such file: '{path}'.", "no such file: 'a.npy'."),
        ("{path}: : odd", ": odd"),
    ],
)
def test_the_path_before_a_sentence_is_cut_off(said, left):
    path = Path("/results/a.npy")
    assert scoring._without_name(said.format(path=path), path) == left
