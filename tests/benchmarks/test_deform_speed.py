"""Speed of the fused sampling call, as a ratio to nine separate calls in the same run."""

import pytest
import torch
import torch.nn.functional as F

from bench.nn.deform import _sampling_grid, deform_conv3x3

CHANNELS, GROUPS, EDGE, BATCH = 8, 2, 64, 4
"""The demo profile's size."""


@pytest.fixture
def inputs():
    stream = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=stream).requires_grad_()

    return (
        draw(BATCH, CHANNELS, EDGE, EDGE),
        draw(BATCH, 18 * GROUPS, EDGE, EDGE),
        draw(BATCH, 9 * GROUPS, EDGE, EDGE),
        draw(CHANNELS, CHANNELS, 3, 3),
    )


def separate(features, offsets, mask, weight):
    """One sampling call and one 1x1 convolution for each tap."""
    grouped = features.view(BATCH * GROUPS, CHANNELS // GROUPS, EDGE, EDGE)
    grid = _sampling_grid(offsets.view(BATCH * GROUPS, 9, 2, EDGE, EDGE)).view(BATCH * GROUPS, 9, EDGE, EDGE, 2)
    masks = mask.view(BATCH * GROUPS, 9, 1, EDGE, EDGE)
    total = 0
    for tap in range(9):
        sampled = F.grid_sample(grouped, grid[:, tap], padding_mode="zeros", align_corners=False) * masks[:, tap]
        kernel = weight[:, :, tap // 3, tap % 3][:, :, None, None]
        total = total + F.conv2d(sampled.view(BATCH, CHANNELS, EDGE, EDGE), kernel)
    return total


def fused(features, offsets, mask, weight):
    return deform_conv3x3(features, offsets, mask, weight, None)


def step(function, inputs):
    function(*inputs).sum().backward()


@pytest.mark.usefixtures("one_thread")
def test_one_fused_call_is_not_slower_than_nine(inputs, race):
    torch.testing.assert_close(fused(*inputs), separate(*inputs), rtol=1e-4, atol=1e-4)
    ours, theirs = race(lambda: step(fused, inputs), lambda: step(separate, inputs), rounds=8)
    assert ours < 1.1 * theirs


@pytest.mark.usefixtures("one_thread")
def test_deformable_convolution_speed(inputs, benchmark):
    benchmark(step, fused, inputs)
