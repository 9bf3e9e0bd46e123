"""Dense blocks that several networks share."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.nn.blocks import conv
from bench.nn.memory import memory_order

DILATION = 2

DENSE_NAMES = ((r"\.dense\.(\d+)", r".dense_layers.\1.conv"), (r"^(RDB_?\d)\.fuse", r"\1.conv_1x1"))
"""Regular expressions from our names inside a block, RDB1 and so on, to AHDRNet's authors' and later networks'."""


class DilatedDenseBlock(nn.Module):
    """Dense layers of dilated convolutions, a 1x1 convolution back to the input's width, plus the input.

    `reach` is how far it looks in pixels, for `bench.nn.tiling.in_strips`: what is grown is many times the input.
    """

    def __init__(self, channels: int, layers: int, growth: int) -> None:
        """Each of `layers` adds `growth` channels to what the next one sees."""
        super().__init__()
        self.reach = DILATION * layers
        widths = [channels + layer * growth for layer in range(layers + 1)]
        self.dense = nn.ModuleList(conv(width, growth, dilation=DILATION) for width in widths[:-1])
        self.fuse = conv(widths[-1], channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H, W).

        Where height and width are even, on the four quarters of every second row and column, which a dilated layer
        never mixes: there it is a plain convolution, whose gradients take a processor a third of the time.
        """
        if features.shape[-2] % 2 or features.shape[-1] % 2:
            return self._on(features, DILATION)
        return together(self._on(apart(features), 1))

    def _on(self, features: Tensor, dilation: int) -> Tensor:
        grown = features
        for layer in self.dense:
            weight, bias = layer.parameters()
            new = F.conv2d(grown, weight, bias, padding=dilation, dilation=dilation)
            grown = torch.cat([grown, new.relu_()], 1)
        return self.fuse(grown) + features


def apart(features: Tensor) -> Tensor:
    """Every second row and column apart: (B, C, 2H, 2W) to (4B, C, H, W)."""
    batch, channels, height, width = features.shape
    quarters = features.view(batch, channels, height // 2, 2, width // 2, 2).permute(3, 5, 0, 1, 2, 4)
    return quarters.flatten(0, 2).contiguous(memory_format=memory_order(features))


def together(quarters: Tensor) -> Tensor:
    """Undo `apart`: (4B, C, H, W) to (B, C, 2H, 2W)."""
    count, channels, height, width = quarters.shape
    parts = quarters.view(2, 2, count // 4, channels, height, width).permute(2, 3, 4, 0, 5, 1)
    return parts.flatten(4, 5).flatten(2, 3).contiguous(memory_format=memory_order(quarters))
