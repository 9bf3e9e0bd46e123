"""PSNR and SSIM of encoded images with nothing hidden: no epsilon, every window, border and channel rule an argument.

Two float32 images are compared in float32, with the errors stated below; all others, and the registered metrics, in
float64. Means are always taken in float64.
"""

import math

import torch
from torch import Tensor

from .images import Image, check_peak, one_thread, pair, planes, pool
from .similarity import similarity_map
from .window import SeparableWindow, SsimArea, SsimChannels, WindowSettings, border

ROWS = 16
"""Rows of squared differences at a time: they stay in the cache."""


def mean_square_error(pred: Tensor, truth: Tensor, precision: torch.dtype = torch.float64) -> float:
    """Mean squared difference of two tensors of one shape, (H, W) or (H, W, C); NaN if either holds NaN.

    precision : of the subtraction; squares and their sum are float64.

    >>> mean_square_error(torch.zeros(2, 3), torch.full((2, 3), 0.5))
    0.25
    """
    total, columns = 0.0, pred[0].numel()
    # The strips' planes are made once: new memory for each would take as long as the arithmetic.
    difference = torch.empty(ROWS * columns, dtype=precision, device=pred.device)
    wide = torch.empty(ROWS * columns, dtype=torch.float64, device=pred.device)
    with one_thread():
        for row in range(0, len(pred), ROWS):
            x, y = (image[row : row + ROWS].to(precision).reshape(-1) for image in (pred, truth))
            torch.sub(x, y, out=difference[: len(x)])
            strip = wide[: len(x)].copy_(difference[: len(x)])
            total += float(torch.dot(strip, strip))
    return total / pred.numel()


def decibels(mean_square: float, peak: float) -> float:
    """10 log10(peak^2 / mean square): +inf for 0, NaN for NaN.

    >>> decibels(0.01, peak=1.0), decibels(0.0, peak=1.0)
    (20.0, inf)
    """
    return math.inf if mean_square == 0 else 20 * math.log10(peak) - 10 * math.log10(mean_square)


def psnr(pred: Image, truth: Image, *, peak: float, mask: Image | None = None) -> float:
    """Peak signal-to-noise ratio in dB of two (H, W, 3) images, one mean square over all pixels and channels.

    peak : the largest value of the encoding, > 0.
    mask : (H, W) bool, the pixels that count; None for all.
    Identical images give +inf, an empty mask NaN; NaN, infinity or unequal shapes raise UsageError. Two float32 images
    are subtracted in float32, which is exact for values within a factor of 2 and moves the result by at most 6e-7 dB;
    all else is float64.

    >>> round(psnr(torch.zeros(8, 9, 3), torch.full((8, 9, 3), 0.5), peak=1.0), 4)
    6.0206
    """
    check_peak(peak)
    if mask is not None:
        first, second = pair(pred, truth)
        return decibels(pool((first.to(torch.float64) - second).square_().mean(-1), mask), peak)
    first, second = pair(pred, truth, finite=False)
    mean_square = mean_square_error(first, second, first.dtype)
    if not math.isfinite(mean_square):  # images that are all finite are looked at once only
        pair(first, second)
    return decibels(mean_square, peak)


def ssim_map(
    pred: Image,
    truth: Image,
    *,
    peak: float,
    window: SeparableWindow | None = None,
    area: SsimArea = "valid",
    channels: SsimChannels = "separate",
) -> Tensor:
    """Local SSIM of two (H, W, 3) images, mean over channels: one value per window centre.

    (H - size + 1, W - size + 1) for area "valid", (H, W) for "replicate"; float32 for two float32 images, else float64.
    Errors as in `ssim`.

    >>> image = torch.linspace(0, 1, 12 * 13 * 3).reshape(12, 13, 3)
    >>> tuple(ssim_map(image, image, peak=1.0).shape)
    (2, 3)
    """
    x, y = (planes(image) for image in pair(pred, truth))
    check_peak(peak)
    window = window or WindowSettings()
    return similarity_map(x, y, peak=peak, window=window, area=area, channels=channels, precision=x.dtype)


def ssim(
    pred: Image,
    truth: Image,
    *,
    peak: float,
    window: SeparableWindow | None = None,
    area: SsimArea = "valid",
    channels: SsimChannels = "separate",
    mask: Image | None = None,
) -> float:
    """Structural similarity (Wang et al. 2004) of two (H, W, 3) images; one mean over windows and channels; at most 1.

    peak     : the range L in the constants (0.01 L)^2 and (0.03 L)^2.
    window   : weights of the local statistics; by default Gaussian, 11x11, sigma 1.5, without sample covariance.
    area     : "valid" averages over whole windows, "replicate" over all pixels with the border repeated outwards.
    channels : "separate" (OpenCV, scikit-image) or "volume": the window is a cube that also reaches over channels, the
               outer ones repeated, which is what MATLAB does with a colour image.
    mask     : (H, W) bool, the window centres that count; None for all.
    An empty mask gives NaN; NaN, infinity, unequal shapes or an image smaller than the window raise UsageError.

    >>> image = torch.linspace(0, 1, 12 * 13 * 3).reshape(12, 13, 3)
    >>> ssim(image, image, peak=1.0)
    1.0
    """
    window = window or WindowSettings()
    values = ssim_map(pred, truth, peak=peak, window=window, area=area, channels=channels)
    return pool(values, mask, border(window, area))
