"""SCTNet against a function written from the same descriptions; no output of the authors' network was at hand."""

import numpy as np
import pytest
import torch

from bench.core.registry import methods

from . import naive, rule

CARD = methods["sctnet"]


@pytest.fixture(scope="module")
def public():
    return rule.public_state("sctnet")


@pytest.fixture(scope="module")
def loaded(public):
    network = CARD.build("published")
    CARD.load_published(network, public)
    return network.eval()


def reference(state, size, dtype=torch.float64):
    """Output and last convolution of the function, top-left part, in RGB."""
    drawn = [torch.from_numpy(rule.public_frame(index, *size)).to(dtype) for index in range(3)]
    with torch.no_grad():
        made = naive.sctnet({key: value.to(dtype) for key, value in state.items()}, *drawn)
    return [rule.colours(part.numpy(), bgr=True) for part in made]


@pytest.mark.parametrize("size", [(64, 64), (50, 70)])
def test_it_equals_the_function(public, loaded, size):
    network = loaded.double()
    out, last = rule.run(network, rule.frames(*size, linear_first=True, bgr=True), network.head.last)
    wanted = reference(public, size)
    assert wanted[0].shape[2:] == tuple(-(-edge // 8) * 8 for edge in size)
    np.testing.assert_allclose(out, wanted[0][..., : size[0], : size[1]], rtol=0, atol=1e-9)
    np.testing.assert_allclose(last, wanted[1], rtol=0, atol=1e-9)


def test_it_equals_the_function_in_single_precision(public, loaded):
    network, size = loaded.float(), (56, 40)
    inputs = rule.frames(*size, linear_first=True, bgr=True, dtype=torch.float32)
    out, last = rule.run(network, inputs, network.head.last)
    for made, wanted in zip((out, last), reference(public, size), strict=True):
        np.testing.assert_allclose(made, wanted, rtol=0, atol=5e-5)
