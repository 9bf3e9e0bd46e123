"""The explicit merge of the warped frames, and the two networks that refine it."""

import torch
from torch import Tensor, nn

from bench.nn.blocks import Conv2d, ZeroConv2d
from bench.nn.tiling import in_strips
from methods.safnet.alignment import Correspondence, layer, warp

DILATIONS = (1, 2, 4, 2, 1)
"""Dilations of the refinement's residual blocks, and of the small variant's layers after the first."""


def merge(frames: Tensor, ties: Correspondence) -> Tensor:
    """Merge the warped linear frames of (B, 3, 6, H, W); returns (B, 3, H, W) in [0, 1].

    The neighbours have the triangle weights of the reference's LDR values times their masks; what the masks take away
    goes to the reference.
    """
    slope = 2 * frames[:, 1, :3] - 1
    bright, dark = slope.clamp(min=0), (-slope).clamp(min=0)
    short, long = bright * ties.mask_short, dark * ties.mask_long
    middle = 1 - slope.abs() + (bright - short) + (dark - long)
    total = short * warp(frames[:, 0, 3:], ties.flow_short) + middle * frames[:, 1, 3:]
    total = total + long * warp(frames[:, 2, 3:], ties.flow_long)
    return total / (short + middle + long + 1e-9)


class DilatedBlock(nn.Module):
    """PReLU(x + conv(PReLU(conv(x)))), both convolutions dilated."""

    def __init__(self, channels: int, dilation: int) -> None:
        """Keep `channels`."""
        super().__init__()
        self.first = layer(channels, channels, dilation=dilation)
        self.second = Conv2d(channels, channels, 3, padding=dilation, dilation=dilation)
        self.act = nn.PReLU(channels)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H, W)."""
        out: Tensor = self.act(features + self.second(self.first(features)))
        return out


class Refinement(nn.Module):
    """What is added to the merge, from features of the frames; the neighbours' are warped."""

    def __init__(self, features: int) -> None:
        """Take `features` channels from each neighbour and twice as many from the reference."""
        super().__init__()
        self.short, self.reference, self.long = (
            nn.Sequential(layer(inputs, outputs), layer(outputs, outputs))
            for inputs, outputs in ((6, features), (15, 2 * features), (6, features))
        )
        self.blocks = nn.ModuleList(DilatedBlock(4 * features, dilation) for dilation in DILATIONS)
        self.last = ZeroConv2d(4 * features, 3, 3, padding=1)

    def forward(self, frames: Tensor, guide: Tensor, ties: Correspondence) -> Tensor:
        """Frames (B, 3, 6, H, W) and `guide` (B, 9, H, W), see `guidance`, to (B, 3, H, W)."""
        joined = torch.cat(
            [
                warp(self.short(frames[:, 0]), ties.flow_short),
                self.reference(torch.cat([frames[:, 1], guide], 1)),
                warp(self.long(frames[:, 2]), ties.flow_long),
            ],
            1,
        )
        return in_strips([*self.blocks, self.last], joined, reach=2 * sum(DILATIONS) + 1)


class SmallRefinement(nn.Module):
    """What is added to the merge in SAFNet-S: seven convolutions on the warped frames."""

    def __init__(self, features: int) -> None:
        """Keep `features` channels."""
        super().__init__()
        spaced = (layer(features, features, dilation=dilation) for dilation in DILATIONS)
        self.layers = nn.ModuleList([layer(27, features), *spaced])
        self.last = ZeroConv2d(features, 3, 3, padding=1)

    def forward(self, frames: Tensor, guide: Tensor, ties: Correspondence) -> Tensor:
        """Frames (B, 3, 6, H, W) and `guide` (B, 9, H, W), see `guidance`, to (B, 3, H, W)."""
        short, long = warp(frames[:, 0], ties.flow_short), warp(frames[:, 2], ties.flow_long)
        joined = torch.cat([short, frames[:, 1], long, guide], 1)
        return in_strips([*self.layers, self.last], joined, reach=sum(DILATIONS) + 2)
