"""Kalantari and Ramamoorthi (SIGGRAPH 2017): frames aligned by optical flow, then four convolutions that merge them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.color.transfer import mu_law
from bench.core.errors import UsageError
from bench.core.method import method
from bench.nn.blocks import Conv2d, HdrNetwork, ZeroConv2d, conv, full_precision, known_head, on_base
from bench.nn.published import fill_tensorflow

OUTPUTS = {"direct": 3, "we": 9, "wie": 18}
"""Channels of the last convolution: radiance; weights of three frames; weights, then images, of three frames."""

SIZES = (7, 5, 3, 1)
"""Edges of the convolutions' kernels; together a pixel looks 6 pixels far."""

START = -2.0
"""Bias of the blend's weights: all equal at first, and far enough down the sigmoid for ratios to grow quickly."""


class Outputs(Conv2d):
    """The last convolution. Those of its outputs that are weights of a blend start even, wherever they look."""

    def reset_parameters(self) -> None:
        """Draw as usual; the kernels of the weights are zero, their biases `START`."""
        super().reset_parameters()
        if self.out_channels > OUTPUTS["direct"] and self.bias is not None:
            with torch.no_grad():
                self.weight[: OUTPUTS["we"]] = 0
                self.bias[: OUTPUTS["we"]] = START


@method(
    "kalantari2017",
    label="Kalantari (DIS flow)",
    cites="Kalantari and Ramamoorthi: Deep High Dynamic Range Imaging of Dynamic Scenes, ACM TOG (SIGGRAPH) 2017",
    trains=True,
    heads=("published", "mu-residual", "rule-residual"),
    without_heads={"kind": ("we", "wie")},
    registers="dis",
    presets={
        "published": {"kind": "wie", "channels": 100},
        "we": {"kind": "we", "channels": 100},
        "direct": {"kind": "direct", "channels": 100},
        "demo": {"kind": "direct", "channels": 16},
        "smoke": {"kind": "direct", "channels": 4},
    },
    overlap=6,
    recipe={
        "loss": "squared error of T",
        "lr": 1e-4,
        "betas": [0.9, 0.999],
        "batch": 20,
        "patch": 40,
        "stride": 20,
        "augment": True,
        "steps": 2_000_000,
        "initialisation": "glorot",
        "differs": "DIS instead of Liu's flow; zero padding as in the TensorFlow port (the original has none and loses "
        "6 pixels a side); patches of any exposure (theirs: over half of the values outside [0.2, 0.8]); eight "
        "symmetries without the six orders of the colours; WIE doesn't start from a trained WE",
    },
    conventions={
        "channels": "[LDR of all frames, linear of all frames]",
        "colours": "BGR",
        "divisor": "65535",
        "output": "linear radiance, weights and images through a sigmoid",
        "tiles": "full frame, 44 pixels cut from each border",
        "weights": "of the TensorFlow port (TH3CHARLie), aligned by DeepFlow; the authors' own are for MatConvNet",
    },
)
class Kalantari2017(HdrNetwork):
    """7x7, 5x5, 3x3 and 1x1 convolutions, then radiance itself (direct) or a blend of three images (WE, WIE)."""

    def __init__(self, *, kind: str, channels: int, head: str = "published") -> None:
        """`kind` is direct, we or wie; the published width is 100: 383,603, 383,909 and 384,368 parameters.

        A head of ours is offered of the kind direct alone: what blends frames starts from their even blend.
        """
        super().__init__()
        if kind not in OUTPUTS:
            raise UsageError(f"kind {kind!r} of kalantari2017 is unknown; expected one of {', '.join(OUTPUTS)}.")
        if known_head(head) != "published" and kind != "direct":
            raise UsageError(
                f"kalantari2017 of kind {kind!r} blends images and has no output head {head!r}; take the kind direct, "
                "or the head published."
            )
        self.kind, self.head = kind, head
        widths = (18, channels, channels, channels // 2)
        self.convs = nn.ModuleList(
            conv(width, after, size) for width, after, size in zip(widths[:-1], widths[1:], SIZES[:-1], strict=True)
        )
        self.last: nn.Conv2d = (Outputs if head == "published" else ZeroConv2d)(widths[-1], OUTPUTS[kind], SIZES[-1])

    def forward(self, frames: Tensor) -> Tensor:
        """Frames (B, 3, 6, H, W), registered to the reference, to linear radiance (B, 3, H, W) in [0, 1]."""
        linear = frames[:, :, 3:]
        features = torch.cat([frames[:, :, :3].flatten(1, 2), linear.flatten(1, 2)], 1)
        for layer in self.convs:
            features = torch.relu_(layer(features))
        with full_precision(features):
            out = self.last(features.to(self.last.weight.dtype))
            if self.head != "published":
                return on_base(self.head, out, frames)
            out = torch.sigmoid(out)
            return self._blend(out.reshape(len(out), -1, 3, *out.shape[2:]), linear.to(out.dtype))

    def _blend(self, out: Tensor, linear: Tensor) -> Tensor:
        """Turn outputs (B, 1, 3 or 6, 3, H, W) into radiance; WE weighs the `linear` images (B, 3, 3, H, W)."""
        if self.kind == "direct":
            return out[:, 0]
        weights, images = out[:, :3], linear if self.kind == "we" else out[:, 3:]
        return (weights * images).sum(1) / (weights.sum(1) + 1e-6)

    def published_losses(
        self, frames: Tensor, truth: Tensor, fidelity: nn.Module, weights: Mapping[str, float]
    ) -> dict[str, Tensor]:
        """Return the mean squared error of T; frames (B, 3, 6, H, W), truth (B, 3, H, W)."""
        return {"reconstruction": F.mse_loss(mu_law(self(frames).float()), mu_law(truth.float()))}

    @staticmethod
    def load_published(network: nn.Module, state: Mapping[str, Any]) -> None:
        """Fill the network from the variables of the TensorFlow port, whose colours are blue, green, red."""
        names = {ours: _published_name(ours) for ours in network.state_dict()}
        turned = {name: _rgb(name, torch.as_tensor(value)) for name, value in state.items()}
        fill_tensorflow(network, names, turned, label="Kalantari")

    @staticmethod
    def read_published(path: Path) -> dict[str, Tensor]:
        """Read the larger data file of the port's checkpoint: names as in TensorFlow to tensors of its shapes.

        It holds the kernel (rows, columns, in, out), then the bias, of each convolution, little-endian float32. Its
        length tells which of the three networks it is; UsageError for any other length or values that aren't finite.
        """
        with path.open("rb") as file:
            content = file.read(1 << 22)
        values = np.frombuffer(content, "<f4") if path.stat().st_size % 4 == 0 else np.empty(0)
        shapes = {kind: _shapes(kind) for kind in OUTPUTS}
        sizes = {kind: sum(int(np.prod(shape)) for shape in of.values()) for kind, of in shapes.items()}
        found = [kind for kind, size in sizes.items() if size == len(values)]
        if not found or not np.isfinite(values).all():
            raise UsageError(
                f"{path}: not the data file of Kalantari's port, which is 4 bytes for each of "
                f"{', '.join(f'{size:,} ({kind})' for kind, size in sizes.items())} finite values; the file has "
                f"{path.stat().st_size:,} bytes. Of a checkpoint's data files take the larger one."
            )
        state, start = {}, 0
        for name, shape in shapes[found[0]].items():
            end = start + int(np.prod(shape))
            state[name] = torch.from_numpy(values[start:end].reshape(shape).astype(np.float32))
            start = end
        return state


def _shapes(kind: str, channels: int = 100) -> dict[str, tuple[int, ...]]:
    """The port's variables in the order of its data file, with their shapes."""
    widths = (18, channels, channels, channels // 2, OUTPUTS[kind])
    shapes: dict[str, tuple[int, ...]] = {}
    for number, size in enumerate(SIZES, 1):
        shapes[f"conv{number}/kernel"] = (size, size, widths[number - 1], widths[number])
        shapes[f"conv{number}/bias"] = (widths[number],)
    return shapes


def _published_name(ours: str) -> str:
    """Return the port's name of one of our parameters."""
    module, tensor = ours.rsplit(".", 1)
    number = 4 if module == "last" else int(module.removeprefix("convs.")) + 1
    return f"conv{number}/{'kernel' if tensor == 'weight' else 'bias'}"


def _rgb(name: str, value: Tensor) -> Tensor:
    """Exchange blue and red: the channels that conv1 takes and that conv4 makes are triples of colours."""
    axis = {"conv1/kernel": 2, "conv4/kernel": 3, "conv4/bias": 0}.get(name.removesuffix(":0"))
    if axis is None or value.ndim <= axis or value.shape[axis] % 3:
        return value
    triples = value.reshape(*value.shape[:axis], -1, 3, *value.shape[axis + 1 :])
    return triples.flip(axis + 1).reshape(value.shape)
