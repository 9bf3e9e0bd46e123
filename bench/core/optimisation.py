"""Settings of the two training stages."""

import math
from typing import Literal

from pydantic import Field, model_validator

from bench.core.section import Section, silent

WARM_UP = 0.1
"""Share of a one-cycle training in which the learning rate rises."""

COMPILE_FROM = 2000
"""Steps from which a compilation pays: it takes minutes, and a step of OLC on an H200 (`cost step`) fell by 61 ms."""

FEW_PIXELS = 1 << 19
"""Pixels of a part of a batch below which launches weigh beside the work: the same step, eagerly in bf16, has 1,966
operators, 14 ms of launches, and at 2^20 pixels 44 ms of memory traffic, half of that here."""

HELD_OUT = "held_out_"
"""Prefix of a learning curve's columns that hold measurements on images that aren't trained on, a codebook's with the
kind of image behind them: held_out_<fact> or held_out_<fact>_<image kind>."""


class Optimisation(Section):
    """Steps, batch and learning rate of one training."""

    steps: int = Field(gt=0, description="optimiser steps of the whole training")
    batch: int = silent(8, "batch size isn't printed", gt=0)
    lr: float = Field(default=1e-4, gt=0, description="peak learning rate; the schedule is `lr_at`")
    betas: tuple[float, float] = silent((0.9, 0.99), "FeMaSR's, whose other settings coincide with the paper's")
    schedule: Literal["constant", "one-cycle", "decay", "cosine"] = silent("constant", "no schedule is printed")
    decay: float = Field(
        default=1.0, gt=0, le=1, description="factor of the learning rate after every `decay_every` steps"
    )
    decay_every: int = Field(default=1, gt=0, description="steps for which a falling learning rate stays the same")
    min_lr: float = Field(default=0.0, ge=0, description="a falling learning rate stays above it, but one-cycle")
    clip: float | None = silent(None, "gradient clipping isn't mentioned", gt=0)
    clip_by: Literal["norm", "value"] = Field(
        default="norm", description="what `clip` bounds: the norm of the whole gradient, or each of its values"
    )
    accumulate: int = Field(default=1, gt=0, description="parts that a batch is split into, one after another")
    ema: float | None = silent(None, "no average of weights over steps is mentioned", gt=0, lt=1)
    compile: bool | Literal["auto", "reduce-overhead"] = Field(
        default="auto",
        description="torch.compile on CUDA, reduce-overhead: in CUDA graphs, auto: where it pays; the CPU runs eagerly",
    )
    checkpoint_every: int = Field(default=1000, gt=0, description="steps between checkpoints")
    log_every: int = Field(default=100, gt=0, description="steps between rows of the learning curve")
    workers: int = Field(default=0, ge=0, description="processes that cut patches")
    observe_every: int = Field(
        default=0, ge=0, description="steps between measurements on held-out images, which join the curve; 0: none"
    )

    def compile_mode(self, pixels: int) -> str | None:
        """Return the mode of torch.compile on CUDA, None: eagerly, for parts of a batch of so many pixels.

        "auto" compiles trainings that last, in CUDA graphs where launches would bind; but no batch in parts, whose
        gradients would have to outlive a graph's memory.
        """
        if self.compile != "auto":
            return self.compile if isinstance(self.compile, str) else "default" if self.compile else None
        if self.steps < COMPILE_FROM:
            return None
        return "reduce-overhead" if pixels < FEW_PIXELS and self.accumulate == 1 else "default"

    def peak_lr(self, phase: str) -> float:
        """Return the highest learning rate of a phase of the training."""
        return self.lr

    def lr_at(self, phase: str, step: int) -> float:
        """Return the learning rate of step 0..steps-1, a function of the step alone: resuming needs no saved state.

        "constant" is the peak; "one-cycle" rises linearly from peak / 25 over the first tenth and falls as a cosine to
        0; "decay" is multiplied by `decay` after every `decay_every` steps and stays above `min_lr` (or above the peak,
        if that is lower); "cosine" falls as half a cosine from the peak to that floor, set anew every `decay_every`
        steps.
        """
        peak = self.peak_lr(phase)
        if self.schedule == "constant":
            return peak
        if self.schedule == "cosine":
            floor, done = min(self.min_lr, peak), step // self.decay_every * self.decay_every / self.steps
            return floor + (peak - floor) * 0.5 * (1 + math.cos(math.pi * done))
        if self.schedule == "decay":
            fallen = peak * self.decay ** (step // self.decay_every)
            return max(fallen, min(self.min_lr, peak))
        position = (step + 1) / self.steps
        if position <= WARM_UP:
            return peak * (0.04 + 0.96 * position / WARM_UP)
        return peak * 0.5 * (1 + math.cos(math.pi * (position - WARM_UP) / (1 - WARM_UP)))

    @model_validator(mode="after")
    def _whole_rows(self) -> "Optimisation":
        if self.checkpoint_every % self.log_every:
            raise ValueError("checkpoint_every must be a multiple of log_every, so that resumed curves have whole rows")
        if self.observe_every % self.log_every:
            raise ValueError("observe_every must be a multiple of log_every: measurements join rows of the curve")
        if self.batch % self.accumulate:
            raise ValueError(f"a batch of {self.batch} can't be split into {self.accumulate} equal parts (accumulate)")
        return self


class Stage1(Optimisation):
    """Codebook training (spec part 2)."""

    network: Literal["A", "A+attn", "B", "C"] = silent("A", "the paper gives H/8 and 8C only; see the specification")
    images: Literal["mixture", "hdr"] = silent("mixture", "vanilla isn't defined: V-mix, or HDR images alone (V-HDR)")
    lr_discriminator: float = Field(default=4e-4, gt=0, description="peak learning rate of the discriminator")
    eta: Literal["per-batch", "per-sample"] = silent("per-batch", "'in every iteration' read as one draw a batch")
    encoder_domain: Literal["linear", "mu-law"] = silent("linear", "the encoder is printed as E(X)")
    init: Literal["uniform", "data"] = silent("uniform", "uniform(-1/K, 1/K), as FeMaSR and VQFR")
    quantise_from: float = silent(0.0, "share of the run in which E and D train without quantisation", ge=0, lt=1)
    restart_every: int = silent(0, "steps between restarts of dead codes; none is mentioned", ge=0)
    restart_below: int = silent(1, "a code with fewer hits since the last restart counts as dead", gt=0)
    lazy_codebook: bool = silent(False, "dense Adam: rows without gradient still drift on momentum")
    beta: float = Field(default=0.25, ge=0, description="weight of the commitment term, eq. 7")
    weight_reconstruction: float = silent(1.0, "loss weights aren't printed", ge=0)
    weight_perceptual: float = silent(0.1, "a sum over four VGG layers is about ten times an LPIPS value", ge=0)
    weight_codebook: float = silent(1.0, "loss weights aren't printed", ge=0)
    weight_adversarial: float = silent(0.1, "FeMaSR's fixed weight", ge=0)
    adversarial_from: float = silent(0.05, "share of the run before the discriminator joins", ge=0, le=1)
    discriminator: Literal["patchgan", "unet-sn"] = silent("patchgan", "its form isn't printed; FeMaSR: U-Net-SN")
    discriminator_width: int = silent(64, "the usual 70x70 PatchGAN's; its form isn't printed", gt=0)

    def peak_lr(self, phase: str) -> float:
        """Return the highest learning rate of a phase, "generator" or "discriminator"."""
        return self.lr_discriminator if phase == "discriminator" else self.lr


class Stage2(Optimisation):
    """Training of the HDR networks (spec part 3)."""

    weight_perceptual: float = silent(0.01, "the CA-ViT family's weight for the same sum", ge=0)
    weight_mapping: float = silent(
        1.0, "VQFR's weight of its feature match; here of the error in mean squares of the codebook", ge=0
    )
