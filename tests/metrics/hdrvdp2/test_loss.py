"""HDR-VDP-2 as a loss: its gradient is that of finite differences, and finite where the logarithm is steepest."""

import pytest
import torch

from bench.metrics.hdrvdp2 import hdrvdp2, hdrvdp2_loss

LINEAR = {"color_encoding": "rgb-bt.709", "pixels_per_degree": 30.0}


def tensors(scene, height=20, width=23, factor=3000.0):
    test, truth = scene(height, width)
    return torch.from_numpy(test) * factor, torch.from_numpy(truth) * factor


@pytest.mark.parametrize("precision", ["fast", "double"])
def test_the_loss_is_what_quality_lacks(scene, precision):
    test, truth = tensors(scene)
    loss = hdrvdp2_loss(test, truth, **LINEAR, precision=precision)
    assert float(loss) == pytest.approx(100 - hdrvdp2(test, truth, **LINEAR, precision=precision).q, abs=1e-12)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_scoring_first_leaves_nothing_behind_that_a_gradient_cant_pass(scene, mode):
    """Filters and tables are kept between calls: they must not come from a mode that forbids gradients."""
    test, truth = tensors(scene, 43 if mode is torch.no_grad else 47, 31)
    with mode():
        hdrvdp2(test, truth, color_encoding="rgb-bt.709", pixels_per_degree=31.25)
    test.requires_grad_()
    hdrvdp2_loss(test, truth, color_encoding="rgb-bt.709", pixels_per_degree=31.25).backward()
    assert test.grad.any()


def test_negative_luma_has_no_slope_and_no_nan(scene):
    test, truth = (torch.from_numpy(image[..., 0]) for image in scene(30, 40))
    test[:5] = -0.1
    test[5] = 0
    test.requires_grad_()
    hdrvdp2_loss(test, truth, color_encoding="luma-display", pixels_per_degree=30.0).backward()
    assert torch.isfinite(test.grad).all()
    assert not test.grad[:5].any()
    assert test.grad.any()


@pytest.mark.parametrize("encoding", ["rgb-bt.709", "sRGB-display", "luminance"])
def test_gradient_against_finite_differences(scene, encoding):
    test, truth = tensors(scene, factor=1.0 if "display" in encoding else 3000.0)
    if encoding == "luminance":
        test, truth = test[..., 0], truth[..., 0]
    direction = torch.randn(test.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * test

    def along(step):  # relative steps: light spans five decades
        return hdrvdp2_loss(
            test + step * direction, truth, color_encoding=encoding, pixels_per_degree=30.0, precision="double"
        )

    assert torch.autograd.gradcheck(
        along, torch.zeros((), dtype=torch.float64, requires_grad=True), eps=1e-7, rtol=1e-3
    )


def test_gradient_of_every_pixel_of_a_small_image(scene):
    test, truth = tensors(scene, 17, 18)
    logs = test[..., 0].log().requires_grad_()  # equal steps of the logarithm suit bright and dark pixels alike

    def loss(logs):
        settings = {"color_encoding": "luminance", "pixels_per_degree": 20.0, "precision": "double"}
        return hdrvdp2_loss(logs.exp(), truth[..., 0], **settings)

    assert torch.autograd.gradcheck(loss, logs, eps=1e-7, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("precision", ["fast", "double"])
@pytest.mark.parametrize("change", ["none", "one pixel", "dark", "bright"])
def test_gradients_are_finite(scene, precision, change):
    _, truth = tensors(scene, 40, 50)
    test = truth.clone()
    if change == "one pixel":
        test[20, 20] *= 1.01
    elif change == "dark":
        test *= 0.001
    elif change == "bright":
        test[10:30] = 5e4
    test.requires_grad_()
    reference = truth.clone().requires_grad_()
    hdrvdp2_loss(test, reference, **LINEAR, precision=precision).backward()
    assert torch.isfinite(test.grad).all()
    assert torch.isfinite(reference.grad).all()
    assert bool(test.grad.any()) == (change != "none")


def test_descent_brings_an_image_closer(scene):
    test, truth = tensors(scene, 40, 50)
    logs = test.log().requires_grad_()
    optimiser = torch.optim.Adam([logs], lr=0.05)
    losses = []
    for _ in range(20):
        optimiser.zero_grad()
        loss = hdrvdp2_loss(logs.exp(), truth, **LINEAR)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] - 1
