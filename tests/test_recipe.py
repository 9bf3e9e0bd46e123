"""Training recipes: what cards may say, and what becomes of it."""

import dataclasses

import pytest
from pydantic import ValidationError

from bench.core import recipe
from bench.core.errors import UsageError
from bench.core.optimisation import Stage2
from bench.core.params import Params
from bench.core.patching import Patches
from bench.core.recipe import Caps, Recipe
from bench.core.registry import methods
from bench.stages import plan

BASE = Stage2(steps=500, batch=4, lr=1e-3, schedule="one-cycle", ema=0.9, log_every=20, checkpoint_every=100)
PATCHES = Patches(size=64, stride=32, augment=False)


def card(**literal):
    return dataclasses.replace(methods["ahdrnet"], recipe=literal)


@pytest.mark.parametrize("name", methods)
def test_every_card_holds_a_valid_recipe(name):
    found = recipe.published(methods[name])
    assert found is None or methods[name].trains


@pytest.mark.parametrize(
    ("literal", "message"),
    [
        ({"rte": 1e-4}, "method 'ahdrnet', recipe on its card, rte: Extra inputs"),
        ({"lr": 0}, "recipe on its card, lr: .*greater than 0"),
        ({"patch": 30}, "recipe on its card, patch: .*multiple of 8"),
        ({"epochs": 3, "steps": 9}, "its length is in epochs or in steps, not both"),
        ({"decay": 0.5}, "decay and decay_every belong together"),
        ({"decay": 0.5, "decay_every": 2, "cosine": True}, "its rate decays or follows a cosine, not both"),
        ({"augment": "twice"}, "recipe on its card, augment"),
        ({"initialisation": "Kaiming"}, "recipe on its card, initialisation: Input should be"),
    ],
)
def test_a_mistake_on_a_card_is_a_sentence(literal, message):
    with pytest.raises(UsageError, match=message) as caught:
        recipe.published(card(**literal))
    assert "\n" not in str(caught.value)


def test_a_card_without_recipe_leaves_the_profiles_settings():
    assert recipe.published(card()) is None
    assert recipe.settings(None, BASE, Caps(), 1000) is BASE
    assert recipe.patches(None, PATCHES, Caps()) is PATCHES


def test_a_recipe_that_a_section_holds_leaves_that_section():
    held = Recipe(section="stage2", lr=3e-4, patch=128)
    assert recipe.settings(held, BASE, Caps(), 1000) is BASE
    assert recipe.patches(held, PATCHES, Caps()) is PATCHES


def test_what_a_recipe_does_not_tell_is_the_profiles():
    made = recipe.settings(Recipe(loss="L1"), BASE, Caps(), 1000)
    assert (made.steps, made.batch, made.lr, made.log_every) == (500, 4, 1e-3, 20)
    assert (made.schedule, made.ema, made.clip, made.betas) == ("constant", None, None, (0.9, 0.999))
    assert made.weight_perceptual == 0, "a loss without a perceptual term has none"
    assert recipe.patches(Recipe(patch=128), PATCHES, Caps()) == Patches(size=128, stride=32, augment=False)


def test_epochs_become_steps_of_whole_batches():
    made = recipe.settings(Recipe(epochs=3, batch=16), BASE, Caps(), 17760)
    assert (made.steps, made.batch) == (3 * 1110, 16)
    assert recipe.settings(Recipe(epochs=3, batch=16), BASE, Caps(), 5).steps == 3, "an epoch has a step at least"
    assert recipe.settings(Recipe(steps=7), BASE, Caps(), 17760).steps == 7


def differing(stage2, **variant):
    content = {
        "profile": "mine",
        "datasets": {"panoramas": {}},
        "train": {"panoramas": [0]},
        "stage2": {"steps": 40, "lr": 0.002},
        "variants": {"own": {"method": "deephdr", "stage2": stage2} | variant, "common": {"method": "deephdr"}},
    }
    return Params.model_validate(content)


@pytest.mark.parametrize("kind", ["common", "published"])
def test_a_variant_differs_from_its_recipe_in_what_it_says_alone(kind):
    params = differing({"lr": 0.5, "clip": 0.25}, recipe=kind)
    own, common = (params.runs[f"{name}--panoramas--s0"] for name in ("own", "common"))
    base = recipe.settings(params.published(own), params.stage2, params.caps, 640)
    assert params.stage2_of(own, 640) == base.model_copy(update={"lr": 0.5, "clip": 0.25})
    assert params.stage2_of(common, 640) == params.stage2


def test_the_plan_that_dvc_reads_tells_what_a_variant_says():
    """Else a training under other settings would count as up to date."""
    (told, plain) = (plan.document(differing(said))["variants"] for said in ({"lr": 0.5}, {}))
    assert told["own"] == plain["own"] | {"stage2": {"lr": 0.5}}
    assert told["common"] == plain["common"]


@pytest.mark.parametrize(
    ("stage2", "variant", "said"),
    [
        ({"lrate": 1}, {}, "variants.own.stage2.lrate: unknown key"),
        ({"lr": -1}, {}, "variants.own.stage2.lr: expected a number greater than 0, got -1"),
        ({"lr": 1}, {"method": "flow-merge"}, "variants.own.stage2: it isn't trained here"),
    ],
)
def test_a_difference_that_no_training_has_is_refused(stage2, variant, said):
    with pytest.raises(ValidationError, match=said) as caught:
        differing(stage2, **variant)
    assert ".file" not in str(caught.value)


def test_what_a_variant_says_is_checked_on_the_recipe_that_it_is_trained_with():
    """HDR-GAN's publication has batches of one; the profile's own hold eight."""
    said, method = {"accumulate": 4}, {"method": "hdr-gan"}
    run = differing(said, **method).runs["own--panoramas--s0"]
    assert differing(said, **method).stage2_of(run, 100).accumulate == 4
    with pytest.raises(
        ValidationError, match=r"variants\.own\.stage2: a batch of \d+ can't be split into 4 equal parts"
    ):
        differing(said, recipe="published", **method)


@pytest.mark.parametrize(
    ("kind", "said", "found"),
    [
        ("published", {"steps": 9000, "batch": 64}, {"steps": 40, "batch": 2}),
        ("published", {"batch": 6, "accumulate": 3}, {"batch": 2, "accumulate": 1}),
        (
            "published",
            {"schedule": "decay", "steps": 8000, "decay": 0.5, "decay_every": 2000},
            {"steps": 40, "decay_every": 10},
        ),
        ("common", {"steps": 9000}, {"steps": 40, "batch": 8}),
        ("common", {"steps": 9}, {"steps": 9, "batch": 8}),
        ("common", {"lr": 0.5}, {"steps": 400, "batch": 8}),
    ],
)
def test_caps_bound_what_a_variant_says_as_well(kind, said, found):
    params = differing(said, recipe=kind, method="ahdrnet").model_copy(
        update={"caps": Caps(steps=40, batch=2), "stage2": Stage2(steps=400)}
    )
    made = params.stage2_of(params.runs["own--panoramas--s0"], 640)
    assert {name: getattr(made, name) for name in found} == found


def test_a_decay_per_epochs_becomes_one_per_steps():
    halved = Recipe(epochs=200, batch=4, decay=0.5, decay_every=100, decay_unit="epochs")
    made = recipe.settings(halved, BASE, Caps(), 400)
    assert (made.schedule, made.decay, made.decay_every) == ("decay", 0.5, 100 * 100)
    steady = Recipe(steps=9000, decay=0.995, decay_every=200, decay_unit="steps", min_lr=1e-6)
    made = recipe.settings(steady, BASE, Caps(), 400)
    assert (made.decay_every, made.min_lr) == (200, 1e-6)


def test_a_decay_may_come_after_a_share_of_the_length():
    last_fifth = Recipe(decay=0.1, decay_every=0.8, decay_unit="length")
    made = recipe.settings(last_fifth, BASE, Caps(), 400)
    assert (made.schedule, made.decay, made.decay_every, made.steps) == ("decay", 0.1, 400, 500)


@pytest.mark.parametrize(("said", "every"), [({"steps": 100}, 80), ({"steps": 100, "decay_every": 7}, 7), ({}, 4800)])
def test_that_share_is_of_the_length_that_a_variant_is_trained(said, every):
    last_fifth = Recipe(steps=6000, decay=0.1, decay_every=0.8, decay_unit="length")
    assert recipe.settings(last_fifth, BASE, Caps(), 400, said).decay_every == every
    assert recipe.settings(last_fifth, BASE, Caps(steps=50), 400, {"steps": 100}).decay_every == 40


def test_a_cosine_is_set_once_an_epoch():
    made = recipe.settings(Recipe(epochs=400, batch=4, lr=5e-4, cosine=True, min_lr=5e-6), BASE, Caps(), 7400)
    assert (made.schedule, made.steps, made.decay_every, made.min_lr) == ("cosine", 740_000, 1850, 5e-6)
    short = recipe.settings(Recipe(epochs=400, batch=4, cosine=True), BASE, Caps(steps=800), 7400)
    assert (short.steps, short.decay_every) == (800, 2)


def test_a_recipe_says_how_gradients_are_clipped_and_patches_turned():
    told = Recipe(clip=1.0, clip_by="value", per_scene=100, augment="one-flip")
    made, cut = recipe.settings(told, BASE, Caps(), 400), recipe.patches(told, PATCHES, Caps())
    assert (made.clip, made.clip_by) == (1.0, "value")
    assert cut == Patches(size=64, stride=32, per_scene=100, augment="one-flip")
    assert recipe.patches(Recipe(augment=True), PATCHES, Caps()).augment is True


def test_caps_shorten_a_recipe_and_its_decay():
    long = Recipe(steps=8000, batch=16, patch=256, stride=64, decay=0.5, decay_every=2000, decay_unit="steps")
    caps = Caps(steps=4, batch=2, patch=32, stride=16)
    made = recipe.settings(long, BASE, caps, 100)
    assert (made.steps, made.batch, made.decay_every) == (4, 2, 1)
    assert recipe.patches(long, PATCHES, caps) == Patches(size=32, stride=16, augment=False)
    short = recipe.settings(Recipe(steps=3, batch=1), BASE, caps, 100)
    assert (short.steps, short.batch) == (3, 1), "a cap raises nothing"


def test_multiply_adds_of_fused_attention_are_counted():
    """The framework's own counter has no formula for the CPU's kernel; a training's card must not fail for it."""
    from bench.stages.cost import counting
    from bench.stages.training import networks

    for name in ("cavit", "sctnet", "afunet"):
        network = methods[name].build("smoke", head="published")
        counted = counting.multiply_adds(network, height=64, width=64)
        assert networks.multiply_adds(network) == pytest.approx(counted / 64**2, rel=1e-3)
