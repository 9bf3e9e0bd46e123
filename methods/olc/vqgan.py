"""Stage 1 network: encoder E, overlapped codebook and decoder D, in the variants of the specification."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from bench.color.transfer import mu_law
from bench.core.errors import UsageError, unknown_name
from bench.nn.attention import attend
from bench.nn.blocks import conv
from bench.nn.statistics import GroupNorm
from bench.nn.tiling import in_strips
from methods.olc.codebook import Codebook, Quantised

LEVELS = 4
"""Scales H, H/2, H/4, H/8; n_z = 8C whatever the variant."""


class Design(NamedTuple):
    """A variant of E and D.

    widths    : channels at H, H/2, H/4 and H/8, in units of C.
    attention : one-head self-attention after every block at H/8, and between the middle blocks.
    lean      : as FeMaSR: resampling convolutions change the width, E has no block at H and D none at H/8, no middle
                blocks; E ends and D begins with one convolution.
    quant     : as taming-transformers: a 1x1 convolution of n_z channels on either side of the codebook.
    blocks    : default number of residual blocks on each level of E and of D.
    """

    widths: tuple[int, int, int, int]
    attention: bool = False
    lean: bool = False
    quant: bool = False
    blocks: tuple[int, int] = (2, 3)


NETWORKS = {
    "A": Design((1, 2, 4, 8)),
    "A+attn": Design((1, 2, 4, 8), attention=True),
    "B": Design((2, 4, 8, 8), lean=True, blocks=(2, 2)),
    "C": Design((4, 4, 8, 16), attention=True, quant=True),
}
"""A: widths of the fidelity decoder. B: FeMaSR's form. C: taming-transformers' f = 8, base width 4C (1-1-2-4)."""


class Attention(nn.Module):
    """One-head self-attention over all positions, with a residual connection (taming-transformers' AttnBlock).

    It reaches over the whole image, at a cost that grows with the square of its area. In a tiled prediction the
    decoder's lowest level runs on the whole map all the same.
    """

    def __init__(self, channels: int, groups: int) -> None:
        """Keep `channels`, normed in `groups`."""
        super().__init__()
        self.norm = GroupNorm(groups, channels, eps=1e-6)
        self.query, self.key, self.value = (conv(channels, channels, 1) for _ in range(3))
        self.project = conv(channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H, W)."""
        normed = self.norm(features)
        heads = [part(normed).flatten(2).mT[:, None] for part in (self.query, self.key, self.value)]
        attended = attend(*heads)[:, 0].mT.reshape(features.shape)
        return features + self.project(attended)


class NormResBlock(nn.Module):
    """Residual block with GroupNorm and SiLU, as in VQGAN (Esser et al. 2021)."""

    def __init__(self, inputs: int, outputs: int, attention: bool = False) -> None:
        """Map `inputs` to `outputs` channels; a 1x1 convolution carries the shortcut where they differ.

        `attention` follows the block as a part of it, so that all other names, and with them the initial weights, are
        those of the network without attention.
        """
        super().__init__()
        self.body = nn.Sequential(norm_act(inputs), conv(inputs, outputs), norm_act(outputs), conv(outputs, outputs))
        self.shortcut = nn.Identity() if inputs == outputs else conv(inputs, outputs, 1)
        self.attention = Attention(outputs, groups(outputs)) if attention else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """(B, C_in, H, W) to (B, C_out, H, W)."""
        return self.attention(self.shortcut(features) + self.body(features))


def groups(channels: int) -> int:
    """Number of groups of a GroupNorm: at most 32, at least two channels each."""
    return min(32, channels // 2)


def norm_act(channels: int) -> nn.Sequential:
    """GroupNorm, then SiLU."""
    return nn.Sequential(GroupNorm(groups(channels), channels, eps=1e-6), nn.SiLU())


def stack(inputs: int, outputs: int, blocks: int, attention: bool = False) -> list[nn.Module]:
    """`blocks` residual blocks, the first of which maps `inputs` to `outputs` channels."""
    return [NormResBlock(outputs if block else inputs, outputs, attention) for block in range(blocks)]


def middle_stack(width: int, blocks: int, attention: bool) -> list[nn.Module]:
    """The middle's `blocks` residual blocks, with attention between each two of them."""
    return [NormResBlock(width, width, attention and block < blocks - 1) for block in range(blocks)]


class Encoder(nn.Module):
    """E: (B, 3, H, W) linear radiance to (B, 8C, H/8, W/8)."""

    def __init__(self, channels: int, blocks: int, middle: int, design: Design = NETWORKS["A"]) -> None:
        """`blocks` residual blocks on each level, `middle` more on the last."""
        super().__init__()
        widths, vectors = [channels * width for width in design.widths], channels << (LEVELS - 1)
        make = _lean_encoder if design.lean else _encoder
        layers = make(widths, vectors, blocks, middle, design.attention)
        self.layers = nn.Sequential(*layers, *([conv(vectors, vectors, 1)] if design.quant else []))

    def forward(self, radiance: Tensor) -> Tensor:
        """Encode; height and width must be multiples of 8."""
        return self.layers(radiance)


def _encoder(widths: list[int], vectors: int, blocks: int, middle: int, attention: bool) -> list[nn.Module]:
    layers: list[nn.Module] = [conv(3, widths[0])]
    for level, width in enumerate(widths):
        last = level == LEVELS - 1
        layers += stack(widths[max(level - 1, 0)], width, blocks, attention and last)
        layers += [] if last else [conv(width, width, stride=2)]
    layers += middle_stack(widths[-1], middle, attention)
    return [*layers, norm_act(widths[-1]), conv(widths[-1], vectors)]


def _lean_encoder(widths: list[int], vectors: int, blocks: int, middle: int, attention: bool) -> list[nn.Module]:
    layers: list[nn.Module] = [conv(3, widths[0])]
    for level in range(1, LEVELS):
        layers += [conv(widths[level - 1], widths[level], stride=2), *stack(widths[level], widths[level], blocks)]
    return [*layers, conv(widths[-1], vectors, 1)]


class Decoder(nn.Module):
    """D: (B, 8C, H/8, W/8) to radiance (B, 3, H, W) in (0, 1), and the features of its upper three levels.

    `tapped` holds those features' channels at H/4, H/2 and H.
    """

    def __init__(self, channels: int, blocks: int, middle: int, design: Design = NETWORKS["A"]) -> None:
        """`blocks` residual blocks on each level, `middle` more before the first."""
        super().__init__()
        widths, vectors = [channels * width for width in reversed(design.widths)], channels << (LEVELS - 1)
        self.tapped = widths[1:]
        entry = [conv(vectors, vectors, 1), conv(vectors, widths[0])] if design.quant else [conv(vectors, widths[0])]
        self.entry = nn.Sequential(*entry, *([] if design.lean else middle_stack(widths[0], middle, design.attention)))
        self.levels = nn.ModuleList()
        self.ups = nn.ModuleList()
        for level, width in enumerate(widths):
            above, below = widths[max(level - 1, 0)], widths[min(level + 1, LEVELS - 1)]
            inputs, number = (width, blocks if level else 0) if design.lean else (above, blocks)
            self.levels.append(nn.Sequential(*stack(inputs, width, number, design.attention and level == 0)))
            if level < LEVELS - 1:
                outputs = below if design.lean else width
                self.ups.append(nn.Sequential(nn.Upsample(scale_factor=2), conv(width, outputs)))
        ending = nn.Identity() if design.lean else norm_act(widths[-1])
        self.exit = nn.Sequential(ending, conv(widths[-1], 3))

    def features(self, codes: Tensor) -> list[Tensor]:
        """Return F_vq at H/4, H/2 and H, of `tapped` channels; variant A: 4C, 2C and C."""
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


def need_at_least(least: int, **sizes: int | None) -> None:
    """Raise UsageError for a size below `least`: a loop over it would make no layer, without a word."""
    for name, size in sizes.items():
        if size is not None and size < least:
            raise UsageError(f"{name} is {size}; expected {least} or more.")


class VQGAN(nn.Module):
    """E, codebook and D."""

    def __init__(
        self,
        *,
        channels: int,
        codes: int,
        segments: str,
        network: str = "A",
        encoder_blocks: int | None = None,
        decoder_blocks: int | None = None,
        middle_blocks: int = 2,
        encoder_domain: str = "linear",
        with_encoder: bool = True,
    ) -> None:
        """Choose the parts.

        channels       : C; codes: K; segments: "olc" or "vanilla"; encoder_domain: "linear" or "mu-law".
        network        : a name of NETWORKS.
        encoder_blocks : residual blocks on each level of E, and decoder_blocks of D; none: the variant's.
        middle_blocks  : blocks at H/8 besides, of either; variant B has none whatever this says.
        with_encoder   : False leaves E out, for a decoder that is used without stage 1.
        """
        super().__init__()
        need_at_least(1, channels=channels, encoder_blocks=encoder_blocks, decoder_blocks=decoder_blocks)
        need_at_least(0, middle_blocks=middle_blocks)
        if encoder_domain not in ("linear", "mu-law"):
            raise UsageError(f"encoder_domain {encoder_domain!r} is unknown; expected linear or mu-law.")
        if network not in NETWORKS:
            raise unknown_name("VQGAN network", network, NETWORKS)
        design, self.encoder_domain = NETWORKS[network], encoder_domain
        given = (encoder_blocks, decoder_blocks)
        blocks = [default if own is None else own for own, default in zip(given, design.blocks, strict=True)]
        self.encoder = Encoder(channels, blocks[0], middle_blocks, design) if with_encoder else None
        self.codebook = Codebook(codes, channels << (LEVELS - 1), segments)
        self.decoder = Decoder(channels, blocks[1], middle_blocks, design)

    def encode(self, radiance: Tensor) -> Tensor:
        """E(X) of linear radiance (B, 3, H, W) in [0, 1]; a VQGAN built without encoder raises UsageError."""
        if self.encoder is None:
            raise UsageError("this VQGAN was built without its encoder; only its codebook and decoder can be used.")
        return self.encoder(mu_law(radiance) if self.encoder_domain == "mu-law" else radiance)

    def forward(self, radiance: Tensor, kinds: Tensor | int = 3) -> Reconstruction:
        """Encode, quantise within the segment of `kinds` and decode."""
        features = self.encode(radiance)
        quantised = self.codebook(features, kinds)
        return Reconstruction(features, quantised, self.decoder(quantised.straight))
