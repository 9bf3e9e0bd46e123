"""The recipe on each card is the published one: compared with recipes.csv, figures noted from papers and their codes.

What isn't in the table isn't stated: betas then are Adam's own, the rate is constant, nothing is clipped, the loss has
no perceptual term, patches lie on the profile's grid and are turned as it says, and layers start as ours do.
"""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from bench.core.optimisation import Stage2
from bench.core.params import load
from bench.core.recipe import Recipe, published
from bench.core.registry import methods
from bench.nn.swin import StochasticDepth
from bench.stages.cost import workload
from bench.stages.training import train

ROOT = Path(__file__).resolve().parents[2]
with (Path(__file__).with_name("recipes.csv")).open(encoding="utf-8", newline="") as file:
    FIGURES = list(csv.DictReader(file))
LEARNED = [name for name, card in methods.items() if card.trains]
PAPER = load(ROOT / "profiles/paper/params.yaml")
REHEARSAL = load(ROOT / "profiles/rehearsal/params.yaml")
STARTED = [name for name in LEARNED if methods[name].recipe.get("initialisation") and name in PAPER.variants]
LENGTHS = {"afunet": 740_000, "deephdr": 479_100, "nhdrrnet": 30_000, "adnet": 222_000, "kalantari2017": 2_000_000}
"""Steps on Kalantari's 74 scenes. AFUNet's: 400 epochs of 100 patches of each scene, in batches of four."""


def stated(method):
    """The recipe that the table's figures of a method make."""
    made = {}
    for row in FIGURES:
        if row["method"] == method:
            part, _, inner = row["field"].partition(".")
            text = row["value"]
            value = text if part == "users" else yaml.safe_load(text)
            value = text.split() if part == "betas" else float(text) if part == "options" else value
            made |= {part: {**made.get(part, {}), inner: value}} if inner else {part: value}
    return Recipe.model_validate(made)


@pytest.mark.parametrize("name", LEARNED)
def test_a_card_holds_the_published_figures(name):
    words = {"loss", "differs", "section"}
    found = published(methods[name])
    assert found is not None
    assert found.model_dump(exclude=words) == stated(name).model_dump(exclude=words), (
        f"recipes.csv needs a line for each figure on {name}'s card: method, field, value, source"
    )


def test_every_figure_says_where_it_was_found():
    assert all(row["source"] and row["value"] and row["method"] in LEARNED for row in FIGURES)


@pytest.mark.parametrize("name", PAPER.runs)
def test_the_paper_profile_trains_by_them(name):
    run = PAPER.runs[name]
    method = PAPER.variants[run.variant].method
    settings, cut, wanted = workload.run_settings(PAPER, run), PAPER.patches_of(run), stated(method)
    assert PAPER.kind_of(run) == "published"
    for field in {"lr", "batch", "betas", "clip", "clip_by", "steps", "min_lr", "decay"} & wanted.model_fields_set:
        assert getattr(settings, field) == getattr(wanted, field)
    assert (cut.size, cut.stride, cut.per_scene) == (wanted.patch or 256, wanted.stride or 64, wanted.per_scene)
    assert cut.augment == (True if wanted.augment is None else wanted.augment)
    if run.trainset == "kalantari" and method in LENGTHS:
        assert settings.steps == LENGTHS[method]
    epoch = workload.patch_count(PAPER, run) // settings.batch
    if wanted.decay:
        per = {"epochs": epoch, "steps": 1, "length": settings.steps}[wanted.decay_unit]
        assert (settings.schedule, settings.decay_every) == ("decay", round(wanted.decay_every * per))
    else:
        assert settings.schedule == ("cosine" if wanted.cosine else "constant")


def test_the_last_rates_are_the_published_ones():
    """AHDRNet's falls once, for the last fifth; AFUNet's is set in each epoch and ends at 5e-6 but for one epoch."""
    ahdrnet, afunet = (
        workload.run_settings(PAPER, PAPER.runs[f"{name}--kalantari--s0"]) for name in ("ahdrnet", "afunet")
    )
    fall = 4 * ahdrnet.steps // 5
    rates = [ahdrnet.lr_at("network", step) for step in (0, fall - 1, fall, ahdrnet.steps - 1)]
    assert rates == pytest.approx([1e-4, 1e-4, 1e-5, 1e-5])
    rates = [afunet.lr_at("network", step) for step in (0, 1_849, 1_850, 370_000, 739_999)]
    assert rates[0] == rates[1] == 5e-4 > rates[2]
    assert rates[3:] == pytest.approx([2.525e-4, 5e-6], rel=2e-3)


def learner(name, kind, head="published"):
    """What a run of the rehearsal trains under a recipe, at the smallest sizes, and its network."""
    params = REHEARSAL.model_copy(update={"head": head})
    run = replace(params.runs[f"{name}--kalantari--s0"], recipe=kind)
    made = train.learner(params, run, params.stage2, None, torch.device("cpu"))
    return made, next(iter(made.networks.values()))


@pytest.mark.parametrize("name", STARTED)
def test_networks_start_as_published_under_their_own_recipe_alone(name):
    """Under it no layer starts at zero but those that do in the public code; else residual branches end in zeros."""
    weights = {}
    for kind in ("published", "common"):
        made, network = learner(name, kind)
        layers = [m for m in network.modules() if isinstance(m, torch.nn.Linear | torch.nn.modules.conv._ConvNd)]
        weights[kind] = [layer.weight.detach() for layer in layers if not getattr(layer, "fixed_start", False)]
        if kind == "published":
            for layer in made.networks["discriminator"].layers if name == "hdr-gan" else []:
                assert layer.weight.any() and not layer.bias.any()
    assert all(weight.any() for weight in weights["published"])
    assert not any(map(torch.equal, weights["published"], weights["common"]))


@pytest.mark.parametrize("name", ["afunet", "safnet"])
def test_with_a_head_of_ours_a_network_starts_as_ours(name):
    """Else its output would not be the base that the head adds to."""
    (_, ours), (_, common) = (learner(name, kind, "rule-residual") for kind in ("published", "common"))
    assert all(torch.equal(one, other) for one, other in zip(ours.parameters(), common.parameters(), strict=True))


@pytest.mark.parametrize(("kind", "last"), [("published", 0.1), ("common", 0.0)])
def test_afunets_branches_are_dropped_under_its_recipe(kind, last):
    _, network = learner("afunet", kind)
    shares = [part.share for part in network.modules() if isinstance(part, StochasticDepth)]
    assert max(shares) == last


def test_afunets_depths_rise_over_blocks_and_stages():
    network = methods["afunet"].build("published", drop=0.1)
    blocks = [block.depth.share for stage in network.stages for block in stage.group.blocks]
    assert blocks == pytest.approx([0.1 * index / 19 for index in range(20)])
    sides = [[stage.align_short.depth.share, stage.align_long.depth.share] for stage in network.stages]
    assert torch.tensor(sides).T.tolist() == [pytest.approx([0, 0.02, 0.04, 0.06])] * 2


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
    assert (settings.lr, settings.batch, settings.schedule) == (1e-4, 8, "decay")
    assert isinstance(settings, Stage2) and settings.steps == demo.stage2.steps
