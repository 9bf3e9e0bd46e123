"""A set without truth goes through the whole pipeline: predictions and pictures, and no score anywhere."""

import csv

import pytest

from bench.core import layout
from bench.io.tables import COLUMNS, read_scores
from bench.stages.data import fetch, prepare
from bench.stages.reporting import report
from bench.stages.scoring import evaluate, summarize
from tests.data import builders
from tests.shared import undrawn

TOO = ("reference-only", "ahdrnet")
"""Variants that are evaluated on Tursun's set, too."""


@pytest.fixture
def truthless(site, tmp_path):
    """The finished workshop, with two evaluations on Tursun's set."""
    for seed, name in enumerate(("Cafe", "Bench")):
        builders.tursun(tmp_path / "tursun" / name, seed=seed)
    variants = site.params.variants
    more = {
        name: {**variants[name].model_dump(exclude_unset=True), "evaluate": ["panoramas", "tursun"]} for name in TOO
    }
    content = {"datasets": {"tursun": {"on_disk": str(tmp_path / "tursun")}}, "variants": more}
    changed = site.change(**content)
    for stage in (fetch, prepare):
        stage.run(changed.params, "tursun")
    return changed


def test_it_is_predicted_shown_and_not_scored(truthless, monkeypatch):
    undrawn(monkeypatch)
    params = truthless.params
    names = [name for name, entry in params.evaluations.items() if entry.dataset == "tursun"]
    for name in names:
        evaluate.run(params, name)
        assert layout.scores(params, name).read_text() == ",".join(COLUMNS) + "\n"
        assert read_scores([layout.sensitivity(params, name)]).empty
        folder = layout.predictions(params, params.evaluations[name].run, "tursun")
        assert {path.name for path in folder.rglob("*.exr")} == {"Cafe.exr", "Bench.exr"}
    summarize.run(params)
    report.run(params)
    pages = {path.stem: path.read_text(encoding="utf-8") for path in (params.reports / "pages").glob("*.html")}
    assert "no ground truth exists, so nothing can be scored" in pages["crops"]
    assert "crops_tursun_no-truth_Cafe" in pages["crops"] and "contact_tursun" in pages["views"]
    with (params.reports / "tables" / "unscored.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["variant"], row["trainset"], row["scenes"]) for row in rows] == [
        ("reference-only", "", "2"), ("ahdrnet", "panoramas", "2"),
    ]  # fmt: skip
    assert not read_scores([params.reports / "scores.csv"])["dataset"].eq("tursun").any()


def test_a_quick_look_has_nothing_to_print(truthless, capsys):
    evaluate.run(truthless.params, "reference-only--tursun", limit=1)
    assert "0 scenes under whole-float@1; nothing was written" in capsys.readouterr().out
