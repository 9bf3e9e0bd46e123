"""What a step or a prediction costs, against counts made by hand and by others."""

from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bench.core.params import load
from bench.core.registry import methods
from bench.nn import windows
from bench.nn.blocks import HdrNetwork, conv
from bench.nn.windows import WindowAttention
from bench.stages.cost import counting
from bench.stages.cost.setups import counted, setup
from bench.stages.training import networks
from bench.train.learner import HdrLearner

ROOT = Path(__file__).resolve().parents[3]
PAPER = load(ROOT / "profiles/paper/params.yaml")
STAGE2 = PAPER.stage2


class OneConvolution(HdrNetwork):
    """3x3 convolution of the 18 channels of three frames to RGB, then a sigmoid."""

    def __init__(self):
        super().__init__()
        self.last = conv(18, 3)

    def forward(self, frames):
        return torch.sigmoid(self.last(frames.flatten(1, 2)))


def one_convolution():
    network = OneConvolution()
    return HdrLearner(network, STAGE2, None), []


def cost_of(params, stage):
    return counted(setup(params, stage, "olc-1024--kalantari--s0"), params.precision)


@pytest.fixture(scope="module")
def found():
    return counting.training_step(one_convolution, batch=2, size=16, step=0)


class TestByHand:
    """A batch of 2 patches of 16x16 through one convolution of 18 to 3 channels."""

    PRODUCTS = 2 * 16 * 16 * 18 * 3 * 9
    FRAMES, RADIANCE = 4 * 2 * 18 * 16 * 16, 4 * 2 * 3 * 16 * 16

    def test_flops(self, found):
        # Forward, and the gradient of the weight; the frames take none. Two FLOPs for a multiply-add.
        assert found.flops == 2 * 2 * self.PRODUCTS

    def test_flops_of_a_prediction(self):
        assert counting.prediction(OneConvolution, height=8, width=24).flops == 2 * 8 * 24 * 18 * 3 * 9

    def test_parameters(self, found):
        assert (found.trainable, found.frozen) == (18 * 3 * 9 + 3, 0)

    def test_traffic_holds_what_cannot_be_avoided_and_not_much_more(self, found):
        least = 2 * self.FRAMES + 2 * self.RADIANCE  # the convolution forward and its weight's gradient
        # Of the other operators none touches more than the radiance; forward and backward they are fewer than 40, with
        # three tensors of its size each at most.
        assert least < found.traffic < least + 40 * 3 * self.RADIANCE

    def test_kept_are_the_input_and_maps_of_the_losss_size(self, found):
        assert self.FRAMES + self.RADIANCE <= found.saved <= self.FRAMES + 8 * self.RADIANCE
        assert found.memory == found.saved + 16 * found.trainable


def test_weights_are_not_counted_as_kept():
    def wide():
        network = OneConvolution()
        network.last = nn.Sequential(nn.Conv2d(18, 512, 1), nn.Conv2d(512, 3, 1))
        return HdrLearner(network, STAGE2, None), []

    found = counting.training_step(wide, batch=1, size=8, step=0)
    maps = 4 * 8 * 8 * (18 + 512 + 8 * 3)
    assert found.saved <= maps


def test_a_batch_costs_as_many_samples_and_parts_only_less_memory():
    one, four = (counting.training_step(one_convolution, batch=batch, size=16, step=0) for batch in (1, 4))
    parts = counting.training_step(one_convolution, batch=4, size=16, step=0, parts=4)
    assert four.flops == parts.flops == 4 * one.flops
    assert parts.saved == one.saved < four.saved


def test_bf16_moves_and_keeps_less_and_computes_as_much():
    small = setup(PAPER, "train", "olc-baseline--kalantari--s0")._replace(size=64)
    full, half = counted(small, "fp32"), counted(small, "bf16")
    assert half.flops == full.flops
    assert 0.4 < half.saved / full.saved < 0.9
    assert 0.4 < half.traffic / full.traffic < 0.9


class TestAgainstAnIndependentCount:
    """Variant A, C = 32, 256x256, VGG-16 in the loss: TFLOP of a sample by a count of operations on another graph.

    That count was made on networks written from the same specification by someone else, forward and backward, two
    FLOPs for a multiply-add: 0.360 (stage 1, generator), 0.038 (discriminator) and 0.710 (stage 2). The specification
    leaves small layers open, such as projections and reduction widths; 3 % is room for them and for nothing else.
    """

    def test_stage_1(self):
        phases = dict(cost_of(PAPER, "codebook").phases)
        tera = {name: flops / PAPER.stage1.batch / 1e12 for name, flops in phases.items()}
        assert tera == pytest.approx({"generator": 0.360, "discriminator": 0.038}, rel=0.03)

    @pytest.mark.parametrize(
        ("network", "generator", "stage2"), [("A+attn", 0.394, 0.732), ("B", 0.523, 0.804), ("C", 1.579, 1.401)]
    )
    def test_other_networks(self, network, generator, stage2):
        """The same count for the specification's other VQGANs."""
        settings = PAPER.stage1.model_copy(update={"network": network, "batch": 1})
        other = PAPER.model_copy(update={"stage1": settings, "stage2": PAPER.stage2.model_copy(update={"batch": 1})})
        first = dict(cost_of(other, "codebook").phases)["generator"]
        second = cost_of(other, "train").flops
        assert (first / 1e12, second / 1e12) == pytest.approx((generator, stage2), rel=0.03)

    def test_stage_2(self):
        found = cost_of(PAPER, "train")
        assert found.flops / PAPER.stage2.batch / 1e12 == pytest.approx(0.710, rel=0.03)
        assert found.trainable == pytest.approx(13.2e6, rel=0.01)

    def test_a_whole_picture(self):
        build = partial(networks.build, PAPER, PAPER.runs["olc-1024--kalantari--s0"])
        found = counting.prediction(build, height=1000, width=1504)
        assert found.flops / 2 == pytest.approx(2.4e12, rel=0.03)


def test_counts_are_those_of_a_real_step():
    """FLOPs as PyTorch's counter has them; operators and bytes as they pass by with real tensors, 32x32 pixels."""
    smoke = load(ROOT / "profiles/smoke/params.yaml")
    name = next(iter(smoke.runs_with_codebook))
    learner = HdrLearner(networks.build(smoke, smoke.runs[name]), smoke.stage2, None)
    frames, truth = torch.rand(2, 3, 6, 32, 32), torch.rand(2, 3, 32, 32)
    with counting._as_on_a_gpu(), FlopCounterMode(display=False) as counter, counting._Counter() as passed:
        torch.stack(list(learner.losses("network", frames, truth, 0, slice(0, 2)).values())).sum().backward()
    without = smoke.model_copy(update={"perceptual": smoke.perceptual.model_copy(update={"backbone": "none"})})
    found = counted(setup(without, "train", name), "fp32")
    assert found.flops == counter.get_total_flops()
    assert found.operators == passed.operators
    assert found.traffic == passed.traffic + counting.ADAM * found.trainable


def test_counting_draws_no_random_numbers():
    before = torch.random.get_rng_state()
    counting.training_step(one_convolution, batch=1, size=16, step=0)
    assert torch.equal(before, torch.random.get_rng_state())


def test_networks_of_windows_run_after_they_were_counted():
    """Tables of positions and masks are kept between calls: fake ones must not be."""
    network, tokens = WindowAttention(4, 2, shift=4), torch.rand(1, 16, 16, 4)
    nn.init.normal_(network.project.weight)
    expected = network(tokens)
    for kept in (windows.relative_positions, windows.shifted_masks):
        kept.cache_clear()
    counting.multiply_adds(_Windows(network), height=16, width=16)
    again = network(tokens)
    assert type(again) is torch.Tensor
    torch.testing.assert_close(again, expected)


def plain_attention(packs, bias, grid):
    """Attention in all windows at once, by the framework's function, with the bias and the mask of every window."""
    shape = packs[0].shape
    query, key, value = (
        part.reshape(-1, grid.rows * grid.columns, *part.shape[2:]).transpose(2, 3)
        for pack in packs
        for part in pack.unbind(3)
    )
    added = bias.expand(grid.rows * grid.columns, *bias.shape)
    if grid.shift:
        regions = torch.zeros(grid.rows * grid.edge, grid.columns * grid.edge)
        regions[-grid.edge : -grid.shift] += 1
        regions[-grid.shift :] += 2
        regions[:, -grid.edge : -grid.shift] += 3
        regions[:, -grid.shift :] += 6
        kinds = windows.split_windows(regions[None, ..., None], grid.edge).flatten(0, 1)[..., 0]
        added = added + windows.APART * (kinds[:, None, None] != kinds[:, None, :, None])
    with sdpa_kernel(SDPBackend.MATH):
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=added)
    return attended.transpose(2, 3).reshape(*shape[:3], -1)


def step_of(method, preset, **sizes):
    """Count a step of a method's network without perceptual loss."""
    return counting.training_step(
        lambda: (HdrLearner(methods[method].build(preset), STAGE2, None), []), step=0, **sizes
    )


TRANSFORMERS = ("cavit", "sctnet", "afunet")


class TestAttention:
    """What a GPU runs, however the CPU goes through the windows."""

    def test_the_plain_one_is_the_networks_own(self):
        attention = WindowAttention(8, 2, edge=8, shift=4)
        nn.init.normal_(attention.bias_table)
        grid, bias = windows.WindowGrid(2, 3, 8, 4), attention.bias()
        packs = [torch.rand(4, 3, 64, 3, 2, 4)]
        torch.testing.assert_close(plain_attention(packs, bias, grid), windows.attend_windows(packs, bias, grid))

    @pytest.mark.parametrize("method", TRANSFORMERS)
    def test_at_once_and_at_most_linear_in_the_batch(self, method, monkeypatch):
        one, four = (step_of(method, "smoke", batch=batch, size=32) for batch in (1, 4))
        assert four.operators <= 1.05 * one.operators and four.products == one.products
        assert one.traffic < four.traffic <= 4 * one.traffic
        assert four.flops == 4 * one.flops
        monkeypatch.setattr(windows, "_attend_at_once", plain_attention)
        plain = step_of(method, "smoke", batch=4, size=32)
        assert four.traffic == pytest.approx(plain.traffic, rel=0.1)
        assert four.flops == plain.flops


class _Windows(nn.Module):
    """Window attention in the shape of a network: frames in, tokens of four channels out."""

    def __init__(self, attention):
        super().__init__()
        self.attention = attention

    def forward(self, frames):
        return self.attention(frames[:, 0, :4].permute(0, 2, 3, 1))
