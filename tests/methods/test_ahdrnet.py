"""AHDRNet and ytZhang99's port: range and strips; test_published.py compares them with the public networks."""

import numpy as np
import torch

from bench.core.registry import methods

from . import rule


def test_the_port_has_no_upper_bound():
    torch.manual_seed(0)
    network = methods["ahdrnet"].build("ytzhang99")
    with torch.no_grad():
        network.head.last.bias += 2
    out, _ = rule.run(network, rule.frames(16, 24, bgr=True, dtype=torch.float32))
    assert out.max() > 1


def test_a_large_map_is_computed_in_strips_to_the_same_result(monkeypatch):
    torch.manual_seed(0)
    network, frames = methods["ahdrnet"].build("published"), rule.frames(96, 64, dtype=torch.float32)
    whole, _ = rule.run(network, frames)
    monkeypatch.setattr("bench.nn.tiling.LARGE", 64 * 64 * 24)
    strips, _ = rule.run(network, frames)
    np.testing.assert_allclose(strips, whole, rtol=0, atol=1e-6)
