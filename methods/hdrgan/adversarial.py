"""HDR-GAN's published training: L1 on T of all outputs, and a discriminator whose outputs are points on a sphere."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.color.transfer import mu_law
from bench.core.optimisation import Stage2
from bench.nn.losses import Fidelity
from methods.hdrgan.spectral import ReflectedSpectralConv2d

MOMENTS = (1, 2, 3)
"""Powers of the distance on the sphere that are compared (Park and Kwon, Sphere GAN, CVPR 2019)."""

RANGE = 2
"""Width of the range that the public code has mu-law images in, [-1, 1], and so the factor of its L1 to ours."""


class PatchDiscriminator(nn.Module):
    """Five 4x4 convolutions with spectral norm, swish between: 64-128-128-128-1 channels, strides 2-2-2-1-1.

    The last alone reflects the border, by a pixel; the others have none. A value sees 70 x 70 pixels of the image.
    """

    least = 54
    """Shortest side of an image, in pixels; below it the last layer's reflection has no pixels."""

    def __init__(self, channels: int = 64) -> None:
        """`channels` after the first convolution, twice as many after the three following."""
        super().__init__()
        widths, strides = (3, channels, *3 * (2 * channels,), 1), (2, 2, 2, 1, 1)
        layers = [
            ReflectedSpectralConv2d(inputs, outputs, 4, stride)
            for inputs, outputs, stride in zip(widths[:-1], widths[1:], strides, strict=True)
        ]
        for layer in layers[:-1]:
            layer.border = 0
        self.layers = nn.ModuleList(layers)

    def forward(self, images: Tensor) -> Tensor:
        """Mu-law images (B, 3, H, W) in [-1, 1], sides of `least` or more, to a value for every patch (B, 1, h, w)."""
        for layer in self.layers[:-1]:
            images = F.silu(layer(images))
        return self.layers[-1](images)


def sphere_distance(values: Tensor) -> Tensor:
    """Sum of the moments of each image's distance to a point of the sphere, (B,).

    The values of an image's patches, (B, ...), are a point of the plane; the inverse stereographic projection takes it
    to the sphere. The distance is the angle, in radians, to where the first coordinate is 1. That is the public code's
    point, and not Sphere GAN's north pole: only the first patch and the norm of all decide.
    """
    points = values.float().flatten(1)
    cosine = 2 * points[:, 0] / (points.square().sum(1) + 1)
    edge = 1 - torch.finfo(cosine.dtype).eps  # at 1 the slope of the angle is infinite
    angle = torch.acos(cosine.clamp(-edge, edge))
    return torch.stack([angle**moment for moment in MOMENTS]).sum(0)


class AdversarialLearner:
    """Generator step, then discriminator step on the images that the generator has just made."""

    def __init__(self, network: nn.Module, settings: Stage2, fidelity: Fidelity) -> None:
        """Train `network` (an HdrGan); both phases have the learning rate of `settings`."""
        self.network, self.fidelity = network, fidelity
        self.networks: Mapping[str, nn.Module] = {"network": network, "discriminator": PatchDiscriminator().eval()}
        self.shown: dict[int, Tensor] = {}
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
        fakes, discriminator = [2 * image - 1 for image in images], self.networks["discriminator"]
        distances = torch.stack([sphere_distance(discriminator(fake)).mean() for fake in fakes])
        self.shown[samples.start] = torch.stack([2 * mu_law(truth.float()) - 1, *(fake.detach() for fake in fakes)])
        return {name: RANGE * term for name, term in terms.items()} | {"adversarial": -distances.sum()}

    def updated(self, phase: str) -> None:
        """Forget the images that the discriminator has learned from."""
        if phase == "discriminator":
            self.shown.clear()

    def observe(self, step: int) -> dict[str, float]:
        """Nothing is measured on the way."""
        return {}

    def state(self) -> dict[str, Tensor]:
        """Within a step, the images that the discriminator hasn't judged yet."""
        return {f"shown.{start}": images for start, images in self.shown.items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take images back."""
        for name, images in state.items():
            self.shown[int(name.removeprefix("shown."))] = images

    def compile(self, mode: str) -> None:
        """Compile generator and discriminator.

        `mode` is ignored: in CUDA graphs the discriminator's second call would overwrite the first one's output.
        """
        for part in (self.network.get_submodule("generator"), self.networks["discriminator"]):
            part.compile(dynamic=False)

    def _judge(self, start: int) -> dict[str, Tensor]:
        """Generated images towards the point, for each of them the real ones away; one stored power step a step."""
        discriminator = self.networks["discriminator"].train(not self.judged)
        self.judged = True
        shown = self.shown[start]  # (1 + outputs, B, 3, H, W), the real ones first
        distances = sphere_distance(discriminator(shown.flatten(0, 1))).view(len(shown), -1).mean(1)
        discriminator.eval()
        return {"discriminator": (distances[1:] - distances[0]).sum()}
