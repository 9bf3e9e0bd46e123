"""HDR-GAN's published training: L1 on T of all outputs, and a discriminator whose outputs are points on a sphere."""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.color.transfer import mu_law
from bench.core.optimisation import Stage2
from bench.nn.losses import Fidelity
from methods.hdrgan.spectral import ReflectedSpectralConv2d

MOMENTS = (1, 2, 3)
"""Powers of the distance to the sphere's north pole that are compared (Park and Kwon, Sphere GAN, CVPR 2019)."""

WEIGHT = 1e-3
"""Weight of the distance in the generator's loss. Ours: the published one isn't known here."""


class PatchDiscriminator(nn.Module):
    """Five 4x4 convolutions with spectral norm, swish between: 64-128-128-128-1 channels.

    The first three halve the image and the last two keep it but for a pixel; this is our reading of "patch".
    """

    least = 24
    """Shortest side of an image, in pixels; below it the last layer's reflection has no pixels."""

    def __init__(self, channels: int = 64) -> None:
        """`channels` after the first convolution, twice as many after the three following."""
        super().__init__()
        widths, strides = (3, channels, *3 * (2 * channels,), 1), (2, 2, 2, 1, 1)
        self.layers = nn.ModuleList(
            ReflectedSpectralConv2d(inputs, outputs, 4, stride)
            for inputs, outputs, stride in zip(widths[:-1], widths[1:], strides, strict=True)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Mu-law images (B, 3, H, W) in [-1, 1], sides of `least` or more, to a value for every patch (B, 1, h, w)."""
        for layer in self.layers[:-1]:
            images = F.silu(layer(images))
        return self.layers[-1](images)


def sphere_distance(values: Tensor) -> Tensor:
    """Sum of the moments of each image's distance to the north pole, (B,).

    The values of an image's patches, (B, ...), are a point of the plane; the inverse stereographic projection takes it
    to the sphere. Its angle to the pole is pi - 2 atan(|values|), in radians: 0 for values that are infinitely large.
    """
    angle = math.pi - 2 * torch.atan(torch.linalg.vector_norm(values.float().flatten(1), dim=1))
    return torch.stack([angle**moment for moment in MOMENTS]).sum(0)


class AdversarialLearner:
    """Generator step, then discriminator step on the images that the generator has just made."""

    def __init__(self, network: nn.Module, settings: Stage2, fidelity: Fidelity) -> None:
        """Train `network` (an HdrGan); both phases have the learning rate of `settings`."""
        self.network, self.fidelity = network, fidelity
        self.networks: Mapping[str, nn.Module] = {"network": network, "discriminator": PatchDiscriminator().eval()}
        self.pairs: dict[int, tuple[Tensor, Tensor]] = {}
        self.judged = False

    def prepare(self, frames: Tensor, truth: Tensor, step: int, samples: slice) -> list[tuple[nn.Parameter, Tensor]]:
        """Remember that the discriminator hasn't judged in this step."""
        self.judged = False
        return []

    def losses(self, phase: str, frames: Tensor, truth: Tensor, step: int, samples: slice) -> dict[str, Tensor]:
        """Weighted terms of either phase; frames (B, 3, 6, H, W), truth (B, 3, H, W)."""
        if phase == "discriminator":
            return self._judge(samples.start)
        images: list[Tensor] = self.network.images(frames)  # type: ignore[operator]
        terms: dict[str, Tensor] = self.network.compare(images, truth, self.fidelity)  # type: ignore[operator]
        real, fake = 2 * mu_law(truth.float()) - 1, 2 * images[-1] - 1
        distance = sphere_distance(self.networks["discriminator"](fake)).mean()
        self.pairs[samples.start] = real, fake.detach()
        return terms | {"adversarial": -WEIGHT * distance}

    def updated(self, phase: str) -> None:
        """Forget the pairs that the discriminator has learned from."""
        if phase == "discriminator":
            self.pairs.clear()

    def observe(self, step: int) -> dict[str, float]:
        """Nothing is measured on the way."""
        return {}

    def state(self) -> dict[str, Tensor]:
        """Within a step, the pairs that the discriminator hasn't judged yet."""
        return {f"pair.{start}": torch.stack(pair) for start, pair in self.pairs.items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take pairs back."""
        for name, pair in state.items():
            self.pairs[int(name.removeprefix("pair."))] = pair[0], pair[1]

    def compile(self, mode: str) -> None:
        """Compile generator and discriminator.

        `mode` is ignored: in CUDA graphs the discriminator's second call would overwrite the first one's output.
        """
        for part in (self.network.get_submodule("generator"), self.networks["discriminator"]):
            part.compile()

    def _judge(self, start: int) -> dict[str, Tensor]:
        """Real images away from the pole, generated ones towards it; one stored power step, however many parts."""
        discriminator = self.networks["discriminator"].train(not self.judged)
        self.judged = True
        distances = sphere_distance(discriminator(torch.cat(self.pairs[start])))
        discriminator.eval()
        real, fake = distances.chunk(2)
        return {"discriminator": fake.mean() - real.mean()}
