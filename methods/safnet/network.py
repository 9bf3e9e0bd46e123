"""SAFNet and SAFNet-S: alignment, merge, refinement."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.color.transfer import mu_law
from bench.core.errors import UsageError
from bench.core.method import method
from bench.nn.blocks import Conv2d, HdrNetwork, ZeroConv2d, full_precision, known_head, on_base
from bench.nn.published import fill, halves_exchanged
from bench.nn.tiling import in_strips
from methods.safnet.alignment import Alignment, Correspondence, layer, warp

FLOW_UNIT = 20
"""Pixels of motion that the refinement sees as 1."""

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
        return self.act(features + self.second(self.first(features)))


class Refinement(nn.Module):
    """The part added to the merge, from features of the frames; the neighbours' are warped."""

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
    """The part added to the merge in SAFNet-S: seven convolutions on the warped frames."""

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


REFINEMENTS = {"residual": Refinement, "small": SmallRefinement}


class Prediction(NamedTuple):
    """Linear radiance (B, 3, H, W) in [0, 1]: the explicit merge and the refined output."""

    merged: Tensor
    radiance: Tensor


@method(
    "safnet",
    label="SAFNet",
    cites="Kong et al.: SAFNet: Selective Alignment Fusion Network for Efficient HDR Imaging, ECCV 2024",
    trains=True,
    heads=("published", "mu-residual", "rule-residual"),
    presets={
        "published": {"channels": 40, "features": 20},
        "small": {"channels": 40, "features": 32, "refinement": "small"},
        "demo": {"channels": 12, "features": 4},
        "smoke": {"channels": 4, "features": 2},
    },
    conventions={
        "channels": "[linear, LDR]",
        "colours": "RGB",
        "divisor": "65536",
        "output": "clamped to [0, 1]",
    },
    recipe={
        "loss": "L1 on T + 0.01 perceptual, plus 0.1 of (L1 on T + census) on the merge",
        "patch": 512,
        "weight_perceptual": 0.01,
        "initialisation": "framework",
        "differs": "length, learning rate and batch ours: the training code was never released; refinement on the "
        "whole patch, not on windows of 128",
    },
    after_paper=True,
)
class SAFNet(HdrNetwork):
    """Alignment, merge, refinement; the sum is clamped to [0, 1]."""

    def __init__(self, *, channels: int, features: int, refinement: str = "residual", head: str = "published") -> None:
        """The authors' size is 40 channels and 20 features: 1,120,849 parameters; SAFNet-S 40 and 32: 566,713.

        With a head of ours the refinement adds to the head's base, in the mu-law domain, in place of the merge.
        """
        super().__init__()
        self.head = known_head(head)
        if refinement not in REFINEMENTS:
            raise UsageError(f"SAFNet's refinement {refinement!r} is unknown; expected {', '.join(REFINEMENTS)}.")
        self.align = Alignment(channels)
        self.refine = REFINEMENTS[refinement](features)

    def forward(self, frames: Tensor) -> Tensor:
        """Frames (B, 3, 6, H, W) to linear radiance (B, 3, H, W)."""
        return self.trace(frames).radiance

    def trace(self, frames: Tensor) -> Prediction:
        """Frames (B, 3, 6, H, W) to the merge and its refinement."""
        ties = self.align(frames)
        merged = merge(frames, ties)
        guide = torch.cat([ties.flow_short / FLOW_UNIT, ties.flow_long / FLOW_UNIT, *ties[2:], merged], 1)
        refinement = self.refine(frames, guide, ties)
        if self.head != "published":
            with full_precision(refinement):
                return Prediction(merged, on_base(self.head, refinement.to(frames.dtype), frames))
        return Prediction(merged, (merged + refinement).clamp(0, 1))

    def published_losses(
        self, frames: Tensor, truth: Tensor, fidelity: nn.Module, weights: Mapping[str, float]
    ) -> dict[str, Tensor]:
        """Fidelity of the output, plus 0.1 of L1 and census distance of the merge, both in the mu-law domain."""
        merged, radiance = self.trace(frames)
        terms: dict[str, Tensor] = fidelity(radiance, truth)
        encoded, target = mu_law(merged.float()), mu_law(truth.float())
        return terms | {"merge": 0.1 * F.l1_loss(encoded, target), "census": 0.1 * census(encoded, target)}

    @staticmethod
    def load_published(network: nn.Module, state: Mapping[str, Any]) -> None:
        """Fill the network from the authors' parameter names; their frames have the linear half first."""
        small = isinstance(getattr(network, "refine", None), SmallRefinement)
        names = {name: _published_name(name, small) for name in network.state_dict()}
        edits = {name: halves_exchanged(frames) for name, frames in _FIRST.items()}
        fill(network, state, names, "SAFNet", edits=edits)


def census(encoded: Tensor, target: Tensor, size: int = 7) -> Tensor:
    """Distance of the soft census transforms of two images (B, 3, H, W) in [0, 1], as UnFlow defines it (Meister 2018).

    Each pixel is described by its grey difference (on a scale of 255) to all in a window of `size`, squashed to
    (-1, 1); descriptors are compared by the share of entries that differ, softly. Pixels without a whole window don't
    count.
    """
    grey = 255 * torch.cat([encoded, target]).mean(1, keepdim=True)
    windows = F.unfold(grey, size).view(2, len(encoded), size**2, -1)
    difference = windows - windows[:, :, size**2 // 2, None]
    squashed = difference / (0.81 + difference.square()).sqrt()
    apart = (squashed[0] - squashed[1]).square()
    return (apart / (0.1 + apart)).mean()


_FIRST = {
    "align.levels.0.0.0.weight": 1,
    "refine.short.0.0.weight": 1,
    "refine.reference.0.0.weight": 1,
    "refine.long.0.0.weight": 1,
    "refine.layers.0.0.weight": 3,
}
"""Convolutions that take frames, and how many."""

_PUBLISHED = {
    "align.entry": "decoder.conv1",
    "align.exit": "decoder.conv5",
    "align.last": "decoder.conv6",
    "refine.short": "refinenet.conv0",
    "refine.reference": "refinenet.conv1",
    "refine.long": "refinenet.conv2",
}

_COUNTED = {
    "align.levels": ("encoder.pyramid", 1),
    "align.inner": ("decoder.conv", 2),
    "refine.blocks": ("refinenet.resblock", 1),
    "refine.layers": ("refinenet.conv", 1),
}
"""Lists, and what the authors number from where."""

_INSIDE = {"first": "conv1", "second": "conv2", "act": "prelu"}


def _published_name(name: str, small: bool) -> str:
    """Turn our parameter name into the authors'."""
    part, inner, rest = name.split(".", 2)
    group = f"{part}.{inner}"
    if group in _COUNTED:
        stem, start = _COUNTED[group]
        number, *rest_parts = rest.split(".")
        return ".".join([f"{stem}{int(number) + start}", *(_INSIDE.get(word, word) for word in rest_parts)])
    if group == "refine.last":
        return f"refinenet.conv{7 if small else 3}.{rest}"
    return f"{_PUBLISHED[group]}.{rest}"
