"""AHDRNet (Yan et al., CVPR 2019): attention to the reference, then dilated residual dense blocks."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from bench.core.method import method
from bench.nn.attention import SpatialAttention
from bench.nn.blocks import HdrNetwork, Head, activation, conv
from bench.nn.dense import DENSE_NAMES, DilatedDenseBlock
from bench.nn.published import fill, from_bgr, renamed
from bench.nn.tiling import in_strips


@method(
    "ahdrnet",
    label="AHDRNet",
    cites="Yan et al.: Attention-Guided Network for Ghost-Free High Dynamic Range Imaging, CVPR 2019",
    trains=True,
    heads=("published", "mu-residual", "rule-residual"),
    presets={
        "published": {"channels": 64, "layers": 6, "growth": 32},
        "ytzhang99": {"channels": 64, "layers": 6, "growth": 32, "rectified": True},
        "demo": {"channels": 16, "layers": 3, "growth": 8},
        "smoke": {"channels": 8, "layers": 2, "growth": 4},
    },
    overlap=64,
    conventions={
        "channels": "[LDR, linear]",
        "colours": "RGB; ytZhang99's BGR",
        "divisor": "ytZhang99's 65536",
        "output": "sigmoid, [0, 1]; ytZhang99's ReLU, clamped to [0, 1] by its scripts",
        "tiles": "none: full frame",
    },
    recipe={
        "loss": "L1 on T",
        "lr": 1e-4,
        "betas": [0.9, 0.999],
        "batch": 8,
        "patch": 256,
        "per_scene": 1,
        "augment": "flips",
        "decay": 0.1,
        "decay_every": 0.8,
        "decay_unit": "length",
        "initialisation": "framework",
        "differs": "length ours: none is published; the paper says Kaiming's initialisation, the public code takes the "
        "framework's",
    },
)
class AHDRNet(HdrNetwork):
    """Shared first convolution, attention, three dense blocks, a long skip from the reference."""

    def __init__(
        self, *, channels: int, layers: int, growth: int, rectified: bool = False, head: str = "published"
    ) -> None:
        """The authors' size is 64 channels, 6 layers, growth 32: 1,441,283 parameters.

        rectified : the network of ytZhang99's port: ReLU in place of LeakyReLU, and after every other convolution too,
                    the last one included. The published output then has no upper bound; the port's scripts clamp it.
        """
        super().__init__()
        self.rectified = rectified
        slope = 0.0 if rectified else 0.01
        self.entry = conv(6, channels)
        self.short, self.long = SpatialAttention(channels, slope), SpatialAttention(channels, slope)
        self.merge = conv(3 * channels, channels)
        blocks = [DilatedDenseBlock(channels, layers, growth) for _ in range(3)]
        self.blocks, self.reach = nn.ModuleList(blocks), blocks[0].reach
        self.squeeze = conv(3 * channels, channels, 1)
        self.fuse = conv(channels, channels)
        self.lift = conv(channels, channels)
        self.head = Head(channels, head, published=torch.relu if rectified else torch.sigmoid)
        self.act = activation(slope)
        self.after = activation(slope) if rectified else nn.Identity()

    def forward(self, frames: Tensor) -> Tensor:
        """Frames (B, 3, 6, H, W) to linear radiance (B, 3, H, W)."""
        short, reference, long = (self.act(self.entry(frames[:, i])) for i in range(3))
        joined = torch.cat([self.short(short, reference), reference, self.long(long, reference)], 1)
        features = self.after(self.merge(joined))
        stages = []
        for block in self.blocks:
            features = in_strips([block], features, self.reach)
            stages.append(features)
        fused = self.after(self.fuse(self.after(self.squeeze(torch.cat(stages, 1))))) + reference
        return self.head(self.after(self.lift(fused)), frames)

    @staticmethod
    def load_published(network: nn.Module, state: Mapping[str, Any]) -> None:
        """Fill the network from the authors' parameter names; `attConv1` and `attConv3`, never used, are dropped.

        A network of the preset `ytzhang99` takes that port's names and turns its blue, green, red into ours.
        """
        port = getattr(network, "rectified", False)
        names = {ours: renamed(ours, _RENAMED_PORT if port else _RENAMED) for ours in network.state_dict()}
        if port:
            fill(network, state, names, "AHDRNet (ytZhang99)", edits=from_bgr("entry"))
        else:
            fill(network, state, names, "AHDRNet", ignored=r"attConv[13]\..*")


_RENAMED = (
    (r"^entry", "conv1"),
    (r"^merge", "conv2"),
    (r"^short\.join", "att11"),
    (r"^short\.gate", "att12"),
    (r"^long\.join", "att31"),
    (r"^long\.gate", "att32"),
    (r"^squeeze", "GFF_1x1"),
    (r"^fuse", "GFF_3x3"),
    (r"^lift", "conv_up"),
    (r"^head\.last", "conv3"),
    *((rf"^blocks\.{index}", f"RDB{index + 1}") for index in range(3)),
    *DENSE_NAMES,
)
"""Ours to the authors' names, one replacement after another."""

_RENAMED_PORT = (
    (r"^entry", "conv_1.conv.0"),
    (r"^merge", "conv_att.conv.0"),
    (r"^short\.join", "att_up.0.conv.0"),
    (r"^short\.gate", "att_up.1"),
    (r"^long\.join", "att_down.0.conv.0"),
    (r"^long\.gate", "att_down.1"),
    (r"^squeeze", "conv_merge.conv.0"),
    (r"^fuse", "conv_2.conv.0"),
    (r"^lift", "conv_3.conv.0"),
    (r"^head\.last", "conv_out.conv.0"),
    *((rf"^blocks\.{index}", f"RDB_{index + 1}") for index in range(3)),
    *DENSE_NAMES,
)
"""Ours to ytZhang99's names."""
