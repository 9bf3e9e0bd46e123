"""The discriminators of stage 1: images in, logits out, high for real ones.

Both hold to one contract, so that N processes and accumulated gradients equal one pass over the whole batch: no value
depends on other images of the batch, and `forward` changes buffers in training mode alone. Nothing but spectral norm
has a state (one power iteration for each forward in training mode, whatever the images are). Put a discriminator into
training mode for one forward a step and into evaluation mode for all others, and every step makes exactly one power
iteration however many forwards it has.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.errors import unknown_name


class PatchGAN(nn.Module):
    """4x4 convolutions width-2w-4w-8w-1, LeakyReLU 0.2; GroupNorm, not BatchNorm, so that N processes equal one."""

    least = 24
    """Shortest side of an image, in pixels."""

    def __init__(self, width: int = 64) -> None:
        """`width` is the number of channels after the first convolution; 64 gives the usual 2.77 M parameters."""
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
        for inputs, outputs, stride in ((width, 2 * width, 2), (2 * width, 4 * width, 2), (4 * width, 8 * width, 1)):
            layers += [
                nn.Conv2d(inputs, outputs, 4, stride, 1, bias=False),
                nn.GroupNorm(min(32, outputs // 2), outputs),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, 1, 1))

    def forward(self, encoded: Tensor) -> Tensor:
        """Mu-law images (B, 3, H, W), sides of `least` or more, to logits (B, 1, h, w), high for real ones."""
        return self.layers(encoded)


class SpectralConv2d(nn.Conv2d):
    """A convolution without bias whose weight is divided by its largest singular value (Miyato et al. 2018).

    The weight counts as a matrix (outputs, everything else). Its singular vectors `left` and `right` are estimated by
    power iterations: fifteen at the start, then one for each forward in training mode. The framework's parametrization
    does the same, but its weights can't be drawn anew by `reset_parameters`.
    """

    left: Tensor
    right: Tensor

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1) -> None:
        """Map `inputs` to `outputs` channels with a window of `size`, padded by one pixel."""
        super().__init__(inputs, outputs, size, stride, padding=1, bias=False)
        self.register_buffer("left", torch.empty(outputs))
        self.register_buffer("right", torch.empty(inputs * size**2))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weight as `nn.Conv2d` does and start the singular vectors; nothing while these don't exist yet."""
        if "left" not in self._buffers:
            return
        super().reset_parameters()
        with torch.no_grad():
            self.right.normal_()
            self.iterate(15)

    @torch.no_grad()
    def iterate(self, times: int = 1) -> None:
        """Improve the singular vectors by `times` power iterations."""
        matrix = self.weight.flatten(1)
        for _ in range(times):
            self.left.copy_(F.normalize(matrix @ self.right, dim=0))
            self.right.copy_(F.normalize(matrix.T @ self.left, dim=0))

    def forward(self, features: Tensor) -> Tensor:
        """(B, C_in, H, W) to (B, C_out, h, w); the singular vectors are constants of the gradient, the norm is fp32."""
        with torch.autocast(self.weight.device.type, enabled=False):
            if self.training:
                self.iterate()
            # Copies: a later power iteration mustn't change what this forward's gradient needs.
            norm = self.left.clone() @ self.weight.flatten(1) @ self.right.clone()
            weight = self.weight / norm
        return self._conv_forward(features, weight, None)


class UNet(nn.Module):
    """U-Net with spectral norm, as in Real-ESRGAN and FeMaSR: a logit for every pixel, LeakyReLU 0.2.

    A convolution to `width` channels, three 4x4 convolutions of stride 2 to 2w-4w-8w, three steps of bilinear
    upsampling, convolution and addition of the map of that size, two more convolutions and one to the logits.
    """

    least = 8
    """Shortest side of an image, in pixels."""

    def __init__(self, width: int = 64) -> None:
        """`width` is the number of channels at full size; 64 gives the usual 4.38 M parameters."""
        super().__init__()
        self.entry = nn.Conv2d(3, width, 3, padding=1)
        self.downs = nn.ModuleList(SpectralConv2d(width << level, width << level + 1, 4, 2) for level in range(3))
        self.ups = nn.ModuleList(SpectralConv2d(width << level + 1, width << level, 3) for level in reversed(range(3)))
        self.last = nn.ModuleList(SpectralConv2d(width, width, 3) for _ in range(2))
        self.exit = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, encoded: Tensor) -> Tensor:
        """Mu-law images (B, 3, H, W), sides of `least` or more, to logits (B, 1, H, W), high for real ones."""
        maps = [F.leaky_relu(self.entry(encoded), 0.2)]
        for down in self.downs:
            maps.append(F.leaky_relu(down(maps[-1]), 0.2))
        features = maps.pop()
        for up in self.ups:
            skip = maps.pop()
            # To the skip's size rather than times two: an odd height or width was rounded down on the way.
            wider = F.interpolate(features, skip.shape[-2:], mode="bilinear", align_corners=False)
            features = F.leaky_relu(up(wider), 0.2) + skip
        for conv in self.last:
            features = F.leaky_relu(conv(features), 0.2)
        return self.exit(features)


DISCRIMINATORS: dict[str, type[PatchGAN | UNet]] = {"patchgan": PatchGAN, "unet-sn": UNet}
"""Discriminators by the name that the parameters give them."""


def discriminator(kind: str, width: int) -> nn.Module:
    """Build the discriminator called "patchgan" or "unet-sn", `width` channels wide after its first convolution.

    See the top of this file for how it is to be used; another name raises UsageError.
    """
    if kind not in DISCRIMINATORS:
        raise unknown_name("discriminator", kind, DISCRIMINATORS)
    return DISCRIMINATORS[kind](width)
