"""The dense block computes on quarters of its map what dilated convolutions compute on the whole."""

import pytest
import torch
import torch.nn.functional as F

from bench.nn.dense import DilatedDenseBlock, apart, together
from bench.nn.memory import fastest_order

BATCHES, SIZES = (1, 3), ((12, 20), (2, 2), (7, 10), (10, 7), (5, 5))
ORDERS = (torch.contiguous_format, torch.channels_last)


def dilated(block, features):
    """The block as its authors' equation has it."""
    grown = features
    for layer in block.dense:
        new = F.conv2d(grown, layer.weight, layer.bias, padding=2, dilation=2)
        grown = torch.cat([grown, torch.relu(new)], 1)
    return F.conv2d(grown, block.fuse.weight, block.fuse.bias) + features


def made():
    torch.manual_seed(0)
    block = DilatedDenseBlock(6, 3, 4).double()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return block


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("batch", BATCHES)
def test_block_and_its_gradients_are_those_of_dilated_convolutions(batch, size, order):
    """1e-10: float64, sums of at most 200 products in another order."""
    block = made().to(memory_format=order)
    features = torch.randn(batch, 6, *size, dtype=torch.float64).to(memory_format=order).requires_grad_()
    results = []
    for function in (block, lambda given: dilated(block, given)):
        out = function(features)
        gradients = torch.autograd.grad(out.square().sum(), [features, *block.parameters()])
        results.append([out.detach(), *gradients])
    torch.testing.assert_close(*results, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("order", ORDERS)
def test_quarters_hold_every_second_pixel_and_go_back_in_the_same_order(order):
    features = torch.randn(2, 3, 6, 8).to(memory_format=order)
    quarters = apart(features)
    for index in range(4):
        expected = features[:, :, index // 2 :: 2, index % 2 :: 2]
        assert torch.equal(quarters[2 * index : 2 * index + 2], expected)
    assert quarters.is_contiguous(memory_format=order)
    again = together(quarters)
    assert torch.equal(again, features)
    assert again.is_contiguous(memory_format=order)


@pytest.mark.parametrize(
    ("device", "capability", "expected"),
    [
        ("cpu", "AVX2", torch.contiguous_format),
        ("cpu", "AVX512", torch.channels_last),
        ("cpu", "DEFAULT", torch.channels_last),
        ("cuda", "AVX2", torch.channels_last),
    ],
)
def test_the_memory_order_is_the_processors(device, capability, expected, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert fastest_order(torch.device(device)) == expected
