"""Self- and cross-attention in shifted windows (Liu et al.: Swin Transformer, ICCV 2021), on tokens (B, H, W, C).

Tokens lie as a map with the channels last does, so that turning one into the other copies nothing. Height and width
are multiples of the window's edge; the networks pad.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from bench.nn.attention import attend
from bench.nn.blocks import Linear, ZeroLinear
from bench.nn.memory import piecewise

SCORES = 1 << 18
"""Scores q k^T that the CPU's gradient holds at once, 1 MiB: they stay in the cache."""

STRIP = 1 << 18
"""Values of a map that are worked on at once where no gradient is kept: 1 MiB, so that all stays in the cache."""

APART = -100.0
"""The authors' masks add this to the score of two tokens that only the shift has brought into one window."""


class WindowGrid(NamedTuple):
    """The division of a map: rows and columns of windows, their edge in pixels, how far they are shifted.

    `first` is the row of windows that a strip of the map starts with.
    """

    rows: int
    columns: int
    edge: int
    shift: int
    first: int = 0

    def is_last(self, row: int) -> bool:
        """Tell if a row of windows, counted over all images of a batch, is its image's last."""
        return (self.first + row) % self.rows == self.rows - 1


def split_windows(tokens: Tensor, edge: int) -> Tensor:
    """Cut (B, H, W, C) into rows of windows (B H/edge, W/edge, edge^2, C)."""
    batch, height, width, channels = tokens.shape
    parts = tokens.reshape(batch * height // edge, edge, width // edge, edge, channels).transpose(1, 2)
    return parts.reshape(batch * height // edge, width // edge, edge * edge, channels)


def join_windows(windows: Tensor, edge: int, rows: int) -> Tensor:
    """Put (B rows, columns, edge^2, C) together to (B, H, W, C): the inverse of `split_windows`."""
    columns, channels = windows.shape[1], windows.shape[3]
    parts = windows.reshape(-1, columns, edge, edge, channels).transpose(1, 2)
    return parts.reshape(-1, rows * edge, columns * edge, channels)


@lru_cache(maxsize=8)
def shifted_masks(edge: int, shift: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return what is added to the scores of shifted windows: (2, 2, edge^2, edge^2), made once.

    The first index is 1 for windows in the last row, the second for those in the last column: only there a cyclic shift
    brings together what lies apart. So the masks are the same for all sizes.
    """
    # In numbers: PyTorch 2.13's compiler fails on comparisons of truth values that follow from positions.
    beyond = (torch.arange(edge, device=device) - (edge - shift - 1)).clamp(0, 1).to(dtype)
    down, right = (side.expand(edge, edge).reshape(-1) for side in (beyond[:, None], beyond[None]))
    rows, columns = ((side[:, None] - side).abs() for side in (down, right))
    kinds = torch.stack([torch.zeros_like(rows), columns, rows, torch.maximum(rows, columns)])
    return (APART * kinds).view(2, 2, edge * edge, edge * edge)


@lru_cache(maxsize=8)
def relative_positions(edge: int, device: torch.device) -> Tensor:
    """Row of the bias table for every pair of a window's tokens: (edge^2, edge^2) int64."""
    side = torch.arange(edge, device=device)
    down, right = (place[:, None] - place + edge - 1 for place in (side.repeat_interleave(edge), side.repeat(edge)))
    return down * (2 * edge - 1) + right


def _kept(function: Any) -> Any:
    """Return a cached function; for compiled code what it wraps, since a compiler looks through a cache and warns."""
    return function.__wrapped__ if torch.compiler.is_compiling() else function


def _row_biases(bias: Tensor, grid: WindowGrid) -> list[Tensor]:
    """Biases of a row of windows, (columns, heads, edge^2, edge^2): of a row in between, and of the last one."""
    if not grid.shift:
        return [bias.expand(grid.columns, *bias.shape)] * 2
    masks = _kept(shifted_masks)(grid.edge, grid.shift, bias.dtype, bias.device)
    return [bias + torch.cat([row[:1].expand(grid.columns - 1, -1, -1), row[1:]])[:, None] for row in masks]


def attend_windows(packs: Sequence[Tensor], bias: Tensor, grid: WindowGrid) -> Tensor:
    """Multi-head attention within windows: (B rows, columns, edge^2, C).

    packs : queries, keys and values (B rows, columns, edge^2, 3, heads, C / heads) in one tensor, or queries
            (..., 1, heads, C / heads), then keys and values (..., 2, heads, C / heads).
    bias  : (heads, edge^2, edge^2), added to the scores.
    """
    bias = bias.to(packs[0].dtype)
    if piecewise(packs[0]):
        return _RowByRow.apply(bias, grid, *packs)  # type: ignore[no-untyped-call]
    return _attend_at_once(packs, bias, grid)


def _attend_at_once(packs: Sequence[Tensor], bias: Tensor, grid: WindowGrid) -> Tensor:
    """`attend_windows` in one call, with a bias for every window: for GPUs and compiled code."""
    rows = min(len(packs[0]), grid.rows)
    query, key, value = (
        part.reshape(-1, rows * grid.columns, *part.shape[2:]).transpose(2, 3).flatten(1, 2)
        for pack in packs
        for part in pack.unbind(3)
    )
    kinds = _row_biases(bias, grid)
    biases = torch.stack([kinds[grid.is_last(row)] for row in range(rows)]).flatten(0, 2)
    attended = attend(query, key, value, biases)
    return attended.reshape(-1, len(bias), *query.shape[2:]).transpose(1, 2).reshape(*packs[0].shape[:3], -1)


class _RowByRow(torch.autograd.Function):
    """Attention of one row of windows after another, on the CPU.

    The framework's fused kernel gives no gradient of the bias; its other kernel keeps all scores, 100 MB for each layer
    and head count of the published networks at 256 x 256. Here they are made again for the gradient, in pieces that
    stay in the cache.
    """

    @staticmethod
    def forward(ctx: Any, bias: Tensor, grid: WindowGrid, *packs: Tensor) -> Tensor:
        """Arguments and result as those of `attend_windows`."""
        ctx.grid = grid
        ctx.save_for_backward(bias, *packs)
        # Detached, or the framework would choose the kernel that could differentiate the bias.
        bias = bias.detach()
        query, key, value = (part.transpose(2, 3) for pack in packs for part in pack.detach().unbind(3))
        if not grid.shift:
            flat = [part.flatten(0, 1) for part in (query, key, value)]
            return attend(flat[0], flat[1], flat[2], bias[None]).transpose(1, 2).reshape(*packs[0].shape[:3], -1)
        out = packs[0].new_empty(*query.shape[:2], query.shape[3], query.shape[2], query.shape[4])
        biases = _row_biases(bias, grid)
        for row in range(len(out)):
            out[row] = attend(query[row], key[row], value[row], biases[grid.is_last(row)]).transpose(1, 2)
        return out.flatten(3)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, out: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the bias and of the packs."""
        bias, *packs = ctx.saved_tensors
        grid, made, on_bias = ctx.grid, [torch.empty_like(pack) for pack in packs], torch.zeros_like(bias)
        given, into = ([part for pack in some for part in pack.unbind(3)] for some in (packs, made))
        out, biases = out.reshape(given[0].shape), _row_biases(bias, grid)
        step = max(1, SCORES // bias.numel())
        for row in range(len(out)):
            for start in range(0, grid.columns, step):
                part = (row, slice(start, start + step))
                piece = _Piece(*(some[part].transpose(1, 2) for some in (*given, out)))
                gradients = piece.gradients(biases[grid.is_last(row)][part[1]])
                for whole, gradient in zip(into, gradients[:3], strict=True):
                    whole[part] = gradient.transpose(1, 2)
                on_bias += gradients[3].sum(0)
        return on_bias, None, *made


class _Piece(NamedTuple):
    """Some windows' queries, keys, values, and gradient of the result: all (windows, heads, length, C / heads)."""

    query: Tensor
    key: Tensor
    value: Tensor
    out: Tensor

    def gradients(self, bias: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the gradients of queries, keys, values and scores; bias (windows, heads, length, length)."""
        scale = self.query.shape[-1] ** -0.5
        scores = (self.query @ self.key.mT).mul_(scale).add_(bias)
        weights = torch.softmax(scores, -1)
        change = torch._softmax_backward_data(self.out @ self.value.mT, weights, -1, weights.dtype)
        on_value, shrunk = weights.mT @ self.out, scale * self.query
        return (change @ self.key).mul_(scale), change.mT @ shrunk, on_value, change


class WindowAttention(nn.Module):
    """Attention of every token to those in its window, with a learned bias for each relative position."""

    def __init__(self, channels: int, heads: int, *, edge: int = 8, shift: int = 0, cross: bool = False) -> None:
        """Windows of `edge` pixels, shifted by `shift`; `cross`: keys and values come from another map.

        The projection starts at zero, but not that of another map: it may be this map's only way to the output.
        """
        super().__init__()
        self.heads, self.edge, self.shift, self.cross = heads, edge, shift, cross
        if cross:
            self.query, self.key_value = Linear(channels, channels), Linear(channels, 2 * channels)
        else:
            self.query_key_value = Linear(channels, 3 * channels)
        self.bias_table = nn.Parameter(torch.zeros((2 * edge - 1) ** 2, heads))
        self.project = (Linear if cross else ZeroLinear)(channels, channels)

    def reset_parameters(self) -> None:
        """Start without a preference for any position."""
        nn.init.zeros_(self.bias_table)

    def bias(self) -> Tensor:
        """Return what is added to the scores: (heads, edge^2, edge^2)."""
        rows = _kept(relative_positions)(self.edge, self.bias_table.device)
        return self.bias_table[rows.reshape(-1)].T.reshape(self.heads, *rows.shape)

    def forward(self, tokens: Tensor, source: Tensor | None = None) -> Tensor:
        """Queries from `tokens` (B, H, W, C), keys and values from `source`, or from `tokens`; returns (B, H, W, C)."""
        maps = [tokens] if source is None else [tokens, source]
        if self.shift:
            maps = [part.roll((-self.shift, -self.shift), (1, 2)) for part in maps]
        out = self._rolled(maps)
        return out.roll((self.shift, self.shift), (1, 2)) if self.shift else out

    def _rolled(self, maps: Sequence[Tensor]) -> Tensor:
        """Attend within windows of maps that the shift has moved; in strips where no gradient is kept."""
        rows, columns = (size // self.edge for size in maps[0].shape[1:3])
        grid = WindowGrid(rows, columns, self.edge, self.shift)
        bias = self.bias()
        if torch.is_grad_enabled() or maps[0].numel() <= STRIP:
            return self._strip(maps, bias, grid)
        out, step = torch.empty_like(maps[0]), max(1, STRIP * rows // maps[0][0].numel())
        for image in range(len(out)):
            for first in range(0, rows, step):
                part = slice(image, image + 1), slice(first * self.edge, (first + step) * self.edge)
                out[part] = self._strip([whole[part] for whole in maps], bias, grid._replace(first=first))
        return out

    def _strip(self, maps: Sequence[Tensor], bias: Tensor, grid: WindowGrid) -> Tensor:
        """Attend within the windows of whole images or of a strip of one."""
        layers = [self.query, self.key_value] if self.cross else [self.query_key_value]
        packs = [self._by_head(layer(split_windows(part, self.edge))) for layer, part in zip(layers, maps, strict=True)]
        attended = attend_windows(packs, bias, grid)
        return join_windows(self.project(attended), self.edge, maps[0].shape[1] // self.edge)

    def _by_head(self, pack: Tensor) -> Tensor:
        """(..., n C) to (..., n, heads, C / heads)."""
        channels = self.project.in_features
        return pack.view(*pack.shape[:-1], -1, self.heads, channels // self.heads)
