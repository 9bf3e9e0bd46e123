"""The frozen predictions: clean as they are, and a metric that drifts is seen."""

import json
import shutil
from dataclasses import replace

import pytest
import yaml

from bench.core.errors import UsageError
from bench.core.registry import protocols
from bench.io.tables import read_scores
from bench.metrics.functional import fidelity
from bench.metrics.hdrvdp2 import metric as vision
from bench.regression import drift, listing
from bench.stages.training import environment

NAMES = ("whole-float", "sctnet")


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A copy of one prediction of one scene with its scores under two protocols, accepted as they are."""
    folder = tmp_path / "frozen"
    shutil.copytree(drift.FROZEN, folder)
    shutil.rmtree(folder / "scenes/interior-01")
    content = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    content |= {"variants": {"flow-merge": content["variants"]["flow-merge"]}, "tables": {}}
    (folder / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    monkeypatch.setattr(drift, "protocols", {name: protocols[name] for name in NAMES})
    lines = (folder / "scores.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines[1:] if ",flow-merge,flow-merge," in line and ",forest-01," in line]
    kept = [line for line in kept if any(line.rstrip().endswith(f",{name}@1") for name in NAMES)]
    (folder / "scores.csv").write_text("".join([lines[0], *kept]), encoding="utf-8")
    return folder


def test_the_frozen_scores_are_as_they_were():
    found = drift.check()
    assert not found.failed, listing.text(found)
    assert not found.changes
    assert found.rows["rescored"] == len(read_scores([drift.FROZEN / "scores.csv"]))


def test_every_protocol_is_watched_but_one_that_crops_too_much():
    scored = {name.partition("@")[0] for name in read_scores([drift.FROZEN / "scores.csv"])["protocol"]}
    assert set(protocols) - scored == {"lrt-hdr"}


@pytest.mark.parametrize("size", [2e-6, 0.01])
def test_psnr_that_drifts_is_seen(small, monkeypatch, size):
    right = fidelity.decibels
    monkeypatch.setattr(fidelity, "decibels", lambda *args: right(*args) - size)
    found = drift.check(small)
    assert found.failed
    assert {change.name for change in found.changes} == {"worse"}
    touched = {change.key.metric for change in found.changes}
    assert {"psnr-l", "psnr-mu", "psnr-pu", "psnr-mu@saturated"} <= touched
    assert not [metric for metric in touched if metric.startswith(("ssim", "hdrvdp2"))]
    assert all(change.difference == pytest.approx(-size, rel=1e-3) for change in found.changes)


def test_hdr_vdp_2_that_drifts_is_seen(small, monkeypatch):
    right = vision.hdrvdp2
    monkeypatch.setattr("bench.metrics.hdrvdp2.hdrvdp2", lambda *args, **how: _moved(right(*args, **how)))
    found = drift.check(small)
    assert [(change.name, change.key.metric) for change in found.changes] == [("better", "hdrvdp2")]
    assert found.failed


def _moved(result):
    return replace(result, q=result.q + 1e-4)


def test_a_direction_that_turned_is_seen(small, monkeypatch):
    cards = dict(drift.metrics)
    cards["psnr-mu"] = replace(cards["psnr-mu"], better="lower")
    monkeypatch.setattr(drift, "metrics", cards)
    found = drift.check(small)
    assert [(change.name, change.key.metric) for change in found.changes] == [("direction", "psnr-mu")]


def test_other_libraries_are_a_note(small, monkeypatch):
    frozen = json.loads((small / "cards.json").read_text(encoding="utf-8"))["libraries"]
    monkeypatch.setattr(environment, "libraries", lambda: frozen)
    assert not drift.check(small).notes
    monkeypatch.setattr(environment, "libraries", lambda: {"torch": "99.0"})
    (note,) = drift.check(small).notes
    assert "here are torch 99.0" in note


def test_a_changed_metric_can_be_accepted(small, monkeypatch):
    right = fidelity.decibels
    monkeypatch.setattr(fidelity, "decibels", lambda *args: right(*args) - 1)
    drift.accept(small)
    assert not drift.check(small).failed
    monkeypatch.setattr(fidelity, "decibels", right)
    assert drift.check(small).failed


def test_damaged_files_are_one_sentence(small):
    (small / "predictions/flow-merge/forest-01.exr").write_bytes(b"no picture")
    with pytest.raises(UsageError, match="not an OpenEXR file"):
        drift.check(small)
    for content in ("[]", "{", "{}", '{"libraries": 1, "better": {}}', '{"libraries": {}, "better": [1]}'):
        (small / "cards.json").write_text(content, encoding="utf-8")
        with pytest.raises(UsageError, match="restore it with git"):
            drift.check(small)
    (small / "cards.json").unlink()
    with pytest.raises(UsageError, match="restore it with git"):
        drift.check(small)


def test_it_is_small():
    files = [path for path in drift.FROZEN.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 700_000
    assert len(list((drift.FROZEN / "predictions").iterdir())) == 4
