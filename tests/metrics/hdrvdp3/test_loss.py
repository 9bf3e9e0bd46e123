"""HDR-VDP-3 as a loss: its gradient is that of finite differences, and finite where the slope of a root is infinite."""

import warnings

import pytest
import torch

from bench.metrics.hdrvdp3 import hdrvdp3, hdrvdp3_loss
from bench.metrics.hdrvdp3.display import ENCODINGS
from bench.metrics.hdrvdp3.tasks import TASKS

LINEAR = {"encoding": "rgb-bt.709", "pixels_per_degree": 30.0}


def tensors(scene, height=20, width=23, encoding="rgb-bt.709"):
    pair = (torch.from_numpy(image) for image in scene(height, width, 0, ENCODINGS[encoding].channels))
    return tuple(image * (1.0 if "display" in encoding else 3000.0) for image in pair)


@pytest.mark.parametrize("precision", ["fast", "double"])
def test_the_loss_is_what_quality_lacks(scene, precision):
    test, truth = tensors(scene)
    loss = hdrvdp3_loss(test, truth, **LINEAR, precision=precision)
    assert float(loss) == pytest.approx(10 - hdrvdp3(test, truth, **LINEAR, precision=precision).Q, abs=1e-12)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_scoring_first_leaves_nothing_behind_that_a_gradient_cant_pass(scene, mode):
    """Filters and tables are kept between calls: they must not come from a mode that forbids gradients."""
    test, truth = tensors(scene, 43 if mode is torch.no_grad else 47, 31)
    settings = {"encoding": "rgb-bt.709", "pixels_per_degree": 31.5 if mode is torch.no_grad else 31.75}
    with mode():
        hdrvdp3(test, truth, **settings)
    test.requires_grad_()
    hdrvdp3_loss(test, truth, **settings).backward()
    assert test.grad.any()


@pytest.mark.parametrize("encoding", sorted(ENCODINGS))
def test_gradient_against_finite_differences(scene, encoding):
    test, truth = tensors(scene, encoding=encoding)
    direction = torch.randn(test.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * test

    def along(step):  # relative steps: light spans five decades
        return hdrvdp3_loss(
            test + step * direction, truth, encoding=encoding, pixels_per_degree=30.0, surround="mean",
            precision="double",
        )  # fmt: skip

    assert torch.autograd.gradcheck(
        along, torch.zeros((), dtype=torch.float64, requires_grad=True), eps=1e-7, rtol=1e-3
    )


@pytest.mark.parametrize("task", sorted(set(TASKS) - {"side-by-side"}))
def test_gradient_by_every_task(scene, task):
    test, truth = tensors(scene, 15, 15, "luminance")
    logs = test.log().requires_grad_()  # equal steps of the logarithm suit bright and dark pixels alike

    def loss(logs):
        settings = {"encoding": "luminance", "pixels_per_degree": 20.0, "precision": "double"}
        return hdrvdp3_loss(logs.exp(), truth, **settings, task=task)

    assert torch.autograd.gradcheck(loss, logs, eps=1e-7, rtol=1e-3, atol=1e-6, fast_mode=True)


@pytest.mark.parametrize("precision", ["fast", "double"])
@pytest.mark.parametrize("change", ["none", "one pixel", "dark", "bright", "NaN"])
@pytest.mark.parametrize("encoding", ["rgb-bt.709", "luma-display"])
def test_gradients_are_finite(scene, precision, change, encoding):
    _, truth = tensors(scene, 40, 50, encoding)
    test = truth.clone()
    if change == "one pixel":
        test[20, 20] += 0.2 * truth.max()
    elif change == "dark":
        test *= 0.001
        test[:3] = 0
    elif change == "bright":
        test[10:30] *= 20
    elif change == "NaN":
        test[3:5, 4] = torch.nan
        test[20, 20] += 0.2 * truth.max()
    test.requires_grad_()
    reference = truth.clone().requires_grad_()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hdrvdp3_loss(test, reference, encoding=encoding, pixels_per_degree=30.0, precision=precision).backward()
    assert torch.isfinite(test.grad).all()
    assert torch.isfinite(reference.grad).all()
    assert bool(test.grad.any()) == (change != "none")


def test_descent_brings_an_image_closer(scene):
    test, truth = tensors(scene, 24, 30)
    logs = test.log().requires_grad_()
    optimiser = torch.optim.Adam([logs], lr=0.05)
    losses = []
    for _ in range(10):
        optimiser.zero_grad()
        loss = hdrvdp3_loss(logs.exp(), truth, **LINEAR)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] - 0.2
