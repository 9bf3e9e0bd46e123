"""Stage 2: the HDR network with all its ablations (Table 3), each a choice of parts."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.errors import UsageError
from bench.core.method import method
from bench.nn.blocks import HdrNetwork, Head, ResBlock, conv
from bench.nn.statistics import OnWhole
from methods.olc.codebook import codebook_losses
from methods.olc.parts import FRAMES, FSM, RF, ConcatFusion, ParallelAlignment, merger
from methods.olc.vqgan import VQGAN, need_at_least

SCALES = 3
"""Scales of the fidelity decoder: H, H/2, H/4."""

BETA = 0.25
"""Weight of the commitment term, eq. 7, where stage 2 trains the codebook too."""

PRIOR_RMS = 0.1
"""RMS of F_vq when training starts: about that of the maps U that it is fused with (0.11 to 0.18 in the demo's widths).

At 1, several times U, F_vq of codes that aren't learnt yet drowned U: row 7 gained nothing on its head's base in 500
steps of the demo's recipe, at any of three learning rates; at 0.1 it gained 0.38 dB.
"""


class Prior(TypedDict, total=False):
    """Which VQGAN stands behind a network: what parameter files may say of it."""

    codes: int
    segments: Literal["olc", "vanilla"]
    network: str
    encoder_domain: Literal["linear", "mu-law"]


class FrameEncoder(nn.Module):
    """One frame's encoder: C, 2C, 4C (, 8C) channels at H, H/2, H/4 (, H/8)."""

    def __init__(self, channels: int, levels: int, blocks: int) -> None:
        """`blocks` residual blocks on each of the `levels`."""
        super().__init__()
        self.levels = nn.ModuleList()
        for level in range(levels):
            width = channels << level
            down = [conv(width // 2, width, stride=2)] if level else []
            self.levels.append(nn.Sequential(*down, *(ResBlock(width) for _ in range(blocks))))

    def forward(self, features: Tensor) -> list[Tensor]:
        """(B, C, H, W) to one map for each level, finest first."""
        maps = []
        for level in self.levels:
            features = level(features)
            maps.append(features)
        return maps


class FidelityDecoder(nn.Module):
    """D_F: from z_m at H/4 to features at H; on every level residual blocks, then fusion, then upsampling."""

    def __init__(self, channels: int, blocks: int, fusion: str, sources: int) -> None:
        """`fusion` is "rf" or "concat"; `sources` counts the maps fused on each level."""
        super().__init__()
        widths = [channels << level for level in reversed(range(SCALES))]
        self.blocks = nn.ModuleList(nn.Sequential(*(ResBlock(width) for _ in range(blocks))) for width in widths)
        fuse = RF if fusion == "rf" else ConcatFusion
        self.fusions = nn.ModuleList(fuse(width, sources) for width in widths)
        self.ups = nn.ModuleList(
            nn.Sequential(nn.Upsample(scale_factor=2), conv(width, width // 2)) for width in widths[:-1]
        )

    def forward(self, features: Tensor, sources: list[list[Tensor]]) -> Tensor:
        """z_m (B, 4C, H/4, W/4) and, coarsest level first, the maps to fuse, to (B, C, H, W)."""
        for level, blocks in enumerate(self.blocks):
            features = self.fusions[level](blocks(features), sources[level])
            if level < SCALES - 1:
                features = self.ups[level](features)
        return features


class Prediction(NamedTuple):
    """Linear radiance (B, 3, H, W) and, where there is a codebook, what was looked up in it.

    vectors : z_vq (B, n_z, H/8, W/8); indices: (B, H/8, W/8) int64; codes: the nearest codes, of the vectors' shape,
              differentiable with respect to a codebook that isn't frozen.
    """

    radiance: Tensor
    vectors: Tensor | None
    indices: Tensor | None
    codes: Tensor | None = None


@method(
    "olc",
    label="OLC (proposed)",
    cites="Lee, Park, Cho: Enhancing Multi-Exposure High Dynamic Range Imaging with Overlapped Codebook for "
    "Improved Representation Learning",
    trains=True,
    requires=("codebook",),
    heads=("published", "mu-residual", "rule-residual"),
    presets={
        "published": {"channels": 32, "blocks": 2, "deform_groups": 8},
        "demo": {
            "channels": 8,
            "blocks": 1,
            "deform_groups": 2,
            "encoder_blocks": 1,
            "decoder_blocks": 1,
            "middle_blocks": 1,
        },
        "smoke": {
            "channels": 4,
            "blocks": 1,
            "deform_groups": 2,
            "encoder_blocks": 1,
            "decoder_blocks": 1,
            "middle_blocks": 0,
        },
    },
    multiple=8,
    overlap=96,
    recipe={
        "section": "stage2",
        "loss": "L1 on T + VGG-16 + mapping in mean squares of the codebook",
        "lr": 1e-4,
        "betas": [0.9, 0.99],
        "batch": 8,
        "patch": 256,
        "stride": 64,
        "epochs": 100,
        "weight_perceptual": 0.01,
        "differs": "only learning rate, patches and loss are printed",
    },
)
class OLCNet(HdrNetwork):
    """Three encoders, PA, merging at every scale, codebook decoder (frozen, but in controls), fidelity decoder."""

    prior_scale: Tensor

    def __init__(
        self, *, channels: int, blocks: int, deform_groups: int, head: str = "published",
        alignment: str = "pa", skip: str = "fsm",
        prior: str = "rf", prior_weights: str = "trained", prior_frozen: bool = True,
        vqgan: Prior | None = None,
        encoder_blocks: int | None = None, decoder_blocks: int | None = None, middle_blocks: int = 2,
    ) -> None:  # fmt: skip
        """Choose the parts.

        alignment : "pa" or "none".
        skip      : "reference", "sum", "concat" or "fsm": what makes the skips U (and z_m; "concat" for "reference").
        prior     : how F_vq of the codebook decoder enters: "rf", "concat", or "none" (then no H/8 level exists).
        prior_weights : "trained", stage 1's, or "random", the control without its knowledge: no E, no mapping loss.
        prior_frozen  : False trains decoder and codebook along, with eq. 7's terms on z_vq; E, if any, stays frozen.
        vqgan     : which VQGAN; its sizes come from the preset.
        encoder_blocks, decoder_blocks, middle_blocks : its sizes; of no use with prior "none".
        """
        super().__init__()
        if alignment not in ("pa", "none"):
            raise UsageError(f"alignment {alignment!r} is unknown; expected pa or none.")
        need_at_least(1, channels=channels, blocks=blocks, deform_groups=deform_groups)
        _check_prior(prior, prior_weights, prior_frozen, vqgan)
        self.entry = nn.ModuleList(conv(6, channels) for _ in range(FRAMES))
        self.align = _aligners(channels, deform_groups) if alignment == "pa" else nn.ModuleDict()
        self.encoders = nn.ModuleList(FrameEncoder(channels, SCALES + (prior != "none"), blocks) for _ in range(FRAMES))
        self.skips = nn.ModuleList(merger(skip, channels << level) for level in range(SCALES))
        self.merge = merger("concat", 4 * channels) if skip == "reference" else None
        self.vqgan: VQGAN | None = None
        if prior != "none":
            sizes = {"encoder_blocks": encoder_blocks, "decoder_blocks": decoder_blocks, "middle_blocks": middle_blocks}
            self._add_prior(channels, _prior(channels, prior_weights, prior_frozen, {**sizes, **(vqgan or {})}))
        self.decoder = FidelityDecoder(channels, blocks, prior, 1 + (prior != "none"))
        self.head = Head(channels, head)
        self.prior_frozen = prior_frozen
        self.probe: Callable[[list[Tensor]], list[Tensor]] = list

    def _add_prior(self, channels: int, vqgan: VQGAN) -> None:
        """Add the VQGAN and what leads to its codebook and from its decoder's features."""
        self.deep, self.project, self.whole = FSM(8 * channels), conv(8 * channels, 8 * channels, 1), OnWhole()
        self.vqgan = vqgan
        self.register_buffer("prior_scale", torch.ones(SCALES))
        # 1x1 convolutions to the fidelity decoder's widths, where the VQGAN's differ from them
        self.adapt = nn.ModuleList(map(_adapter, vqgan.decoder.tapped, (4 * channels, 2 * channels, channels)))

    @torch.no_grad()
    def calibrate(self) -> None:
        """Set each level's factor of F_vq so that its RMS is `PRIOR_RMS` when all codes are decoded side by side.

        Call it once the VQGAN has its weights, trained or random. A constant factor can be absorbed by the fusion's
        first convolution, so it changes no function the network can learn, only where training starts: D_VQ's features
        are not normalised and may be hundreds of times larger than U.
        """
        if self.vqgan is None:
            return
        book = self.vqgan.codebook
        codes = book.weight.view(4, -1, book.width).permute(2, 0, 1)[None]
        levels = self.vqgan.decoder.features(codes)
        self.prior_scale.copy_(PRIOR_RMS * torch.stack([level.square().mean().rsqrt() for level in levels]))

    def train(self, mode: bool = True) -> "OLCNet":
        """Switch the trainable parts; what is frozen of the VQGAN stays in evaluation mode."""
        super().train(mode)
        if self.vqgan is not None:
            self.vqgan.train(mode and not self.prior_frozen)
            if self.vqgan.encoder is not None:
                self.vqgan.encoder.eval()
        return self

    def forward(self, frames: Tensor) -> Tensor:
        """Frames (B, 3, 6, H, W), H and W multiples of 8, to linear radiance (B, 3, H, W)."""
        return self.trace(frames).radiance

    def trace(self, frames: Tensor) -> Prediction:
        """Predict, and return what the mapping loss and inspection need besides the radiance."""
        maps = self._encode(frames)
        # Not by index: a comprehension that holds `maps` makes of `del` what PyTorch 2.13 can't compile.
        skips = [skip(level) for skip, level in zip(self.skips, maps, strict=False)]
        merged = skips[-1] if self.merge is None else self.merge(maps[SCALES - 1])
        sources = [[skip] for skip in reversed(skips)]
        deepest = maps[SCALES:]
        del maps
        if self.vqgan is None:
            return Prediction(self.head(self.decoder(merged, sources), frames), None, None)
        vectors, indices, codes, *features = self.whole(self._quantised, *deepest[0])
        prior = self.probe([scale * level for scale, level in zip(self.prior_scale, features, strict=True)])
        extras = [adapt(level) for adapt, level in zip(self.adapt, prior, strict=True)]
        sources = [[*skip, extra] for skip, extra in zip(sources, extras, strict=True)]
        return Prediction(self.head(self.decoder(merged, sources), frames), vectors, indices, codes)

    def _quantised(self, *deepest: Tensor) -> list[Tensor]:
        """The frames' maps at H/8 to z_vq, the indices of its codes, these codes, and F_vq at H/4, H/2 and H."""
        assert self.vqgan is not None
        vectors = self.project(self.deep(list(deepest))).float()
        quantised = self.vqgan.codebook(vectors)
        return [vectors, quantised.indices, quantised.codes, *self.vqgan.decoder.features(quantised.straight)]

    def losses(
        self, frames: Tensor, truth: Tensor, fidelity: nn.Module, weights: Mapping[str, float]
    ) -> dict[str, Tensor]:
        """Fidelity terms and, with a trained E, the mapping loss: MSE of z_vq and the codes of the truth, sg Q(E(H)).

        The mapping loss counts in mean squares of the codebook, so that its weight means the same whatever the scale of
        the codes: z_vq = 0 costs about 1. A prior that isn't frozen adds the codebook and commitment terms of eq. 7,
        which tie its codebook to z_vq.
        """
        prediction = self.trace(frames)
        terms: dict[str, Tensor] = fidelity(prediction.radiance, truth)
        if self.vqgan is None or prediction.vectors is None or prediction.codes is None:
            return terms
        if self.vqgan.encoder is not None:
            error = F.mse_loss(prediction.vectors, self.target_codes(truth))
            terms["mapping"] = weights["mapping"] * error / self.vqgan.codebook.mean_square()
        if not self.prior_frozen:
            terms |= codebook_losses(prediction.vectors, prediction.codes, BETA)
        return terms

    @torch.no_grad()
    def target_codes(self, truth: Tensor) -> Tensor:
        """Q(E(H)) of the codebook, (B, n_z, H/8, W/8), for linear radiance (B, 3, H, W)."""
        if self.vqgan is None:
            raise UsageError("this variant of olc has no codebook.")
        return self.vqgan.codebook(self.vqgan.encode(truth)).codes.float()

    def _encode(self, frames: Tensor) -> list[list[Tensor]]:
        """Frames to maps[level][frame]."""
        shallow = [entry(frames[:, i]) for i, entry in enumerate(self.entry)]
        if self.align:
            shallow = [
                self.align["0"](shallow[0], shallow[1]),
                self.align["1"](shallow[1]),
                self.align["2"](shallow[2], shallow[1]),
            ]
        by_frame = [encoder(features) for encoder, features in zip(self.encoders, shallow, strict=True)]
        return [list(maps) for maps in zip(*by_frame, strict=True)]


def _check_prior(prior: str, weights: str, frozen: bool, vqgan: Prior | None) -> None:
    if prior not in ("rf", "concat", "none"):
        raise UsageError(f"prior {prior!r} is unknown; expected rf, concat or none.")
    if prior != "none" and not vqgan:
        raise UsageError("this variant of olc needs a codebook: give its number of codes and segments.")
    if weights not in ("trained", "random"):
        raise UsageError(f"prior_weights {weights!r} are unknown; expected trained or random.")
    if prior == "none" and (weights, frozen) != ("trained", True):
        raise UsageError("with prior: none there is no codebook decoder; remove prior_weights and prior_frozen.")


def _aligners(channels: int, groups: int) -> nn.ModuleDict:
    """PA of its own for the short and the long frame (0 and 2), a convolution for the reference (1)."""
    aligners = nn.ModuleDict({str(i): ParallelAlignment(channels, groups) for i in (0, 2)})
    aligners["1"] = conv(channels, channels)
    return aligners


def _prior(channels: int, weights: str, frozen: bool, arguments: Mapping[str, Any]) -> VQGAN:
    """Decoder and codebook, with the trained encoder that makes the mapping loss's targets; E never trains here."""
    vqgan = VQGAN(channels=channels, **arguments, with_encoder=weights == "trained")
    vqgan.requires_grad_(not frozen)
    if vqgan.encoder is not None:
        vqgan.encoder.requires_grad_(False)
    return vqgan


def _adapter(inputs: int, outputs: int) -> nn.Module:
    """A 1x1 convolution from the VQGAN's width to the fidelity decoder's; nothing where they are equal."""
    return nn.Identity() if inputs == outputs else conv(inputs, outputs, 1)
