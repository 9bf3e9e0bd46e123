"""Attention that several networks share: to the reference frame, and of queries to keys."""

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

from bench.nn.blocks import activation, conv


class SpatialAttention(nn.Module):
    """AHDRNet's sigmoid attention of a short or long frame, from its features and the reference's."""

    def __init__(self, channels: int, slope: float = 0.01) -> None:
        """Attend to maps of `channels`; `slope` of the activation for negative values."""
        super().__init__()
        self.join = conv(2 * channels, 2 * channels)
        self.gate = conv(2 * channels, channels)
        self.act = activation(slope)

    def forward(self, neighbour: Tensor, reference: Tensor) -> Tensor:
        """Weigh the neighbour's features (B, C, H, W)."""
        joined = self.act(self.join(torch.cat([neighbour, reference], 1)))
        return neighbour * torch.sigmoid(self.gate(joined))


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None) -> Tensor:
    """softmax(q k^T / sqrt(d) + bias) v over the last two axes (..., length, d), by the framework's fused kernels.

    PyTorch's counter of FLOPs has formulas for the fused attention of GPUs; this module adds those of the CPU's.
    """
    return F.scaled_dot_product_attention(query, key, value, attn_mask=bias)


def _forward_flops(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(query, key, value))  # type: ignore[no-untyped-call]


def _backward_flops(gradient: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_backward_flop_count(gradient, query, key, value))  # type: ignore[no-untyped-call]


_FUSED = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_FUSED_BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
for _operator, _formula in ((_FUSED, _forward_flops), (_FUSED_BACKWARD, _backward_flops)):
    if _operator not in flop_registry:
        register_flop_formula(_operator)(_formula)
