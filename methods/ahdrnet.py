"""AHDRNet (Yan et al., CVPR 2019): attention to the reference, then dilated residual dense blocks."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from bench.core.errors import UsageError
from bench.core.method import method
from bench.nn.attention import SpatialAttention
from bench.nn.blocks import HdrNetwork, Head, activation, conv
from bench.nn.dense import DilatedDenseBlock


@method(
    "ahdrnet",
    label="AHDRNet",
    cites="Yan et al.: Attention-Guided Network for Ghost-Free High Dynamic Range Imaging, CVPR 2019",
    trains=True,
    heads=("published", "mu-residual"),
    presets={
        "published": {"channels": 64, "layers": 6, "growth": 32},
        "demo": {"channels": 16, "layers": 3, "growth": 8},
        "smoke": {"channels": 8, "layers": 2, "growth": 4},
    },
    overlap=64,
    recipe={"rate": 1e-4, "batch": 8, "patch": 256, "loss": "L1 on T", "betas": [0.9, 0.999]},
)
class AHDRNet(HdrNetwork):
    """Shared first convolution, attention, three dense blocks, a long skip from the reference."""

    def __init__(self, *, channels: int, layers: int, growth: int, head: str = "published") -> None:
        """The authors' size is 64 channels, 6 layers, growth 32: 1,441,283 parameters."""
        super().__init__()
        self.entry = conv(6, channels)
        self.short, self.long = SpatialAttention(channels), SpatialAttention(channels)
        self.merge = conv(3 * channels, channels)
        self.blocks = nn.ModuleList(DilatedDenseBlock(channels, layers, growth) for _ in range(3))
        self.squeeze = conv(3 * channels, channels, 1)
        self.fuse = conv(channels, channels)
        self.lift = conv(channels, channels)
        self.head = Head(channels, head)
        self.act = activation()

    def forward(self, frames: Tensor) -> Tensor:
        """Frames (B, 3, 6, H, W) to linear radiance (B, 3, H, W)."""
        short, reference, long = (self.act(self.entry(frames[:, i])) for i in range(3))
        features = self.merge(torch.cat([self.short(short, reference), reference, self.long(long, reference)], 1))
        stages = []
        for block in self.blocks:
            features = block(features)
            stages.append(features)
        fused = self.fuse(self.squeeze(torch.cat(stages, 1))) + reference
        radiance: Tensor = self.head(self.lift(fused), frames)
        return radiance

    @staticmethod
    def load_published(network: nn.Module, state: Mapping[str, Any]) -> None:
        """Fill the network from the authors' parameter names; `attConv1` and `attConv3`, never used, are dropped."""
        names = _published_names(network)
        missing = sorted(set(names.values()) - set(state))
        extra = sorted(
            key for key in set(state) - set(names.values()) if not key.startswith(("attConv1.", "attConv3."))
        )
        if missing or extra:
            raise UsageError(f"not AHDRNet's published weights: missing {missing[:5]}, left over {extra[:5]}.")
        try:
            network.load_state_dict({ours: state[theirs] for ours, theirs in names.items()})
        except RuntimeError as error:
            lines = [line.strip() for line in str(error).splitlines()[1:3]]
            raise UsageError(f"not AHDRNet's published weights for this size: {' '.join(lines)}") from error


_PUBLISHED = {
    "entry": "conv1",
    "merge": "conv2",
    "short.join": "att11",
    "short.gate": "att12",
    "long.join": "att31",
    "long.gate": "att32",
    "squeeze": "GFF_1x1",
    "fuse": "GFF_3x3",
    "lift": "conv_up",
    "head.last": "conv3",
}


def _published_names(network: nn.Module) -> dict[str, str]:
    """Our parameter names to the authors'."""
    names = {}
    for ours in network.state_dict():
        module, kind = ours.rsplit(".", 1)
        if module.startswith("blocks."):
            _, block, *rest = module.split(".")
            inner = "conv_1x1" if rest == ["fuse"] else f"dense_layers.{rest[-1]}.conv"
            names[ours] = f"RDB{int(block) + 1}.{inner}.{kind}"
        else:
            names[ours] = f"{_PUBLISHED[module]}.{kind}"
    return names
