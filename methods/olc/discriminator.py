"""The 70x70 PatchGAN discriminator of stage 1."""

from torch import Tensor, nn


class PatchGAN(nn.Module):
    """4x4 convolutions width-2w-4w-8w-1, LeakyReLU 0.2; GroupNorm, not BatchNorm, so that N processes equal one."""

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
        """Mu-law images (B, 3, H, W), at least 32 pixels a side, to logits (B, 1, h, w), high for real ones."""
        out: Tensor = self.layers(encoded)
        return out
