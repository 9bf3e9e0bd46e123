"""SAFNet and SAFNet-S: alignment, merge, refinement."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.color.transfer import mu_law
from bench.core.errors import UsageError
from bench.core.method import method
from bench.nn.blocks import HdrNetwork
from bench.nn.published import fill, halves_exchanged
from methods.safnet.alignment import Alignment
from methods.safnet.fusion import Refinement, SmallRefinement, merge

FLOW_UNIT = 20
"""Pixels of motion that the refinement sees as 1."""

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
    heads=("published",),
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
        "differs": "refinement on the whole patch, not on windows of 128; the training code was never released",
    },
    after_paper=True,
)
class SAFNet(HdrNetwork):
    """Alignment, merge, refinement; the sum is clamped to [0, 1]."""

    def __init__(self, *, channels: int, features: int, refinement: str = "residual", head: str = "published") -> None:
        """The authors' size is 40 channels and 20 features: 1,120,849 parameters; SAFNet-S 40 and 32: 566,713."""
        super().__init__()
        if head != "published":
            raise UsageError(f"SAFNet adds to a merge of the frames and has no head {head!r}; use 'published'.")
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
        refined = merged + self.refine(frames, guide, ties)
        return Prediction(merged, refined.clamp(0, 1))

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
    distance: Tensor = (apart / (0.1 + apart)).mean()
    return distance


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
