"""Every registered method, present and future: physical predictions, any input size, each head, the published size."""

import numpy as np
import pytest
import torch

from bench.color.merging import brighter_where_clipped, triangle
from bench.color.transfer import mu_law
from bench.core.errors import UsageError
from bench.core.registry import methods
from bench.core.scene import Scene
from bench.nn.frames import scene_input
from bench.nn.tiling import predict

NEEDS = {"codebook": {"vqgan": {"codes": 16, "segments": "olc"}}}
"""Options of `build` that stand for what a method requires to be trained before it."""

LEARNED = [name for name, card in methods.items() if card.trains]
PLAIN = [name for name, card in methods.items() if not card.trains]
HEADS = [(name, head) for name in LEARNED for head in methods[name].heads or ("",)]


def build(name, preset="smoke", head=""):
    options = {"head": head} if head else {}
    for need in methods[name].requires:
        options |= NEEDS[need]
    torch.manual_seed(0)
    return methods[name].build(preset, **options)


def run(name, scene, head=""):
    card = methods[name]
    if not card.trains:
        return card.predict(scene)
    frames = scene_input(scene)
    radiance = predict(build(name, head=head).eval(), frames, multiple=card.multiple)
    return radiance[0].permute(1, 2, 0).numpy()


def check(radiance, shape):
    assert radiance.shape == shape and radiance.dtype == np.float32
    assert np.isfinite(radiance).all() and (radiance >= 0).all()


@pytest.mark.parametrize("name", methods)
def test_a_prediction_is_physical(name, tiny_scene):
    check(run(name, tiny_scene), tiny_scene.radiance.shape)


@pytest.mark.parametrize("name", methods)
@pytest.mark.parametrize("value", [0, 65535])
def test_black_and_saturated_frames_give_finite_radiance(name, value):
    scene = Scene("flat", np.full((3, 16, 24, 3), value, np.uint16), np.array([1.0, 8, 64]), 1)
    check(run(name, scene), (16, 24, 3))


@pytest.mark.parametrize(("name", "head"), HEADS)
@pytest.mark.parametrize("size", [(1, 1), (7, 13), (17, 23), (33, 64), (50, 70)])
def test_a_network_takes_any_size(name, head, size):
    scene = Scene("odd", np.random.default_rng(0).integers(0, 255, (3, *size, 3), np.uint8), np.array([1.0, 4, 16]), 1)
    check(run(name, scene, head), (*size, 3))


@pytest.mark.parametrize("name", LEARNED)
def test_tiles_give_what_the_whole_image_does(name, tiny_scene):
    card, frames = methods[name], scene_input(tiny_scene)
    network = build(name).eval()
    tiled = predict(network, frames, multiple=card.multiple, tile=32, overlap=card.overlap)
    whole = predict(network, frames, multiple=card.multiple)
    torch.testing.assert_close(mu_law(tiled), mu_law(whole), rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", [name for name in LEARNED if "mu-residual" in methods[name].heads])
def test_the_residual_head_starts_as_the_reference(name, tiny_scene):
    radiance = run(name, tiny_scene, "mu-residual")
    np.testing.assert_allclose(radiance, tiny_scene.linear[1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in LEARNED if "mu-residual" in methods[name].heads])
def test_the_head_on_the_rule_starts_as_the_method_without_training(name, tiny_scene):
    """By which the gain of a learned row is told from what its head was given."""
    radiance = run(name, tiny_scene, "rule-residual")
    np.testing.assert_allclose(radiance, run("brighter-where-clipped", tiny_scene), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in LEARNED if "rule-residual" in methods[name].heads])
def test_the_base_is_not_rounded_under_autocast(name, tiny_scene):
    """In bfloat16 0.9 is another number: what counts as clipped would differ from training to prediction."""
    network, frames = build(name, head="rule-residual").eval(), scene_input(tiny_scene)[..., :32, :32]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        made = network(frames)
    middle, short = frames[:, 1], frames[:, 0, 3:]
    assert made.dtype == torch.float32
    torch.testing.assert_close(made, brighter_where_clipped(middle[:, :3], short, middle[:, 3:]), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", LEARNED)
def test_a_network_depends_on_every_frame(name, tiny_scene):
    network = build(name, head=methods[name].heads[0] if methods[name].heads else "").eval()
    frames = scene_input(tiny_scene)[..., :16, :16].clone().requires_grad_()
    network(frames).sum().backward()
    assert (frames.grad.abs().sum((0, 2, 3, 4)) > 0).all()


@pytest.mark.parametrize("name", LEARNED)
def test_every_preset_builds(name):
    for preset in methods[name].presets:
        with torch.device("meta"):
            network = build(name, preset)
        assert sum(p.numel() for p in network.parameters()) > 0


@pytest.mark.parametrize("name", LEARNED)
def test_the_presets_are_ordered_by_size(name):
    assert {"published", "smoke"} <= set(methods[name].presets)
    with torch.device("meta"):
        smoke, published = (
            sum(p.numel() for p in build(name, preset).parameters()) for preset in ("smoke", "published")
        )
    assert smoke < published


@pytest.mark.parametrize("name", LEARNED)
def test_a_batch_is_computed_image_by_image(name):
    network = build(name, head=methods[name].heads[0] if methods[name].heads else "").eval()
    frames = torch.rand(2, 3, 6, 16, 24, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        together, alone = network(frames), torch.cat([network(frames[:1]), network(frames[1:])])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", LEARNED)
def test_learned_methods_predict_only_with_weights(name, tiny_scene):
    with pytest.raises(UsageError, match="needs trained weights"):
        methods[name].predict(tiny_scene)


def test_reference_only_is_the_linearised_reference(tiny_scene):
    wanted = (tiny_scene.frames[1] / 65535) ** 2.2 / 4
    np.testing.assert_allclose(methods["reference-only"].predict(tiny_scene), wanted, rtol=1e-5, atol=1e-7)


def test_triangle_weights_sum_to_one_and_are_those_of_kalantari():
    values = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
    wanted = [[0, 0, 0, 0.5, 1], [0, 0.5, 1, 0.5, 0], [1, 0.5, 0, 0, 0]]
    np.testing.assert_allclose(triangle(values), wanted)
    np.testing.assert_allclose(triangle(np.linspace(0, 1, 101)).sum(0), 1)


def test_triangle_merge_of_one_pixel_by_hand():
    """Reference 191/255 = 0.749: short and mid frame weigh 0.498 and 0.502."""
    codes = np.array([[100] * 3, [191] * 3, [250] * 3], np.uint8).reshape(3, 1, 1, 3)
    x = 191 / 255
    wanted = (2 * x - 1) * (100 / 255) ** 2.2 + (2 - 2 * x) * x**2.2 / 4
    radiance = methods["triangle-merge"].predict(Scene("pixel", codes, np.array([1.0, 4, 16]), 1))
    np.testing.assert_allclose(radiance, np.full((1, 1, 3), wanted), rtol=1e-5)


def test_triangle_merge_restores_a_still_scene_where_the_short_frame_is_needed(tiny_scene):
    still = np.clip(tiny_scene.radiance * tiny_scene.times[:, None, None, None], 0, 1) ** (1 / 2.2)
    scene = Scene("still", np.round(still * 65535).astype(np.uint16), tiny_scene.times, 1)
    saturated = tiny_scene.radiance > 0.3
    radiance = methods["triangle-merge"].predict(scene)
    assert saturated.any()
    np.testing.assert_allclose(radiance[saturated], tiny_scene.radiance[saturated], rtol=1e-3)


def test_triangle_merge_wants_three_frames():
    scene = Scene("two", np.zeros((2, 4, 4, 3), np.uint8), np.array([1.0, 4]), 0)
    with pytest.raises(UsageError, match="has 2 frames; triangle-merge needs three"):
        methods["triangle-merge"].predict(scene)


@pytest.mark.parametrize("name", LEARNED)
def test_a_loader_of_published_weights_states_what_these_expect(name):
    card = methods[name]
    if hasattr(card.load(), "load_published"):
        assert {"channels", "colours", "output"} <= set(card.conventions)
