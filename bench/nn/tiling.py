"""Inference on whole images: reflection to a legal size, overlapped tiles where memory demands. One tiler for all."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@torch.no_grad()
def predict(network: nn.Module, frames: Tensor, *, multiple: int, tile: int = 0, overlap: int = 0) -> Tensor:
    """Run a network on frames (1, N, 6, H, W) of any size; returns linear radiance (1, 3, H, W).

    The input is padded by reflection at right and bottom to multiples of `multiple` and cropped back. With `tile` > 0,
    tiles of that edge that share `overlap` pixels are blended linearly; `overlap` = 0 means that a method needs the
    full frame, and `tile` is ignored.
    """
    height, width = frames.shape[-2:]
    padded = pad_reflect(frames, multiple)
    if tile <= 0 or overlap <= 0 or max(padded.shape[-2:]) <= tile:
        radiance: Tensor = network(padded)
    else:
        radiance = _tiled(network, padded, tile, min(overlap, tile // 2))
    return radiance[..., :height, :width]


def pad_reflect(frames: Tensor, multiple: int) -> Tensor:
    """Pad (B, N, C, H, W) at right and bottom by reflection to multiples; tiny images reflect repeatedly."""
    batch, number, channels, *_ = frames.shape
    flat = frames.reshape(batch * number, channels, *frames.shape[-2:])
    while (need := [-flat.shape[-1] % multiple, -flat.shape[-2] % multiple]) != [0, 0]:
        right, bottom = min(need[0], flat.shape[-1] - 1), min(need[1], flat.shape[-2] - 1)
        if right + bottom == 0:
            flat = F.pad(flat, (0, need[0], 0, need[1]), mode="replicate")
        else:
            flat = F.pad(flat, (0, right, 0, bottom), mode="reflect")
    return flat.view(batch, number, channels, *flat.shape[-2:])


def _tiled(network: nn.Module, frames: Tensor, tile: int, overlap: int) -> Tensor:
    height, width = frames.shape[-2:]
    total = frames.new_zeros(1, 3, height, width)
    weights = frames.new_zeros(1, 1, height, width)
    for top in _starts(height, tile, overlap):
        for left in _starts(width, tile, overlap):
            window = (..., slice(top, min(top + tile, height)), slice(left, min(left + tile, width)))
            radiance = network(frames[window])
            ramp = _ramp(radiance.shape[-2], overlap, frames)[:, None] * _ramp(radiance.shape[-1], overlap, frames)
            total[window] += radiance * ramp
            weights[window] += ramp
    return total / weights


def _starts(size: int, tile: int, overlap: int) -> Iterator[int]:
    last = max(size - tile, 0)
    yield from range(0, last, tile - overlap)
    yield last


def _ramp(size: int, overlap: int, like: Tensor) -> Tensor:
    """Weights of a tile along one axis: linear over the overlap at both ends, never zero."""
    position = torch.arange(size, device=like.device, dtype=like.dtype)
    nearest = torch.minimum(position, size - 1 - position) + 1
    return torch.clamp(nearest / overlap, max=1.0)
