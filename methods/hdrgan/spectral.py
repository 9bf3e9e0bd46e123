"""Convolutions with reflected borders and spectral norm, as HDR-GAN has them."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.nn.blocks import Conv2d, full_precision

WARM_UP = 15
"""Power iterations at the start, so that the first steps of a training see nearly the right norm."""


class ReflectedConv2d(Conv2d):
    """A convolution with reflected borders: an odd size keeps height and width (divided by the stride)."""

    def __init__(self, inputs: int, outputs: int, size: int = 3, stride: int = 1, dilation: int = 1) -> None:
        """Pad (size - 1) // 2 + dilation - 1 pixels on every side; none for a size of one."""
        super().__init__(inputs, outputs, size, stride, dilation=dilation)
        self.border = (size - 1) // 2 + dilation - 1

    def forward(self, features: Tensor) -> Tensor:
        """(B, C_in, H, W) to (B, C_out, h, w)."""
        return self.apply_weight(features, self.weight)

    def apply_weight(self, features: Tensor, weight: Tensor) -> Tensor:
        """Convolve with `weight` in place of the parameter."""
        if self.border:
            features = F.pad(features, (self.border,) * 4, mode="reflect")
        return F.conv2d(features, weight, self.bias, self.stride, 0, self.dilation)


class ReflectedSpectralConv2d(ReflectedConv2d):
    """A convolution whose kernel is divided by an estimate of its largest singular value (Miyato et al. 2018).

    The kernel counts as a matrix M (rows x columns x in, out). One power step from the stored row `u` gives
    v = unit(u M^T), u' = unit(v M) and the norm v M u'^T, whose gradient takes v and u' as constants.

    steps : whether u' is stored. "training": in training mode alone, so that predictions don't depend on what was
            predicted before; each takes its step from the same u. "always": in evaluation mode too, as the public code.
    """

    u: Tensor
    steps: Literal["training", "always"] = "training"

    def __init__(self, inputs: int, outputs: int, size: int = 3, stride: int = 1, dilation: int = 1) -> None:
        """See `ReflectedConv2d`."""
        super().__init__(inputs, outputs, size, stride, dilation)
        self.register_buffer("u", torch.empty(outputs))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw kernel and bias, and `u`; nothing while that doesn't exist yet."""
        if "u" in self._buffers:
            super().reset_parameters()
            torch.nn.init.normal_(self.u)
            if not self.u.is_meta:  # where nothing is computed, iterations only take their time
                self.settle()

    @torch.no_grad()
    def settle(self, iterations: int = WARM_UP) -> None:
        """Improve `u` by so many power steps."""
        for _ in range(iterations):
            self.u.copy_(self._step()[1])

    def forward(self, features: Tensor) -> Tensor:
        """(B, C_in, H, W) to (B, C_out, h, w); the norm is computed without autocast."""
        with full_precision(features):
            right, left = self._step()
            weight = self.weight / (left @ (self.weight.flatten(1) @ right))
            if self.training or self.steps == "always":
                self.u.copy_(left)
        return self.apply_weight(features, weight)

    @torch.no_grad()
    def _step(self) -> tuple[Tensor, Tensor]:
        """Return v (in x rows x columns) and u' (out); the kernel here is M^T, its columns in another order."""
        matrix = self.weight.flatten(1)
        right = F.normalize(self.u @ matrix, dim=0)
        return right, F.normalize(matrix @ right, dim=0)
