"""Tiled predictions of networks with pooled statistics, deformable offsets and a codebook: those of the whole image."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.color.transfer import mu_law
from bench.core.registry import methods
from bench.nn import statistics
from bench.nn.blocks import ZeroConv2d
from bench.nn.tiling import predict

CARD = methods["olc"]
PRIOR = {"vqgan": {"codes": 64, "segments": "olc"}}
VARIANTS = {
    "row 7": PRIOR,
    "row 6": {**PRIOR, "prior": "concat"},
    "row 5": {"prior": "none"},
    "row 1": {"prior": "none", "skip": "reference", "alignment": "none"},
}
TOLERANCE = 1e-4
"""In the mu-law domain: the project's promise. Float32 sums in another order give about 1e-6."""


def network(options: dict, **more) -> nn.Module:
    """A small network whose branches all work: no convolution that starts at zero is left so."""
    torch.manual_seed(0)
    built = CARD.build("smoke", **options, **more).eval()
    for name, part in built.named_modules():
        if isinstance(part, ZeroConv2d):
            # Offsets get a standard deviation of about two pixels, the rest an effect of usual size.
            nn.init.normal_(part.weight, std=0.5 if name.endswith("offsets") else 0.1)
            nn.init.normal_(part.bias, std=0.5 if name.endswith("offsets") else 0.1)
    built.calibrate()
    return built


def bracket(height: int, width: int) -> Tensor:
    """Smooth frames whose brightness changes across the image, so that a tile's statistics aren't the image's."""
    stream = torch.Generator().manual_seed(1)
    coarse = torch.rand(1, 18, 2 + height // 10, 2 + width // 10, generator=stream)
    fine = F.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)
    return (fine * torch.linspace(0.1, 1, width)).view(1, 3, 6, height, width)


def difference(net: nn.Module, frames: Tensor, tile: int, overlap: int) -> float:
    """Return the largest difference between a tiled prediction and the whole image's, in the mu-law domain."""
    whole = predict(net, frames, multiple=CARD.multiple)
    tiled = predict(net, frames, multiple=CARD.multiple, tile=tile, overlap=overlap)
    return float((mu_law(tiled) - mu_law(whole)).abs().max())


@pytest.mark.parametrize(
    ("variant", "tile"), [("row 7", 64), ("row 7", 88), ("row 6", 88), ("row 5", 88), ("row 1", 88)]
)
def test_tiles_equal_the_whole_image(variant, tile):
    assert difference(network(VARIANTS[variant]), bracket(128, 228), tile, CARD.overlap) < TOLERANCE


@pytest.mark.parametrize("blocks", [1, 2])
def test_the_overlap_reaches_as_far_as_the_network_looks(blocks):
    net = network(PRIOR, blocks=blocks)
    # Two tiles, with what lies beyond the overlap in each.
    assert difference(net, bracket(16, 448), 224, CARD.overlap) < TOLERANCE
    assert difference(net, bracket(16, 448), 224, 8) > 10 * TOLERANCE


def test_a_statistic_of_the_tile_would_be_found(monkeypatch):
    monkeypatch.setattr(statistics.GlobalMean, "forward", lambda _, features: features.mean((2, 3), keepdim=True))
    assert difference(network({"prior": "none"}), bracket(128, 228), 64, CARD.overlap) > 10 * TOLERANCE


@pytest.mark.parametrize("norm", [statistics.GroupNorm.forward, nn.GroupNorm.forward])
def test_norms_would_agree_without_a_decoder_on_whole_maps_if_they_were_the_images(monkeypatch, norm):
    # The decoder looks about 140 pixels far: with this overlap every tile sees all, and keeps a part.
    monkeypatch.setattr(statistics.OnWhole, "forward", lambda _, function, *maps: list(function(*maps)))
    monkeypatch.setattr(statistics.GroupNorm, "forward", norm)
    gap = difference(network(PRIOR), bracket(24, 400), 120, 160)
    assert gap < TOLERANCE if norm is not nn.GroupNorm.forward else gap > 10 * TOLERANCE


@pytest.mark.parametrize(("height", "width"), [(64, 64), (65, 700), (331, 67), (9, 1)])
def test_any_size(height, width):
    assert difference(network(PRIOR), bracket(height, width), 160, CARD.overlap) < TOLERANCE
