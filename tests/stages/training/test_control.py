"""The control of Table 3 whose decoder knows nothing of stage 1 goes through the pipeline without a codebook."""

import json

import pytest
from safetensors.torch import load_file

from bench.core import layout
from bench.core.errors import UsageError
from bench.io.tables import read_scores
from bench.stages.training import codebook, networks

RUN, CELL = "olc-random--panoramas--s0", "olc-random--panoramas--s0--panoramas"


@pytest.fixture
def controlled(site):
    """The finished workshop with the control as one more run without a codebook."""
    proposed = site.params.variants[site.params.runs[site.vq].variant]
    options = {"prior_weights": "random", "prior_frozen": False, "vqgan": {"codes": 16, "segments": "olc"}}
    variant = {"method": "olc", "preset": proposed.preset, "options": options}
    return site.change(variants={"olc-random": variant})


def test_the_control_trains_and_is_scored_without_a_codebook(controlled):
    p = controlled.params
    controlled.run("train", RUN)
    weights, card = (
        load_file(layout.weights(p, RUN)),
        json.loads(layout.weights(p, RUN).with_suffix(".json").read_text()),
    )
    assert card["parameters_frozen"] == 0
    assert card["parameters"] == sum(value.numel() for name, value in weights.items() if name != "prior_scale")
    assert (card["codebook"], card["stage1"]) == (None, None)
    assert card["options"]["prior_weights"] == "random" and card["options"]["prior_frozen"] is False
    curve = layout.curve(p, RUN).read_text().splitlines()[0].split(",")
    assert {"codebook", "commitment"} <= set(curve) and "mapping" not in curve
    assert (weights["prior_scale"] != 1).all()
    assert (networks.read(p, RUN).vqgan.codebook.weight == weights["vqgan.codebook.weight"]).all()
    controlled.run("evaluate", CELL)
    assert set(read_scores([layout.scores(p, CELL)])["variant"]) == {"olc-random"}


def test_a_run_on_a_codebook_without_a_prior_is_refused(site):
    name = site.params.runs[site.vq].variant
    variant = site.params.variants[name].model_dump(exclude_unset=True) | {"options": {"prior": "none"}}
    p = site.change(variants={name: variant}).params
    with pytest.raises(
        UsageError,
        match=f"{name}.*prior: none would not use codebook {site.codebook!r}.*Give the variant no `codebook`",
    ):
        networks.build(p, p.runs[site.vq])


def test_patches_too_small_for_the_discriminator_are_refused_at_once(site):
    p = site.change(patches={"size": 16}, stage1={"weight_adversarial": 0.1, "discriminator": "patchgan"}).params
    said = f"codebook {site.codebook}: patches of 16 pixels a side are too small for the discriminator patchgan"
    with pytest.raises(UsageError, match=f"{said}, which needs 24"):
        codebook.run(p, site.codebook)


def test_a_codebook_of_another_form_carries_a_network_through_the_pipeline(site):
    """The cards of both stages name the form; the frozen prior is the codebook to the bit."""
    changed = site.change(stage1={"network": "C", "discriminator": "unet-sn"})
    p = changed.params
    changed.run("codebook", site.codebook)
    changed.run("train", site.vq)
    cell = next(name for name, entry in p.evaluations.items() if entry.run == site.vq)
    changed.run("evaluate", cell)
    book = layout.codebook(p, site.codebook)
    settings = json.loads(book.with_suffix(".json").read_text())["settings"]
    stage1 = json.loads(layout.weights(p, site.vq).with_suffix(".json").read_text())["stage1"]
    assert settings == stage1 and (settings["network"], settings["discriminator"]) == ("C", "unet-sn")
    prior, trained = load_file(book), load_file(layout.weights(p, site.vq))
    assert all((trained[f"vqgan.{name}"] == values).all() for name, values in prior.items())
    assert len(read_scores([layout.scores(p, cell)])) > 0
