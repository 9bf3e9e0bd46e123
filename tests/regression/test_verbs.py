"""The verbs as a user types them: paths, exit codes, files and sentences."""

import json
import sys

import pytest

from bench.__main__ import main
from bench.cli.settings import ROOT
from bench.core.params import Regression
from bench.core.reading import parse_yaml
from bench.core.registry import protocols
from bench.io.tables import write_scores
from bench.regression import drift
from bench.regression.comparison import Comparison
from bench.regression.judging import Change
from bench.regression.matching import Key

from .test_planted import changed


@pytest.fixture
def type_in(tmp_path, monkeypatch, rows):
    """Type a command in a folder that holds `base` and `new`, where one scene is worse by 0.05 dB."""
    write_scores(tmp_path / "base/scores.csv", rows)
    write_scores(tmp_path / "new/scores.csv", changed(rows, lambda value: value - 0.05))
    monkeypatch.chdir(tmp_path)  # commands go to the project's root; this brings the test back too

    def run(*words):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["bench", *words])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code or 0

    return run


def test_clean_is_0_and_a_regression_1(type_in, capsys, tmp_path):
    assert type_in("compare", "base", "base") == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("unchanged: nothing changed; 32 rows compared")
    assert type_in("compare", "base", str(tmp_path / "new"), "--md", "summary.md") == 1
    out = capsys.readouterr().out
    assert out.startswith("change ")
    assert out.splitlines()[-1] == "regression: 1 worse; 32 rows compared (32 rescored)"
    assert (
        (tmp_path / "summary.md").read_text(encoding="utf-8").startswith(f"### ❌ `{tmp_path / 'new'}` against `base`")
    )


def test_the_bands_are_those_of_the_parameter_file(type_in, capsys, write_params, small_params):
    small_params["profile"] = "demo"
    widths = dict.fromkeys(("psnr-l", "psnr-mu", "ssim-l", "ssim-mu"), 0.1)
    small_params["regression"] = {"retrained": widths, "retrained_means": widths}
    file = str(write_params(small_params))
    assert type_in("--params", file, "compare", "base", "new", "--kind", "retrained") == 0
    assert type_in("--params", file, "compare", "base", "new", "--kind", "rescored") == 1
    assert json.loads(subject(capsys, type_in, file))["changes"][0]["difference"] == pytest.approx(-0.05)


def test_without_params_the_bands_are_those_of_the_scores_profile(type_in, tmp_path, rows):
    own = [row._replace(profile="smoke") for row in rows]
    for name, step in (("accepted", 0.0), ("inside", 2.0), ("beyond", 3.0)):  # smoke has 2.5 for psnr-mu, demo 3.6
        write_scores(tmp_path / name / "scores.csv", changed(own, lambda value, step=step: value - step))
    assert type_in("compare", "accepted", "inside", "--kind", "retrained") == 0
    assert type_in("compare", "accepted", "beyond", "--kind", "retrained") == 1


def test_bands_of_another_profile_and_none_at_all_are_a_mistake(type_in, capsys, tmp_path, rows):
    for profile in ("smoke", "nobodys", "paper"):
        own = [row._replace(profile=profile) for row in rows]
        write_scores(tmp_path / f"{profile}/scores.csv", own)
        write_scores(tmp_path / f"{profile}-new/scores.csv", changed(own, lambda value: value - 0.05))
    assert type_in("--params", "params.yaml", "compare", "smoke", "smoke-new", "--kind", "retrained") == 2
    assert "--params params.yaml is of profile 'demo', the scores are of 'smoke'" in capsys.readouterr().err
    for profile in ("nobodys", "paper"):
        assert type_in("compare", profile, f"{profile}-new", "--kind", "retrained") == 2
        assert (
            f"has no bands for that (regression.retrained and regression.retrained_means; profile '{profile}')"
            in capsys.readouterr().err
        )
        assert type_in("compare", profile, profile, "--kind", "rescored") == 0


@pytest.mark.parametrize("new", ["base", "new"])
@pytest.mark.parametrize("file", ["file/summary.md", "folder"])
def test_a_file_that_cannot_be_written_is_a_mistake_after_the_comparison(type_in, capsys, tmp_path, new, file):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder/full").mkdir(parents=True)
    assert type_in("compare", "base", new, "--md", file) == 2
    answer = capsys.readouterr()
    assert "32 rows compared" in answer.out
    assert answer.err.startswith(f"error: --md {tmp_path}/{file}: could not be written")


def subject(capsys, type_in, file):
    capsys.readouterr()
    type_in("--params", file, "compare", "base", "new", "--json")
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("compare", "base", "nwe"), "'nwe' is no folder, no file and no git revision"),
        (("compare", "base", "new", "--kind", "retraind"), "Did you mean 'retrained'"),
        (("bands", "base"), "has no run with two seeds"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_mistake_is_one_sentence_and_2(type_in, capsys, words, message):
    assert type_in(*words) == 2
    answer = capsys.readouterr()
    assert message in answer.err
    assert len(answer.err.splitlines()) == 1
    assert not answer.out


def test_a_tracked_profile_has_bands_of_scenes_and_means(type_in, capsys):
    assert type_in("bands", str(ROOT / "reports/study")) == 0
    found = Regression.model_validate(parse_yaml(capsys.readouterr().out, "bands")["regression"])
    scored = {name.partition("@")[0] for name in found.retrained}
    assert {"psnr-mu", "psnr-mu@moving", "hdrvdp2"} <= found.retrained.keys() == found.retrained_means.keys()
    assert scored == set(protocols["whole-float"].metrics)
    assert all(found.retrained_means[name] < width for name, width in found.retrained.items())


@pytest.mark.parametrize("drifted", [False, True])
def test_frozen_ends_as_compare_does(type_in, capsys, monkeypatch, drifted):
    key = Key("ahdrnet", "ahdrnet", "panoramas", "0", "panoramas", "forest-01", "psnr-mu", "whole-float@1")
    changes = (Change("worse", key, 30.0, 29.0, "rescored", 1e-6),) if drifted else ()
    found = Comparison("frozen scores", "scores now", {"rescored": 1}, changes, (), ())
    monkeypatch.setattr(drift, "check", lambda: found)
    assert type_in("frozen") == int(drifted)
    assert capsys.readouterr().out.splitlines()[-1].startswith("regression: 1 worse" if drifted else "unchanged")
