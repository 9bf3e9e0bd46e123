"""ADNet (Liu et al., CVPR Workshops 2021): attended LDR frames beside aligned exposure-corrected ones."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.method import method
from bench.nn.attention import SpatialAttention
from bench.nn.blocks import HdrNetwork, Head, ZeroConv2d, activation, conv
from bench.nn.deform import DeformConv3x3
from bench.nn.dense import DENSE_NAMES, DilatedDenseBlock
from bench.nn.published import fill, renamed
from bench.nn.tiling import in_strips, pad_reflect

SLOPE = 0.1
"""Of the activations in the pyramid and the alignment."""


class Pyramid(nn.Module):
    """Features of one frame at full, half and a quarter of the size."""

    def __init__(self, channels: int) -> None:
        """Make maps of `channels`."""
        super().__init__()
        self.entry = conv(3, channels, 1)
        self.residual = nn.ModuleList(conv(channels, channels) for _ in range(2))
        self.act = activation(SLOPE)
        self.down = nn.ModuleList(
            nn.Sequential(conv(channels, channels, stride=2), self.act, conv(channels, channels), self.act)
            for _ in range(2)
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) to maps (B, C, h, w), the finest first."""
        entry = self.act(self.entry(image))
        levels = [entry + self.residual[1](self.residual[0](entry).relu_())]
        for halve in self.down:
            levels.append(halve(levels[-1]))
        return levels


class Steering(ZeroConv2d):
    """Offsets and mask logits of a deformable convolution, which the public code, too, starts at zero."""

    fixed_start = True


class Step(nn.Module):
    """One deformable step: features of both frames, and what a coarser level found, to offsets and aligned features."""

    def __init__(self, channels: int, groups: int, *, refines: bool) -> None:
        """Keep `channels`; `refines`: it starts from the offset features and the result of a coarser level."""
        super().__init__()
        self.first = conv(2 * channels, channels)
        self.second = conv(2 * channels if refines else channels, channels)
        self.third = conv(channels, channels) if refines else nn.Identity()
        self.steering = Steering(channels, 27 * groups, 3, padding=1)
        self.deform = DeformConv3x3(channels, groups)
        self.merge = conv(2 * channels, channels) if refines else nn.Identity()
        self.act = activation(SLOPE)

    def forward(
        self, neighbour: Tensor, reference: Tensor, coarser: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Maps (B, C, H, W) and what the coarser level returned; returns offset features and aligned features.

        The aligned features are without activation.
        """
        guide = self.act(self.first(torch.cat([neighbour, reference], 1)))
        if coarser is not None:
            guide = torch.cat([guide, 2 * _enlarged(coarser[0])], 1)
        guide = self.act(self.second(guide))
        if coarser is not None:
            guide = self.act(self.third(guide))
        aligned = self.deform.guided(neighbour, guide, self.steering)
        if coarser is not None:
            aligned = self.merge(torch.cat([aligned, _enlarged(coarser[1])], 1))
        return guide, aligned


def _enlarged(features: Tensor) -> Tensor:
    return F.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)


class PyramidAlignment(nn.Module):
    """Pyramid, cascading and deformable alignment (Wang et al. 2019): coarse to fine, then once more at full size."""

    def __init__(self, channels: int, groups: int) -> None:
        """Keep `channels`; `groups` of them share their offsets."""
        super().__init__()
        self.coarse = Step(channels, groups, refines=False)
        self.middle = Step(channels, groups, refines=True)
        self.fine = Step(channels, groups, refines=True)
        self.cascade = Step(channels, groups, refines=False)
        self.act = activation(SLOPE)

    def forward(self, neighbour: list[Tensor], reference: list[Tensor]) -> Tensor:
        """Pyramids of a short or long frame and of the reference, finest first, to aligned features (B, C, H, W)."""
        guide, aligned = self.coarse(neighbour[2], reference[2])
        guide, aligned = self.middle(neighbour[1], reference[1], (guide, self.act(aligned)))
        guide, aligned = self.fine(neighbour[0], reference[0], (guide, self.act(aligned)))
        _, aligned = self.cascade(aligned, reference[0])
        return self.act(aligned)


@method(
    "adnet",
    label="ADNet",
    cites="Liu et al.: ADNet: Attention-Guided Deformable Convolutional Network for High Dynamic Range Imaging, "
    "CVPR Workshops 2021",
    trains=True,
    heads=("published", "mu-residual", "rule-residual"),
    presets={
        "published": {"channels": 64, "layers": 5, "growth": 32, "deform_groups": 8},
        "demo": {"channels": 8, "layers": 3, "growth": 4, "deform_groups": 1},
        "smoke": {"channels": 4, "layers": 1, "growth": 4, "deform_groups": 2},
    },
    multiple=4,
    overlap=128,
    conventions={
        "channels": "[LDR, exposure-aligned]; the released second half is still gamma-encoded",
        "colours": "RGB",
        "output": "ReLU without upper bound",
        "tiles": "none: full frame",
    },
    recipe={
        "loss": "L1 on T",
        "lr": 1e-4,
        "batch": 4,
        "patch": 256,
        "stride": 128,
        "epochs": 200,
        "decay": 0.5,
        "decay_every": 100,
        "decay_unit": "epochs",
        "initialisation": "framework",
        "users": {"got": "about 43.8 dB PSNR-μ", "published": "44.37"},
        "differs": "released for NTIRE 2021; its gamma 2.24, jittered alignment of exposures and percentile-tanh loss "
        "gave way to gamma 2.2, linear second halves and L1 on T; flips and rotations are as the profile says; the "
        "biases of its deformable convolutions (DCNv2), which begin at zero, are drawn as all others are",
    },
)
class ADNet(HdrNetwork):
    """LDR halves to spatial attention, exposure-corrected halves to a deformable alignment, then dense blocks."""

    def __init__(self, *, channels: int, layers: int, growth: int, deform_groups: int, head: str = "published") -> None:
        """The authors' size is 64 channels, 5 layers, growth 32, 8 groups: 2,956,483 parameters.

        The published output is a ReLU, without upper bound.
        """
        super().__init__()
        self.pyramid = Pyramid(channels)
        self.align = PyramidAlignment(channels, deform_groups)
        self.entry = conv(3, channels)
        self.short, self.long = SpatialAttention(channels), SpatialAttention(channels)
        self.merge = conv(6 * channels, channels)
        blocks = [DilatedDenseBlock(channels, layers, growth) for _ in range(3)]
        self.blocks, self.reach = nn.ModuleList(blocks), blocks[0].reach
        self.squeeze = conv(3 * channels, channels, 1)
        self.fuse = conv(channels, channels)
        self.lift = conv(channels, channels)
        self.head = Head(channels, head, published=torch.relu)
        self.act = activation()

    def forward(self, frames: Tensor) -> Tensor:
        """Frames (B, 3, 6, H, W) to linear radiance (B, 3, H, W); reflected at right and bottom to multiples of 4."""
        height, width = frames.shape[-2:]
        frames = pad_reflect(frames, 4)
        joined, skip = self._gather(frames)
        features = self.merge(joined)
        stages = []
        for block in self.blocks:
            features = in_strips([block], features, self.reach)
            stages.append(features)
        fused = self.fuse(self.squeeze(torch.cat(stages, 1))) + skip
        radiance: Tensor = self.head(self.act(self.lift(fused)), frames)
        return radiance[..., :height, :width]

    def _gather(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Six feature maps side by side (B, 6C, H, W), and the reference's finest of the pyramid (B, C, H, W)."""
        pyramids = [self.pyramid(frames[:, i, 3:]) for i in range(3)]
        short, reference, long = (self.entry(frames[:, i, :3]).relu_() for i in range(3))
        aligned = [self.align(pyramids[i], pyramids[1]) for i in (0, 2)]
        maps = [
            aligned[0], self.short(short, reference), pyramids[1][0], reference, aligned[1], self.long(long, reference)
        ]  # fmt: skip
        return torch.cat(maps, 1), pyramids[1][0]

    @staticmethod
    def load_published(network: nn.Module, state: Mapping[str, Any]) -> None:
        """Fill the network from the authors' parameter names."""
        fill(network, state, {ours: renamed(ours, _RENAMED) for ours in network.state_dict()}, "ADNet")


_RENAMED = (
    (r"^entry", "feat_exract.0"),
    (r"^merge", "conv1"),
    (r"^squeeze", "conv2.0"),
    (r"^fuse", "conv2.1"),
    (r"^lift", "post_conv.0"),
    (r"^head\.last", "post_conv.2"),
    (r"^short\.", "att_module_l."),
    (r"^long\.", "att_module_h."),
    (r"\.join\.", ".att1."),
    (r"\.gate\.", ".att2."),
    (r"^pyramid\.entry", "pyramid_feats.conv1.0"),
    (r"^pyramid\.residual\.0", "pyramid_feats.feature_extraction.0.conv1"),
    (r"^pyramid\.residual\.1", "pyramid_feats.feature_extraction.0.conv2"),
    (r"^pyramid\.down\.0", "pyramid_feats.downsample1"),
    (r"^pyramid\.down\.1", "pyramid_feats.downsample2"),
    (r"^align\.coarse\.", "align_module.L3_"),
    (r"^align\.middle\.", "align_module.L2_"),
    (r"^align\.fine\.", "align_module.L1_"),
    (r"^align\.cascade\.", "align_module.cas_"),
    (r"_first\.", "_offset_conv1."),
    (r"_second\.", "_offset_conv2."),
    (r"_third\.", "_offset_conv3."),
    (r"_steering\.", "_dcnpack.conv_offset_mask."),
    (r"_deform\.kernel\.", "_dcnpack."),
    (r"_merge\.", "_fea_conv."),
    *((rf"^blocks\.{index}", f"RDB{index + 1}") for index in range(3)),
    *DENSE_NAMES,
)
"""Ours to the authors' names, one replacement after another."""
