"""The verbs as a user types them: paths, exit codes, files and sentences."""

import json
import os
import re
import sys

import pytest

from bench.__main__ import main
from bench.cli.settings import ROOT
from bench.core.params import Regression, load
from bench.core.reading import parse_yaml
from bench.core.registry import protocols
from bench.io.tables import COLUMNS, read_scores, write_scores
from bench.regression import drift
from bench.regression.comparison import Comparison
from bench.regression.judging import Change
from bench.regression.matching import Key

from .test_means import scores
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


@pytest.mark.parametrize("name", ["base/scores.csv", "new/scores.csv", "base"])
def test_the_page_does_not_replace_what_is_compared(type_in, tmp_path, capsys, name):
    before = (tmp_path / "base/scores.csv").read_bytes(), (tmp_path / "new/scores.csv").read_bytes()
    assert type_in("compare", "base", "new", "--md", name) == 2
    assert f"--md {name} is what is compared" in capsys.readouterr().err
    assert before == ((tmp_path / "base/scores.csv").read_bytes(), (tmp_path / "new/scores.csv").read_bytes())


def test_a_number_that_a_metric_cannot_be_is_no_improvement(type_in, rows, tmp_path, capsys):
    better = [row._replace(value=1.7) if row.metric == "ssim-mu" else row for row in rows]
    write_scores(tmp_path / "new/scores.csv", better)
    assert type_in("compare", "base", "new", "--kind", "retrained") == 2
    assert re.search(r"scores\.csv, line \d+: ssim-mu is 1\.7, which it can't be", capsys.readouterr().err)


SEED = "ahdrnet,panoramas,0,"

LACKING = {
    "a row": (lambda line: "ahdrnet" in line and "forest-01,psnr-mu," in line, 1),
    "a scene": (lambda line: "forest-01" in line, 16),
    "a metric": (lambda line: ",psnr-mu," in line, 8),
    "a method": (lambda line: ",flow-merge," in line, 8),
    "all trained rows": (lambda line: SEED in line, 8),
}


@pytest.mark.parametrize("kind", ["rescored", "retrained"])
@pytest.mark.parametrize("what", LACKING)
def test_what_new_lacks_is_a_regression(type_in, capsys, tmp_path, what, kind):
    gone, count = LACKING[what]
    header, *lines = (tmp_path / "base/scores.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if not gone(line)]
    (tmp_path / "new/scores.csv").write_text("".join([header, *kept]), encoding="utf-8")
    assert type_in("compare", "base", "new", "--kind", kind) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"regression: {count} missing; {32 - count} rows")


DAMAGED = {
    "a seed of 20 digits": (SEED, f"ahdrnet,panoramas,{'9' * 20},"),
    "a seed of 5000 digits": (SEED, f"ahdrnet,panoramas,{'9' * 5000},"),
    "a seed that is text": (SEED, "ahdrnet,panoramas,zero,"),
    "a value that is text": ("psnr-mu,3", "psnr-mu,x3"),
    "an empty value": ("psnr-mu,", "psnr-mu,,"),
    "an empty metric": ("psnr-mu,", ","),
    "an empty protocol": (",whole-float@1", ","),
    "a blank method": ("demo,ahdrnet", "demo, "),
    "another header": ("value", "v\x1b[2Jlue"),
    "no rows": ("\ndemo", "\0"),
    "a cut line": ("whole-float@1\ndemo,ahdrnet", "who"),
    "another profile": ("demo,flow", "other,flow"),
    "an open quote": ("demo,ahdrnet", 'demo,"ahdrnet'),
    "a long cell": ("psnr-mu", "x" * 200_000),
}


@pytest.mark.parametrize(("what", "side"), [("a seed of 20 digits", "base"), *((what, "new") for what in DAMAGED)])
def test_damaged_scores_are_a_mistake_and_no_regression(type_in, capsys, tmp_path, what, side):
    file = tmp_path / side / "scores.csv"
    file.write_text(file.read_text(encoding="utf-8").replace(*DAMAGED[what], 1), encoding="utf-8")
    assert type_in("compare", "base", "new", "--kind", "rescored") == 2
    answer = capsys.readouterr()
    assert answer.err.startswith("error: ") and f"{side}: " in answer.err
    assert len(answer.err.splitlines()) == 1
    assert not answer.out


@pytest.mark.parametrize("kind", ["pipe", "device", "no UTF-8"])
def test_what_is_no_text_file_is_a_mistake(type_in, capsys, tmp_path, kind):
    file = tmp_path / "new/scores.csv"
    file.unlink()
    {"pipe": os.mkfifo, "device": lambda path: path.symlink_to("/dev/zero"), "no UTF-8": bare}[kind](file)
    for name in ("new", "new/scores.csv"):
        assert type_in("compare", "base", name) == 2
        answer = capsys.readouterr()
        assert len(answer.err.splitlines()) == 1
        assert {"no UTF-8": "UTF-8"}.get(kind, f"this is a {'named pipe' if kind == 'pipe' else kind}") in answer.err


def bare(path):
    path.write_bytes(b"profile,method\xff\xfe\n")


def test_names_of_scenes_forge_no_lines(type_in, capsys, tmp_path):
    for name, value in (("base", "1.5"), ("new", "0.5")):
        file = tmp_path / name / "scores.csv"
        row = f'demo,a,a,,,panoramas,"x\x1b[2J\nclean: all well",psnr-mu,{value},"{name}\x1b[2J\nclean: too"\n'
        file.write_text(",".join(COLUMNS) + f"\n{row}", encoding="utf-8")
    for words in ((), ("--json",)):
        assert type_in("compare", "base", "new", *words) == 1
        out = capsys.readouterr().out
        assert "\x1b" not in out
        assert "\nclean" not in out


def test_bands_can_be_put_into_the_parameter_file(type_in, capsys, tmp_path, rows, write_params, small_params):
    file = write_params(small_params)
    before = file.read_text(encoding="utf-8")
    seeds = [row._replace(seed=1, value=row.value * 1.01) for row in rows if row.seed == 0]
    write_scores(tmp_path / "seeds/scores.csv", [*rows, *seeds])
    for _ in range(2):  # added, then replaced
        assert type_in("--params", str(file), "bands", "seeds", "--write") == 0
        found = load(file).regression
        assert found.retrained.keys() == found.retrained_means.keys() == {"psnr-l", "psnr-mu", "ssim-l", "ssim-mu"}
        assert file.read_text(encoding="utf-8").startswith(before.rstrip())
    assert capsys.readouterr().out.count("regression is now that of seeds") == 2


def test_a_section_that_cannot_be_replaced_leaves_the_file_as_it_was(type_in, capsys, tmp_path, rows, monkeypatch):
    file = tmp_path / "params.yaml"
    file.write_text("profile: demo\n'regression': {retrained: {psnr-mu: 1}}\n", encoding="utf-8")
    seeds = [row._replace(seed=1, value=row.value * 1.01) for row in rows if row.seed == 0]
    write_scores(tmp_path / "seeds/scores.csv", [*rows, *seeds])
    before = file.read_bytes()
    assert type_in("--params", str(file), "bands", "seeds", "--write") == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert file.read_bytes() == before


@pytest.mark.parametrize("step", [3, 1.5])
def test_a_network_of_the_demo_that_lost_decibels_everywhere_ends_with_1(type_in, capsys, tmp_path, step):
    rows = [row for row in scores("demo") if row.variant in ("adnet", "afunet")]
    write_scores(tmp_path / "accepted/scores.csv", rows)
    write_scores(tmp_path / "lost/scores.csv", changed(rows, lambda value: value - step, "adnet", ""))
    assert type_in("compare", "accepted", "lost", "--kind", "retrained") == 1
    out = capsys.readouterr().out
    assert re.search(r"^worse +adnet--panoramas--s0 +panoramas/mean of \d+ scenes +psnr-mu", out, re.MULTILINE)
    assert out.splitlines()[-1].startswith("regression: ")


def test_a_tracked_profile_has_bands_of_scenes_and_means(type_in, capsys):
    assert type_in("bands", str(ROOT / "reports/study")) == 0
    found = Regression.model_validate(parse_yaml(capsys.readouterr().out, "bands")["regression"])
    scored = {name.partition("@")[0] for name in found.retrained}
    assert {"psnr-mu", "psnr-mu@moving", "hdrvdp2"} <= found.retrained.keys() == found.retrained_means.keys()
    assert scored == set(protocols["whole-float"].metrics)
    assert all(found.retrained_means[name] < width for name, width in found.retrained.items())


def test_what_the_night_compares_has_bands_of_both_kinds():
    bands = load(ROOT / "profiles/smoke/params.yaml").regression
    scored = set(read_scores([ROOT / "tests/baselines/smoke/scores.csv"])["metric"])
    assert scored == bands.retrained.keys() == bands.retrained_means.keys()


@pytest.mark.parametrize("drifted", [False, True])
def test_frozen_ends_as_compare_does(type_in, capsys, monkeypatch, drifted):
    key = Key("ahdrnet", "ahdrnet", "panoramas", "0", "panoramas", "forest-01", "psnr-mu", "whole-float@1")
    changes = (Change("worse", key, 30.0, 29.0, "rescored", 1e-6),) if drifted else ()
    found = Comparison("frozen scores", "scores now", {"rescored": 1}, changes, (), ())
    monkeypatch.setattr(drift, "check", lambda: found)
    assert type_in("frozen") == int(drifted)
    assert capsys.readouterr().out.splitlines()[-1].startswith("regression: 1 worse" if drifted else "unchanged")
