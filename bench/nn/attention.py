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

from bench.nn.blocks import Conv2d, ZeroConv2d, activation, conv
from bench.nn.statistics import Cosines


class SpatialAttention(nn.Module):
    """AHDRNet's sigmoid attention of a short or long frame, from its features and the reference's."""

    def __init__(self, channels: int) -> None:
        """Attend to maps of `channels`."""
        super().__init__()
        self.join = conv(2 * channels, 2 * channels)
        self.gate = conv(2 * channels, channels)
        self.act = activation()

    def forward(self, neighbour: Tensor, reference: Tensor) -> Tensor:
        """Weigh the neighbour's features (B, C, H, W)."""
        joined = self.act(self.join(torch.cat([neighbour, reference], 1)))
        return neighbour * torch.sigmoid(self.gate(joined))


class ChannelAttention(nn.Module):
    """Cross-attention between channels (Zamir et al.: Restormer, CVPR 2022), here of one map to another.

    The score of two channels is the cosine of all their pixels: a statistic of the whole image.
    """

    def __init__(self, channels: int, heads: int) -> None:
        """`channels` are divided among `heads`, each with a learned temperature; starts without an effect."""
        super().__init__()
        self.query, self.key, self.value = (Conv2d(channels, channels, 1, bias=False) for _ in range(3))
        self.project = ZeroConv2d(channels, channels, 1, bias=False)
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.cosines = Cosines()

    def reset_parameters(self) -> None:
        """Start with temperatures of one."""
        nn.init.ones_(self.temperature)

    def forward(self, tokens: Tensor, source: Tensor) -> Tensor:
        """Queries from `tokens` (B, H, W, C), keys and values from `source`; returns (B, H, W, C)."""
        query, key, value = (
            F.linear(given, layer.weight.flatten(1))
            for given, layer in ((tokens, self.query), (source, self.key), (source, self.value))
        )
        heads, channels = len(self.temperature), tokens.shape[-1]
        cosines = self.cosines(query.permute(0, 3, 1, 2), key.permute(0, 3, 1, 2))
        blocks = cosines.view(-1, heads, channels // heads, heads, channels // heads).diagonal(dim1=1, dim2=3)
        weights = (blocks.permute(0, 3, 1, 2) * self.temperature).softmax(-1)
        # Weighing the values and projecting them are one product, since the weights are the same for all pixels.
        mixed = [
            part @ own
            for part, own in zip(self.project.weight.flatten(1).chunk(heads, 1), weights.unbind(1), strict=True)
        ]
        return (value.flatten(1, 2) @ torch.cat(mixed, -1).mT).view_as(tokens)


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
