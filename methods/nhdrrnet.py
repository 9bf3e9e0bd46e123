"""NHDRRNet (Yan et al., TIP 2020): an encoder a frame, triple-pass blocks beside a non-local branch, one decoder.

There is no official code. One network here is either of two public re-implementations, ytZhang99's and Galaxies99's,
and equal to it.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.color.transfer import mu_law
from bench.core.errors import UsageError
from bench.core.method import method
from bench.nn.blocks import Conv2d, HdrNetwork, Head, activation, conv
from bench.nn.published import fill, from_bgr

LEVELS = 4
"""Halvings of height and width between a frame and the bottleneck."""


class Down(nn.Module):
    """A 3x3 convolution of stride 2 that sees a row and a column of zeros at bottom and right only, a norm, a ReLU."""

    def __init__(self, inputs: int, outputs: int, slope: float) -> None:
        """Map `inputs` to `outputs` channels; `slope` of the activation for negative values."""
        super().__init__()
        self.conv, self.norm = Conv2d(inputs, outputs, 3, 2), nn.BatchNorm2d(outputs)
        self.act = activation(slope)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C_in, H, W) of even height and width to (B, C_out, H/2, W/2)."""
        return self.act(self.norm(self.conv(F.pad(features, (0, 1, 0, 1)))))


class Up(nn.Module):
    """A transposed 4x4 convolution of stride 2, a norm, a LeakyReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """Map `inputs` to `outputs` channels."""
        super().__init__()
        self.conv, self.norm = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), nn.BatchNorm2d(outputs)
        self.act = activation()

    def forward(self, features: Tensor) -> Tensor:
        """(B, C_in, H, W) to (B, C_out, 2H, 2W)."""
        return self.act(self.norm(self.conv(features)))


class TriplePass(nn.Module):
    """Convolutions of 1x1, 3x3 and 5x5 side by side, a 3x3 one over all three, plus the input."""

    def __init__(self, channels: int, rectified: bool) -> None:
        """Keep `channels`; `rectified`: a ReLU also after the merging convolution."""
        super().__init__()
        self.passes = nn.ModuleList(conv(channels, channels, size) for size in (1, 3, 5))
        self.merge = conv(3 * channels, channels)
        self.after = activation(0.0) if rectified else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H, W)."""
        joined = torch.cat([one(features).relu_() for one in self.passes], 1)
        return features + self.after(self.merge(joined))


class NonLocal(nn.Module):
    """Attention of every position of a pooled map to all others (embedded Gaussian, Wang et al. 2018), plus that map.

    The grid that is pooled to has one size for every image, so that small maps are enlarged by it.
    """

    def __init__(self, channels: int, grid: int) -> None:
        """Keep `channels`; the pooled map is `grid` positions high and wide."""
        super().__init__()
        self.grid = grid
        self.query, self.key, self.value = (conv(channels, channels // 2, 1) for _ in range(3))
        self.out = conv(channels // 2, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H, W), constant within each cell of the grid where that is the coarser one."""
        pooled = F.adaptive_avg_pool2d(features, self.grid)
        query, key, value = (part(pooled).flatten(2).mT for part in (self.query, self.key, self.value))
        mixed = torch.softmax(query @ key.mT, -1) @ value
        attended = pooled + self.out(mixed.mT.unflatten(2, (self.grid, self.grid)))
        return F.interpolate(attended, size=features.shape[-2:], mode="nearest")


def unit_tanh(features: Tensor) -> Tensor:
    """Range of Galaxies99's output: tanh from [-1, 1] to [0, 1]."""
    return (torch.tanh(features) + 1) / 2


RANGES = {"ytzhang99": torch.relu, "galaxies99": unit_tanh}
"""Re-implementations, and what their last convolution is followed by."""


@method(
    "nhdrrnet",
    label="NHDRRNet",
    cites="Yan et al.: Deep HDR Imaging via a Non-Local Network, TIP 2020",
    trains=True,
    heads=("published", "mu-residual", "rule-residual"),
    presets={
        "published": {"channels": 32, "blocks": 10, "grid": 32, "port": "ytzhang99"},
        "galaxies99": {"channels": 32, "blocks": 9, "grid": 16, "port": "galaxies99"},
        "demo": {"channels": 16, "blocks": 2, "grid": 8, "port": "ytzhang99"},
        "smoke": {"channels": 4, "blocks": 1, "grid": 4, "port": "ytzhang99"},
    },
    overlap=0,
    conventions={
        "channels": "[LDR, linear]",
        "colours": "ytZhang99's BGR, Galaxies99's RGB",
        "divisor": "ytZhang99's 65536; Galaxies99's 255: files are read as 8 bit",
        "input": "Galaxies99's encoders get both halves taken to [-1, 1]",
        "output": "ytZhang99's ReLU, clamped to [0, 1] by its scripts; Galaxies99's tanh, [-1, 1]",
        "tiles": "none: full frame",
    },
    recipe={
        "loss": "squared error of T, the output clamped to [0, 1]",
        "lr": 1e-3,
        "batch": 16,
        "patch": 256,
        "per_scene": 1,
        "augment": False,
        "steps": 30_000,
        "decay": 0.1,
        "decay_every": 100_000,
        "decay_unit": "steps",
        "initialisation": "framework",
        "differs": "no official code: the recipe of ytZhang99's port, whose figures are of about 6,000 epochs of 5 "
        "steps, before its rate's first decay, and whose batch norms keep their averages from the first validation on. "
        "Galaxies99's has batches of 32, a grid at stride 64, flips and turns, 50 epochs and a polynomial decay. Batch "
        "norms take each process's own part of the batch: N processes don't equal one",
    },
)
class NHDRRNet(HdrNetwork):
    """Three encoders, a bottleneck with a local and a non-local branch, a decoder that sees all encoders.

    It has batch norms: prediction takes their moving averages, training the batch's own statistics. Exempt from the
    equality of N processes with one, as each process norms its own part of the batch. Pooling to a fixed grid makes the
    result depend on the whole frame, hence no tiles.
    """

    def __init__(self, *, channels: int, blocks: int, grid: int, port: str, head: str = "published") -> None:
        """The public size is 32 channels in the first level, 10 blocks: 45,486,339 parameters.

        blocks : those that run; Galaxies99's tenth never does (4,064,256 parameters) and is left out.
        grid   : height and width that the non-local branch pools to.
        port   : "ytzhang99" or "galaxies99". The latter has ReLU in the encoders, none after a block's merging
                 convolution, tanh instead of an unbounded ReLU as published output, frames taken to [-1, 1], and the
                 decoder's features before the encoders'.
        """
        super().__init__()
        if port not in RANGES:
            raise UsageError(f"port {port!r} of NHDRRNet is unknown; expected one of {', '.join(RANGES)}.")
        self.port, leaky = port, port == "ytzhang99"
        widths = [6, *(channels << level for level in range(LEVELS))]
        slope = 0.01 if leaky else 0.0
        self.encoders = nn.ModuleList(nn.ModuleList(Down(*pair, slope) for pair in pairwise(widths)) for _ in range(3))
        deep = widths[-1]
        self.join, self.norm, self.act = conv(3 * deep, deep), nn.BatchNorm2d(deep), activation(slope)
        self.blocks = nn.ModuleList(TriplePass(deep, rectified=leaky) for _ in range(blocks))
        self.non_local = NonLocal(deep, grid)
        outputs = [4 * channels, 2 * channels, channels, channels]
        inputs = [2 * deep, *(out + 3 * skip for out, skip in zip(outputs, widths[-2:0:-1], strict=False))]
        self.decoder = nn.ModuleList(Up(*pair) for pair in zip(inputs, outputs, strict=True))
        self.head = Head(channels, head, published=RANGES[port])

    def forward(self, frames: Tensor) -> Tensor:
        """Frames (B, 3, 6, H, W) to linear radiance (B, 3, H, W); zeros at right and bottom fill multiples of 16."""
        height, width = frames.shape[-2:]
        padded = F.pad(frames, (0, -width % (1 << LEVELS), 0, -height % (1 << LEVELS)))
        # Zeros that fill up are black, so -1 to Galaxies99's encoders.
        levels = self._encode(padded if self.port == "ytzhang99" else 2 * padded - 1)
        entry = self.act(self.norm(self.join(levels[-1])))
        local = entry
        for block in self.blocks:
            local = block(local)
        features = torch.cat([local, self.non_local(entry)], 1)
        for index, up in enumerate(self.decoder):
            features = up(features)
            if index < LEVELS - 1:
                known = levels[LEVELS - 2 - index]
                features = torch.cat([known, features] if self.port == "ytzhang99" else [features, known], 1)
        radiance: Tensor = self.head(features, padded)
        return radiance[..., :height, :width]

    def published_losses(
        self, frames: Tensor, truth: Tensor, fidelity: nn.Module, weights: Mapping[str, float]
    ) -> dict[str, Tensor]:
        """Return ytZhang99's mean squared error of T; frames (B, 3, 6, H, W), truth (B, 3, H, W)."""
        return {"reconstruction": F.mse_loss(mu_law(self(frames).float().clamp(0, 1)), mu_law(truth.float()))}

    def _encode(self, frames: Tensor) -> list[Tensor]:
        """Features of the three frames side by side (B, 3C, h, w), from half to a sixteenth of the size."""
        levels: list[list[Tensor]] = [[] for _ in range(LEVELS)]
        for index, encoder in enumerate(self.encoders):
            features = frames[:, index]
            for level, down in zip(levels, encoder, strict=True):  # type: ignore[call-overload]
                features = down(features)
                level.append(features)
        return [torch.cat(level, 1) for level in levels]

    @staticmethod
    def load_published(network: nn.Module, state: Mapping[str, Any]) -> None:
        """Fill the network from the names of its port; the batch counters may be absent.

        Galaxies99's tenth block, which never runs, is dropped. ytZhang99's colours are turned from BGR to RGB.
        """
        names = {ours: _published_name(ours, network.port) for ours in network.state_dict()}
        counters = {theirs: torch.tensor(0) for theirs in names.values() if theirs.endswith("num_batches_tracked")}
        given = counters | {name.removeprefix("module."): value for name, value in state.items()}
        bgr = from_bgr(*(f"encoders.{index}.0.conv" for index in range(3)))
        edits = bgr if network.port == "ytzhang99" else None
        fill(network, given, names, f"NHDRRNet ({network.port})", ignored=_IDLE[str(network.port)], edits=edits)


_IDLE = {"ytzhang99": "", "galaxies99": r"triple_list\.9\..*"}

_FLAT = {
    "ytzhang99": {
        "join": "cat_conv.0",
        "norm": "cat_conv.1",
        "non_local.query": "non_local_module.1.theta",
        "non_local.key": "non_local_module.1.phi",
        "non_local.value": "non_local_module.1.g",
        "non_local.out": "non_local_module.1.W",
        "head.last": "reconstruction.0",
    },
    "galaxies99": {
        "join": "final_encoder.0.conv",
        "norm": "final_encoder.1",
        "non_local.query": "theta_conv.conv",
        "non_local.key": "phi_conv.conv",
        "non_local.value": "g_conv.conv",
        "non_local.out": "theta_phi_g_conv.conv",
        "head.last": "final.0.conv",
    },
}
"""Our modules outside of lists to each port's."""


def _published_name(ours: str, port: Any) -> str:
    """Our name of a parameter or buffer to that of a port."""
    module, kind = ours.rsplit(".", 1)
    part, *rest = module.split(".")
    if part in ("encoders", "blocks", "decoder"):
        where = (_ytzhang99 if port == "ytzhang99" else _galaxies99)(part, rest)
        return f"{where}.{kind}"
    return f"{_FLAT[port][module]}.{kind}"


def _ytzhang99(part: str, rest: list[str]) -> str:
    """Modules of lists; encoders are those of under-, middle and over-exposed frames."""
    if part == "encoders":
        frame, level, inner = rest
        return f"encoder_{'umo'[int(frame)]}{int(level) + 1}.conv.{1 if inner == 'conv' else 2}"
    if part == "blocks":
        inner = "compress" if rest[1] == "merge" else ("small", "middle", "large")[int(rest[2])]
        return f"triple_pass_module.{rest[0]}triple_pass_layer.conv_{inner}.0"
    return f"decoder_{int(rest[0]) + 1}.deconv.{0 if rest[1] == 'conv' else 1}"


def _galaxies99(part: str, rest: list[str]) -> str:
    """Modules of lists."""
    if part == "encoders":
        frame, level, inner = rest
        return f"encoder_{int(frame) + 1}.{level}.{'0.conv' if inner == 'conv' else '1'}"
    if part == "blocks":
        return f"triple_list.{rest[0]}.{3 if rest[1] == 'merge' else rest[2]}.conv"
    name = ("decoder1", "decoder2", "decoder3", "decoder_final")[int(rest[0])]
    return f"{name}.{0 if rest[1] == 'conv' else 1}"
