"""PSNR and SSIM in float64, with nothing hidden: no epsilon, and every window and border rule an argument."""

import math

import numpy as np
import torch
from torch import Tensor

from bench.color.transfer import mu_law
from bench.core.errors import UsageError
from bench.core.metric import metric
from bench.core.scene import Array
from bench.metrics.settings import SsimArea, SsimWindow

Image = Array | Tensor
"""(H, W, 3) real numbers, RGB; the unit and range are the caller's, and `peak` belongs to them."""

STRIP = 16
"""Rows of SSIM computed at a time on a CPU: a strip stays in the cache, which at 1000x1500 is three times as fast."""


def to_tensor(image: Image, role: str = "image") -> Tensor:
    """Return (H, W, 3) float64 on the image's device; another shape, NaN or infinity raises UsageError."""
    if isinstance(image, Tensor):
        tensor = image.detach().to(torch.float64)
    else:  # a copy: torch takes neither read-only memory maps nor negative strides
        tensor = torch.from_numpy(np.array(image, dtype=np.float64, order="C"))
    if tensor.ndim != 3 or tensor.shape[-1] != 3:
        raise UsageError(f"the {role} has shape {tuple(tensor.shape)}; expected (height, width, 3).")
    if bad := int((~torch.isfinite(tensor)).sum()):
        raise UsageError(f"the {role} holds {bad} values that are NaN or infinite; only finite images can be scored.")
    return tensor


def _pair(pred: Image, truth: Image, peak: float) -> tuple[Tensor, Tensor]:
    first = to_tensor(pred, "prediction")
    second = to_tensor(truth, "truth").to(first.device)
    if first.shape != second.shape:
        raise UsageError(
            f"the prediction has shape {tuple(first.shape)}, the truth {tuple(second.shape)}; they must be equal."
        )
    if not 0 < peak < math.inf:
        raise UsageError(f"the peak value is {peak}; expected a positive number.")
    return first, second


def pool(values: Tensor, mask: Image | None = None, border: int = 0) -> float:
    """Average a map over the pixels that a mask (H, W), bool, selects; NaN if it selects none.

    values : (H - 2 border, W - 2 border): the map of an image whose border has no values.
    """
    if mask is None:
        return float(values.mean())
    chosen = torch.as_tensor(np.array(mask) if isinstance(mask, np.ndarray) else mask, device=values.device)
    rows, columns = values.shape
    if chosen.dtype != torch.bool or chosen.shape != (rows + 2 * border, columns + 2 * border):
        raise UsageError(
            f"the mask is {chosen.dtype} of shape {tuple(chosen.shape)}; "
            f"expected torch.bool of shape {(rows + 2 * border, columns + 2 * border)}."
        )
    selected = values[chosen[border : border + rows, border : border + columns]]
    return float(selected.mean()) if selected.numel() else math.nan


def square_error_map(pred: Image, truth: Image) -> Tensor:
    """Squared difference of two (H, W, 3) images, mean over channels: (H, W) float64."""
    first, second = _pair(pred, truth, 1.0)
    return (first - second).square_().mean(-1)


def decibels(mean_square: float, peak: float) -> float:
    """10 log10(peak^2 / mean square): +inf for 0, NaN for NaN."""
    return math.inf if mean_square == 0 else 20 * math.log10(peak) - 10 * math.log10(mean_square)


def psnr(pred: Image, truth: Image, *, peak: float, mask: Image | None = None) -> float:
    """Peak signal-to-noise ratio in dB of two (H, W, 3) images, one mean square over all pixels and channels.

    peak : the largest value of the encoding, > 0.
    mask : (H, W) bool, the pixels that count; None for all.
    Identical images give +inf, an empty mask NaN; NaN, infinity or unequal shapes raise UsageError.
    """
    first, second = _pair(pred, truth, peak)
    return decibels(pool(square_error_map(first, second), mask), peak)


def _taps(window: SsimWindow) -> list[float]:
    radius = window.size // 2
    weights = [
        math.exp(-0.5 * (x / window.sigma) ** 2) if window.kind == "gaussian" else 1.0
        for x in range(-radius, radius + 1)
    ]
    return [weight / math.fsum(weights) for weight in weights]


def _smooth(planes: Tensor, taps: list[float], axis: int) -> Tensor:
    """Correlate along one axis with symmetric taps, whole windows only.

    Slices instead of conv2d, which on a CPU takes three to thirty times as long in float64.
    """
    last = len(taps) - 1
    length = planes.shape[axis] - last
    total = planes.narrow(axis, last // 2, length) * taps[last // 2]
    for k in range(last // 2):
        total.add_(planes.narrow(axis, k, length) + planes.narrow(axis, last - k, length), alpha=taps[k])
    return total


def _similarity(x: Tensor, y: Tensor, window: SsimWindow, peak: float) -> Tensor:
    """Eq. 13 of Wang et al. 2004 for planes (3, h, w), mean over channels; x^2 and y^2 only ever occur as a sum."""
    planes = torch.stack((x, y, x * x + y * y, x * y))
    for axis in (-2, -1):
        planes = _smooth(planes, _taps(window), axis)
    mean_x, mean_y, squares, product = planes
    count = window.size**2
    scale = count / (count - 1) if window.sample_covariance else 1.0
    means = mean_x.square() + mean_y.square()
    cross = mean_x * mean_y
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    above = (2 * cross + c1) * (2 * scale * (product - cross) + c2)
    below = (means + c1) * (scale * (squares - means) + c2)
    return torch.mean(above / below, dim=0)


def ssim_map(
    pred: Image, truth: Image, *, peak: float, window: SsimWindow | None = None, area: SsimArea = "valid"
) -> Tensor:
    """Local SSIM of two (H, W, 3) images, mean over channels: float64, one value per window centre.

    (H - size + 1, W - size + 1) for area "valid", (H, W) for "replicate". Errors as in `ssim`.
    """
    window = window or SsimWindow()
    planes = [tensor.permute(2, 0, 1) for tensor in _pair(pred, truth, peak)]
    reach = window.size - 1
    if area == "replicate":
        planes = [torch.nn.functional.pad(p[None], (reach // 2,) * 4, mode="replicate")[0] for p in planes]
    rows, columns = planes[0].shape[1] - reach, planes[0].shape[2] - reach
    if min(rows, columns) < 1:
        raise UsageError(
            f"an image of {rows + reach}x{columns + reach} pixels holds no {window.size}x{window.size} SSIM window."
        )
    step = STRIP if planes[0].device.type == "cpu" else rows
    strips = ([p[:, top : top + step + reach] for p in planes] for top in range(0, rows, step))
    return torch.cat([_similarity(x, y, window, peak) for x, y in strips])


def ssim(
    pred: Image,
    truth: Image,
    *,
    peak: float,
    window: SsimWindow | None = None,
    area: SsimArea = "valid",
    mask: Image | None = None,
) -> float:
    """Structural similarity (Wang et al. 2004) of two (H, W, 3) images: per channel, then one mean; at most 1.

    peak   : the range L in the constants (0.01 L)^2 and (0.03 L)^2.
    window : weights of the local statistics; by default Gaussian, 11x11, sigma 1.5, without sample covariance.
    area   : "valid" averages over whole windows, "replicate" over all pixels with the border repeated outwards.
    mask   : (H, W) bool, the window centres that count; None for all.
    An empty mask gives NaN; NaN, infinity, unequal shapes or an image smaller than the window raise UsageError.
    """
    window = window or SsimWindow()
    values = ssim_map(pred, truth, peak=peak, window=window, area=area)
    return pool(values, mask, window.border(area))


def encode_mu(image: Image, role: str = "image", mu: float = 5000.0) -> Tensor:
    """T(x) = log(1 + mu x) / log(1 + mu) of linear (H, W, 3), in float64; values below 0 count as 0."""
    return mu_law(to_tensor(image, role), mu)


@metric("psnr-l", unit="dB", better="higher", domain="linear")
def psnr_linear(pred: Image, truth: Image, *, peak: float = 1.0, mask: Image | None = None) -> float:
    """PSNR of linear relative radiance (H, W, 3); see `psnr`."""
    return psnr(pred, truth, peak=peak, mask=mask)


@metric("psnr-mu", unit="dB", better="higher", domain="mu")
def psnr_mu(pred: Image, truth: Image, *, peak: float = 1.0, mask: Image | None = None) -> float:
    """PSNR of linear relative radiance (H, W, 3) after the mu-law with mu = 5000; see `psnr`."""
    return psnr(encode_mu(pred, "prediction"), encode_mu(truth, "truth"), peak=peak, mask=mask)


@metric("ssim-l", unit="1", better="higher", domain="linear")
def ssim_linear(pred: Image, truth: Image, *, peak: float = 1.0, mask: Image | None = None) -> float:
    """SSIM of linear relative radiance (H, W, 3) with the default window; see `ssim`."""
    return ssim(pred, truth, peak=peak, mask=mask)


@metric("ssim-mu", unit="1", better="higher", domain="mu")
def ssim_mu(pred: Image, truth: Image, *, peak: float = 1.0, mask: Image | None = None) -> float:
    """SSIM of linear relative radiance (H, W, 3) after the mu-law with mu = 5000; see `ssim`."""
    return ssim(encode_mu(pred, "prediction"), encode_mu(truth, "truth"), peak=peak, mask=mask)
