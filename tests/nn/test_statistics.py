"""Statistics of the whole image, from tiles: the framework's values, in as few sweeps as can be."""

import pytest
import torch
from torch import Tensor, nn

from bench.core.errors import UsageError
from bench.nn.statistics import GlobalMean, GroupNorm, OnWhole, Sweeps, require_global
from bench.nn.tiling import in_windows, windows

SIZE = (40, 56)
TILES = windows(SIZE, 16, 8, 8)


def features(channels: int = 6) -> Tensor:
    """A map whose mean and variance differ from place to place."""
    noise = torch.randn(2, channels, *SIZE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return noise * torch.linspace(0.1, 3, SIZE[1], dtype=torch.float64) + torch.linspace(-5, 9, SIZE[0])[:, None]


class Squeeze(nn.Module):
    """Two gates that don't depend on each other, a norm on both, a third gate; counts how far the calls go."""

    def __init__(self, mean: type[nn.Module] = GlobalMean, norm: type[nn.Module] = GroupNorm) -> None:
        super().__init__()
        arguments = (1,) if mean is nn.AdaptiveAvgPool2d else ()
        self.first, self.second, self.third = (mean(*arguments) for _ in range(3))
        self.norm = norm(3, 6, eps=1e-6).double()
        nn.init.normal_(self.norm.weight, generator=torch.Generator().manual_seed(1))
        nn.init.normal_(self.norm.bias, generator=torch.Generator().manual_seed(2))
        self.ends = 0

    def forward(self, maps: Tensor) -> Tensor:
        gated = maps * self.first(maps) + self.second(maps.square())
        normed = torch.tanh(self.norm(gated))
        out = normed * self.third(normed)
        self.ends += 1
        return out


def test_tiles_give_the_statistics_of_the_whole_image():
    network = Squeeze()
    # float64 throughout: only the order of the sums differs.
    torch.testing.assert_close(in_windows(network, features(), TILES), network(features()), rtol=0, atol=1e-12)


def test_statistics_of_tiles_would_be_found():
    network = Squeeze(nn.AdaptiveAvgPool2d, nn.GroupNorm)
    assert (in_windows(network, features(), TILES) - network(features())).abs().max() > 0.1


def test_whole_images_get_what_the_framework_computes():
    ours, theirs = Squeeze(), Squeeze(nn.AdaptiveAvgPool2d, nn.GroupNorm)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    torch.testing.assert_close(ours(features()), theirs(features()), rtol=0, atol=1e-12)
    assert torch.equal(GroupNorm(3, 6)(features().float()), nn.GroupNorm(3, 6)(features().float()))


def test_float32_statistics_are_as_good_as_on_the_whole_image():
    network, maps = nn.Sequential(GroupNorm(3, 6)), features().float() + 100
    truth = nn.GroupNorm(3, 6).double()(maps.double()).float()
    # 100 is about 20 standard deviations: float32 keeps 20 * 2^-23 = 2e-6 of one, times the largest value, about 3.
    torch.testing.assert_close(in_windows(network, maps, TILES), truth, rtol=0, atol=1e-5)


def test_a_sweep_collects_all_that_depends_on_nothing_unsettled_and_goes_no_further():
    network, image = Squeeze(), features()
    sweeps = Sweeps(SIZE)
    collected = []
    for _ in range(3):
        for tile in TILES:
            assert sweeps.run(network, image[(..., *tile.seen)], tile) is None
        collected.append(sorted(sweeps._pending))
        assert sweeps.settle()
    assert collected == [[0, 1], [2], [3]]
    # Only the first tile of the last of these sweeps goes on to the end: others know that nothing comes after the gate.
    assert network.ends == 1
    assert sweeps.run(network, image[(..., *TILES[0].seen)], TILES[0]) is not None
    assert not sweeps.settle()


def test_a_value_that_is_not_a_number_ends_as_it_does_on_the_whole_image():
    network, image = Squeeze(), features()
    image[0, 0, 3, 3] = torch.nan
    torch.testing.assert_close(in_windows(network, image, TILES), network(image), rtol=0, atol=1e-12, equal_nan=True)


def test_no_module_stays_in_a_sweep():
    network = Squeeze()
    in_windows(network, features(), TILES)
    assert all(part.sweeps is None for part in (network.first, network.norm))
    with pytest.raises(IndexError):
        in_windows(nn.Sequential(network, Failing()), features(), TILES)
    assert all(part.sweeps is None for part in (network.first, network.norm))


class Failing(nn.Module):
    def forward(self, maps: Tensor) -> Tensor:
        raise IndexError


class Coarse(nn.Module):
    """A norm over a map at an eighth of the size, computed whole, then brought back; a gate before it."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.whole, self.norm, self.up = GlobalMean(), OnWhole(), nn.GroupNorm(1, 6), nn.Upsample(None, 8)
        self.norm.double()
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, maps: Tensor) -> Tensor:
        deep = nn.functional.avg_pool2d(maps * self.gate(maps), 8)
        coarse, fine = self.whole(self.expensive, deep, -deep)
        return fine + self.up(coarse) * maps

    def expensive(self, deep: Tensor, negative: Tensor) -> list[Tensor]:
        self.shapes.append(tuple(deep.shape))
        normed = self.norm(deep - 2 * negative)
        return [normed, self.up(normed)]


def test_a_part_on_whole_maps_runs_once_whatever_the_tiles():
    network = Coarse()
    tiled = in_windows(network, features(), TILES)
    assert network.shapes == [(2, 6, 5, 7)]
    torch.testing.assert_close(tiled, network(features()), rtol=0, atol=1e-12)


def test_gradients_flow_in_training():
    network, image = Squeeze(), features().requires_grad_()
    network(image).sum().backward()
    assert image.grad is not None and image.grad.abs().sum() > 0


@pytest.mark.parametrize("part", [nn.GroupNorm(1, 2), nn.InstanceNorm2d(2), nn.AdaptiveAvgPool2d(1)])
def test_a_network_with_statistics_of_its_tiles_is_refused(part):
    with pytest.raises(
        UsageError, match=f"Sequential.0 is a {type(part).__name__}, whose statistics would be a tile's"
    ):
        require_global(nn.Sequential(part))
    require_global(Squeeze())
