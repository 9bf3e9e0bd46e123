"""Volume SSIM as public Python code computes it in float32: one convolution with all 11x11x11 weights.

Adding 1331 float32 products in a row rounds in one direction where an image is smooth: up to 5e-6 from the float64
value of `bench.metrics.similarity`. A protocol that repeats such code to the sixth digit has to repeat the rounding, at
a hundred times the cost.
"""

import torch
from torch import Tensor
from torch.nn.functional import conv3d, pad

from bench.metrics.window import SsimWindow

ROWS = 64
"""Rows convolved at a time: they stay in the cache."""


def volume_map(x: Tensor, y: Tensor, *, peak: float, window: SsimWindow) -> Tensor:
    """Local SSIM of planes (C, H, W) taken as a volume whose border is repeated: (H, W) float32, mean over planes.

    peak : the range L in the constants (0.01 L)^2 and (0.03 L)^2.
    It runs on the CPU: a GPU's convolutions may use fewer digits still.
    """
    row = torch.tensor([tap / max(window.taps()) for tap in window.taps()], dtype=torch.float32)
    row = row / row.sum()  # in float32: the last digit of a weight shows in the sixth of the result
    weights = (row[:, None, None] * (row[:, None] * row))[None, None]
    reach = window.size - 1
    x, y = (pad(p.cpu().to(torch.float32)[None, None], (reach // 2,) * 6, mode="replicate") for p in (x, y))
    rows = x.shape[-2] - reach
    strips = []
    for top in range(0, rows, ROWS):
        u, v = (p[..., top : top + ROWS + reach, :] for p in (x, y))
        means = [conv3d(z, weights)[0, 0] for z in (u, v, u * u, v * v, u * v)]
        strips.append(_index(means, (0.01 * peak) ** 2, (0.03 * peak) ** 2).mean(0))
    return torch.cat(strips)


def _index(means: list[Tensor], c1: float, c2: float) -> Tensor:
    """Eq. 13 of Wang et al. 2004 from the local means of x, y, x^2, y^2 and x y, in the order of public code."""
    mx, my, xx, yy, xy = means
    variances = (xx - mx * mx) + (yy - my * my)
    above = (2 * mx * my + c1) * (2 * (xy - mx * my) + c2)
    return above / ((mx * mx + my * my + c1) * (variances + c2))
