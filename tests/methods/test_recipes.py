"""The recipe on each card is the published one: compared with recipes.csv, figures noted from papers and their codes.

An empty cell is what isn't stated: betas then are Adam's own, the rate is constant, nothing is clipped, the loss has no
perceptual term.
"""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from bench.core.optimisation import Stage2
from bench.core.params import load
from bench.core.recipe import Recipe, published
from bench.core.registry import methods
from bench.stages.cost import workload

ROOT = Path(__file__).resolve().parents[2]
with (Path(__file__).with_name("recipes.csv")).open(encoding="utf-8", newline="") as file:
    FIGURES = {row.pop("method"): row for row in csv.DictReader(file)}
LEARNED = [name for name, card in methods.items() if card.trains]
PAPER = load(ROOT / "profiles/paper/params.yaml")


def stated(row):
    """The row's figures as fields of a recipe."""
    found = {name: float(value) for name, value in row.items() if value and name not in ("betas", "decay_unit")}
    if row["betas"]:
        found["betas"] = tuple(map(float, row["betas"].split()))
    return found | ({"decay_unit": row["decay_unit"]} if row["decay_unit"] else {})


@pytest.mark.parametrize("name", LEARNED)
def test_a_card_holds_the_published_figures(name):
    found, wanted = published(methods[name]), stated(FIGURES[name])
    assert found is not None
    assert {field: getattr(found, field) for field in wanted} == wanted
    neutral = Recipe()
    for field in set(FIGURES[name]) - set(wanted) - {"decay_unit"}:
        assert getattr(found, field) == getattr(neutral, field), f"{field} isn't stated anywhere"


@pytest.mark.parametrize("name", PAPER.runs)
def test_the_paper_profile_trains_by_them(name):
    run = PAPER.runs[name]
    method = PAPER.variants[run.variant].method
    settings, cut, wanted = workload.run_settings(PAPER, run), PAPER.patches_of(run), stated(FIGURES[method])
    assert PAPER.kind_of(run) == "published"
    for field in {"lr", "batch", "betas", "clip", "steps", "min_lr", "decay"} & set(wanted):
        assert getattr(settings, field) == wanted[field]
    assert cut.size == wanted.get("patch", 256) and cut.stride == wanted.get("stride", 64)
    if "epochs" in wanted and run.trainset == "kalantari":
        assert settings.steps == wanted["epochs"] * (workload.patch_count(PAPER, run) // settings.batch)
    if "decay" in wanted:
        per = 1 if wanted["decay_unit"] == "steps" else workload.patch_count(PAPER, run) // settings.batch
        assert (settings.schedule, settings.decay_every) == ("decay", wanted["decay_every"] * per)


def test_olc_is_trained_by_stage_2_under_either_recipe():
    for run in PAPER.runs.values():
        if PAPER.variants[run.variant].method == "olc":
            assert workload.run_settings(PAPER, run) == PAPER.stage2
            assert PAPER.patches_of(run) == PAPER.patches
    found = published(methods["olc"])
    assert (found.lr, found.betas, found.batch) == (PAPER.stage2.lr, PAPER.stage2.betas, PAPER.stage2.batch)
    assert found.weight_perceptual == PAPER.stage2.weight_perceptual
    assert PAPER.stage2.steps == 222_000 == found.epochs * 17_760 // found.batch


def test_the_common_recipe_is_one_for_all():
    demo = load(ROOT / "params.yaml")
    for run in demo.runs.values():
        differs = demo.variants[run.variant].stage2
        assert workload.run_settings(demo, run) == demo.stage2.model_copy(update=differs)
        assert set(differs) <= {"lr"}, "the demo says of which networks, and no more of them differ"
    assert {demo.patches_of(run) for run in demo.runs.values()} == {demo.patches}


def test_a_run_may_choose_for_itself():
    demo = load(ROOT / "params.yaml")
    run = replace(demo.runs["ahdrnet--panoramas--s0"], recipe="published")
    settings = demo.stage2_of(run, 1000)
    assert (settings.lr, settings.batch, settings.schedule) == (1e-4, 8, "constant")
    assert isinstance(settings, Stage2) and settings.steps == demo.stage2.steps
