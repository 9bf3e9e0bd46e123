"""Stage 1 network: encoder E, overlapped codebook and decoder D, variant A of the specification."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from bench.color.transfer import mu_law
from bench.core.errors import UsageError
from bench.nn.blocks import conv
from bench.nn.statistics import GroupNorm
from bench.nn.tiling import in_strips
from methods.olc.codebook import Codebook, Quantised

LEVELS = 4
"""Scales H, H/2, H/4, H/8 with C, 2C, 4C, 8C channels; n_z = 8C."""


class NormResBlock(nn.Module):
    """Residual block with GroupNorm and SiLU, as in VQGAN (Esser et al. 2021)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """Map `inputs` to `outputs` channels; a 1x1 convolution carries the shortcut where they differ."""
        super().__init__()
        self.body = nn.Sequential(norm_act(inputs), conv(inputs, outputs), norm_act(outputs), conv(outputs, outputs))
        self.shortcut = nn.Identity() if inputs == outputs else conv(inputs, outputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C_in, H, W) to (B, C_out, H, W)."""
        out: Tensor = self.shortcut(features) + self.body(features)
        return out


def norm_act(channels: int) -> nn.Sequential:
    """GroupNorm of at most 32 groups (at least two channels each), then SiLU."""
    return nn.Sequential(GroupNorm(min(32, channels // 2), channels, eps=1e-6), nn.SiLU())


class Encoder(nn.Module):
    """E: (B, 3, H, W) linear radiance to (B, 8C, H/8, W/8)."""

    def __init__(self, channels: int, blocks: int, middle: int) -> None:
        """`blocks` residual blocks on each level, `middle` more on the last."""
        super().__init__()
        widths = [channels << level for level in range(LEVELS)]
        layers: list[nn.Module] = [conv(3, channels)]
        for level, width in enumerate(widths):
            layers.append(NormResBlock(widths[max(level - 1, 0)], width))
            layers += [NormResBlock(width, width) for _ in range(blocks - 1)]
            if level < LEVELS - 1:
                layers.append(conv(width, width, stride=2))
        layers += [NormResBlock(widths[-1], widths[-1]) for _ in range(middle)]
        self.layers = nn.Sequential(*layers, norm_act(widths[-1]), conv(widths[-1], widths[-1]))

    def forward(self, radiance: Tensor) -> Tensor:
        """Encode; height and width must be multiples of 8."""
        out: Tensor = self.layers(radiance)
        return out


class Decoder(nn.Module):
    """D: (B, 8C, H/8, W/8) to radiance (B, 3, H, W) in (0, 1), and the features of its upper three levels."""

    def __init__(self, channels: int, blocks: int, middle: int) -> None:
        """`blocks` residual blocks on each level, `middle` more before the first."""
        super().__init__()
        widths = [channels << level for level in reversed(range(LEVELS))]
        self.entry = nn.Sequential(
            conv(widths[0], widths[0]), *(NormResBlock(widths[0], widths[0]) for _ in range(middle))
        )
        self.levels = nn.ModuleList()
        self.ups = nn.ModuleList()
        for level, width in enumerate(widths):
            first = NormResBlock(widths[max(level - 1, 0)], width)
            self.levels.append(nn.Sequential(first, *(NormResBlock(width, width) for _ in range(blocks - 1))))
            if level < LEVELS - 1:
                self.ups.append(nn.Sequential(nn.Upsample(scale_factor=2), conv(width, width)))
        self.exit = nn.Sequential(norm_act(widths[-1]), conv(widths[-1], 3))

    def features(self, codes: Tensor) -> list[Tensor]:
        """Return F_vq at H/4, H/2 and H: (B, 4C, H/4, W/4), (B, 2C, H/2, W/2), (B, C, H, W)."""
        features, taps = self.levels[0](self.entry(codes)), []
        for up, blocks in zip(self.ups, self.levels[1:], strict=True):
            parts = [up, *blocks.children()]
            # At twice the size the widened map is the largest; in strips it never exists whole.
            features = in_strips(parts[:2], features, reach=2)
            for block in parts[2:]:
                features = in_strips([block], features, reach=2)
            taps.append(features)
        return taps

    def forward(self, codes: Tensor) -> Tensor:
        """Decode to linear radiance; the paper doesn't print the output's activation, ours is a sigmoid."""
        return torch.sigmoid(self.exit(self.features(codes)[-1]).float())


class Reconstruction(NamedTuple):
    """Encoder output, quantised codes and decoded radiance of a batch."""

    features: Tensor
    quantised: Quantised
    radiance: Tensor


class VQGAN(nn.Module):
    """E, codebook and D."""

    def __init__(
        self,
        *,
        channels: int,
        codes: int,
        segments: str,
        encoder_blocks: int = 2,
        decoder_blocks: int = 3,
        middle_blocks: int = 2,
        encoder_domain: str = "linear",
    ) -> None:
        """`channels` is C; `codes` is K; `segments` is "olc" or "vanilla"; `encoder_domain` "linear" or "mu-law"."""
        super().__init__()
        if encoder_domain not in ("linear", "mu-law"):
            raise UsageError(f"encoder_domain {encoder_domain!r} is unknown; expected linear or mu-law.")
        self.encoder_domain = encoder_domain
        self.encoder = Encoder(channels, encoder_blocks, middle_blocks)
        self.codebook = Codebook(codes, channels << (LEVELS - 1), segments)
        self.decoder = Decoder(channels, decoder_blocks, middle_blocks)

    def encode(self, radiance: Tensor) -> Tensor:
        """E(X) of linear radiance (B, 3, H, W) in [0, 1]."""
        out: Tensor = self.encoder(mu_law(radiance) if self.encoder_domain == "mu-law" else radiance)
        return out

    def forward(self, radiance: Tensor, kinds: Tensor | int = 3) -> Reconstruction:
        """Encode, quantise within the segment of `kinds` and decode."""
        features = self.encode(radiance)
        quantised = self.codebook(features, kinds)
        return Reconstruction(features, quantised, self.decoder(quantised.straight))
