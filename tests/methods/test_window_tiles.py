"""Tiled predictions of the window transformers at their published depth, with branches that all work."""

import pytest
import torch

from bench.core.registry import methods
from bench.nn.tiling import predict

DEPTHS = {
    "cavit": {"groups": 3, "blocks": 6},
    "sctnet": {"stages": 4, "blocks": 6},
}


@pytest.mark.parametrize("name", DEPTHS)
def test_the_overlap_reaches_as_far_as_the_network_looks(name):
    """With gates and scores of the whole image; what is far away matters little, so it takes float64 to see it."""
    card, stream = methods[name], torch.Generator().manual_seed(0)
    network = card.build("smoke", **DEPTHS[name]).double().eval()
    for parameter in network.parameters():
        parameter.data += 0.2 * torch.randn(parameter.shape, generator=stream, dtype=torch.float64)
    frames = torch.rand(1, 3, 6, 8, 152, generator=stream, dtype=torch.float64)
    whole = predict(network, frames, multiple=card.multiple)
    tiled, short = (
        predict(network, frames, multiple=card.multiple, tile=136, overlap=overlap)
        for overlap in (card.overlap, card.overlap // 8)
    )
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-9)
    assert (short - whole).abs().max() > 1e-9
