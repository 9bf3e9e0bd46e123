"""The codebook decoder in the HDR network: VQGAN variants of other widths, and the controls of Table 3."""

import pytest
import torch

from bench.core.errors import UsageError
from bench.core.optimisation import Stage2
from bench.core.params import Params
from bench.core.registry import methods
from bench.nn.losses import Fidelity
from bench.nn.tiling import predict
from bench.stages.training import codebook, networks
from bench.train.checkpoint import Checkpoint
from bench.train.learner import HdrLearner
from bench.train.loop import fit, seed_parameters, trainable
from bench.train.patches import PatchStream
from methods.olc.network import PRIOR_RMS
from methods.olc.vqgan import NETWORKS

BOOK = {"codes": 16, "segments": "olc"}
RANDOM = {"prior_weights": "random", "prior_frozen": False}
VARIANT, RUN, TRAINSET = "control", "control--panoramas--s0", "panoramas"


def build(network="A", **options):
    made = methods["olc"].build("smoke", vqgan={**BOOK, "network": network}, **options)
    seed_parameters(made, 0)
    made.calibrate()
    return made


def terms(network, frames, truth):
    return network.losses(frames, truth, Fidelity(None, 0.0), {"mapping": 1.0})


def train(network, scene, folder):
    """Three steps as the stage makes them; returns the names of what they changed."""
    before = {name: value.clone() for name, value in network.state_dict().items()}
    settings = Stage2(steps=3, batch=2, lr=1e-2, weight_perceptual=0)
    stream = PatchStream([scene], size=32, stride=8, augment=True, seed=0)
    learner = HdrLearner(network, settings, None)
    fit(learner, stream, settings, Checkpoint(folder), label="control", device=torch.device("cpu"))
    return {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("prior", ["rf", "concat"])
def test_features_of_any_variant_feed_the_decoder_at_its_own_widths(network, prior, frames):
    made, width = build(network, prior=prior), 4
    with torch.no_grad():
        assert made(frames).shape == (2, 3, 32, 40)
    wanted = (4 * width, 2 * width, width)
    tapped = [width * part for part in reversed(NETWORKS[network].widths)][1:]
    shapes = {name: tuple(p.shape) for name, p in made.named_parameters() if name.startswith("adapt.")}
    assert shapes == {
        f"adapt.{level}.{kind}": (to, *([own, 1, 1] if kind == "weight" else []))
        for level, (own, to) in enumerate(zip(tapped, wanted, strict=True))
        for kind in ("weight", "bias")
        if own != to
    }
    assert bool(shapes) == (network in ("B", "C"))


@pytest.mark.parametrize("network", ["B", "C"])
def test_what_adapts_the_widths_trains_though_the_prior_is_frozen(network, tiny_scene, tmp_path):
    moved = train(build(network, prior="concat"), tiny_scene, tmp_path)
    assert {"adapt.0.weight", "adapt.2.bias"} <= moved
    assert not any(name.startswith("vqgan.") for name in moved)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("weights", ["trained", "random"])
def test_calibration_gives_every_level_the_same_size(network, weights):
    made = build(network, prior_weights=weights)
    book = made.vqgan.codebook
    codes = book.weight.view(4, -1, book.width).permute(2, 0, 1)[None]
    with torch.no_grad():
        levels = made.vqgan.decoder.features(codes)
    sizes = [float((scale * level).square().mean()) for scale, level in zip(made.prior_scale, levels, strict=True)]
    assert sizes == pytest.approx([PRIOR_RMS**2] * 3, rel=1e-4)


def test_a_random_unfrozen_prior_has_row_7s_capacity_and_no_encoder():
    row, control = build(), build(**RANDOM)
    kept = {name: value for name, value in row.state_dict().items() if not name.startswith("vqgan.encoder.")}
    assert {name: value.shape for name, value in control.state_dict().items()} == {
        name: value.shape for name, value in kept.items()
    }
    prior = [row.vqgan.decoder, row.vqgan.codebook]
    assert trainable([control]) == trainable([row]) + sum(p.numel() for part in prior for p in part.parameters())
    assert all(parameter.requires_grad for parameter in control.parameters())
    assert all(torch.equal(value, kept[name]) for name, value in control.state_dict().items())


@pytest.mark.parametrize(
    ("options", "extra"),
    [
        ({}, {"mapping"}),
        ({"prior_frozen": False}, {"mapping", "codebook", "commitment"}),
        ({"prior_weights": "random"}, set()),
        (RANDOM, {"codebook", "commitment"}),
    ],
)
def test_losses_follow_what_is_trained_and_what_is_known(options, extra, frames, truth):
    assert set(terms(build(**options), frames, truth)) == {"reconstruction"} | extra


def test_the_terms_of_an_unfrozen_book_are_equation_7s(frames, truth):
    made = build(**RANDOM)
    found, traced = terms(made, frames, truth), made.trace(frames)
    vectors, codes = traced.vectors.detach(), made.vqgan.codebook.weight.detach()[traced.indices].permute(0, 3, 1, 2)
    distance = float((vectors - codes).square().mean())
    assert float(found["codebook"].detach()) == pytest.approx(distance, rel=1e-5)
    assert float(found["commitment"].detach()) == pytest.approx(0.25 * distance, rel=1e-5)
    found["codebook"].backward(retain_graph=True)
    assert made.project.weight.grad is None and made.vqgan.codebook.weight.grad.abs().sum() > 0
    made.zero_grad()
    found["commitment"].backward()
    assert made.vqgan.codebook.weight.grad is None and made.project.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("options", "moves", "stays"),
    [
        ({}, set(), {"encoder", "codebook", "decoder"}),
        ({"prior_frozen": False}, {"codebook", "decoder"}, {"encoder"}),
        ({"prior_weights": "random"}, set(), {"codebook", "decoder"}),
        (RANDOM, {"codebook", "decoder"}, set()),
    ],
)
def test_training_moves_what_is_not_frozen(options, moves, stays, tiny_scene, tmp_path):
    made = build(prior="concat", **options)
    moved = {name.split(".")[1] for name in train(made, tiny_scene, tmp_path) if name.startswith("vqgan.")}
    assert moved == moves
    modes = {name: part.training for name, part in made.train().vqgan.named_children()}
    assert modes == dict.fromkeys(moves, True) | dict.fromkeys(stays, False)
    assert not any(module.training for module in made.eval().modules())


@pytest.fixture
def control(smoke):
    """Make the smoke profile with one more run, of a variant with these options, on a codebook or on none."""

    def make(options, codebook=None):
        content = smoke.model_dump()
        content["variants"][VARIANT] = {"method": "olc", "preset": "smoke", "options": options, "codebook": codebook}
        params = Params.model_validate(content)
        return params, networks.find_run(params, RUN)

    return make


def test_a_random_prior_needs_no_codebook_run_and_is_calibrated_after_its_weights_are_drawn(control):
    params, run = control({**RANDOM, "vqgan": BOOK})
    made = networks.build(params, run)
    seed_parameters(made, 0)
    assert torch.equal(made.prior_scale, torch.ones(3))
    networks.load_prior(params, run, made)
    drawn = made.prior_scale.clone()
    made.calibrate()
    assert torch.equal(made.prior_scale, drawn) and not torch.equal(drawn, torch.ones(3))


@pytest.mark.parametrize(
    ("options", "on_a_book", "sentence"),
    [
        (
            {"vqgan": BOOK},
            False,
            "no trained one is named. Give the variant a `codebook`, or set prior_weights: random",
        ),
        (RANDOM, True, "would not use codebook '.*'. Give the variant no `codebook`"),
        (RANDOM, False, "needs a codebook: give its number of codes and segments"),
    ],
)
def test_weights_never_come_from_elsewhere_than_the_parameters_say(control, smoke, options, on_a_book, sentence):
    params, run = control(options, next(iter(smoke.codebooks)) if on_a_book else None)
    with pytest.raises(UsageError, match=sentence):
        networks.build(params, run)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_run_gets_the_network_that_its_codebook_is_trained_with(smoke, network):
    content = smoke.model_dump()
    run = next(iter(smoke.runs_with_codebook.values()))
    content["codebooks"][smoke.codebook_runs[run.codebook].codebook]["options"] = {"network": network}
    params = Params.model_validate(content)
    made, own = networks.build(params, run).vqgan.state_dict(), codebook.build(params, run.codebook).state_dict()
    assert {name: value.shape for name, value in made.items()} == {name: value.shape for name, value in own.items()}


def test_the_multiply_adds_of_attention_are_counted():
    """One in D (one block a level, no middle): 8 x 8 positions of 32 channels, four 1x1 and two products."""
    plain, attentive = (networks.multiply_adds(build(network), 64) for network in ("A", "A+attn"))
    positions, width = 64, 32
    assert attentive - plain == (4 * positions * width**2 + 2 * positions**2 * width) // 64**2


@pytest.mark.parametrize("network", NETWORKS)
def test_a_tiled_prediction_is_the_whole_images_for_every_variant(network):
    """Attention and norms see the whole image; tolerance: float32 sums in another order, of values up to 1."""
    made = build(network, prior="concat", middle_blocks=2).eval()
    torch.nn.init.normal_(made.head.last.weight, std=0.1)
    frames = torch.rand(1, 3, 6, 136, 200, generator=torch.Generator().manual_seed(0))
    whole = predict(made, frames, multiple=8)
    tiled = predict(made, frames, multiple=8, tile=64, overlap=96)
    assert float(whole.std()) > 0.01
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("network", NETWORKS)
def test_strips_of_a_large_map_give_what_the_whole_map_gives(network, monkeypatch):
    made = build(network).vqgan.decoder
    codes = torch.randn(1, 32, 12, 9, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = made.features(codes)
        monkeypatch.setattr("bench.nn.tiling.LARGE", 64)
        for strips, level in zip(made.features(codes), whole, strict=True):
            torch.testing.assert_close(strips, level, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "meant"), [("skipp", "skip"), ("middle_block", "middle_blocks")])
@pytest.mark.parametrize("prior", [{"prior": "none"}, {"vqgan": {"codes": 16, "segments": "olc"}}], ids=["none", "rf"])
def test_a_misspelt_option_is_refused_with_or_without_a_prior(prior, name, meant):
    """Without a prior it built the network that the option should have changed."""
    with pytest.raises(UsageError, match=f"no option of olc is called '{name}'. Did you mean '{meant}'"):
        methods["olc"].build("smoke", **prior, **{name: 1})
