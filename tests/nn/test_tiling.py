"""One tiler for all: any size, and tiles that can't be told from the whole image."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from bench.nn.tiling import _ramp, _starts, pad_reflect, predict


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
@given(sides, sides, st.sampled_from([8, 16, 24]), st.integers(1, 30))
def test_tiles_blend_to_one(height, width, tile, overlap):
    network, image = Picture(), frames(height, width)
    out = predict(network, image, multiple=8, tile=tile, overlap=overlap)
    torch.testing.assert_close(out, image[:, 1, 3:], rtol=0, atol=1e-12)
    assert max(max(size) for size in network.sizes) <= tile
    assert all(edge % 8 == 0 for size in network.sizes for edge in size)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 20), st.integers(1, 4), st.integers(1, 14))
def test_tiles_cover_every_pixel(eighths, tile, overlap):
    size, tile = 8 * eighths, 8 * tile
    starts = list(_starts(size, tile, min(overlap, tile // 2)))
    covered = {pixel for start in starts for pixel in range(start, min(start + tile, size))}
    assert covered == set(range(size))
    assert starts == sorted(set(starts)) and starts[-1] == max(size - tile, 0)


def test_ramps_rise_linearly_and_never_reach_zero():
    ramp = _ramp(10, 4, torch.zeros(1))
    torch.testing.assert_close(ramp, torch.tensor([0.25, 0.5, 0.75, 1, 1, 1, 1, 0.75, 0.5, 0.25]))


def test_padding_reflects_without_repeating_the_border():
    padded = pad_reflect(torch.arange(5.0).expand(1, 3, 6, 1, 5), 8)
    assert padded[0, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 3, 2, 1]
    assert padded.shape == (1, 3, 6, 8, 8)


def test_inside_its_tiles_a_convolution_gives_the_whole_image():
    image = frames(64, 64)
    whole = predict(Blur(), image, multiple=8)
    tiled = predict(Blur(), image, multiple=8, tile=32, overlap=8)
    near_seam = torch.zeros(64, dtype=torch.bool)
    for start in _starts(64, 32, 8):
        for border in (start, start + 32):
            near_seam[max(border - 2, 0) : border + 2] = 0 < border < 64
    inside = ~(near_seam[:, None] | near_seam)
    assert inside.float().mean() > 0.5
    torch.testing.assert_close(tiled[..., inside], whole[..., inside], rtol=0, atol=1e-12)
    assert not torch.allclose(tiled, whole)


@pytest.mark.parametrize(("tile", "overlap"), [(16, 0), (0, 8), (64, 8)])
def test_full_frame_where_a_method_needs_it_or_the_image_fits(tile, overlap):
    network = Picture()
    predict(network, frames(40, 33), multiple=8, tile=tile, overlap=overlap)
    assert network.sizes == [(40, 40)]


def test_no_gradient_is_kept():
    assert not predict(Blur(), frames(8, 8).requires_grad_(), multiple=8).requires_grad
