"""Operators that bring the skip U and the codebook's features F_vq into the fidelity decoder."""

import torch
from torch import Tensor, nn

from bench.nn.blocks import ResBlock, ZeroConv2d, conv


class ConcatFusion(nn.Module):
    """A convolution of [F, U] or [F, U, F_vq]: rows 1 to 6 of Table 3, which the paper leaves open."""

    def __init__(self, channels: int, sources: int) -> None:
        """Fuse `sources` maps of `channels` into F."""
        super().__init__()
        self.merge = conv((1 + sources) * channels, channels)

    def forward(self, features: Tensor, sources: list[Tensor]) -> Tensor:
        """F and its sources, all (B, C, H, W), to (B, C, H, W)."""
        out: Tensor = self.merge(torch.cat([features, *sources], 1))
        return out


class RF(nn.Module):
    """Residual fusion: F' = gamma * F + beta + F with gamma and beta from [U, F_vq]; the identity at the start."""

    def __init__(self, channels: int, sources: int = 2) -> None:
        """Modulate `channels` by `sources` maps of as many channels."""
        super().__init__()
        self.trunk = nn.Sequential(conv(sources * channels, channels), ResBlock(channels))
        self.gamma = ZeroConv2d(channels, channels, 3, padding=1)
        self.beta = ZeroConv2d(channels, channels, 3, padding=1)

    def forward(self, features: Tensor, sources: list[Tensor]) -> Tensor:
        """F and its sources, all (B, C, H, W), to (B, C, H, W)."""
        trunk = self.trunk(torch.cat(sources, 1))
        out: Tensor = self.gamma(trunk) * features + self.beta(trunk) + features
        return out
