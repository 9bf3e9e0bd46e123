"""HDR-GAN's adversarial training: distances on the sphere, two phases, exact resumption."""

import math
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.color.transfer import mu_law
from bench.core.errors import UsageError
from bench.core.optimisation import Stage2
from bench.core.params import Params
from bench.core.registry import methods
from bench.nn.losses import Fidelity
from bench.stages.training.train import learner_of
from bench.train.checkpoint import Checkpoint
from bench.train.loop import fit, seed_parameters
from methods.hdrgan.adversarial import PatchDiscriminator, sphere_distance
from tests.train.tiny import Interrupted, Stopped

CPU = torch.device("cpu")


def large(scene):
    """A scene that is as large as the discriminator needs."""
    return replace(
        scene, frames=np.tile(scene.frames, (1, 2, 2, 1)), radiance=np.tile(scene.radiance, (2, 2, 1)), metadata={}
    )


def learner(settings):
    network = methods["hdr-gan"].build("smoke")
    made = network.learner(settings, Fidelity(None, 0.0))
    for part in made.networks.values():
        seed_parameters(part, 0)
    return made


def train(scene, folder, at=-1, **changes):
    """Train a tiny generator and its discriminator; returns both networks' weights and the learning curve."""
    values = {"steps": 4, "batch": 2, "lr": 1e-3, "clip": 1.0, "weight_perceptual": 0.0, "log_every": 2}
    settings = Stage2(**{**values, "checkpoint_every": 2, **changes})
    made, stream = learner(settings), Interrupted([large(scene)], size=56, stride=8, augment=True, seed=0)
    stream.at = at
    curve = fit(made, stream, settings, Checkpoint(folder), label="tiny", device=CPU)
    return {f"{part}.{name}": v for part, n in made.networks.items() for name, v in n.state_dict().items()}, curve


def moments(angle):
    return angle + angle**2 + angle**3


def test_distances_to_where_the_first_coordinate_is_1_by_hand():
    """The origin and infinity are a right angle away; the unit circle is the equator, on which the point lies."""
    points = torch.tensor([[0.0, 0.0], [3e8, 4e8], [0.0, -1.0], [0.8, 0.6], [1.0, 0.0], [-1.0, 0.0]])
    angles = [math.pi / 2, math.pi / 2, math.pi / 2, math.acos(0.8), 0.0, math.pi]
    torch.testing.assert_close(sphere_distance(points), moments(torch.tensor(angles)), rtol=1e-3, atol=1e-3)


def test_at_the_point_itself_the_gradient_is_finite():
    points = torch.tensor([[1.0], [-1.0]], requires_grad=True)
    sphere_distance(points).sum().backward()
    assert points.grad.isfinite().all()


def test_the_distance_is_that_of_the_projected_points():
    values = torch.randn(4, 1, 5, 6, dtype=torch.float64) / 5
    flat = values.flatten(1)
    square = flat.square().sum(1, keepdim=True)
    sphere = torch.cat([2 * flat, square - 1], 1) / (square + 1)
    torch.testing.assert_close(sphere.norm(dim=1), torch.ones(4, dtype=torch.float64))
    torch.testing.assert_close(sphere_distance(values), moments(torch.acos(sphere[:, 0]).float()))


def test_the_discriminator_has_five_normalised_layers():
    discriminator = PatchDiscriminator().eval()
    assert [tuple(layer.weight.shape) for layer in discriminator.layers] == [
        (64, 3, 4, 4), (128, 64, 4, 4), (128, 128, 4, 4), (128, 128, 4, 4), (1, 128, 4, 4),
    ]  # fmt: skip
    assert [layer.stride[0] for layer in discriminator.layers] == [2, 2, 2, 1, 1]
    assert discriminator(torch.rand(2, 3, 96, 80)).shape == (2, 1, 6, 4)
    assert discriminator(torch.rand(1, 3, 54, 54)).shape == (1, 1, 1, 1)


def test_phases_judge_the_same_images_with_opposite_signs():
    made = learner(Stage2(steps=1, batch=2, lr=1e-3))
    made.network.eval()  # else each forward would take a power step
    given, truth, samples = torch.rand(2, 3, 6, 56, 56), torch.rand(2, 3, 56, 56), slice(0, 2)
    assert made.prepare(given, truth, 0, samples) == []
    terms = made.losses("network", given, truth, 0, samples)
    assert set(terms) == {"reconstruction", "supervision", "adversarial"}
    (shown,) = made.state().values()
    images = made.network.images(given)
    torch.testing.assert_close(shown, torch.stack([2 * mu_law(truth) - 1, *(2 * image - 1 for image in images)]))
    discriminator = made.networks["discriminator"]
    before = discriminator.layers[0].u.clone()
    real, first, last = (sphere_distance(discriminator(image)).mean() for image in shown)
    torch.testing.assert_close(terms["adversarial"], -first - last)
    differences = [2 * (image - mu_law(truth)).abs().mean() for image in images]
    torch.testing.assert_close([terms["supervision"], terms["reconstruction"]], differences, rtol=1e-4, atol=1e-5)
    judged = made.losses("discriminator", given, truth, 0, samples)["discriminator"]
    torch.testing.assert_close(judged, first + last - 2 * real)
    assert not torch.equal(discriminator.layers[0].u, before) and not discriminator.training
    made.updated("network")
    assert made.state()
    made.updated("discriminator")
    assert not made.state()


def test_the_discriminator_learns_to_tell_images_apart():
    torch.manual_seed(0)
    discriminator = PatchDiscriminator(8)
    seed_parameters(discriminator, 0)
    optimiser = torch.optim.Adam(discriminator.parameters(), lr=3e-3)
    for _ in range(30):
        real, fake = torch.rand(4, 3, 80, 80) - 0.5, (torch.rand(4, 3, 1, 1) - 0.5).expand(4, 3, 80, 80)
        loss = sphere_distance(discriminator(fake)).mean() - sphere_distance(discriminator(real)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < -0.5


@pytest.mark.parametrize("parts", [1, 2])
def test_an_interrupted_training_resumes_to_the_same_bits(tiny_scene, tmp_path, parts):
    whole, curve = train(tiny_scene, tmp_path / "whole", accumulate=parts)
    with pytest.raises(Stopped):
        train(tiny_scene, tmp_path / "parts", at=7, accumulate=parts)
    weights, again = train(tiny_scene, tmp_path / "parts", accumulate=parts)
    assert curve == again and all(torch.equal(value, whole[name]) for name, value in weights.items())
    assert {"reconstruction", "supervision", "adversarial", "discriminator"} <= set(curve[-1])


def test_the_least_image_is_the_smallest_that_works():
    discriminator = PatchDiscriminator(8).eval()
    assert discriminator(torch.rand(1, 3, discriminator.least, discriminator.least)).isfinite().all()
    with pytest.raises(RuntimeError):
        discriminator(torch.rand(1, 3, discriminator.least - 1, discriminator.least))


@pytest.mark.parametrize("recipe", ["published", "common"])
def test_patches_too_small_for_the_discriminator_are_refused(small_params, recipe):
    """The common recipe has no discriminator."""
    content = small_params | {"patches": {"size": 16}, "caps": {"patch": 16}}
    content["variants"] = content["variants"] | {"hdr-gan": {"method": "hdr-gan", "preset": "smoke", "recipe": recipe}}
    params, network, settings = Params(**content), methods["hdr-gan"].build("smoke"), Stage2(steps=1, batch=2)
    refusal = pytest.raises(UsageError, match=r"patches of 16 .* discriminator, which needs 54")
    with refusal if recipe == "published" else nullcontext():
        learner_of(params, params.runs["hdr-gan--panoramas--s0"], network, settings, None)


def test_both_networks_are_compiled_without_cuda_graphs(monkeypatch):
    seen = []
    monkeypatch.setattr(torch, "compile", lambda target, **options: seen.append(options) or target)
    learner(Stage2(steps=1, batch=2)).compile("reduce-overhead")
    assert seen == 2 * [{"dynamic": False}]  # CUDA graphs would overwrite the discriminator's first output
