"""SCTNet (Tel et al., ICCV 2023): window attention over all frames, then attention between the frames' channels.

No output of the authors' network was at hand. Names, shapes, parameters and multiply-adds are theirs to the digit; what
the descriptions leave open is decided in `ChannelBlock` and `SCTNet.forward`, marked "our reading".
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.method import method
from bench.nn.blocks import Conv2d, HdrNetwork, Head, ZeroConv2d, conv
from bench.nn.published import channels_reversed, fill, renamed
from bench.nn.statistics import Cosines
from bench.nn.swin import SWIN_BUFFERS, SWIN_NAMES, Mlp, SwinBlock, as_map, as_tokens, rising
from bench.nn.tiling import pad_reflect


class ChannelAttention(nn.Module):
    """Cross-attention between channels (Zamir et al.: Restormer, CVPR 2022), here of one map to another.

    The score of two channels is the cosine of all their pixels: a statistic of the whole image.
    """

    def __init__(self, channels: int, heads: int) -> None:
        """`channels` are divided among `heads`, each with a learned temperature; starts without an effect."""
        super().__init__()
        self.query, self.key, self.value = (Conv2d(channels, channels, 1, bias=False) for _ in range(3))
        self.project = ZeroConv2d(channels, channels, 1, bias=False)
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.cosines = Cosines()

    def reset_parameters(self) -> None:
        """Start with temperatures of one."""
        nn.init.ones_(self.temperature)

    def forward(self, tokens: Tensor, source: Tensor) -> Tensor:
        """Queries from `tokens` (B, H, W, C), keys and values from `source`; returns (B, H, W, C)."""
        query, key, value = (
            F.linear(given, layer.weight.flatten(1))
            for given, layer in ((tokens, self.query), (source, self.key), (source, self.value))
        )
        heads, channels = len(self.temperature), tokens.shape[-1]
        cosines = self.cosines(query.permute(0, 3, 1, 2), key.permute(0, 3, 1, 2))
        blocks = cosines.view(-1, heads, channels // heads, heads, channels // heads).diagonal(dim1=1, dim2=3)
        weights = (blocks.permute(0, 3, 1, 2) * self.temperature).softmax(-1)
        # Weighing the values and projecting them are one product, since the weights are the same for all pixels.
        mixed = [
            part @ own
            for part, own in zip(self.project.weight.flatten(1).chunk(heads, 1), weights.unbind(1), strict=True)
        ]
        return (value.flatten(1, 2) @ torch.cat(mixed, -1).mT).view_as(tokens)


class SwinGroup(nn.Module):
    """Swin blocks with alternating shift, a 3x3 convolution, and the group's input added."""

    def __init__(self, channels: int, heads: int, drops: Sequence[float]) -> None:
        """One block for each probability of `drops`, every second one shifted."""
        super().__init__()
        self.blocks = nn.Sequential(
            *(SwinBlock(channels, heads, shift=index % 2 * 4, drop=drop) for index, drop in enumerate(drops))
        )
        self.last = conv(channels, channels)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B, H, W, C) to the same."""
        return tokens + as_tokens(self.last(as_map(self.blocks(tokens))))


class ChannelBlock(nn.Module):
    """Cross-attention between the channels of the reference and of a short or long frame, then an MLP.

    Our reading: the result is added to the reference's tokens, which ask (as in Restormer's blocks, whose two inputs
    are here two maps), so the neighbour's own tokens go on only through the attention's values.
    """

    def __init__(self, channels: int, heads: int) -> None:
        """The MLP is four times as wide; both branches start at zero."""
        super().__init__()
        self.reference_norm, self.neighbour_norm = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.attention = ChannelAttention(channels, heads)
        self.mlp_norm, self.mlp = nn.LayerNorm(channels), Mlp(channels, 4 * channels, residual=True)

    def forward(self, reference: Tensor, neighbour: Tensor) -> Tensor:
        """Tokens (B, H, W, C) of both to tokens of the same shape."""
        attended = self.attention(self.reference_norm(reference), self.neighbour_norm(neighbour))
        tokens = reference + attended
        return tokens + self.mlp(self.mlp_norm(tokens))


class Stage(nn.Module):
    """A Swin group on all frames' tokens, then cross-attention of both neighbours with the reference, then an MLP."""

    def __init__(self, channels: int, heads: int, channel_heads: int, drops: Sequence[float]) -> None:
        """`channels` for each of the three frames; one Swin block for each probability of `drops`."""
        super().__init__()
        self.group = SwinGroup(3 * channels, heads, drops)
        self.short, self.long = ChannelBlock(channels, channel_heads), ChannelBlock(channels, channel_heads)
        self.mlp = Mlp(3 * channels, 3 * channels)

    def forward(self, tokens: Tensor, initial: Tensor) -> Tensor:
        """Tokens (B, H, W, 3 C), and those that every stage gets anew, to tokens."""
        short, reference, long = (self.group(tokens) + initial).chunk(3, -1)
        joined = torch.cat([self.short(reference, short), reference, self.long(reference, long)], -1)
        return self.mlp(joined)


@method(
    "sctnet",
    label="SCTNet",
    cites="Tel et al.: Alignment-free HDR Deghosting with Semantics Consistent Transformer, ICCV 2023",
    trains=True,
    heads=("published", "mu-residual", "rule-residual"),
    presets={
        "published": {"channels": 20, "heads": 6, "channel_heads": 4, "stages": 4, "blocks": 6},
        "demo": {"channels": 8, "heads": 2, "channel_heads": 2, "stages": 1, "blocks": 2},
        "smoke": {"channels": 4, "heads": 2, "channel_heads": 2, "stages": 1, "blocks": 2},
    },
    multiple=8,
    overlap=112,
    conventions={
        "channels": "[linear, LDR]",
        "colours": "BGR",
        "divisor": "65536",
        "output": "sigmoid, [0, 1]; the padded size comes back",
        "tiles": "256 x 256, not overlapping, the image padded at right and bottom with LDR value 1",
    },
    recipe={
        "loss": "L1 on T + 0.01 perceptual",
        "lr": 2e-4,
        "batch": 22,
        "patch": 128,
        "stride": 64,
        "epochs": 100,
        "weight_perceptual": 0.01,
        "initialisation": "framework",
        "best_epoch": True,
        "users": {"got": "43.82 / 41.52 dB PSNR-μ / PSNR-l", "published": "44.4 to 44.5 / 42.3"},
        "differs": "flips and rotations as the profile says, and tables of position biases that start at zero: neither "
        "is known here",
    },
)
class SCTNet(HdrNetwork):
    """Convolutions of each frame, four stages of spatial and channel attention, a long skip from the reference."""

    def __init__(
        self, *, channels: int, heads: int, channel_heads: int, stages: int, blocks: int,
        head: str = "published", drop: float = 0.1,
    ) -> None:  # fmt: skip
        """The authors' size is 20 channels a frame, 6 and 4 heads, 4 stages of 6 blocks: 994,555 parameters.

        drop : stochastic depth of the last block in training, rising from 0 at the first.
        """
        super().__init__()
        width = 3 * channels
        self.entries = nn.ModuleList(conv(6, channels) for _ in range(3))
        self.skip = conv(channels, width)
        self.entry_norm, self.entry_mlp, self.norm = nn.LayerNorm(width), Mlp(width, width), nn.LayerNorm(width)
        self.stages = nn.ModuleList(
            Stage(channels, heads, channel_heads, drops) for drops in rising(drop, stages, blocks)
        )
        self.fuse = conv(width, width)
        self.head = Head(width, head)

    def forward(self, frames: Tensor) -> Tensor:
        """Frames (B, 3, 6, H, W) of any size to linear radiance (B, 3, H, W).

        Pads to whole windows by reflection at right and bottom; the authors' network returns the padded size.
        """
        height, width = frames.shape[-2:]
        frames = pad_reflect(frames, 8)
        features = [entry(frames[:, index]) for index, entry in enumerate(self.entries)]
        initial = self.entry_norm(as_tokens(torch.cat(features, 1)))
        tokens = self.entry_mlp(initial)
        for stage in self.stages:
            tokens = stage(tokens, initial)
        fused = self.fuse(as_map(self.norm(tokens))) + self.skip(features[1])
        radiance: Tensor = self.head(fused, frames)
        return radiance[..., :height, :width]

    @staticmethod
    def load_published(network: nn.Module, state: Mapping[str, Any]) -> None:
        """Fill the network from the authors' parameter names; their masks and position indices aren't needed."""
        names = {ours: renamed(ours, _RENAMED) for ours in network.state_dict()}
        fill(network, state, names, "SCTNet", ignored=SWIN_BUFFERS, edits=channels_reversed())


_RENAMED = (
    (r"^entries\.0", "conv1"),
    (r"^entries\.1", "conv2"),
    (r"^entries\.2", "conv3"),
    (r"^skip", "conv_end"),
    (r"^entry_norm", "patch_embed.norm"),
    (r"^entry_mlp", "conv_first"),
    (r"^fuse", "conv_after_body"),
    (r"^head\.last", "upsample.0"),
    (r"^stages\.(\d+)\.group\.last", r"layers.\1.conv"),
    (r"^stages\.(\d+)\.group\.blocks", r"layers.\1.residual_group.blocks"),
    (r"^stages\.(\d+)\.mlp", r"mlps.\1"),
    (r"^stages\.(\d+)\.short\.mlp\.", r"channel_layers_lm.\1.ffn."),
    (r"^stages\.(\d+)\.long\.mlp\.", r"channel_layers_rm.\1.ffn."),
    (r"^stages\.(\d+)\.short", r"channel_layers_lm.\1"),
    (r"^stages\.(\d+)\.long", r"channel_layers_rm.\1"),
    (r"^(channel_.*)\.reference_norm", r"\1.norm1_x.body"),
    (r"^(channel_.*)\.neighbour_norm", r"\1.norm1_y.body"),
    (r"^(channel_.*)\.attention\.query", r"\1.attn.q"),
    (r"^(channel_.*)\.attention\.key", r"\1.attn.k"),
    (r"^(channel_.*)\.attention\.value", r"\1.attn.v"),
    (r"^(channel_.*)\.attention\.project", r"\1.attn.project_out"),
    (r"^(channel_.*)\.attention\.temperature", r"\1.attn.temperature"),
    *SWIN_NAMES,
)
