"""Dense blocks that several networks share."""

import torch
from torch import Tensor, nn

from bench.nn.blocks import conv


class DilatedDenseBlock(nn.Module):
    """Dense layers of dilated convolutions, a 1x1 convolution back to the input's width, plus the input."""

    def __init__(self, channels: int, layers: int, growth: int) -> None:
        """Each of `layers` adds `growth` channels to what the next one sees."""
        super().__init__()
        widths = [channels + layer * growth for layer in range(layers + 1)]
        self.dense = nn.ModuleList(conv(width, growth, dilation=2) for width in widths[:-1])
        self.fuse = conv(widths[-1], channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H, W)."""
        grown = features
        for layer in self.dense:
            grown = torch.cat([grown, torch.relu(layer(grown))], 1)
        out: Tensor = self.fuse(grown) + features
        return out
