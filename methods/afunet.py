"""AFUNet (Li et al., ICCV 2025): alternating alignment and fusion, unfolded into four stages.

Equal to the public network, but for inputs of exactly 40x40 pixels, its nominal size, where the public alignment
exchanges heads and windows.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bench.color.transfer import mu_law
from bench.core.method import method
from bench.nn.blocks import Conv2d, HdrNetwork, Head, ZeroConv2d
from bench.nn.published import fill, halves_exchanged, renamed
from bench.nn.swin import SWIN_BUFFERS, SWIN_NAMES, Mlp, StochasticDepth, SwinBlock, as_map, as_tokens, rising
from bench.nn.tiling import pad_reflect
from bench.nn.windows import WindowAttention

EDGE = 8
"""Edge of the attention's windows in pixels; the network pads its input to multiples of it."""

SPECTRUM = 0.005
"""Weight of the published loss's distance of spectra."""


def per_channel(channels: int) -> nn.Conv2d:
    """Return a 3x3 convolution of every channel by itself, reflecting at the border; zero at the start."""
    return ZeroConv2d(channels, channels, 3, padding=1, groups=channels, padding_mode="reflect")


class Alignment(nn.Module):
    """Window cross-attention of a neighbour to the transformed estimate, without norms."""

    def __init__(self, channels: int, heads: int, drop: float) -> None:
        """Keep `channels`; the attention is dropped with probability `drop` in training."""
        super().__init__()
        self.attention = WindowAttention(channels, heads, edge=EDGE, cross=True)
        self.depth = StochasticDepth(drop)
        self.local = per_channel(channels)

    def forward(self, estimate: Tensor, neighbour: Tensor) -> Tensor:
        """Two maps of tokens (B, H, W, C) to the aligned neighbour; the estimate is added by block and group."""
        aligned: Tensor = estimate + self.depth(self.attention(neighbour, estimate + neighbour))
        return estimate + aligned + as_tokens(self.local(as_map(aligned)))


class ChannelAttention(nn.Module):
    """Cross-attention between channels: scores are correlations over all pixels (Restormer's)."""

    def __init__(self, channels: int, heads: int) -> None:
        """`channels` are divided among `heads`."""
        super().__init__()
        self.q, self.k, self.v = (Conv2d(channels, channels, 1, bias=False) for _ in range(3))
        self.project_out = Conv2d(channels, channels, 1, bias=False)
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))

    def forward(self, base: Tensor, other: Tensor) -> Tensor:
        """Maps (B, C, H, W): the query from `other`, key and value from the sum, to (B, C, H, W)."""
        total, heads, (height, width) = base + other, len(self.temperature), base.shape[-2:]
        query, key, value = (
            as_tokens(part).view(len(part), height * width, heads, -1).transpose(1, 2)
            for part in (self.q(other), self.k(total), self.v(total))
        )
        size = query.norm(dim=2).clamp(min=1e-12)[..., None] * key.norm(dim=2).clamp(min=1e-12)[:, :, None]
        weights = torch.softmax(query.mT @ key / size * self.temperature, -1)
        attended = (value @ weights.mT).transpose(1, 2).reshape(len(base), height, width, -1)
        return self.project_out(as_map(attended))


class ChannelFusion(nn.Module):
    """Channel cross-attention of the estimate with an aligned neighbour, added to the estimate, as in the alignment."""

    def __init__(self, channels: int, heads: int) -> None:
        """Keep `channels`."""
        super().__init__()
        self.attention = ChannelAttention(channels, heads)
        self.local = per_channel(channels)

    def forward(self, estimate: Tensor, neighbour: Tensor) -> Tensor:
        """Two maps of tokens (B, H, W, C) to one."""
        fused = as_map(estimate) + self.attention(as_map(estimate), as_map(neighbour))
        return as_tokens(fused + self.local(fused))


class Group(nn.Module):
    """Blocks, every other one shifted, a 3x3 convolution, and the residual of all."""

    def __init__(self, channels: int, heads: int, drops: Sequence[float]) -> None:
        """Have a block for each probability of `drops`.

        The convolution isn't zero at the start, as the blocks' ends are: see `Stage`.
        """
        super().__init__()
        self.blocks = nn.ModuleList(
            SwinBlock(channels, heads, shift=EDGE // 2 * (index % 2), drop=drop, edge=EDGE)
            for index, drop in enumerate(drops)
        )
        self.conv = Conv2d(channels, channels, 3, padding=1, padding_mode="reflect")

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, H, W, C) to (B, H, W, C)."""
        features = tokens
        for block in self.blocks:
            features = block(features)
        return tokens + as_tokens(self.conv(as_map(features)))


class Stage(nn.Module):
    """One iteration: align both neighbours, attend over all three, fuse by channels, stay true to the reference, merge.

    With x the estimate, y2 the reference, n1 and n3 the neighbours as the stage before has left them, and A_i what
    turns radiance into frame i: n_i becomes align(A_i x, n_i), for the next stage too; (d1, d2, d3) are n1, x and n3
    after the group; z_i = x + fuse(x, d_i); v = inv(A_2^T y2 + beta_1 z_1 + beta_2 z_3), the minimiser of
    |y2 - A_2 v|^2 + sum of beta_i |v - z_i|^2; x becomes d2 + merge(z_1, v, z_3).

    Neither the merge nor the alignments' attention starts at zero: they are the neighbours' only way to the output, and
    behind a head that starts at zero they would reach it through a product of zeros.
    """

    def __init__(self, channels: int, heads: int, drops: Sequence[float], drop: float) -> None:
        """`channels` a frame; cross-attentions have half of the group's `heads`.

        drops, drop : stochastic depth of the group's blocks and of the alignments.
        """
        super().__init__()
        width, few = 2 * channels, heads // 2
        self.degrade_short, self.degrade_long = (Mlp(channels, width) for _ in range(2))
        self.restore, self.invert = (Mlp(channels, width) for _ in range(2))
        self.beta_short, self.beta_long = (nn.Parameter(torch.tensor(0.5)) for _ in range(2))
        self.align_short, self.align_long = (Alignment(channels, few, drop) for _ in range(2))
        self.group = Group(3 * channels, heads, drops)
        self.fuse_short, self.fuse_long = (ChannelFusion(channels, few) for _ in range(2))
        self.merge = Mlp(3 * channels, width, channels)

    def forward(
        self, estimate: Tensor, short: Tensor, reference: Tensor, long: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Estimate and features of the frames, all (B, H, W, C), to a better estimate and the aligned neighbours."""
        short = self.align_short(self.degrade_short(estimate), short)
        long = self.align_long(self.degrade_long(estimate), long)
        joined = self.group(torch.cat([short, estimate, long], -1))
        near_short, middle, near_long = (part.contiguous() for part in joined.chunk(3, -1))
        fused_short = estimate + self.fuse_short(estimate, near_short)
        fused_long = estimate + self.fuse_long(estimate, near_long)
        data = self.restore(reference) + self.beta_short * fused_short + self.beta_long * fused_long
        merged: Tensor = self.merge(torch.cat([fused_short, self.invert(data), fused_long], -1))
        return middle + merged, short, long


@method(
    "afunet",
    label="AFUNet",
    cites="Li, Ni, Yang: AFUNet: Cross-Iterative Alignment-Fusion Synergy for HDR Reconstruction via Deep Unfolding "
    "Paradigm, ICCV 2025",
    trains=True,
    heads=("published", "mu-residual", "rule-residual"),
    presets={
        "published": {"channels": 24, "heads": 4, "depth": 5, "stages": 4},
        "demo": {"channels": 8, "heads": 2, "depth": 1, "stages": 2},
        "smoke": {"channels": 4, "heads": 2, "depth": 2, "stages": 1},
    },
    conventions={
        "channels": "[linear, LDR], all frames in one tensor",
        "colours": "RGB",
        "divisor": "65536",
        "output": "sigmoid, [0, 1]",
        "tiles": "full frame, reflected to multiples of 128",
    },
    recipe={
        "loss": "L1 on T + 0.005 L1 of T's Fourier transform",
        "lr": 5e-4,
        "batch": 4,
        "patch": 128,
        "per_scene": 100,
        "augment": "one-flip",
        "epochs": 400,
        "cosine": True,
        "min_lr": 5e-6,
        "initialisation": "normal",
        "options": {"drop": 0.1},
        "best_epoch": True,
    },
    after_paper=True,
)
class AFUNet(HdrNetwork):
    """A convolution for each frame, a LayerNorm of all, the stages, a skip from the reference."""

    def __init__(
        self, *, channels: int, heads: int, depth: int, stages: int, head: str = "published", drop: float = 0.0
    ) -> None:
        """The authors' size is 24 channels a frame, 4 heads, depth 5, 4 stages: 1,161,987 parameters.

        drop : stochastic depth of the last block in training, rising from 0 at the first; that of the alignments rises
               from stage to stage by a `depth`-th of it.
        """
        super().__init__()
        self.channels = channels
        self.entries = nn.ModuleList(Conv2d(6, channels, 3, padding=1, padding_mode="reflect") for _ in range(3))
        self.norm = nn.LayerNorm(3 * channels)
        self.stages = nn.ModuleList(
            Stage(channels, heads, drops, drop * index / depth)
            for index, drops in enumerate(rising(drop, stages, depth))
        )
        self.skip = Conv2d(channels, channels, 3, padding=1, padding_mode="reflect")
        self.head = Head(channels, head, padding_mode="reflect")

    def forward(self, frames: Tensor) -> Tensor:
        """Frames (B, 3, 6, H, W) to linear radiance (B, 3, H, W); padded by reflection to multiples of 8 inside."""
        height, width = frames.shape[-2:]
        padded = pad_reflect(frames, EDGE)
        features = [entry(padded[:, index]) for index, entry in enumerate(self.entries)]
        tokens = self.norm(as_tokens(torch.cat(features, 1)))
        short, reference, long = (part.contiguous() for part in tokens.chunk(3, -1))
        estimate = reference
        for stage in self.stages:
            estimate, short, long = stage(estimate, short, reference, long)
        radiance: Tensor = self.head(as_map(estimate) + self.skip(features[1]), padded)
        return radiance[..., :height, :width]

    def published_losses(
        self, frames: Tensor, truth: Tensor, fidelity: nn.Module, weights: Mapping[str, float]
    ) -> dict[str, Tensor]:
        """Fidelity of the output, and the L1 between the spectra of T; frames (B, 3, 6, H, W), truth (B, 3, H, W).

        Real and imaginary parts of the unnormalised transform of whole patches count as numbers of their own.
        """
        radiance = self(frames)
        terms: dict[str, Tensor] = fidelity(radiance, truth)
        apart = torch.fft.rfft2(mu_law(radiance.float()) - mu_law(truth.float()))
        return terms | {"spectrum": SPECTRUM * torch.view_as_real(apart).abs().mean()}

    @staticmethod
    def load_published(network: nn.Module, state: Mapping[str, Any]) -> None:
        """Fill the network from the authors' parameter names; their frames have the linear half first.

        The norm that they never use and the masks, which depend on the training size alone, are dropped.
        """
        names = {name: renamed(name, _RENAMED) for name in network.state_dict()}
        edits = {f"entries.{index}.weight": halves_exchanged() for index in range(3)}
        ignored = rf"patch_embed_div3\.norm\..*|{SWIN_BUFFERS}"
        fill(network, state, names, "AFUNet", ignored=ignored, edits=edits)


_RENAMED = (
    (r"^entries\.0", "conv1.0"),
    (r"^entries\.1", "conv2.0"),
    (r"^entries\.2", "conv3.0"),
    (r"^norm", "patch_embed.norm"),
    (r"^skip", "conv_skip"),
    (r"^head\.last", "out.0"),
    (r"^stages\.(\d)\.degrade_short", r"A1.\1"),
    (r"^stages\.(\d)\.degrade_long", r"A3.\1"),
    (r"^stages\.(\d)\.restore", r"A2_T.\1"),
    (r"^stages\.(\d)\.invert", r"inv.\1"),
    (r"^stages\.(\d)\.beta_short", r"beta1.\1"),
    (r"^stages\.(\d)\.beta_long", r"beta2.\1"),
    (r"^stages\.(\d)\.merge", r"mlps_end.\1"),
    (r"^stages\.(\d)\.group\.blocks", r"SFM.\1.residual_group.blocks"),
    (r"^stages\.(\d)\.group", r"SFM.\1"),
    (r"^(stages\.\d\.align_.*)\.local", r"\1.mlp"),
    (r"^(stages\.\d\.fuse_.*)\.local", r"\1.conv"),
    (r"^stages\.(\d)\.align_short", r"a_12.\1.residual_group.blocks.0"),
    (r"^stages\.(\d)\.align_long", r"a_32.\1.residual_group.blocks.0"),
    (r"^stages\.(\d)\.fuse_short", r"f_12.\1"),
    (r"^stages\.(\d)\.fuse_long", r"f_32.\1"),
    *SWIN_NAMES,
    (r"\.attention\.query\.", ".attn.q."),
    (r"\.attention\.key_value\.", ".attn.kv."),
    (r"\.attention\.", ".attn."),
)
"""Ours to the authors' names, one replacement after another."""
