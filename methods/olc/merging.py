"""Operators that merge the three frames' features of one scale: rows 1 to 5 of Table 3."""

import torch
from torch import Tensor, nn

from bench.core.errors import UsageError
from bench.nn.blocks import conv
from methods.olc.alignment import SelectiveKernel, weighted

FRAMES = 3


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
        out: Tensor = self.merge(torch.cat(maps, 1))
        return out


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
