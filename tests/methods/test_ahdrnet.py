"""AHDRNet against the authors' network and ytZhang99's port of it.

golden/ahdrnet*_64x64.npz: output and last convolution of the public classes (qingsenyangit/AHDRNet and
ytZhang99/AHDRNet-PyTorch, full size) in float64 on CPU, with weights and input that follow the rule of rule.py.
Tolerance: the stored copy rounds float64 results to float32, an equal program differs by at most 6e-8 near 1; in
float32 the authors' own differs from their float64 result by up to 2e-6.
"""

import numpy as np
import pytest
import torch

from bench.core.registry import methods

from . import rule

PUBLIC = {"published": "ahdrnet", "ytzhang99": "ahdrnet_ytzhang99"}
"""Presets and the public networks that they repeat."""

PRECISION = {torch.float64: 1e-6, torch.float32: 5e-5}


def load(preset):
    network = methods["ahdrnet"].build(preset)
    methods["ahdrnet"].load_published(network, rule.public_state(PUBLIC[preset]))
    return network


@pytest.mark.parametrize("dtype", PRECISION)
@pytest.mark.parametrize("preset", PUBLIC)
def test_it_equals_the_public_network(preset, dtype):
    network, golden, bgr = load(preset).to(dtype), rule.case(f"{PUBLIC[preset]}_64x64").arrays, preset == "ytzhang99"
    out, last = rule.run(network, rule.frames(bgr=bgr, dtype=dtype), network.head.last)
    for array, name in ((out, "out"), (last, "last_conv")):
        np.testing.assert_allclose(array, rule.colours(golden[name], bgr=bgr), rtol=0, atol=PRECISION[dtype])


def test_the_port_has_no_upper_bound():
    network = load("ytzhang99")
    with torch.no_grad():
        network.head.last.bias += 2
    out, _ = rule.run(network, rule.frames(16, 24, bgr=True, dtype=torch.float32))
    assert out.max() > 1


def test_a_large_map_is_computed_in_strips_to_the_same_result(monkeypatch):
    network, frames = load("published"), rule.frames(96, 64, dtype=torch.float32)
    whole, _ = rule.run(network, frames)
    monkeypatch.setattr("bench.nn.tiling.LARGE", 64 * 64 * 24)
    strips, _ = rule.run(network, frames)
    np.testing.assert_allclose(strips, whole, rtol=0, atol=1e-6)
