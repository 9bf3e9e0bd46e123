"""One tiler for all: any size, and tiles that can't be told from the whole image."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from bench.core.errors import UsageError
from bench.nn import tiling
from bench.nn.statistics import GroupNorm, Window
from bench.nn.tiling import in_strips, in_windows, pad_reflect, predict, windows


class Picture(nn.Module):
    """A network that answers with the reference's linear half, and remembers the sizes it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[int, int]] = []

    def forward(self, frames: Tensor) -> Tensor:
        self.sizes.append((frames.shape[-2], frames.shape[-1]))
        return frames[:, 1, 3:]


class Blur(nn.Module):
    """A convolution of radius 2 with zero padding: the same everywhere but near a border."""

    def forward(self, frames: Tensor) -> Tensor:
        kernel = torch.arange(25.0, dtype=frames.dtype).view(1, 1, 5, 5) / 300
        return F.conv2d(frames[:, 1, 3:].transpose(0, 1), kernel, padding=2).transpose(0, 1)


def frames(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, 6, height, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


sides = st.integers(1, 40)


@settings(max_examples=60, deadline=None)
@given(sides, sides, st.sampled_from([1, 4, 8, 16]))
def test_any_size_is_padded_and_cropped_back(height, width, multiple):
    network, image = Picture(), frames(height, width)
    torch.testing.assert_close(predict(network, image, multiple=multiple), image[:, 1, 3:], rtol=0, atol=0)
    assert network.sizes == [(-(-height // multiple) * multiple, -(-width // multiple) * multiple)]


@settings(max_examples=60, deadline=None)
@given(sides, sides, st.integers(1, 24), st.integers(1, 30))
def test_tiles_put_the_image_together_again(height, width, tile, overlap):
    network, image = Picture(), frames(height, width)
    out = predict(network, image, multiple=8, tile=tile, overlap=overlap)
    torch.testing.assert_close(out, image[:, 1, 3:], rtol=0, atol=0)
    reach = -(-overlap // 8) * 8
    assert max(max(size) for size in network.sizes) <= max(tile, 8) + 2 * reach
    assert all(edge % 8 == 0 for size in network.sizes for edge in size)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 80), st.integers(0, 20), st.sampled_from([1, 2, 8]))
def test_every_pixel_is_kept_once_and_seen_with_its_surroundings(rows, columns, tile, overlap, multiple):
    size = (rows * multiple, columns * multiple)
    count = torch.zeros(size, dtype=torch.int64)
    for window in windows(size, tile, overlap, multiple):
        count[window.kept] += 1
        for seen, kept, pixels in zip(window.seen, window.kept, size, strict=True):
            assert 0 < kept.stop - kept.start <= max(tile, multiple)
            assert (
                seen.start <= max(kept.start - overlap, 0) and min(kept.stop + overlap, pixels) <= seen.stop <= pixels
            )
            assert seen.start % multiple == seen.stop % multiple == kept.start % multiple == 0
    assert (count == 1).all()


def test_tiles_are_of_nearly_equal_size():
    kept = [window.kept[1] for window in windows((8, 200), 64, 16, 8)]
    assert [(part.start, part.stop) for part in kept] == [(0, 56), (56, 112), (112, 168), (168, 200)]


def test_padding_reflects_without_repeating_the_border():
    padded = pad_reflect(torch.arange(5.0).expand(1, 3, 6, 1, 5), 8)
    assert padded[0, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 3, 2, 1]
    assert padded.shape == (1, 3, 6, 8, 8)


@pytest.mark.parametrize(("overlap", "equal"), [(8, True), (2, True), (1, False)])
def test_a_convolution_gives_the_whole_image_where_tiles_see_as_far_as_it_does(overlap, equal):
    image = frames(64, 56)
    whole = predict(Blur(), image, multiple=1)
    tiled = predict(Blur(), image, multiple=1, tile=20, overlap=overlap)
    assert torch.allclose(tiled, whole, rtol=0, atol=1e-12) == equal


def test_the_output_may_have_another_scale():
    image = frames(48, 32)[0]
    tiles = windows((48, 32), 16, 8, 8)
    pooled, doubled = nn.AvgPool2d(8), nn.Upsample(scale_factor=2)
    for module in (pooled, doubled):
        torch.testing.assert_close(in_windows(module, image, tiles), module(image), rtol=0, atol=0)


def test_a_stride_that_tiles_cannot_be_aligned_to_is_refused():
    tiles = [Window((slice(0, 16), slice(0, 8)), (slice(0, 12), slice(0, 8)))]
    with pytest.raises(UsageError, match="`multiple` must be a multiple of its largest stride"):
        in_windows(nn.AvgPool2d(8), frames(16, 8)[0], tiles)


@pytest.mark.parametrize(("tile", "overlap"), [(16, 0), (0, 8), (64, 8)])
def test_full_frame_where_a_method_needs_it_or_the_image_fits(tile, overlap):
    network = Picture()
    predict(network, frames(40, 33), multiple=8, tile=tile, overlap=overlap)
    assert network.sizes == [(40, 40)]


def test_no_gradient_is_kept():
    assert not predict(Blur(), frames(8, 8).requires_grad_(), multiple=8).requires_grad


class Normed(nn.Module):
    """A norm, a convolution of radius 1 and a norm again; remembers the heights it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = GroupNorm(2, 6).double(), GroupNorm(3, 6).double()
        self.blur = nn.Conv2d(6, 6, 3, padding=1).double()
        self.heights: list[int] = []

    def forward(self, features: Tensor) -> Tensor:
        self.heights.append(features.shape[-2])
        return self.second(self.blur(torch.relu(self.first(features))))


def test_large_maps_are_computed_in_strips_that_cannot_be_told_from_the_whole(monkeypatch):
    module, features = Normed(), frames(60, 20)[0] * torch.linspace(1, 9, 20)
    whole = module(features)
    assert in_strips([module], features, reach=1).requires_grad and module.heights == [60, 60]
    monkeypatch.setattr(tiling, "LARGE", features.numel() - 1)
    with torch.no_grad():
        torch.testing.assert_close(in_strips([module], features, reach=1), whole, rtol=0, atol=1e-12)
    assert max(module.heights[2:]) < 20


def test_a_part_in_strips_takes_the_statistics_of_all_tiles_when_it_runs_in_a_tile(monkeypatch):
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part = Normed()

        def forward(self, features: Tensor) -> Tensor:
            return in_strips([self.part], features, reach=1)

    network, features = Network(), frames(60, 20)[0]
    whole = network(features)
    monkeypatch.setattr(tiling, "LARGE", 1)
    with torch.no_grad():
        tiled = in_windows(network, features, windows((60, 20), 32, 8, 4))
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-12)
