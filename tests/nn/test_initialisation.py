"""Initial weights as public codes draw them: their distributions, and what isn't drawn."""

import math

import pytest
import torch
from torch import nn

from bench.core.registry import methods
from bench.nn.blocks import Conv2d, Linear, ZeroConv2d, ZeroLinear
from bench.nn.initialisation import draw
from bench.nn.windows import WindowAttention
from bench.train.loop import seed_parameters
from methods.hdrgan.spectral import ReflectedSpectralConv2d

FAN_IN, FAN_OUT = 32 * 9, 64 * 9
DEVIATIONS = {
    "framework": 1 / math.sqrt(3 * FAN_IN), "glorot": math.sqrt(2 / (FAN_IN + FAN_OUT)), "he": math.sqrt(2 / FAN_IN),
    "normal": 0.02, "truncated-normal": 0.02 * 0.8796,
}  # fmt: skip
BOUNDS = {
    "framework": 1 / math.sqrt(FAN_IN), "glorot": math.sqrt(6 / (FAN_IN + FAN_OUT)),
    "he": 2 * math.sqrt(2 / FAN_IN) / 0.8796, "normal": math.inf, "truncated-normal": 0.04,
}  # fmt: skip


@pytest.mark.parametrize("how", DEVIATIONS)
def test_kernels_have_the_distributions_deviation_and_bound(how):
    torch.manual_seed(0)
    layer = Conv2d(32, 64, 3)
    draw(layer, how)
    assert float(layer.weight.detach().std()) == pytest.approx(DEVIATIONS[how], rel=0.02)
    largest = float(layer.weight.detach().abs().max())
    assert largest <= BOUNDS[how] * 1.0001 and (BOUNDS[how] == math.inf or largest > 0.98 * BOUNDS[how])
    assert bool(layer.bias.any()) == (how == "framework")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda: ZeroConv2d(3, 5, 3), lambda: nn.Conv2d(3, 5, 3)),
        (lambda: Conv2d(3, 5, 3, bias=False), lambda: nn.Conv2d(3, 5, 3, bias=False)),
        (lambda: ZeroLinear(7, 4), lambda: nn.Linear(7, 4)),
        (lambda: Linear(7, 4), lambda: nn.Linear(7, 4)),
        (lambda: nn.ConvTranspose2d(3, 5, 4), lambda: nn.ConvTranspose2d(3, 5, 4)),
    ],
)
def test_the_frameworks_default_is_what_its_own_layer_draws(ours, theirs):
    made = ours()
    torch.manual_seed(3)
    draw(made, "framework")
    torch.manual_seed(3)
    assert all(map(torch.equal, made.parameters(), theirs().parameters()))


def test_transposed_convolutions_of_deephdr_arent_cut_off():
    torch.manual_seed(0)
    layer = nn.ConvTranspose2d(32, 64, 5)
    draw(layer, "truncated-normal")
    assert layer.weight.abs().max() > 0.06


def test_bias_tables_are_drawn_where_the_public_code_does():
    for how, drawn in (("framework", False), ("normal", True)):
        attention = WindowAttention(8, 2)
        draw(attention, how)
        assert bool(attention.bias_table.any()) == drawn


def test_vectors_of_spectral_norm_follow_the_kernel():
    torch.manual_seed(0)
    layer = ReflectedSpectralConv2d(8, 16).eval()
    draw(layer, "he")
    matrix = layer.weight.detach().flatten(1)
    right, left = layer._step()
    assert float(left @ (matrix @ right)) == pytest.approx(float(torch.linalg.matrix_norm(matrix, 2)), rel=0.05)


@pytest.mark.parametrize("name", [name for name, card in methods.items() if card.recipe.get("initialisation")])
def test_initial_weights_are_functions_of_the_seed_and_the_layers_name(name):
    """Norms, slopes and temperatures stay as they are built."""
    how = methods[name].recipe["initialisation"]
    one, other, third = (methods[name].build("smoke") for _ in range(3))
    for network, seed in ((one, 0), (other, 0), (third, 1)):
        seed_parameters(network, seed, how)
    assert all(map(torch.equal, one.parameters(), other.parameters()))
    for (part, mine), theirs in zip(one.named_parameters(), third.parameters(), strict=True):
        module = one.get_submodule(part.rpartition(".")[0])
        if isinstance(module, nn.LayerNorm | nn.BatchNorm2d | nn.PReLU) or part.endswith("temperature"):
            assert torch.equal(mine, theirs) and mine.detach().unique().numel() == 1
