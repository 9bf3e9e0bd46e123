"""Modulated deformable convolution (Zhu et al. 2019) on bilinear sampling."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses import FakeTensor

from bench.core.errors import UsageError
from bench.nn.strips import GuidedDeformation, StripDeformation


def deform_conv3x3(features: Tensor, offsets: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve samples taken beside the 3x3 grid; samples outside the image are zero.

    features : (B, C, H, W).
    offsets  : (B, 2 * G * 9, H, W) pixels; group g, tap k (row-major): vertical in channel 18g + 2k, horizontal next.
    mask     : (B, G * 9, H, W), the factor of each sample.
    weight   : (C_out, C, 3, 3); bias (C_out,) or None.
    Returns (B, C_out, H, W). Sampling is done in fp32 at least, also under autocast. On the CPU strips of rows that
    stay in the cache are sampled one after another; elsewhere one sampling call serves all taps and groups.
    """
    _check(features, mask.shape[1] // 9)
    precise = torch.promote_types(features.dtype, torch.float32)
    features, offsets, mask = features.to(precise), offsets.to(precise), mask.to(precise)
    if not _on_cpu(features):
        return _whole(features, offsets, mask, weight, bias)
    with torch.autocast("cpu", enabled=False):
        added = None if bias is None else bias.to(precise)
        out: Tensor = StripDeformation.apply(features, offsets, mask, weight.to(precise), added)  # type: ignore[no-untyped-call]
        return out.to(weight.dtype)


def _whole(features: Tensor, offsets: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """One sampling call for all taps and groups, differentiated by autograd."""
    batch, channels, height, width = features.shape
    groups = mask.shape[1] // 9
    grid = _sampling_grid(offsets.reshape(batch * groups, 9, 2, height, width))
    grouped = features.reshape(batch * groups, channels // groups, height, width)
    sampled = F.grid_sample(grouped, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    sampled = sampled.view(batch, groups, channels // groups, 9, height, width)
    columns = sampled * mask.reshape(batch, groups, 1, 9, height, width)
    kernel = weight.reshape(weight.shape[0], channels * 9, 1, 1)
    return F.conv2d(columns.reshape(batch, channels * 9, height, width).to(weight.dtype), kernel, bias)


def _sampling_grid(offsets: Tensor) -> Tensor:
    """(M, 9, 2, H, W) offsets in pixels to normalised coordinates (M, 9 * H, W, 2) of the same dtype."""
    height, width = offsets.shape[-2:]
    taps = torch.arange(9, device=offsets.device)
    rows = torch.arange(height, device=offsets.device)[:, None] + (taps // 3 - 1)[:, None, None]
    columns = torch.arange(width, device=offsets.device) + (taps % 3 - 1)[:, None, None]
    y = (2 * (rows + offsets[:, :, 0]) + 1) / height - 1
    x = (2 * (columns + offsets[:, :, 1]) + 1) / width - 1
    return torch.stack([x, y], dim=-1).view(len(offsets), 9 * height, width, 2)


def _on_cpu(features: Tensor) -> bool:
    """Whether a tensor is in the CPU's memory; strips look at offsets, which fake tensors don't have."""
    return features.device.type == "cpu" and not isinstance(features, FakeTensor)


def _check(features: Tensor, groups: int) -> None:
    if features.shape[1] % groups:
        raise UsageError(f"deformable convolution: {features.shape[1]} channels can't be split into {groups} groups.")


class DeformConv3x3(nn.Module):
    """Deformable 3x3 convolution whose offsets and masks come from a second feature map."""

    def __init__(self, channels: int, groups: int) -> None:
        """Keep `channels`; each of the `groups` shares its offsets."""
        super().__init__()
        self.groups = groups
        self.kernel = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, features: Tensor, steering: Tensor) -> Tensor:
        """Sample `features` (B, C, H, W) as `steering` (B, 27 G, H, W) says: 18 G offsets, then 9 G mask logits."""
        offsets, logits = torch.split(steering, [18 * self.groups, 9 * self.groups], dim=1)
        return deform_conv3x3(features, offsets, torch.sigmoid(logits), self.kernel.weight, self.kernel.bias)

    def guided(self, features: Tensor, guide: Tensor, predictor: nn.Conv2d) -> Tensor:
        """Sample `features` as the 3x3 convolution `predictor` of `guide` (B, C_g, H, W) says; as `forward` of it.

        On the CPU in fp32 the 27 G steering channels are made strip by strip and never held for the whole image.
        """
        if not _on_cpu(features) or {features.dtype, guide.dtype} != {predictor.weight.dtype}:
            steered: Tensor = self(features, predictor(guide))
            return steered
        _check(features, self.groups)
        with torch.autocast("cpu", enabled=False):
            out: Tensor = GuidedDeformation.apply(  # type: ignore[no-untyped-call]
                features, guide, predictor.weight, predictor.bias, self.kernel.weight, self.kernel.bias
            )
        return out
