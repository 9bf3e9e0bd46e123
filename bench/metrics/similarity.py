"""SSIM: local means and variances under a window, for every window, border and channel rule that public code has.

The window is separable, so filtering is two products with band matrices: of a strip of rows, then of blocks of columns.
On a CPU that is several times as fast as convolution, in float64 too, and a strip stays in the cache.

With s = x + y and d = x - y the index is (1 - 2 md^2 / (ms^2 + md^2 + 2 C1)) (1 - 2 vd / (vs + vd + 2 C2)), m and v the
local means and variances of s and d: eq. 13 of Wang et al. 2004, but where images agree, the cancellation in vs is
multiplied by a small number. Variances are taken about the mean of the strip, and the weights sum to 1 as they are
rounded. Together this keeps float32 within 1e-7 of float64 for values in [0, L], and within 1e-5 up to 20 L.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from bench.core.errors import UsageError
from bench.metrics.images import one_thread
from bench.metrics.settings import SsimArea, SsimChannels, SsimWindow

CPU_STRIP, DEVICE_STRIP = 16, 128
"""Rows filtered at a time. More would add multiplications by zero and leave the cache."""

BLOCK = 16
"""Columns filtered at a time, for the same reason."""


def taps(window: SsimWindow) -> list[float]:
    """Weights of one row of the window, size many, with sum 1."""
    radius = window.size // 2
    weights = [
        math.exp(-0.5 * (x / window.sigma) ** 2) if window.kind == "gaussian" else 1.0
        for x in range(-radius, radius + 1)
    ]
    return [weight / math.fsum(weights) for weight in weights]


def similarity_map(
    x: Tensor,
    y: Tensor,
    *,
    peak: float,
    window: SsimWindow,
    area: SsimArea = "valid",
    channels: SsimChannels = "separate",
    precision: torch.dtype = torch.float64,
) -> Tensor:
    """Local SSIM of planes (C, H, W), mean over channels: (H - size + 1, W - size + 1), or (H, W) for "replicate".

    peak      : the range L in the constants (0.01 L)^2 and (0.03 L)^2.
    channels  : "separate" filters each plane by itself; "volume" also filters across the planes, with the same window
                and the first and last plane repeated.
    precision : of the arithmetic and the result, torch.float64 or torch.float32.
    NaN in the planes gives NaN in all windows that hold it, and in those of the rows around. An image smaller than the
    window raises UsageError.
    """
    reach = window.size - 1
    if area == "replicate":
        x, y = (torch.nn.functional.pad(p[None], (reach // 2,) * 4, mode="replicate")[0] for p in (x, y))
    rows, columns = x.shape[1] - reach, x.shape[2] - reach
    if min(rows, columns) < 1:
        raise UsageError(
            f"an image of {rows + reach}x{columns + reach} pixels holds no {window.size}x{window.size} SSIM window."
        )
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    if window.sample_covariance:  # variances times n/(n - 1): the factor cancels if C2 is divided by it
        c2 *= 1 - 1 / window.size**2
    step = CPU_STRIP if x.device.type == "cpu" else DEVICE_STRIP
    strips = []
    with one_thread():
        for top in range(0, rows, step):
            x_strip, y_strip = (p[:, top : top + step + reach].to(precision) for p in (x, y))
            statistics, centre = _statistics(x_strip, y_strip, window, channels)
            strips.append(_index(statistics, centre, c1, c2)[:, :columns])
    return torch.cat(strips)


def _statistics(x: Tensor, y: Tensor, window: SsimWindow, channels: SsimChannels) -> tuple[Tensor, Tensor]:
    """Window means of s, d, s^2 and d^2 less their centre, for a strip (C, rows + reach, W), and the centre.

    (blocks, 4, C, rows, BLOCK) and (2, 1, 1, 1), the mean of s and of d over the strip.
    """
    count, height, width = x.shape
    reach = window.size - 1
    blocks = -(-(width - reach) // BLOCK)
    stack = x.new_zeros(4, count, height, blocks * BLOCK + reach)  # columns beyond the image: dropped later
    torch.add(x, y, out=stack[0, :, :, :width])
    torch.sub(x, y, out=stack[1, :, :, :width])
    centre = stack[:2, ..., :width].mean((1, 2, 3), keepdim=True)
    stack[:2].sub_(centre)
    torch.mul(stack[:2], stack[:2], out=stack[2:])
    down = _down(window, height - reach, count if channels == "volume" else 1, x.dtype, x.device)
    tall = torch.matmul(down, stack.view(-1, down.shape[1], stack.shape[-1])).view(-1, stack.shape[-1])
    wide = tall.as_strided((blocks, len(tall), BLOCK + reach), (BLOCK, tall.shape[1], 1))
    across = _band(window, BLOCK, x.dtype, x.device).T.expand(blocks, -1, -1)
    return torch.bmm(wide, across).view(blocks, 4, count, height - reach, BLOCK), centre


@lru_cache(maxsize=32)
def _band(window: SsimWindow, outputs: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Matrix (outputs, outputs + size - 1) that correlates a column with the window's taps."""
    weights = torch.tensor(taps(window), dtype=torch.float64).to(dtype)
    weights[window.size // 2] += 1 - weights.to(torch.float64).sum()  # a sum of 1 + e adds -e m^2 to each variance
    matrix = torch.zeros(outputs, outputs + window.size - 1, dtype=dtype)
    for k in range(window.size):
        matrix.diagonal(k).fill_(weights[k])
    return matrix.to(device)


@lru_cache(maxsize=32)
def _down(window: SsimWindow, rows: int, mixed: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Filter rows of one plane; of `mixed` planes together if that is more than one, and across them."""
    mix = torch.zeros(mixed, mixed, dtype=torch.float64)
    for plane in range(mixed):
        for k, tap in enumerate(taps(window), -(window.size // 2)):
            mix[plane, min(max(plane + k, 0), mixed - 1)] += tap
    return torch.kron(mix.to(dtype=dtype, device=device), _band(window, rows, dtype, device))


def _index(statistics: Tensor, centre: Tensor, c1: float, c2: float) -> Tensor:
    """The index of a strip, mean over channels: (rows, blocks * BLOCK). Works in place on (blocks, 4, C, rows, 16)."""
    s, d, s_square, d_square = statistics.unbind(1)
    s_square.sub_(s.square())
    d_square.sub_(d.square())
    s.add_(centre[0]).square_()
    d.add_(centre[1]).square_()
    luminance = d.div_(s.add_(d).add_(2 * c1)).mul_(-2).add_(1)
    structure = d_square.div_(s_square.add_(d_square).add_(2 * c2)).mul_(-2).add_(1)
    index = luminance.mul_(structure).mean(1)
    return index.permute(1, 0, 2).reshape(index.shape[1], -1)
