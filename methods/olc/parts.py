"""The parts that Table 3 exchanges: alignment (PA), merging of the frames (FSM and others), fusion (RF)."""

import torch
from torch import Tensor, nn

from bench.core.errors import UsageError
from bench.nn.blocks import ResBlock, ZeroConv2d, activation, conv
from bench.nn.deform import DeformConv3x3
from bench.nn.statistics import GlobalMean

FRAMES = 3


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
    """PA(F_NR, F_2): a deformable and an attention branch, steered by two receptive fields (sec. 3.2)."""

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
        return self.merge(torch.cat([deformed, attended], 1))


class Reference(nn.Module):
    """The reference frame's features alone (row 1's skip)."""

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Three maps (B, C, H, W) to the middle one."""
        return maps[FRAMES // 2]


class Sum(nn.Module):
    """The sum of the frames' features (row 3)."""

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Three maps (B, C, H, W) to their sum."""
        return sum(maps[1:], maps[0])


class Concat(nn.Module):
    """A convolution of the concatenated features (row 4, and z_m of rows 1 and 2)."""

    def __init__(self, channels: int) -> None:
        """Keep `channels`."""
        super().__init__()
        self.merge = conv(FRAMES * channels, channels)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Three maps (B, C, H, W) to one."""
        return self.merge(torch.cat(maps, 1))


class FSM(SelectiveKernel):
    """Frame-selective merging: for every channel, softmax weights over the frames. The paper's Table 3 prints FMU."""

    def __init__(self, channels: int) -> None:
        """Merge three frames of `channels`; `order` permutes the frames' weights, for inspection only."""
        super().__init__(channels, FRAMES)
        self.order = list(range(FRAMES))

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Three maps (B, C, H, W) to their weighted sum."""
        return weighted(maps, self.weights(maps)[self.order])


def merger(kind: str, channels: int) -> nn.Module:
    """Return the operator called reference, sum, concat or fsm for maps of `channels`."""
    if kind == "reference":
        return Reference()
    if kind == "sum":
        return Sum()
    if kind in ("concat", "fsm"):
        return (Concat if kind == "concat" else FSM)(channels)
    raise UsageError(f"skip {kind!r} is unknown; expected reference, sum, concat or fsm.")


class ConcatFusion(nn.Module):
    """A convolution of [F, U] or [F, U, F_vq]: rows 1 to 6 of Table 3, which the paper leaves open."""

    def __init__(self, channels: int, sources: int) -> None:
        """Fuse `sources` maps of `channels` into F."""
        super().__init__()
        self.merge = conv((1 + sources) * channels, channels)

    def forward(self, features: Tensor, sources: list[Tensor]) -> Tensor:
        """F and its sources, all (B, C, H, W), to (B, C, H, W)."""
        return self.merge(torch.cat([features, *sources], 1))


class RF(nn.Module):
    """Residual fusion: F' = gamma * F + beta + F with gamma and beta from [U, F_vq].

    gamma starts at zero, beta doesn't: at the start U and F_vq are added to F. Beta is the only way from U at full
    resolution to the output. Were it zero too, a head that starts at zero (`mu-residual`, `rule-residual`) would get no
    gradient through it, and it none through the head: a saddle, which row 7 didn't leave in 600 steps.
    """

    def __init__(self, channels: int, sources: int = 2) -> None:
        """Modulate `channels` by `sources` maps of as many channels."""
        super().__init__()
        self.trunk = nn.Sequential(conv(sources * channels, channels), ResBlock(channels))
        self.gamma = ZeroConv2d(channels, channels, 3, padding=1)
        self.beta = conv(channels, channels)

    def forward(self, features: Tensor, sources: list[Tensor]) -> Tensor:
        """F and its sources, all (B, C, H, W), to (B, C, H, W)."""
        trunk = self.trunk(torch.cat(sources, 1))
        return self.gamma(trunk) * features + self.beta(trunk) + features
