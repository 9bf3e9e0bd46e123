"""Selective alignment: flows and masks of the neighbours, coarse to fine."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.nn.blocks import Conv2d, full_precision

LEVELS = 4
"""Scales on which flows and masks are estimated, from 1/2 of the alignment's resolution down to 1/16."""

GROUPS = 3
"""Groups of the decoder's inner convolutions; their channels are shuffled after each."""

TRUST = -2.0
"""Logit of the masks before training: the neighbours count little until training has found where they help."""


def layer(inputs: int, outputs: int, *, stride: int = 1, dilation: int = 1, groups: int = 1) -> nn.Sequential:
    """Return a 3x3 convolution and a PReLU with one slope per channel."""
    spaced = Conv2d(inputs, outputs, 3, stride, padding=dilation, dilation=dilation, groups=groups)
    return nn.Sequential(spaced, nn.PReLU(outputs))


def warp(features: Tensor, flow: Tensor) -> Tensor:
    """Sample (B, C, H, W) bilinearly at each pixel plus `flow` (B, 2, H, W), x then y in pixels.

    Places outside the image read its border.
    """
    height, width = features.shape[-2:]
    columns = torch.arange(width, dtype=flow.dtype, device=flow.device)
    rows = torch.arange(height, dtype=flow.dtype, device=flow.device)[:, None]
    x = (flow[:, 0] + columns) * (2 / max(width - 1, 1)) - 1
    y = (flow[:, 1] + rows) * (2 / max(height - 1, 1)) - 1
    places = torch.stack([x, y], -1)
    return F.grid_sample(features.to(flow.dtype), places, padding_mode="border", align_corners=True)


def resize(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Resize (B, C, H, W) bilinearly, pixels as areas."""
    return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)


class Correspondence(NamedTuple):
    """The neighbours' ties to the reference: flows (B, 2, H, W) in pixels, masks (B, 1, H, W) in (0, 1)."""

    flow_short: Tensor
    flow_long: Tensor
    mask_short: Tensor
    mask_long: Tensor


class CoarseLast(nn.ConvTranspose2d):
    """The decoder's last layer, which doubles the size; before training it moves nothing and trusts little."""

    def reset_parameters(self) -> None:
        """Set all to zero but the biases of both masks, which add up over the levels."""
        for parameter in self.parameters():
            nn.init.zeros_(parameter)
        if self.bias is not None:
            with torch.no_grad():
                self.bias[4:].fill_(TRUST / LEVELS)


class Alignment(nn.Module):
    """Selective alignment: one encoder for all frames, one decoder for all levels, coarse to fine."""

    def __init__(self, channels: int) -> None:
        """Keep `channels` a frame in the encoder."""
        super().__init__()
        width = GROUPS * channels
        self.levels = nn.ModuleList(
            nn.Sequential(layer(channels if level else 6, channels, stride=2), layer(channels, channels))
            for level in range(LEVELS)
        )
        self.entry = layer(width + 6, width)
        self.inner = nn.ModuleList(layer(width, width, groups=GROUPS) for _ in range(3))
        self.exit = layer(width, width)
        self.last = CoarseLast(width, 6, 4, 2, padding=1)

    def forward(self, frames: Tensor) -> Correspondence:
        """Frames (B, 3, 6, H, W) to flows and masks; estimated at about half the resolution, a multiple of 16."""
        batch, number, channels, *full = frames.shape
        size = [16 * -(-pixels // 32) for pixels in full]
        features = resize(frames.reshape(batch * number, channels, *full), size)
        pyramid = []
        for level in self.levels:
            features = level(features)
            pyramid.append(features.view(batch, number, *features.shape[1:]))
        estimate = frames.new_zeros(batch, 6, *pyramid[-1].shape[-2:])
        for maps in reversed(pyramid):
            estimate = self.finer(maps, estimate)
        estimate = _scaled(resize(estimate, full), full[1] / size[1], full[0] / size[0])
        masks = estimate[:, 4:].sigmoid()
        return Correspondence(estimate[:, :2], estimate[:, 2:4], masks[:, :1], masks[:, 1:])

    def finer(self, maps: Tensor, estimate: Tensor) -> Tensor:
        """Features (B, 3, C, h, w) and the estimate (B, 6, h, w), flows then mask logits, to one of (2h, 2w)."""
        short, long = (warp(maps[:, frame], estimate[:, at : at + 2]) for frame, at in ((0, 0), (2, 2)))
        features = self.entry(torch.cat([short, maps[:, 1], long, estimate], 1))
        for inner in self.inner:
            features = F.channel_shuffle(inner(features), GROUPS)
        features = self.exit(features)
        with full_precision(features):
            residual: Tensor = self.last(features.to(self.last.weight.dtype))
            return _scaled(resize(estimate, residual.shape[-2:]), 2, 2) + residual


def _scaled(estimate: Tensor, x: float, y: float) -> Tensor:
    """Scale both flows of an estimate (B, 6, h, w); mask logits stay."""
    return estimate * estimate.new_tensor([x, y, x, y, 1, 1])[:, None, None]
