"""Inference on whole images: reflection to a legal size, tiles where memory demands. One tiler for all."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.nn.statistics import GLOBAL, Sweeps, Window, empty_like, require_global

LARGE = 1 << 26
"""Values of a map from which on inference computes it in strips, to spare the copies that layers make of it."""


@torch.no_grad()
def predict(network: nn.Module, frames: Tensor, *, multiple: int, tile: int = 0, overlap: int = 0) -> Tensor:
    """Run a network on frames (1, N, 6, H, W) of any size; returns linear radiance (1, 3, H, W).

    The input is padded by reflection at right and bottom to multiples of `multiple` and cropped back. With `tile` > 0
    the result is put together from tiles of about that edge, each computed from `overlap` pixels more on every side
    and with the whole image's statistics (`bench.nn.statistics`): where `overlap` reaches as far as the network looks,
    it is the whole image's result. `overlap` = 0 means that a method needs the full frame, and `tile` is ignored.
    """
    height, width = frames.shape[-2:]
    padded = pad_reflect(frames, multiple)
    if tile <= 0 or overlap <= 0 or max(padded.shape[-2:]) <= tile:
        radiance: Tensor = network(padded)
    else:
        require_global(network)
        size = (padded.shape[-2], padded.shape[-1])
        radiance = in_windows(network, padded, windows(size, tile, overlap, multiple))
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


def windows(size: tuple[int, int], tile: int, overlap: int, multiple: int) -> list[Window]:
    """Divide an image of height and width `size`, multiples of `multiple`, among tiles of nearly equal size.

    A tile keeps at most `tile` pixels a side and sees `overlap` more on each, as far as there are any; all borders lie
    on multiples of `multiple`.
    """
    rows, columns = (_spans(pixels, tile, overlap, multiple) for pixels in size)
    return [Window((row[0], column[0]), (row[1], column[1])) for row in rows for column in columns]


def _spans(pixels: int, tile: int, overlap: int, multiple: int) -> list[tuple[slice, slice]]:
    """The pixels that each tile sees and those that it keeps, along one axis."""
    number = -(-pixels // max(tile // multiple * multiple, multiple))
    step = -(-pixels // (number * multiple)) * multiple
    reach = -(-overlap // multiple) * multiple
    kept = [slice(start, min(start + step, pixels)) for start in range(0, pixels, step)]
    return [(slice(max(part.start - reach, 0), min(part.stop + reach, pixels)), part) for part in kept]


def in_windows(module: nn.Module, features: Tensor, tiles: Sequence[Window]) -> Tensor:
    """Run `module` on (..., H, W) window by window; returns what they keep, put together, at its output's scale.

    Sweeps over all windows settle the statistics of the whole image first, those that need no other before those that
    do; the last sweep makes the output.
    """
    height, width = features.shape[-2:]
    sweeps, out = Sweeps((height, width)), torch.empty(0)
    while True:
        for window in tiles:
            part = sweeps.run(module, features[(..., *window.seen)], window)
            if part is None:
                continue
            if window is tiles[0]:
                tall, wide = (window.seen[axis].stop - window.seen[axis].start for axis in (0, 1))
                whole = (height * part.shape[-2] // tall, width * part.shape[-1] // wide)
                out = empty_like(part, whole)
            out[window.beyond(part)] = part[window.within(part)]
        if not sweeps.settle():
            return out


def in_strips(parts: Sequence[nn.Module], features: Tensor, reach: int) -> Tensor:
    """Run `parts` one after another on (B, C, H, W), in strips of rows where no gradient is kept and the map is large.

    reach : rows of `features` that the parts look up and down. Inside a tile they run on all of what the tile sees.
    """
    height, width = features.shape[-2:]
    if torch.is_grad_enabled() or features.numel() <= LARGE or _in_tile(parts):
        for part in parts:
            features = part(features)
        return features
    rows = max(height * LARGE // (4 * features.numel()), 8 * reach)
    columns = slice(0, width)
    strips = [Window((seen, columns), (kept, columns)) for seen, kept in _spans(height, rows, reach, 1)]
    return in_windows(nn.Sequential(*parts), features, strips)


def _in_tile(parts: Sequence[nn.Module]) -> bool:
    return any(isinstance(one, GLOBAL) and one.sweeps is not None for part in parts for one in part.modules())
