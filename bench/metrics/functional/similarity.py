"""SSIM: local means and variances under a window, for every window, border and channel rule that public code has.

The window is separable, so filtering is two products with band matrices: of a strip of rows, then of blocks of columns.
On a CPU that is several times as fast as convolution, in float64 too, and a strip stays in the cache.

With s = x + y and d = x - y the index is (1 - 2 md^2 / (ms^2 + md^2 + 2 C1)) (1 - 2 vd / (vs + vd + 2 C2)), m and v the
local means and variances of s and d: eq. 13 of Wang et al. 2004, but where images agree, the cancellation in vs is
multiplied by a small number. Variances are taken about the mean of the strip, and the weights sum to 1 as they are
rounded. Together this keeps float32 within 1e-7 of float64 for values in [0, L], and within 1e-5 up to 20 L.
"""

from functools import lru_cache
from typing import get_args

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv3d, pad

from ..errors import UsageError
from .images import one_thread
from .window import SeparableWindow, SsimArea, SsimChannels

CPU_STRIP, DEVICE_STRIP = 16, 128
"""Rows filtered at a time. More would add multiplications by zero and leave the cache."""

BLOCK = 16
"""Columns filtered at a time, for the same reason."""

VOLUME_ROWS = 64
"""Rows convolved at a time by `volume_map`: they stay in the cache."""


def similarity_map(
    x: Tensor,
    y: Tensor,
    *,
    peak: float,
    window: SeparableWindow,
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

    >>> from .window import WindowSettings
    >>> x = torch.linspace(0, 1, 300, dtype=torch.float64).reshape(3, 10, 10)
    >>> tuple(similarity_map(x, x, peak=1.0, window=WindowSettings(size=7)).shape)
    (4, 4)
    """
    _check_rules(area, channels)
    reach = window.size - 1
    if area == "replicate":
        x, y = (pad(p[None], (reach // 2,) * 4, mode="replicate")[0] for p in (x, y))
    rows, columns = x.shape[1] - reach, x.shape[2] - reach
    _check_size(rows, columns, window)
    index = x.new_empty(rows, columns, dtype=precision)
    step = CPU_STRIP if x.device.type == "cpu" else DEVICE_STRIP
    strip: _Strip | None = None
    with one_thread():
        for row in range(0, rows, step):
            height = min(step, rows - row)
            if strip is None or strip.rows != height:
                strip = _Strip(len(x), height, window, channels, index)
            inside = slice(row, row + height + reach)
            index[row : row + height] = strip(x[:, inside], y[:, inside], *_constants(peak, window))
    return index


def smooth_similarity_map(
    x: Tensor,
    y: Tensor,
    *,
    peak: float,
    window: SeparableWindow,
    area: SsimArea = "valid",
    channels: SsimChannels = "separate",
) -> Tensor:
    """`similarity_map` in float64 with a gradient for both images, by convolution: several times as slow.

    >>> from .window import WindowSettings
    >>> x = torch.linspace(0, 1, 300).reshape(3, 10, 10).requires_grad_()
    >>> smooth_similarity_map(x, x * 0.5, peak=1.0, window=WindowSettings(size=7)).mean().backward()
    >>> bool(x.grad.isfinite().all())
    True
    """
    reach = window.size - 1
    x, y = (plane.to(torch.float64) for plane in (x, y))
    if area == "replicate":
        x, y = (pad(plane[None], (reach // 2,) * 4, mode="replicate")[0] for plane in (x, y))
    _check_rules(area, channels)
    _check_size(x.shape[1] - reach, x.shape[2] - reach, window)
    s, d = x + y, x - y
    row = torch.tensor(window.taps(), dtype=torch.float64, device=x.device)
    planes = torch.stack([s, d, s * s, d * d])
    if channels == "volume":
        planes = torch.einsum("ij,njhw->nihw", _mix(window, len(x)).to(x.device), planes)
    means = conv2d(conv2d(planes.flatten(0, 1)[:, None], row[None, None, :, None]), row[None, None, None])
    s, d, ss, dd = means.reshape(4, len(x), *means.shape[-2:])
    c1, c2 = _constants(peak, window)
    u = d * d / (s * s + d * d + 2 * c1)
    v = (dd - d * d) / (ss - s * s + dd - d * d + 2 * c2)
    index: Tensor = ((1 - 2 * u) * (1 - 2 * v)).mean(0)
    return index


def _check_size(rows: int, columns: int, window: SeparableWindow) -> None:
    if min(rows, columns) < 1:
        reach = window.size - 1
        raise UsageError(
            f"an image of {rows + reach}x{columns + reach} pixels holds no {window.size}x{window.size} SSIM window."
        )


def _check_rules(area: str, channels: str) -> None:
    if area not in get_args(SsimArea) or channels not in get_args(SsimChannels):
        raise UsageError(
            f"SSIM with area {area!r} and channels {channels!r}; expected {' or '.join(get_args(SsimArea))}, "
            f"and {' or '.join(get_args(SsimChannels))}."
        )


def _constants(peak: float, window: SeparableWindow) -> tuple[float, float]:
    """C1 and C2. Variances times n/(n - 1) are C2 divided by that factor, which then cancels."""
    factor = 1 - 1 / window.size**2 if window.sample_covariance else 1.0
    return (0.01 * peak) ** 2, (0.03 * peak) ** 2 * factor


class _Strip:
    """Buffers for strips of one height: to allocate them for each strip would cost more than the arithmetic."""

    def __init__(self, count: int, rows: int, window: SeparableWindow, channels: SsimChannels, like: Tensor) -> None:
        """Prepare for `count` planes, with the columns, the precision and the device of `like`."""
        reach, columns = window.size - 1, like.shape[-1]
        blocks = -(-columns // BLOCK)  # the last one reaches over columns of zeros, whose result is dropped
        self.rows, self.columns, self.width = rows, columns, columns + reach
        self.down = _down(window, rows, count if channels == "volume" else 1, like.dtype, like.device)
        self.stack = like.new_zeros(4, count, rows + reach, blocks * BLOCK + reach)
        batch = 4 * count * rows // len(self.down)
        self.tall = like.new_empty(batch, len(self.down), self.stack.shape[-1])
        flat = self.tall.view(-1, self.stack.shape[-1])
        self.overlapping = flat.as_strided((blocks, len(flat), BLOCK + reach), (BLOCK, flat.shape[1], 1))
        self.across = _band(window, BLOCK, like.dtype, like.device).T.expand(blocks, -1, -1)
        self.wide = like.new_empty(blocks, len(flat), BLOCK)
        self.means = self.wide.view(blocks, 4, count, rows, BLOCK)

    def __call__(self, x: Tensor, y: Tensor, c1: float, c2: float) -> Tensor:
        """The index of a strip (C, rows + reach, W), mean over channels: (rows, columns)."""
        x, y = x.to(self.stack.dtype), y.to(self.stack.dtype)
        sum_and_difference = self.stack[:2, ..., : self.width]
        torch.add(x, y, out=sum_and_difference[0])
        torch.sub(x, y, out=sum_and_difference[1])
        centre = sum_and_difference.mean((1, 2, 3), keepdim=True)
        sum_and_difference.sub_(centre)
        s, d, s_square, d_square = self.stack
        torch.addcmul(s.new_tensor(2 * c2), s, s, out=s_square)
        torch.mul(d, d, out=d_square)
        tiles = self.stack.view(len(self.tall), -1, self.stack.shape[-1])
        torch.bmm(self.down.expand(len(tiles), -1, -1), tiles, out=self.tall)
        torch.bmm(self.overlapping, self.across, out=self.wide)
        index = _index(self.means, centre, c1)
        return index.permute(1, 0, 2).reshape(self.rows, -1)[:, : self.columns]


@lru_cache(maxsize=32)
def _band(window: SeparableWindow, outputs: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Matrix (outputs, outputs + size - 1) that correlates a column with the window's taps."""
    weights = torch.tensor(window.taps(), dtype=torch.float64).to(dtype)
    weights[window.size // 2] += 1 - weights.to(torch.float64).sum()  # a sum of 1 + e adds -e m^2 to each variance
    matrix = torch.zeros(outputs, outputs + window.size - 1, dtype=dtype)
    for k in range(window.size):
        matrix.diagonal(k).fill_(weights[k])
    return matrix.to(device)


@lru_cache(maxsize=32)
def _down(window: SeparableWindow, rows: int, mixed: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Filter rows of one plane; of `mixed` planes together if that is more than one, and across them."""
    return torch.kron(_mix(window, mixed).to(dtype=dtype, device=device), _band(window, rows, dtype, device))


def _mix(window: SeparableWindow, planes: int) -> Tensor:
    """Matrix (planes, planes), float64, that filters across planes, the first and the last one repeated."""
    mix = torch.zeros(planes, planes, dtype=torch.float64)
    for plane in range(planes):
        for k, tap in enumerate(window.taps(), -(window.size // 2)):
            mix[plane, min(max(plane + k, 0), planes - 1)] += tap
    return mix


def _index(means: Tensor, centre: Tensor, c1: float) -> Tensor:
    """The index, mean over channels, from the window means of s, d, s^2 + 2 C2 and d^2, less the centre of s and d.

    Works in place: (blocks, 4, C, rows, BLOCK) to (blocks, rows, BLOCK).
    """
    first, second = means[:, :2], means[:, 2:]
    second.addcmul_(first, first, value=-1)
    first.add_(centre)
    s, d, s_variance, d_variance = means.unbind(1)
    torch.addcmul(s.new_tensor(2 * c1), s, s, out=s)
    d.square_()
    u = d.div_(s.add_(d))
    v = d_variance.div_(s_variance.add_(d_variance))
    # (1 - 2 u) (1 - 2 v)
    return torch.add(u, v, out=s).addcmul_(u, v, value=-2).mean(1).mul_(-2).add_(1)


def volume_map(x: Tensor, y: Tensor, *, peak: float, window: SeparableWindow) -> Tensor:
    """Local SSIM of planes (C, H, W) taken as a volume whose border is repeated: (H, W) float32, mean over planes.

    peak : the range L in the constants (0.01 L)^2 and (0.03 L)^2.

    Public Python code computes it by one convolution with all 11x11x11 weights. Adding 1331 float32 products in a row
    rounds in one direction where an image is smooth: up to 5e-6 from the float64 value of `similarity_map`. A protocol
    that repeats such code to the sixth digit has to repeat the rounding, at a hundred times the cost.
    It runs on the CPU: a GPU's convolutions may use fewer digits still.

    >>> from .window import WindowSettings
    >>> x = torch.linspace(0, 1, 300).reshape(3, 10, 10)
    >>> tuple(volume_map(x, x, peak=1.0, window=WindowSettings(size=7)).shape)
    (10, 10)
    """
    row = torch.tensor([tap / max(window.taps()) for tap in window.taps()], dtype=torch.float32)
    row = row / row.sum()  # in float32: the last digit of a weight shows in the sixth of the result
    weights = (row[:, None, None] * (row[:, None] * row))[None, None]
    reach = window.size - 1
    x, y = (pad(p.cpu().to(torch.float32)[None, None], (reach // 2,) * 6, mode="replicate") for p in (x, y))
    rows = x.shape[-2] - reach
    strips = []
    for top in range(0, rows, VOLUME_ROWS):
        u, v = (p[..., top : top + VOLUME_ROWS + reach, :] for p in (x, y))
        means = [conv3d(z, weights)[0, 0] for z in (u, v, u * u, v * v, u * v)]
        strips.append(_direct_index(means, (0.01 * peak) ** 2, (0.03 * peak) ** 2).mean(0))
    return torch.cat(strips)


def _direct_index(means: list[Tensor], c1: float, c2: float) -> Tensor:
    """Eq. 13 of Wang et al. 2004 from the local means of x, y, x^2, y^2 and x y, in the order of public code."""
    mx, my, xx, yy, xy = means
    variances = (xx - mx * mx) + (yy - my * my)
    above = (2 * mx * my + c1) * (2 * (xy - mx * my) + c2)
    return above / ((mx * mx + my * my + c1) * (variances + c2))
