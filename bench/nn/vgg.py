"""VGG-16 features for perceptual losses, from torchvision's weights or from a seed."""

from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.errors import UsageError
from bench.core.seeding import derive

LAYERS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512))
"""Channels of the convolutions before each pooling, as far as relu4_3 (Simonyan and Zisserman 2015)."""

TAPS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")


class VggFeatures(nn.Module):
    """Frozen VGG-16 as far as relu4_3; `origin` says where its weights came from."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, weights: Mapping[str, Tensor] | None, *, seed: int = 0, source: str = "") -> None:
        """Take torchvision's parameters by their names, or draw He-scaled random ones from `seed` if None.

        source : sha256 of the file that the weights are from.
        UsageError for a missing layer or one of another shape.
        """
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        self.blocks = nn.ModuleList(_blocks())
        if weights is None:
            self.origin = f"random-vgg16 (seed {seed})"
            self._draw(seed)
        else:
            self.origin = f"vgg16 sha256:{source[:16]}"
            self._fill(weights)
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

    def _fill(self, state: Mapping[str, Tensor]) -> None:
        for layer, position in zip(self._convolutions(), POSITIONS, strict=True):
            try:
                layer.load_state_dict({kind: state[f"features.{position}.{kind}"] for kind in ("weight", "bias")})
            except (KeyError, RuntimeError) as error:
                raise UsageError(f"no VGG-16: layer features.{position} is missing or of another shape.") from error

    def _convolutions(self) -> Iterator[nn.Conv2d]:
        return (layer for layer in self.blocks.modules() if isinstance(layer, nn.Conv2d))


POSITIONS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21)
"""Positions of the ten convolutions in torchvision's layer list (activations and poolings count too)."""


def _blocks() -> Iterator[nn.Sequential]:
    inputs = 3
    for widths in LAYERS:
        layers: list[nn.Module] = []
        for outputs in widths:
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
            inputs = outputs
        yield nn.Sequential(*layers)


def used_layers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return torchvision's parameters of the layers that are used, float32; UsageError if they aren't VGG-16's."""
    VggFeatures(state)
    names = [f"features.{position}.{kind}" for position in POSITIONS for kind in ("weight", "bias")]
    return {name: state[name].detach().to(torch.float32).contiguous() for name in names}
