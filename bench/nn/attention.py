"""Attention to the reference frame that several networks share."""

import torch
from torch import Tensor, nn

from bench.nn.blocks import activation, conv


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
