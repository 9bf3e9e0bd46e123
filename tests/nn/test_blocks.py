"""Blocks that several networks share: where they start and what they can give."""

import numpy as np
import pytest
import torch

from bench.core.errors import UsageError
from bench.core.registry import methods
from bench.core.scene import Scene
from bench.nn.blocks import HEADS, Head, ResBlock, ZeroConv2d, conv
from bench.nn.frames import scene_input


@pytest.fixture
def frames():
    return torch.rand(2, 3, 6, 8, 9, generator=torch.Generator().manual_seed(0))


def test_the_residual_head_starts_as_the_reference(frames):
    radiance = Head(5, "mu-residual")(torch.randn(2, 5, 8, 9), frames)
    torch.testing.assert_close(radiance, frames[:, 1, 3:], rtol=1e-4, atol=1e-6)


def test_the_head_on_the_rule_and_the_method_without_training_are_one_rule():
    """Codes around the threshold, channels apart; scenes of either depth."""
    for dtype in (np.uint8, np.uint16):
        full = np.iinfo(dtype).max
        codes = np.random.default_rng(0).integers(0, full, (3, 8, 9, 3), dtype, endpoint=True)
        codes[1, 0] = np.rint(np.array([0.89, 0.9, 0.91]) * full)
        scene = Scene("codes", codes, np.array([1.0, 4, 16]), 1)
        radiance = Head(5, "rule-residual")(torch.randn(1, 5, 8, 9), scene_input(scene))[0].permute(1, 2, 0)
        wanted = methods["brighter-where-clipped"].predict(scene)
        torch.testing.assert_close(radiance.detach(), torch.from_numpy(wanted), rtol=1e-4, atol=1e-6)
        linear, clipped = scene.linear, scene.ldr[1] > 0.9
        np.testing.assert_array_equal(wanted, np.where(clipped, np.maximum(linear[0], linear[1]), linear[1]))
        assert (linear[0] < linear[1])[clipped].any() and (linear[0] > linear[1])[clipped].any()
        assert clipped[0, :, 2].all() and not clipped[0, :, 0].any() and wanted.dtype == np.float32


@pytest.mark.parametrize("kind", HEADS)
def test_a_head_stays_in_the_physical_range(kind, frames):
    head = Head(5, kind)
    torch.nn.init.normal_(head.last.weight, std=3)
    radiance = head(10 * torch.randn(2, 5, 8, 9), frames)
    assert radiance.shape == (2, 3, 8, 9)
    assert radiance.isfinite().all() and radiance.min() >= 0 and radiance.max() <= 1


def test_the_published_head_is_the_sigmoid_of_a_convolution(frames):
    head, features = Head(5, "published"), torch.randn(2, 5, 8, 9)
    torch.testing.assert_close(head(features, frames), torch.sigmoid(head.last(features)))


@pytest.mark.parametrize("kind", HEADS)
def test_a_head_answers_in_fp32_under_autocast(kind, frames):
    with torch.autocast("cpu", torch.bfloat16):
        assert Head(5, kind)(torch.randn(2, 5, 8, 9).bfloat16(), frames).dtype == torch.float32


def test_an_unknown_head_is_refused():
    with pytest.raises(
        UsageError, match="output head 'tanh' is unknown; expected one of published, mu-residual, rule-residual"
    ):
        Head(5, "tanh")


@pytest.mark.parametrize(("size", "stride", "dilation"), [(1, 1, 1), (3, 1, 1), (5, 1, 1), (3, 2, 1), (3, 1, 2)])
def test_a_convolution_keeps_the_size_divided_by_the_stride(size, stride, dilation):
    out = conv(2, 3, size, stride, dilation)(torch.rand(1, 2, 16, 24))
    assert out.shape == (1, 3, 16 // stride, 24 // stride)


def test_a_zero_convolution_is_zero_after_every_reset():
    layer = ZeroConv2d(2, 3, 3)
    torch.nn.init.ones_(layer.weight)
    layer.reset_parameters()
    assert not layer(torch.rand(1, 2, 5, 5)).any()


def test_a_residual_block_adds_to_its_input():
    block, features = ResBlock(4), torch.rand(1, 4, 6, 6)
    torch.nn.init.zeros_(block.body[2].weight)
    torch.nn.init.zeros_(block.body[2].bias)
    torch.testing.assert_close(block(features), features)
