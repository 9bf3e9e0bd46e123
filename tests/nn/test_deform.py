"""Deformable convolution: equal to a naive loop and to the plain convolution it generalises."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench.core.errors import UsageError
from bench.nn import deform
from bench.nn.deform import DeformConv3x3, _whole, deform_conv3x3


@pytest.fixture(params=[1, 200, 1 << 18], ids=["rows", "few", "whole"])
def strip(request, monkeypatch):
    """Strips of one row, of a few, and the whole of these small images."""
    monkeypatch.setattr(deform, "SAMPLES", request.param)


def bilinear(image: Tensor, y: float, x: float) -> Tensor:
    """(C, H, W) at one place in pixels; zero outside, with a bilinear fall-off at the border."""
    total = torch.zeros(len(image), dtype=image.dtype)
    for row, column in itertools.product((math.floor(y), math.floor(y) + 1), (math.floor(x), math.floor(x) + 1)):
        if 0 <= row < image.shape[1] and 0 <= column < image.shape[2]:
            total += image[:, row, column] * (1 - abs(y - row)) * (1 - abs(x - column))
    return total


def naive(features: Tensor, offsets: Tensor, mask: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    batch, channels, height, width = features.shape
    groups = mask.shape[1] // 9
    part = channels // groups
    out = bias[None, :, None, None].repeat(batch, 1, height, width)
    for b, g, k, row, column in itertools.product(range(batch), range(groups), range(9), range(height), range(width)):
        y = row + k // 3 - 1 + float(offsets[b, 18 * g + 2 * k, row, column])
        x = column + k % 3 - 1 + float(offsets[b, 18 * g + 2 * k + 1, row, column])
        sample = mask[b, 9 * g + k, row, column] * bilinear(features[b, g * part : (g + 1) * part], y, x)
        out[b, :, row, column] += weight[:, g * part : (g + 1) * part, k // 3, k % 3] @ sample
    return out


def arguments(height: int, width: int, *, groups: int = 2, scale: float = 2.0) -> list[Tensor]:
    stream = torch.Generator().manual_seed(height * 100 + width)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=stream, dtype=torch.float64)

    offsets, mask = scale * draw(2, 18 * groups, height, width), torch.sigmoid(draw(2, 9 * groups, height, width))
    return [draw(2, 4, height, width), offsets, mask, draw(3, 4, 3, 3), draw(3)]


@pytest.mark.parametrize("size", [(5, 6), (1, 7), (6, 1), (1, 1)])
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("offsets", ["fractional", "integer", "outside"])
def test_it_equals_a_naive_loop(size, groups, offsets):
    given = arguments(*size, groups=groups, scale=20.0 if offsets == "outside" else 2.0)
    if offsets == "integer":
        given[1] = given[1].round()
    torch.testing.assert_close(deform_conv3x3(*given), naive(*given), rtol=0, atol=1e-10)


def test_channels_and_taps_are_laid_out_as_documented():
    """Offset (1, 2) for group 1, tap 5 alone: only that sample moves, one down and two right."""
    features = torch.arange(2 * 7 * 8, dtype=torch.float64).view(1, 2, 7, 8)
    offsets, mask = torch.zeros(1, 36, 7, 8, dtype=torch.float64), torch.zeros(1, 18, 7, 8, dtype=torch.float64)
    offsets[:, 18 + 10], offsets[:, 18 + 11], mask[:, 9 + 5] = 1, 2, 1
    out = deform_conv3x3(features, offsets, mask, torch.ones(1, 2, 3, 3, dtype=torch.float64), None)
    torch.testing.assert_close(out[0, 0, 2, 3], features[0, 1, 2 + 0 + 1, 3 + 1 + 2])


@pytest.mark.parametrize("size", [(9, 11), (1, 5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_offsets_it_is_the_plain_convolution(size, dtype):
    features, offsets, mask, weight, bias = (tensor.to(dtype) for tensor in arguments(*size))
    out = deform_conv3x3(features, torch.zeros_like(offsets), torch.ones_like(mask), weight, bias)
    assert out.dtype == dtype
    torch.testing.assert_close(out, F.conv2d(features, weight, bias, padding=1), rtol=0, atol=1e-5)


def test_gradients_are_right():
    given = [tensor.requires_grad_() for tensor in arguments(3, 4)]
    assert torch.autograd.gradcheck(deform_conv3x3, given, eps=1e-7, atol=1e-5, fast_mode=True)


def test_without_a_bias_the_other_gradients_stay():
    *given, bias = [tensor.requires_grad_() for tensor in arguments(3, 4)]
    factor = torch.arange(12.0, dtype=torch.float64).view(3, 4)
    grads = [torch.autograd.grad((deform_conv3x3(*given, added) * factor).sum(), given) for added in (None, bias)]
    for without, having in zip(*grads, strict=True):
        torch.testing.assert_close(without, having)


def test_coordinates_are_fp32_under_autocast():
    """In bf16 a column near 200 would be rounded to whole pixels."""
    features = torch.arange(256.0).expand(1, 2, 3, 256).contiguous()
    offsets, mask, weight = torch.full((1, 18, 3, 256), 0.25), torch.zeros(1, 9, 3, 256), torch.zeros(1, 2, 3, 3)
    offsets[:, ::2], mask[:, 4], weight[0, 0, 1, 1] = 0, 1, 1
    with torch.autocast("cpu", torch.bfloat16):
        out = deform_conv3x3(features - 200, offsets, mask, weight, None)
    assert float(out[0, 0, 1, 201]) == pytest.approx(1.25, abs=0.01)


def test_groups_must_divide_the_channels():
    features, offsets, mask, weight, bias = arguments(4, 4, groups=3)
    with pytest.raises(UsageError, match=r"4 channels can't be split into 3 groups"):
        deform_conv3x3(features, offsets, mask, weight, bias)


def test_the_module_splits_offsets_and_mask_logits():
    layer, features = DeformConv3x3(4, 2), torch.randn(2, 4, 5, 6)
    steering = torch.randn(2, 54, 5, 6)
    wanted = deform_conv3x3(
        features, steering[:, :36], torch.sigmoid(steering[:, 36:]), layer.kernel.weight, layer.kernel.bias
    )
    torch.testing.assert_close(layer(features, steering), wanted)


@pytest.mark.usefixtures("strip")
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("scale", [0.3, 2.0, 20.0])
def test_strips_equal_one_call_for_the_whole_image(groups, scale):
    """Values and all gradients, also where samples leave their strip or the image; both sum in another order."""
    given = [tensor.requires_grad_() for tensor in arguments(13, 7, groups=groups, scale=scale)]
    outs = [function(*given) for function in (deform_conv3x3, _whole)]
    torch.testing.assert_close(*outs, rtol=0, atol=1e-10)
    factor = torch.randn(outs[0].shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    grads = [torch.autograd.grad((out * factor).sum(), given) for out in outs]
    for ours, theirs in zip(*grads, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9)


@pytest.mark.usefixtures("strip")
def test_a_guide_steers_as_its_convolution_does():
    """In float64 both differ by the order of sums alone."""
    torch.manual_seed(0)
    layer, predictor = DeformConv3x3(4, 2).double(), torch.nn.Conv2d(5, 54, 3, padding=1).double()
    given = [torch.randn(2, channels, 11, 6, dtype=torch.float64, requires_grad=True) for channels in (4, 5)]
    wanted = [*given, *predictor.parameters(), *layer.parameters()]
    outs = layer.guided(given[0], given[1], predictor), layer(given[0], predictor(given[1]))
    torch.testing.assert_close(*outs, rtol=0, atol=1e-10)
    grads = [torch.autograd.grad((out**2).sum(), wanted) for out in outs]
    for ours, theirs in zip(*grads, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9)


def test_frozen_parts_get_no_gradient_and_the_rest_does():
    layer, predictor = DeformConv3x3(4, 2), torch.nn.Conv2d(4, 54, 3, padding=1)
    predictor.requires_grad_(False)
    features, guide = torch.randn(1, 4, 5, 6), torch.randn(1, 4, 5, 6, requires_grad=True)
    layer.guided(features, guide, predictor).sum().backward()
    assert predictor.weight.grad is None
    assert guide.grad.abs().sum() > 0
    assert layer.kernel.weight.grad.abs().sum() > 0


def test_offsets_that_are_not_numbers_stay_where_they_are():
    """A NaN offset spoils its own sample at most, not the search for the rows that a strip needs."""
    features, offsets, mask, weight, bias = arguments(9, 8)
    broken = offsets.clone()
    broken[0, 0, 4, 4] = torch.nan
    out, wanted = (
        deform_conv3x3(features, broken, mask, weight, bias),
        deform_conv3x3(features, offsets, mask, weight, bias),
    )
    elsewhere = torch.ones(9, 8, dtype=torch.bool)
    elsewhere[4, 4] = False
    torch.testing.assert_close(out[..., elsewhere], wanted[..., elsewhere], rtol=0, atol=1e-10)


class Largest(TorchDispatchMode):
    """Remembers the number of elements of the largest tensor that an operator returns."""

    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self.elements = max(self.elements, tensor.numel())
        return out


def test_steering_of_a_large_image_is_never_held():
    """216 channels of steering for 8 groups would be 27 times the features; a strip and the output are held."""
    layer, predictor = DeformConv3x3(8, 8), torch.nn.Conv2d(8, 216, 3, padding=1)
    features = torch.randn(1, 8, 300, 200)
    with Largest() as seen, torch.no_grad():
        layer.guided(features, features, predictor)
    assert seen.elements <= 3 * deform.SAMPLES  # offsets and mask of a strip
    assert seen.elements < 216 * 300 * 200 / 10
