"""Modulated deformable convolution (Zhu et al. 2019) on bilinear sampling.

On the CPU it works on one strip of rows after another, with its gradients written out. Autograd would keep the sampling
grid, the samples and the modulated samples of the whole image, each nine times as large as the features, and pass over
all of them. Here a strip's intermediates stay in the cache and are made again for the gradient, so that nothing is kept
but the arguments.
"""

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses import FakeTensor
from torch.autograd.function import once_differentiable

from bench.core.errors import UsageError
from bench.nn.memory import piecewise

SAMPLES = 1 << 18
"""Sampling positions of a strip, over all taps and groups: 1 MiB for each number that belongs to a position."""

MARGIN = 2
"""Rows kept beyond those that a strip's samples should touch: rounding may move a sample across a row's border."""

BILINEAR, ZEROS, CORNERS = 0, 0, False
"""Arguments of the framework's sampler: interpolation, padding, whether +-1 are the centres of the corner pixels."""


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
    if not _in_strips(features):
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


def _in_strips(features: Tensor) -> bool:
    """Tell if a map is sampled in strips; these look at offsets, which fake tensors don't have."""
    return piecewise(features) and not isinstance(features, FakeTensor)


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
        if not _in_strips(features) or {features.dtype, guide.dtype} != {predictor.weight.dtype}:
            return self(features, predictor(guide))
        _check(features, self.groups)
        with torch.autocast("cpu", enabled=False):
            out: Tensor = GuidedDeformation.apply(  # type: ignore[no-untyped-call]
                features, guide, predictor.weight, predictor.bias, self.kernel.weight, self.kernel.bias
            )
        return out


class _Samples(NamedTuple):
    """Samples (G, C/G, 9, h, W) of a strip, the rows low..high of the image they are from, and the grid into these."""

    values: Tensor
    image: Tensor
    grid: Tensor
    rows: slice


def _strips(batch: int, groups: int, height: int, width: int) -> Iterator[tuple[int, slice]]:
    """Every image's strips of output rows, as equal as can be."""
    number = math.ceil(height / max(1, SAMPLES // (9 * groups * width)))
    edges = [height * index // number for index in range(number + 1)]
    for image in range(batch):
        for start, stop in itertools.pairwise(edges):
            yield image, slice(start, stop)


def _reach(offsets: Tensor, rows: slice, height: int) -> slice:
    """Rows of the image that samples of the output rows `rows` can touch; offsets (G, 9, 2, h, W)."""
    least, most = (float(value) for value in torch.aminmax(offsets[:, :, 0]))
    if not (math.isfinite(least) and math.isfinite(most)):
        return slice(0, height)
    low = min(max(math.floor(rows.start + least) - 1 - MARGIN, 0), height - 1)
    high = min(max(math.ceil(rows.stop + most) + 1 + MARGIN, low + 1), height)
    return slice(low, high)


def _sample(features: Tensor, offsets: Tensor, rows: slice) -> _Samples:
    """Sample features (G, C/G, H, W) for output rows `rows`; offsets (G, 9, 2, h, W) in pixels."""
    groups, _, _, lines, width = offsets.shape
    reach = _reach(offsets, rows, features.shape[2])
    image, height = features[:, :, reach], reach.stop - reach.start
    x = _centres(0, width, width, offsets.dtype).repeat(3, 1)[:, None]
    y = _centres(rows.start - reach.start, lines, height, offsets.dtype).repeat_interleave(3, 0)[..., None]
    grid = offsets.new_empty(2, groups, 9, lines, width)
    torch.add(x, offsets[:, :, 1], alpha=2 / width, out=grid[0])
    torch.add(y, offsets[:, :, 0], alpha=2 / height, out=grid[1])
    places = grid.view(2, groups, 9 * lines, width).permute(1, 2, 3, 0)
    values = torch.ops.aten.grid_sampler_2d(image, places, BILINEAR, ZEROS, CORNERS)
    return _Samples(values.view(groups, -1, 9, lines, width), image, places, reach)


def _centres(start: int, number: int, size: int, dtype: torch.dtype) -> Tensor:
    """Normalised centres of `number` pixels from `start` on, on an axis of `size`, for taps -1, 0, 1: (3, number)."""
    pixels = torch.arange(number, dtype=dtype) + torch.arange(start - 1, start + 2, dtype=dtype)[:, None]
    return (2 * pixels + 1) / size - 1


def _convolve(features: Tensor, offsets: Tensor, mask: Tensor, rows: slice, kernel: Tensor) -> Tensor:
    """One strip's output (C_out, h W); mask (G, 9, h, W), kernel (C_out, 9 C)."""
    columns = _sample(features, offsets, rows).values.mul_(mask[:, None])
    return kernel @ columns.view(kernel.shape[1], -1)


class _Gradients(NamedTuple):
    """Targets of a strip's gradient: whole features (added), kernel (9 C, C_out; added), offsets and mask (written)."""

    features: Tensor
    kernel: Tensor
    offsets: Tensor
    mask: Tensor


def _differentiate(
    features: Tensor, offsets: Tensor, mask: Tensor, rows: slice, kernel: Tensor, out: Tensor, into: _Gradients
) -> None:
    """Gradients of one strip for the gradient `out` (C_out, h W) of its output; kernel (9 C, C_out)."""
    samples = _sample(features, offsets, rows)
    groups, channels, _, lines, width = samples.values.shape
    columns = (kernel @ out).view_as(samples.values)
    if channels == 1:
        torch.mul(samples.values[:, 0], columns[:, 0], out=into.mask)
    else:
        torch.sum(samples.values * columns, 1, out=into.mask)
    modulated = samples.values.mul_(mask[:, None])
    into.kernel.addmm_(modulated.view(len(kernel), -1), out.T)
    columns = columns.mul_(mask[:, None]).view(groups, channels, 9 * lines, width)
    on_image, on_grid = torch.ops.aten.grid_sampler_2d_backward(
        columns, samples.image, samples.grid, BILINEAR, ZEROS, CORNERS, (True, True)
    )
    into.features[:, :, samples.rows] += on_image
    on_grid = on_grid.view(groups, 9, lines, width, 2)
    torch.mul(on_grid[..., 1], 2 / samples.image.shape[2], out=into.offsets[:, :, 0])
    torch.mul(on_grid[..., 0], 2 / width, out=into.offsets[:, :, 1])


class StripDeformation(torch.autograd.Function):
    """`deform_conv3x3` with given offsets and mask; all arguments on the CPU and of one floating dtype."""

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, offsets: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None
    ) -> Tensor:
        """Arguments and result as those of `deform_conv3x3`."""
        ctx.save_for_backward(features, offsets, mask, weight)
        images, shifts, factors = _grouped(features, offsets, mask)
        kernel, out = (
            weight.reshape(len(weight), -1),
            features.new_empty(len(features), len(weight), *features.shape[2:]),
        )
        for image, rows in _strips(*_extent(images)):
            strip = _convolve(images[image], shifts[image][..., rows, :], factors[image][..., rows, :], rows, kernel)
            out[image, :, rows] = strip.view(len(weight), -1, out.shape[3])
        return out if bias is None else out.add_(bias[:, None, None])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, out: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of features, offsets, mask, weight and bias."""
        features, offsets, mask, weight = ctx.saved_tensors
        images, shifts, factors = _grouped(features, offsets, mask)
        kernel = weight.reshape(len(weight), -1).T.contiguous()
        totals = [
            torch.zeros_like(images),
            torch.zeros_like(kernel),
            torch.empty_like(shifts),
            torch.empty_like(factors),
        ]
        for image, rows in _strips(*_extent(images)):
            into = _Gradients(
                totals[0][image], totals[1], totals[2][image][..., rows, :], totals[3][image][..., rows, :]
            )
            steering = shifts[image][..., rows, :], factors[image][..., rows, :]
            _differentiate(images[image], *steering, rows, kernel, out[image, :, rows].flatten(1), into)
        on_weight = totals[1].T.reshape(weight.shape)
        return (
            totals[0].view(features.shape), totals[2].view(offsets.shape), totals[3].view(mask.shape),
            on_weight, out.sum((0, 2, 3)) if ctx.needs_input_grad[4] else None,
        )  # fmt: skip


def _grouped(features: Tensor, offsets: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(B, G, C/G, H, W) features, (B, G, 9, 2, H, W) offsets and (B, G, 9, H, W) mask."""
    groups = mask.shape[1] // 9
    batch, _, height, width = features.shape
    shifts = offsets.reshape(batch, groups, 9, 2, height, width)
    return _split(features, groups), shifts, mask.reshape(batch, groups, 9, height, width)


def _split(features: Tensor, groups: int) -> Tensor:
    return features.reshape(len(features), groups, -1, *features.shape[2:])


def _extent(images: Tensor) -> tuple[int, int, int, int]:
    batch, groups, _, height, width = images.shape
    return batch, groups, height, width


class GuidedDeformation(torch.autograd.Function):
    """`deform_conv3x3` whose offsets and mask logits are a 3x3 convolution of a guide, made strip by strip."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        guide: Tensor,
        predictor: Tensor,
        predictor_bias: Tensor,
        weight: Tensor,
        bias: Tensor,
    ) -> Tensor:
        """Features (B, C, H, W), guide (B, C_g, H, W), predictor (27 G, C_g, 3, 3), weight (C_out, C, 3, 3)."""
        ctx.save_for_backward(features, guide, predictor, predictor_bias, weight)
        images = _split(features, len(predictor) // 27)
        padded, kernel = F.pad(guide.contiguous(), (1, 1, 1, 1)), weight.reshape(len(weight), -1)
        out = features.new_empty(len(features), len(weight), *features.shape[2:])
        for image, rows in _strips(*_extent(images)):
            _, offsets, mask = _steer(padded[image], rows, predictor, predictor_bias)
            strip = _convolve(images[image], offsets, mask, rows, kernel)
            out[image, :, rows] = strip.view(len(weight), -1, out.shape[3])
        return out.add_(bias[:, None, None])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, out: Tensor) -> tuple[Tensor, ...]:
        """Gradients of all six arguments."""
        features, guide, predictor, predictor_bias, weight = ctx.saved_tensors
        groups, width = len(predictor) // 27, features.shape[3]
        images = _split(features, groups)
        padded, kernel = F.pad(guide.contiguous(), (1, 1, 1, 1)), weight.reshape(len(weight), -1).T.contiguous()
        on_images, on_kernel, on_padded = torch.zeros_like(images), torch.zeros_like(kernel), torch.zeros_like(padded)
        on_predictor, on_bias = (
            predictor.new_zeros(len(predictor), predictor[0].numel()),
            torch.zeros_like(predictor_bias),
        )
        for image, rows in _strips(*_extent(images)):
            patches, offsets, mask = _steer(padded[image], rows, predictor, predictor_bias)
            lines = rows.stop - rows.start
            change = out.new_empty(len(predictor), lines * width)
            into = _Gradients(
                on_images[image], on_kernel, change[: 18 * groups].view_as(offsets), change[18 * groups :].view_as(mask)
            )
            _differentiate(images[image], offsets, mask, rows, kernel, out[image, :, rows].flatten(1), into)
            into.mask.mul_(mask).mul_(1 - mask)
            on_bias += change.sum(1)
            on_predictor.addmm_(change, patches.T)
            back = predictor.reshape(len(predictor), -1).T @ change
            on_padded[image, :, rows.start : rows.stop + 2] += F.fold(back[None], (lines + 2, width + 2), 3)[0]
        return (
            on_images.view(features.shape), on_padded[:, :, 1:-1, 1:-1], on_predictor.view(predictor.shape), on_bias,
            on_kernel.T.reshape(weight.shape), out.sum((0, 2, 3)),
        )  # fmt: skip


def _steer(padded: Tensor, rows: slice, predictor: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Patches (9 C_g, h W) of a guide padded by one, offsets (G, 9, 2, h, W) and mask (G, 9, h, W) they give."""
    channels, _, breadth = padded.shape
    lines, width, groups = rows.stop - rows.start, breadth - 2, len(predictor) // 27
    part = padded[:, rows.start : rows.stop + 2]
    views = part.as_strided(
        (channels, 3, 3, lines, width), (part.stride(0), breadth, 1, breadth, 1), part.storage_offset()
    )
    patches = views.reshape(channels * 9, lines * width)
    steering = torch.addmm(bias[:, None], predictor.reshape(len(predictor), -1), patches)
    offsets = steering[: 18 * groups].view(groups, 9, 2, lines, width)
    mask = steering[18 * groups :].sigmoid_().view(groups, 9, lines, width)
    return patches, offsets, mask
