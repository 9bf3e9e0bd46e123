"""DeepHDR (Wu et al., ECCV 2018): one encoder a frame, residual blocks, one decoder, after a homography."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.color.transfer import mu_law
from bench.core.method import method
from bench.nn import blocks
from bench.nn.blocks import HdrNetwork, Head, full_precision
from bench.nn.published import fill_tensorflow
from bench.nn.tiling import pad_reflect

MULTIPLE, LEAST = 4, 12
"""Sides that the network takes: multiples of the first, not below the second (where a reflection has no pixels)."""

LEVELS = 3
"""Convolutions of stride 2 between a frame and the residual blocks, and transposed ones back."""


class Conv(blocks.Conv2d):
    """A convolution with reflected borders where TensorFlow's SAME puts zeros."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1) -> None:
        """A window of odd `size`; height and width are divided by the stride and rounded up."""
        super().__init__(inputs, outputs, size, stride)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C_in, H, W) to (B, C_out, h, w)."""
        rows, columns = (self._border(side) for side in features.shape[-2:])
        padded = F.pad(features, (*columns, *rows), mode="reflect")
        return super().forward(padded)

    def _border(self, side: int) -> tuple[int, int]:
        """Pixels before and after: at stride 2, even sides get one more after, and the grid is another than of odd."""
        size, stride = self.kernel_size[0], self.stride[0]
        total = (-(-side // stride) - 1) * stride + size - side
        return total // 2, total - total // 2


class Deconv(nn.ConvTranspose2d):
    """A transposed convolution 5x5 of stride 2, cut like TensorFlow's SAME: the smaller half of the excess first."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """Map `inputs` to `outputs` channels."""
        super().__init__(inputs, outputs, 5, 2)

    def reset_parameters(self) -> None:
        """Draw the weight so that the output starts with the variance of the input; the bias is zero."""
        nn.init.normal_(self.weight, std=2 / (self.in_channels * 25) ** 0.5)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def to_size(self, features: Tensor, size: torch.Size) -> Tensor:
        """(B, C_in, h, w) to (B, C_out, H, W), H and W being 2h or 2h - 1 and 2w or 2w - 1."""
        before = [1 + target % 2 for target in size]
        wide = F.conv_transpose2d(features, self.weight, self.bias, 2, before)
        return wide[..., : size[0], : size[1]]


def norm(channels: int) -> nn.BatchNorm2d:
    """Return a batch norm with the published epsilon; the moving averages keep 0.9 of what they were."""
    return nn.BatchNorm2d(channels, eps=1e-5, momentum=0.1)


class Encoder(nn.Module):
    """Two convolutions of stride 2; the first has no norm."""

    def __init__(self, channels: int) -> None:
        """Take a frame's six channels to `channels` and twice as many."""
        super().__init__()
        self.first, self.second = Conv(6, channels, 5, 2), Conv(channels, 2 * channels, 5, 2)
        self.norm = norm(2 * channels)

    def forward(self, frame: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 6, H, W) in [-1, 1] to maps at half and a quarter of the size, both before their activation."""
        half = self.first(frame)
        return half, self.norm(self.second(F.leaky_relu(half, 0.2)))


class ResBlock(nn.Module):
    """ReLU, then that plus two convolutions with batch norm, ReLU between."""

    def __init__(self, channels: int) -> None:
        """Keep `channels`."""
        super().__init__()
        self.convs = nn.ModuleList(Conv(channels, channels, 3) for _ in range(2))
        self.norms = nn.ModuleList(norm(channels) for _ in range(2))

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to the same, not rectified; the shortcut starts behind the ReLU."""
        entry = torch.relu(features)
        inner = torch.relu(self.norms[0](self.convs[0](entry)))
        return entry + self.norms[1](self.convs[1](inner))


class Output(nn.Module):
    """The published head: a convolution 5x5 and tanh, whose range is taken from [-1, 1] to [0, 1]."""

    def __init__(self, channels: int) -> None:
        """Map `channels` features to RGB."""
        super().__init__()
        self.last = Conv(channels, 3, 5)

    def forward(self, features: Tensor, frames: Tensor) -> Tensor:
        """Features (B, C, H, W) to linear radiance (B, 3, H, W) in [0, 1]; the frames aren't looked at."""
        with full_precision(features):
            last: Tensor = self.last(features.to(self.last.weight.dtype))
            return (torch.tanh(last) + 1) / 2


@method(
    "deephdr",
    label="DeepHDR",
    cites="Wu et al.: Deep High Dynamic Range Imaging with Large Foreground Motions, ECCV 2018",
    trains=True,
    heads=("published", "mu-residual", "rule-residual"),
    registers="homography",
    presets={
        "published": {"channels": 64, "blocks": 9},
        "demo": {"channels": 16, "blocks": 3},
        "smoke": {"channels": 4, "blocks": 1},
    },
    multiple=4,
    overlap=0,
    conventions={
        "channels": "[LDR, linear]",
        "colours": "RGB",
        "divisor": "255: files are read as 8 bit",
        "input": "both halves taken to [-1, 1]",
        "output": "tanh, [-1, 1]",
        "tiles": "none; cropped to 800x1200 or 960x1440",
    },
    recipe={
        "loss": "squared error of T in [-1, 1]",
        "lr": 2e-4,
        "betas": [0.5, 0.999],
        "batch": 16,
        "patch": 256,
        "stride": 64,
        "augment": True,
        "steps": 479_100,
        "initialisation": "truncated-normal",
        "differs": "the steps are their 50 epochs of 9,582 batches: 153,320 examples, of 19,094 patches in eight "
        "symmetries as their code says. Theirs lie on the same grid, and along the right and lower edge. Batch norms "
        "take each process's own part of the batch: N processes don't equal one",
    },
)
class DeepHDR(HdrNetwork):
    """Three encoders, residual blocks on their joined features, a decoder that sees every encoder's maps.

    Frames are taken aligned by a homography (`registers`). Where the convolutions of stride 2 are centred depends on
    whether a side is even, so that the network needs the full frame: no tile's grid is that of every image.
    """

    def __init__(self, *, channels: int, blocks: int, head: str = "published") -> None:
        """The authors' size is 64 channels, 9 blocks: 16,606,339 parameters."""
        super().__init__()
        self.encoders = nn.ModuleList(Encoder(channels) for _ in range(3))
        self.merge = Conv(6 * channels, 4 * channels, 5, 2)
        self.merge_norm = norm(4 * channels)
        self.blocks = nn.ModuleList(ResBlock(4 * channels) for _ in range(blocks))
        widths = ((8, 2), (8, 1), (4, 1))
        self.ups = nn.ModuleList(Deconv(i * channels, o * channels) for i, o in widths)
        self.norms = nn.ModuleList(norm(o * channels) for _, o in widths)
        self.head = Output(channels) if head == "published" else Head(channels, head)

    def forward(self, frames: Tensor) -> Tensor:
        """Frames (B, 3, 6, H, W) to linear radiance (B, 3, H, W); sides are reflected to multiples of four."""
        height, width = frames.shape[-2:]
        padded = pad_reflect(frames, MULTIPLE if min(height, width) > LEAST - MULTIPLE else LEAST)
        radiance: Tensor = self.head(self.features(2 * padded - 1), padded)
        return radiance[..., :height, :width]

    def features(self, frames: Tensor) -> Tensor:
        """Frames (B, 3, 6, H, W), both halves in [-1, 1], to what the head takes, (B, C, H, W)."""
        halves, quarters = zip(*(encode(frames[:, i]) for i, encode in enumerate(self.encoders)), strict=True)
        merged = self.merge_norm(self.merge(F.leaky_relu(torch.cat(quarters, 1), 0.2)))
        features = merged
        for block in self.blocks:
            features = block(features)
        sizes = [*(maps[0].shape[-2:] for maps in (quarters, halves)), frames.shape[-2:]]
        for up, normalise, skips, size in zip(self.ups, self.norms, ([merged], quarters, halves), sizes, strict=True):
            joined = torch.relu_(torch.cat([features, *skips], 1))
            features = normalise(up.to_size(joined, size))  # type: ignore[operator]
        return torch.relu(features)

    def published_losses(
        self, frames: Tensor, truth: Tensor, fidelity: nn.Module, weights: Mapping[str, float]
    ) -> dict[str, Tensor]:
        """Return the squared error of T taken to [-1, 1]; frames (B, 3, 6, H, W), truth (B, 3, H, W)."""
        return {"reconstruction": 4 * F.mse_loss(mu_law(self(frames).float()), mu_law(truth.float()))}

    @staticmethod
    def load_published(network: nn.Module, state: Mapping[str, Any]) -> None:
        """Fill a network with the published head from the variables of the authors' TensorFlow 1 graph."""
        fill_tensorflow(network, _published_names(network), state, label="DeepHDR")


_NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


def _published_names(network: nn.Module) -> dict[str, str]:
    """Our names to the authors'; counters of batches aren't among them."""
    names = {}
    for ours in network.state_dict():
        module, kind = ours.rsplit(".", 1)
        if kind == "num_batches_tracked":
            continue
        place = _place(module.split("."))
        tensor = _NORM[kind] if "_bn" in place else {"weight": "w", "bias": "biases"}[kind]
        names[ours] = f"generator/{place}/{tensor}"
    return names


def _place(module: list[str]) -> str:
    """Return the authors' name of one of our layers."""
    match module:
        case ["encoders", frame, layer]:
            layers = {"first": "g_e1_conv", "second": "g_e2_conv", "norm": "g_e2_bn"}
            return f"encoder{int(frame) + 1}/{layers[layer]}"
        case ["blocks", block, kind, layer]:
            return f"merger/g_r{int(block) + 1}_{'c' if kind == 'convs' else 'bn'}{int(layer) + 1}"
        case ["ups", level]:
            return f"decoder/g_d{int(level) + 1}"
        case ["norms", level]:
            return f"decoder/g_d{int(level) + 1}_bn"
        case _:
            return {"merge": "merger/g_e3_conv", "merge_norm": "merger/g_e3_bn"}.get(
                ".".join(module), "decoder/g_d_out_conv"
            )
