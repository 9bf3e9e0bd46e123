"""Blocks of window transformers that several networks share (Liu et al.: Swin Transformer, ICCV 2021)."""

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from bench.nn.blocks import Linear, ZeroLinear
from bench.nn.windows import STRIP, WindowAttention

SWIN_NAMES = (
    (r"\.attention_norm\.", ".norm1."),
    (r"\.mlp_norm\.", ".norm2."),
    (r"\.attention\.bias_table$", ".attn.relative_position_bias_table"),
    (r"\.attention\.query_key_value\.", ".attn.qkv."),
    (r"\.attention\.project\.", ".attn.proj."),
    (r"\.expand\.", ".fc1."),
    (r"\.contract\.", ".fc2."),
)
"""Regular expressions from our names of a block's parameters to those of the public networks."""

SWIN_BUFFERS = r".*\.(attn_mask|relative_position_index)"
"""Entries of public networks that aren't needed here: masks of the nominal size and position indices."""


def as_map(tokens: Tensor) -> Tensor:
    """(B, H, W, C) to (B, C, H, W), channels last in memory; copies nothing."""
    return tokens.permute(0, 3, 1, 2)


def as_tokens(features: Tensor) -> Tensor:
    """(B, C, H, W) to (B, H, W, C), contiguous where the channels are last in memory."""
    return features.permute(0, 2, 3, 1).contiguous()


class StochasticDepth(nn.Module):
    """In training, drops a residual branch for some images of a batch and scales it up for the others."""

    def __init__(self, share: float) -> None:
        """Drop it with probability `share`, drawn from the framework's random generator.

        Processes that share a batch draw for all of it, from equal generators, and take their part: N equal one.
        """
        super().__init__()
        self.share = share

    def forward(self, branch: Tensor) -> Tensor:
        """(B, ...) to the same; unchanged in evaluation."""
        if not self.training or not self.share:
            return branch
        rank, world = _process()
        drawn = torch.rand(world * len(branch), *[1] * (branch.dim() - 1), device=branch.device)
        kept = drawn[rank * len(branch) : (rank + 1) * len(branch)] >= self.share
        return branch * (kept / (1 - self.share)).to(branch.dtype)


def _process() -> tuple[int, int]:
    """Return this process's rank among those that train together, and their number."""
    together = dist.is_available() and dist.is_initialized()
    return (dist.get_rank(), dist.get_world_size()) if together else (0, 1)


def rising(last: float, groups: int, blocks: int) -> list[list[float]]:
    """Probabilities of stochastic depth for groups of blocks, rising evenly from 0 at the first to `last`."""
    total = groups * blocks
    drops = [last * index / max(total - 1, 1) for index in range(total)]
    return [drops[start : start + blocks] for start in range(0, total, blocks)]


class Mlp(nn.Module):
    """Two linear layers on every token, with the exact GELU between them."""

    def __init__(self, channels: int, hidden: int, outputs: int = 0, *, residual: bool = False) -> None:
        """Return `outputs` channels (0: as many as go in); the last layer of a `residual` branch starts at zero."""
        super().__init__()
        last = ZeroLinear if residual else Linear
        self.expand, self.contract = Linear(channels, hidden), last(hidden, outputs or channels)

    def forward(self, tokens: Tensor) -> Tensor:
        """(..., C) to (..., outputs); in pieces that stay in the cache where no gradient is kept."""
        if torch.is_grad_enabled() or tokens.numel() <= STRIP:
            return self._piece(tokens)
        flat, out = (
            tokens.reshape(-1, tokens.shape[-1]),
            tokens.new_empty(*tokens.shape[:-1], self.contract.out_features),
        )
        size = STRIP // self.expand.out_features
        for start in range(0, len(flat), size):
            part = slice(start, start + size)
            out.view(-1, out.shape[-1])[part] = self._piece(flat[part])
        return out

    def _piece(self, tokens: Tensor) -> Tensor:
        return self.contract(F.gelu(self.expand(tokens)))


class SwinBlock(nn.Module):
    """Window attention, then an MLP, each on normed tokens and added to its input; the identity at the start."""

    def __init__(
        self, channels: int, heads: int, *, shift: int, ratio: float = 2, drop: float = 0, edge: int = 8
    ) -> None:
        """The MLP is `ratio` times as wide; a branch is dropped with probability `drop` in training."""
        super().__init__()
        self.attention_norm, self.mlp_norm = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.attention = WindowAttention(channels, heads, edge=edge, shift=shift)
        self.mlp = Mlp(channels, int(ratio * channels), residual=True)
        self.depth = StochasticDepth(drop)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B, H, W, C) to the same."""
        tokens = tokens + self.depth(self.attention(self.attention_norm(tokens)))
        return tokens + self.depth(self.mlp(self.mlp_norm(tokens)))
