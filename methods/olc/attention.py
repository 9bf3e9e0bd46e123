"""Self-attention of the VQGAN variants that have it, and what it costs."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import (
    flop_registry,
    register_flop_formula,
    sdpa_backward_flop_count,
    sdpa_flop_count,
)

from bench.nn.blocks import conv
from bench.nn.statistics import GroupNorm


class Attention(nn.Module):
    """One-head self-attention over all positions, with a residual connection (taming-transformers' AttnBlock).

    It reaches over the whole image, at a cost that grows with the square of its area. In a tiled prediction the
    decoder's lowest level runs on the whole map all the same.
    """

    def __init__(self, channels: int, groups: int) -> None:
        """Keep `channels`, normed in `groups`."""
        super().__init__()
        self.norm = GroupNorm(groups, channels, eps=1e-6)
        self.query, self.key, self.value = (conv(channels, channels, 1) for _ in range(3))
        self.project = conv(channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H, W)."""
        normed = self.norm(features)
        heads = [part(normed).flatten(2).mT[:, None] for part in (self.query, self.key, self.value)]
        attended = F.scaled_dot_product_attention(*heads)[:, 0].mT.reshape(features.shape)
        out: Tensor = features + self.project(attended)
        return out


def _forward_flops(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(query, key, value))  # type: ignore[no-untyped-call]


def _backward_flops(gradient: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_backward_flop_count(gradient, query, key, value))  # type: ignore[no-untyped-call]


# PyTorch's counter of FLOPs has formulas for the fused attention of GPUs, and took the CPU's for nothing.
_FUSED = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_FUSED_BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
for _operator, _formula in ((_FUSED, _forward_flops), (_FUSED_BACKWARD, _backward_flops)):
    if _operator not in flop_registry:
        register_flop_formula(_operator)(_formula)
