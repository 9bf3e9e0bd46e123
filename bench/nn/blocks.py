"""Blocks that several networks share: convolutions, residual blocks, output heads."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from torch import Tensor, nn

from bench.color.merging import brighter_where_clipped
from bench.color.transfer import mu_law, mu_law_inverse
from bench.core.errors import UsageError


class ZeroConv2d(nn.Conv2d):
    """A convolution that starts at zero, so that the branch it ends has no effect before training."""

    def reset_parameters(self) -> None:
        """Set weight and bias to zero."""
        for parameter in self.parameters():
            nn.init.zeros_(parameter)


class Conv2d(nn.Conv2d):
    """A convolution whose output starts with the variance of its input.

    The framework's default shrinks the signal threefold in variance at every layer; networks without normalisation
    then learn nothing in a short training.
    """

    def reset_parameters(self) -> None:
        """Draw the weight from a normal distribution of variance 1 / fan-in; the bias is zero."""
        nn.init.kaiming_normal_(self.weight, nonlinearity="linear")
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class ZeroLinear(nn.Linear):
    """A linear layer that starts at zero, so that the branch it ends has no effect before training."""

    def reset_parameters(self) -> None:
        """Set weight and bias to zero."""
        for parameter in self.parameters():
            nn.init.zeros_(parameter)


class Linear(nn.Linear):
    """A linear layer whose output starts with the variance of its input."""

    def reset_parameters(self) -> None:
        """Draw the weight from a normal distribution of variance 1 / inputs; the bias is zero."""
        nn.init.normal_(self.weight, std=self.in_features**-0.5)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


def conv(inputs: int, outputs: int, size: int = 3, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    """Return a convolution of odd `size` that keeps height and width (divided by the stride)."""
    return Conv2d(inputs, outputs, size, stride, padding=dilation * (size // 2), dilation=dilation)


def activation(slope: float = 0.01) -> nn.Module:
    """Return the activation of the HDR networks: LeakyReLU with the framework's slope 0.01; 0 makes it a ReLU."""
    return nn.LeakyReLU(slope, inplace=True)


class ResBlock(nn.Module):
    """x + conv(LeakyReLU(conv(x))), without normalisation; the identity at the start."""

    def __init__(self, channels: int) -> None:
        """Keep `channels`."""
        super().__init__()
        last = ZeroConv2d(channels, channels, 3, padding=1)
        self.body = nn.Sequential(conv(channels, channels), activation(), last)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H, W)."""
        return features + self.body(features)


class HdrNetwork(nn.Module):
    """Base of every learned method: frames (B, N, 6, H, W) to linear radiance (B, 3, H, W)."""

    def losses(
        self, frames: Tensor, truth: Tensor, fidelity: nn.Module, weights: Mapping[str, float]
    ) -> dict[str, Tensor]:
        """Return the weighted loss terms of a batch by name.

        `fidelity` compares a prediction with the truth; `weights` holds the weights of terms only some methods have.
        """
        return fidelity(self(frames), truth)


def full_precision(tensor: Tensor) -> AbstractContextManager[object]:
    """Switch autocast off for the device of `tensor`; on the meta device, which computes nothing, there is none."""
    device = tensor.device.type
    return nullcontext() if device == "meta" else torch.autocast(device, enabled=False)


HEADS = ("published", "mu-residual", "rule-residual")
"""Output heads, see `Head`."""


class Head(nn.Module):
    """Last convolution and range of the output.

    "published"     : the convolution's range as published, by default a sigmoid: linear radiance in (0, 1).
    "mu-residual"   : the convolution (zero at the start) is added to the reference frame in the mu-law domain,
                      clamped to [0, 1] there and decoded. Ours, for short trainings.
    "rule-residual" : the same, added to a one-line rule of the network's frames: where the reference is clipped the
                      brighter of short frame and reference, per channel, else the reference
                      (`bench.color.merging.brighter_where_clipped`). Ours: with the reference as base a short training
                      is spent on finding this rule.
    """

    def __init__(
        self,
        channels: int,
        kind: str,
        padding_mode: Literal["zeros", "reflect"] = "zeros",
        *,
        published: Callable[[Tensor], Tensor] = torch.sigmoid,
    ) -> None:
        """Map `channels` features to RGB.

        padding_mode : the last convolution's.
        published    : turns it into linear radiance where `kind` is "published".
        """
        super().__init__()
        self.kind, self.published = known_head(kind), published
        last = Conv2d if kind == "published" else ZeroConv2d
        self.last: nn.Conv2d = last(channels, 3, 3, padding=1, padding_mode=padding_mode)

    def forward(self, features: Tensor, frames: Tensor) -> Tensor:
        """Features (B, C, H, W) and frames (B, N, 6, H, W) to radiance (B, 3, H, W)."""
        with full_precision(features):
            out: Tensor = self.last(features.to(self.last.weight.dtype))
            if self.kind == "published":
                return self.published(out)
            return on_base(self.kind, out, frames)


def on_base(kind: str, out: Tensor, frames: Tensor) -> Tensor:
    """Add what a network gives, (B, 3, H, W), to the base of a head of ours in the mu-law domain; linear radiance.

    kind   : "mu-residual" or "rule-residual", see `Head`.
    frames : (B, N, 6, H, W), as the network gets them.
    """
    middle = frames.shape[1] // 2
    linear = frames[:, middle, 3:].to(out.dtype)
    if kind == "rule-residual":
        linear = brighter_where_clipped(frames[:, middle, :3].to(out.dtype), frames[:, 0, 3:].to(out.dtype), linear)
    encoded = mu_law(linear) + out
    # The clamp lets gradients through: a pixel pushed out of range could never come back otherwise.
    encoded = encoded + (torch.clamp(encoded, 0.0, 1.0) - encoded).detach()
    return mu_law_inverse(encoded)


def known_head(head: str) -> str:
    """Return the name of an output head; UsageError for one that there isn't."""
    if head not in HEADS:
        raise UsageError(f"output head {head!r} is unknown; expected one of {', '.join(HEADS)}.")
    return head
