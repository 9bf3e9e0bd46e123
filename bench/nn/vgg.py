"""VGG-16 features for perceptual losses, from a local weight file or from a seed."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.errors import UsageError
from bench.core.seeding import derive

LAYERS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512))
"""Channels of the convolutions before each pooling, as far as relu4_3 (Simonyan and Zisserman 2015)."""

FILE = "vgg16-397923af.pth"

TAPS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")


class VggFeatures(nn.Module):
    """Frozen VGG-16 as far as relu4_3; `origin` says where its weights came from."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, weights: Path | None, seed: int = 0) -> None:
        """Load torchvision's `vgg16-397923af.pth`, or draw He-scaled random weights from `seed` if None."""
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        self.blocks = nn.ModuleList(_blocks())
        if weights is None:
            self.origin = f"random-vgg16 (seed {seed})"
            self._draw(seed)
        else:
            self.origin = f"vgg16 sha256:{_sha256(weights)[:16]}"
            self._read(weights)
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, 3, H, W) RGB in [0, 1] to the four tapped feature maps."""
        features, taps = (images - self.mean) / self.deviation, []
        for index, block in enumerate(self.blocks):
            # A map of one pixel stays as it is, so that tiny patches have all four taps too.
            features = features if index == 0 or min(features.shape[-2:]) < 2 else F.max_pool2d(features, 2)
            features = block(features)
            taps.append(features)
        return taps

    def distance(self, images: Tensor, targets: Tensor) -> Tensor:
        """Sum over the taps of the mean absolute difference of features; no gradient reaches `targets`."""
        with torch.no_grad():
            wanted = self(targets)
        return torch.stack([F.l1_loss(a, b) for a, b in zip(self(images), wanted, strict=True)]).sum()

    def _draw(self, seed: int) -> None:
        stream = torch.Generator().manual_seed(derive(seed, "random-vgg16"))
        for layer in self._convolutions():
            fan = layer.weight[0].numel()
            layer.weight.data = torch.randn(layer.weight.shape, generator=stream) * (2 / fan) ** 0.5
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def _read(self, path: Path) -> None:
        state = _state(path)
        for layer, position in zip(self._convolutions(), _POSITIONS, strict=True):
            try:
                layer.load_state_dict({kind: state[f"features.{position}.{kind}"] for kind in ("weight", "bias")})
            except (KeyError, RuntimeError) as error:
                raise UsageError(
                    f"{path} doesn't hold VGG-16 layer features.{position}; expected torchvision's {FILE}."
                ) from error

    def _convolutions(self) -> Iterator[nn.Conv2d]:
        return (layer for layer in self.blocks.modules() if isinstance(layer, nn.Conv2d))


_POSITIONS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21)
"""Where torchvision's layer list holds the ten convolutions (activations and poolings count too)."""


def _blocks() -> Iterator[nn.Sequential]:
    inputs = 3
    for widths in LAYERS:
        layers: list[nn.Module] = []
        for outputs in widths:
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
            inputs = outputs
        yield nn.Sequential(*layers)


def _sha256(path: Path) -> str:
    if not path.is_file():
        raise UsageError(
            f"VGG-16 weights {str(path)!r} not found. Expected torchvision's {FILE}; "
            "set perceptual.weights, or perceptual.backbone to random-vgg16 or none."
        )
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _state(path: Path) -> Mapping[str, Any]:
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # the unpickler raises whatever the damage leads to
        raise UsageError(f"{path} can't be read as PyTorch weights; expected torchvision's {FILE}.") from error
    if not isinstance(state, Mapping):
        raise UsageError(f"{path} holds a {type(state).__name__}, not named weights; expected torchvision's {FILE}.")
    return state
