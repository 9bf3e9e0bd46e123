"""`new`: what it writes runs as it is; and plan.yaml is kept honest."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bench.core.params import load, read
from bench.core.registry import ROOT
from bench.stages import plan
from tests.shared import coarse

PICKED = "train_views: 1, test_views: 2, no_truth_scenes: 1"
TINY = f"{PICKED}, width: 64, height: 48, train: [city, courtyard], test: [forest, interior]"


def test_a_new_profile_runs_and_reports_what_it_has(fresh, main_in, monkeypatch):
    assert main_in(fresh, "new", "profile", "mine") == 0
    folder = fresh.folder / "profiles" / "mine"
    assert (folder / "dvc.yaml").resolve() == (fresh.folder / "dvc.yaml").resolve()
    text = (folder / "params.yaml").read_text()
    assert "# head: rule-residual\n" in text and "# perceptual: {backbone: none}\n" in text
    assert len([line for line in text.splitlines() if not line.startswith("#")]) <= 12
    (folder / "params.yaml").write_text(text.replace(PICKED, TINY))
    here = ("--params", "profiles/mine/params.yaml")
    coarse(monkeypatch)
    monkeypatch.chdir(fresh.folder)
    verbs = [("plan",), ("plan", "--check"), ("fetch", "panoramas"), ("backbone",), ("prepare", "panoramas")]
    verbs += [("evaluate", f"{name}--panoramas") for name in ("reference-only", "triangle-merge")]
    for words in (*verbs, ("sizes",), ("summarize",), ("report",)):
        assert main_in(fresh, *here, *words) == 0, words
    reports = fresh.folder / "reports" / "mine"
    assert (reports / "tables" / "table1.csv").exists() and not (reports / "tables" / "table2.csv").exists()
    assert "codebook" not in (reports / "index.html").read_text(encoding="utf-8").split("<main")[-1].lower()


def test_a_profile_of_another_data_set_is_that_profile_in_all_else(fresh, main_in, capsys):
    for name in ("day", "paper"):
        (fresh.folder / "profiles" / name).mkdir(parents=True)
        shutil.copy(ROOT / "profiles" / name / "params.yaml", fresh.folder / "profiles" / name)
    assert main_in(fresh, "new", "profile", "day-hu", "--like", "day", "--dataset", "hu") == 0
    made = read(fresh.folder / "profiles" / "day-hu" / "params.yaml")
    wanted = yaml.safe_dump({**read(ROOT / "profiles" / "day" / "params.yaml"), "profile": "day-hu"})
    assert made == yaml.safe_load(re.sub(r"\bkalantari\b", "hu", wanted))
    assert {"kalantari2017", "hu"} <= {*made["variants"], *made["datasets"]}
    refused = [
        (("--like", "day", "--dataset", "tursun"), "tursun can't be trained and tested on: it has no such splits"),
        (("--like", "day", "--dataset", "huu"), "no dataset is called 'huu'. Did you mean 'hu'"),
        (("--like", "paper", "--dataset", "hu"), "uses kalantari, hu, tursun; --dataset replaces the one set"),
        (("--like", "dya"), "no profile is called 'dya'"),
        (("--dataset", "hu"), "--dataset goes with --like"),
    ]
    for words, said in refused:
        assert main_in(fresh, "new", "profile", "other", *words) == 2
        assert said in capsys.readouterr().err
    assert not (fresh.folder / "profiles" / "other").exists()


def test_a_profile_that_is_not_sound_leaves_no_other(fresh, main_in, capsys):
    broken = fresh.folder / "profiles" / "broken"
    broken.mkdir(parents=True)
    (broken / "params.yaml").write_text("profile: broken\ndatasets: {panoramas: {}}\nvariants: {x: {method: cavti}}\n")
    assert main_in(fresh, "new", "profile", "other", "--like", "broken") == 2
    assert "Did you mean 'cavit'" in capsys.readouterr().err
    assert not (fresh.folder / "profiles" / "other").exists()


@pytest.mark.parametrize("options", [(), ("--plain",)])
def test_a_new_method_is_registered_and_gives_radiance(fresh, command, options):
    answer = command(fresh, "new", "method", "my-merge", *options)
    assert answer.returncode == 0, answer.stderr
    assert ("`train` and `evaluate`" in answer.stdout, "recipes.csv" in answer.stdout) == ((not options,) * 2)
    assert answer.stdout.endswith("python -m pytest tests/methods -k my-merge\n")
    asks = (
        "learned.build('smoke')(torch.rand(1, 3, 6, 16, 16)).shape if learned.trains else learned.predict(scene).shape"
    )
    code = (
        "import numpy as np, torch; from bench.core.registry import methods; from bench.core.scene import Scene\n"
        "scene = Scene('x', np.zeros((3, 16, 16, 3), np.uint16), times=np.array([1., 4., 16.]), reference=1)\n"
        f"learned = methods['my-merge']; print(learned.label, tuple({asks}))"
    )
    asked = subprocess.run([sys.executable, "-c", code], cwd=fresh.folder, capture_output=True, text=True, check=False)
    assert asked.stdout.strip() == f"My merge {'(16, 16, 3)' if options else '(1, 3, 16, 16)'}", asked.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("profile", "../x"), "expected small letters, digits and single hyphens"),
        (("method", "cavit"), "there is a method called 'cavit'"),
        (("method", "Uppercase"), "expected small letters"),
    ],
)
def test_what_cannot_be_a_name_is_refused(fresh, main_in, capsys, words, said):
    before = sorted(fresh.folder.rglob("*.py"))
    assert main_in(fresh, "new", *words) == 2
    assert said in capsys.readouterr().err
    assert sorted(fresh.folder.rglob("*.py")) == before


class TestStalePlan:
    """plan.yaml that isn't what the parameters give."""

    @pytest.fixture(autouse=True)
    def _there(self, fresh, monkeypatch):
        monkeypatch.chdir(fresh.folder)

    @pytest.fixture
    def stale(self, fresh):
        path = fresh.folder / "params.yaml"
        content = yaml.safe_load(path.read_text())
        content["stage2"]["steps"] += 1
        path.write_text(yaml.safe_dump(content))
        return fresh

    def test_a_stage_says_so_in_a_sentence_and_stops(self, stale, main_in, capsys):
        assert main_in(stale, "fetch", "panoramas") == 2
        said = capsys.readouterr().err
        assert said.startswith("error: plan.yaml isn't what params.yaml gives") and len(said.splitlines()) == 1
        assert "python -m bench plan" in said
        assert main_in(stale, "plan") == 0
        assert main_in(stale, "plan", "--check") == 0

    def test_the_pipeline_asks_before_anything_else(self, stale, main_in, capsys):
        assert main_in(stale, "plan", "--check") == 2
        assert "isn't what params.yaml gives" in capsys.readouterr().err

    def test_an_edited_plan_is_no_plan(self, fresh, main_in):
        file = plan.path(fresh.params)
        file.write_text(file.read_text().replace("steps: 6", "steps: 60"))
        assert plan.stale(fresh.params)
        assert main_in(fresh, "plan", "--check") == 2
        assert plan.write(load(Path("params.yaml"))) and not plan.stale(fresh.params)
