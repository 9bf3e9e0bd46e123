"""PA, parallel alignment of a neighbour frame's features to the reference's, section 3.2 of the paper."""

import torch
from torch import Tensor, nn

from bench.nn.blocks import ZeroConv2d, activation, conv
from bench.nn.deform import DeformConv3x3
from bench.nn.statistics import GlobalMean


class SelectiveKernel(nn.Module):
    """Fuse branches of different receptive field by channel weights from their pooled sum (Li et al. 2019)."""

    def __init__(self, channels: int, branches: int) -> None:
        """Fuse `branches` maps of `channels`."""
        super().__init__()
        hidden = max(channels // 2, 16)
        self.pool = GlobalMean()
        self.squeeze = nn.Sequential(conv(channels, hidden, 1), activation())
        self.heads = nn.ModuleList(conv(hidden, channels, 1) for _ in range(branches))

    def weights(self, maps: list[Tensor]) -> Tensor:
        """(M, B, C, 1, 1), a softmax over the M maps for every channel."""
        hidden = self.squeeze(self.pool(sum(maps[1:], maps[0])))
        return torch.stack([head(hidden) for head in self.heads]).softmax(0)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """M maps (B, C, H, W) to their weighted sum (B, C, H, W)."""
        return weighted(maps, self.weights(maps))


def weighted(maps: list[Tensor], weights: Tensor) -> Tensor:
    """Sum of M maps (B, C, H, W) by weights (M, B, C, 1, 1), without a copy of them all."""
    total = maps[0] * weights[0]
    for shown, weight in zip(maps[1:], weights[1:], strict=True):
        total = torch.addcmul(total, shown, weight)
    return total


class ParallelAlignment(nn.Module):
    """PA(F_NR, F_2): a deformable and an attention branch, both steered by two receptive fields of both frames."""

    def __init__(self, channels: int, groups: int) -> None:
        """Keep `channels`; `groups` deformable groups."""
        super().__init__()
        self.fields = nn.ModuleList(nn.Sequential(conv(2 * channels, channels, size), activation()) for size in (3, 5))
        self.select = SelectiveKernel(channels, 2)
        self.offsets = ZeroConv2d(channels, 27 * groups, 3, padding=1)
        self.deform = DeformConv3x3(channels, groups)
        self.attention = nn.Sequential(conv(channels, channels), activation(), conv(channels, channels), nn.Sigmoid())
        self.merge = conv(2 * channels, channels)

    def forward(self, neighbour: Tensor, reference: Tensor) -> Tensor:
        """Features (B, C, H, W) of a short or long frame and of the reference to aligned features (B, C, H, W)."""
        joined = torch.cat([neighbour, reference], 1)
        steering = self.select([field(joined) for field in self.fields])
        deformed = self.deform.guided(neighbour, steering, self.offsets)
        attended = neighbour * self.attention(steering)
        out: Tensor = self.merge(torch.cat([deformed, attended], 1))
        return out
