"""The metrics: images in any of the field's layouts and a protocol's settings to tensors, with a gradient.

Each metric here takes prediction and truth as (H, W, 3), (3, H, W) or (B, 3, H, W), NumPy arrays or tensors on any
device: linear relative radiance, on the scale on which the truth's peak is 1. It returns a float64 tensor on the
prediction's device, without dimension or, for a batch, (B,), which can be differentiated wherever an image asks for it.

`protocol` is a mapping of sections, such as a protocol's file: those that the metric uses decide its value, and what
they don't write has its default. What comes before any metric, `region` and `values`, must change nothing but the
precision: images are compared as they are.
"""

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import UsageError, unknown_name
from .fidelity import mean_square_error
from .images import Image, by_rows, couples, need_floats, pair, planes, pool, wants_gradient
from .mu import mu_law
from .pu21 import PEAK, luminance, pu21_encode
from .settings import MuSettings, PsnrSettings, Pu21Settings, SsimSettings, Vdp2Settings, Vdp3Settings, section
from .similarity import similarity_map, smooth_similarity_map, volume_map

Rules = Mapping[str, Any] | None
"""Sections of a protocol."""

NEUTRAL: Mapping[str, Mapping[str, Any]] = {
    "region": {"crop": 0, "resize": "none", "scale": 1},
    "values": {"composite": None, "clip": "none", "quantise": "none"},
}
"""Settings that leave images as they are; others need the benchmark, which prepares images first."""


def psnr_l(pred: Image, truth: Image, *, protocol: Rules = None) -> Tensor:
    """PSNR of linear values in dB; +inf for identical images. Section `psnr`.

    >>> truth = torch.full((8, 9, 3), 0.5)
    >>> round(float(psnr_l(truth + 0.1, truth)), 4)
    20.0
    """
    return measured("psnr-l", pred, truth, protocol=protocol)


def psnr_mu(pred: Image, truth: Image, *, protocol: Rules = None) -> Tensor:
    """PSNR after the mu-law in dB; +inf for identical images. Sections `psnr` and `mu`.

    >>> truth = torch.rand(2, 3, 8, 9, generator=torch.Generator().manual_seed(0))
    >>> psnr_mu(truth, truth)
    tensor([inf, inf], dtype=torch.float64)
    """
    return measured("psnr-mu", pred, truth, protocol=protocol)


def psnr_pu(pred: Image, truth: Image, *, protocol: Rules = None) -> Tensor:
    """PU21-PSNR in dB, peak 256, each channel encoded. Sections `pu21` and `psnr` (`identical` alone).

    >>> truth = torch.full((8, 9, 3), 0.5)
    >>> rules = {"pu21": {"peak_luminance": 100.0}}
    >>> bool(psnr_pu(truth * 0.9, truth, protocol=rules) > psnr_pu(truth * 0.8, truth, protocol=rules))
    True
    """
    return measured("psnr-pu", pred, truth, protocol=protocol)


def psnr_pu_y(pred: Image, truth: Image, *, protocol: Rules = None) -> Tensor:
    """PU21-PSNR of luminance in dB, peak 256. Sections as of `psnr_pu`.

    >>> truth = torch.full((8, 9, 3), 0.5)
    >>> bool(psnr_pu_y(truth * 0.9, truth) > psnr_pu_y(truth * 0.8, truth))
    True
    """
    return measured("psnr-pu-y", pred, truth, protocol=protocol)


def ssim_l(pred: Image, truth: Image, *, protocol: Rules = None) -> Tensor:
    """SSIM of linear values, at most 1. Section `ssim`.

    >>> truth = torch.rand(3, 16, 17, generator=torch.Generator().manual_seed(0))
    >>> float(ssim_l(truth, truth))
    1.0
    """
    return measured("ssim-l", pred, truth, protocol=protocol)


def ssim_mu(pred: Image, truth: Image, *, protocol: Rules = None) -> Tensor:
    """SSIM after the mu-law, at most 1. Sections `ssim` and `mu`.

    >>> truth = torch.rand(3, 16, 17, generator=torch.Generator().manual_seed(0))
    >>> pred = (truth * 0.9).requires_grad_()
    >>> ssim_mu(pred, truth).backward()
    >>> tuple(pred.grad.shape)
    (3, 16, 17)
    """
    return measured("ssim-mu", pred, truth, protocol=protocol)


def ssim_pu(pred: Image, truth: Image, *, protocol: Rules = None) -> Tensor:
    """PU21-SSIM of luminance, at most 1: range 256, edges repeated. Section `pu21`.

    >>> truth = torch.rand(3, 16, 17, generator=torch.Generator().manual_seed(0))
    >>> bool(ssim_pu(truth * 0.9, truth) < 1)
    True
    """
    return measured("ssim-pu", pred, truth, protocol=protocol)


def measured(metric: str, pred: Image, truth: Image, *, protocol: Rules = None) -> Tensor:
    """Return the metric of that name, such as "psnr-mu"; see the module for images and protocol.

    NaN, infinity, integers, unequal shapes, or settings that nothing here implements raise UsageError.

    >>> measured("psnr-mu", torch.zeros(3, 8, 9), torch.zeros(3, 8, 9), protocol={"psnr": {"identical": 100.0}})
    tensor(100., dtype=torch.float64)
    """
    if metric not in MEASURES:
        raise unknown_name("metric", metric, MEASURES)
    measure = MEASURES[metric](protocol)
    single = _untouched(protocol)
    if metric not in LINEAR:  # there code values aren't just on another scale
        need_floats(pred, "prediction")
        need_floats(truth, "truth")
    pairs, batch = couples(pred, truth)
    values = []
    for one, right in pairs:
        x, y = pair(one, right, gradient=True)
        values.append(measure(*((x.float(), y.float()) if single else (x, y))))
    return torch.stack(values) if batch else values[0]


def _untouched(protocol: Rules) -> bool:
    """Tell whether a protocol rounds images to float32; one that changes them otherwise raises UsageError."""
    for part, neutral in NEUTRAL.items():
        for key, value in ((protocol or {}).get(part) or {}).items():
            if key in neutral and value != neutral[key]:
                raise UsageError(
                    f"the protocol's {part}.{key} is {value!r}, but images are compared as they are here: prepare "
                    f"them first, and leave {part} out."
                )
    return ((protocol or {}).get("values") or {}).get("precision") == "float32"


Measure = Callable[[Tensor, Tensor], Tensor]
"""Prediction and truth (H, W, 3) of one dtype to a float64 tensor without dimension."""


def _encoded(encode: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Images through a function of single pixels in float64; in strips that stay in the cache without a gradient."""
    if wants_gradient(x, y):
        return encode(x.double()), encode(y.double())
    ours, theirs = (by_rows(lambda rows: encode(rows.double()), image) for image in (x, y))
    return ours, theirs


def _decibels(x: Tensor, y: Tensor, rule: PsnrSettings, peak: float | None = None) -> Tensor:
    mean_square = (
        (x.double() - y.double()).square().mean() if wants_gradient(x, y) else _number(mean_square_error(x, y), x)
    )
    if mean_square.detach() == 0:
        return 0 * mean_square + float(rule.identical)
    if peak is None:
        peak = _positive(float(y.detach().max()), "largest value") if rule.peak == "max-of-truth" else rule.peak
    return 20 * math.log10(peak) - 10 * mean_square.log10()


def _positive(found: float, what: str) -> float:
    if found <= 0:
        raise UsageError(f"the protocol takes the truth's {what} as peak, but it is {found:g}.")
    return found


def _mean_similarity(x: Tensor, y: Tensor, rule: SsimSettings) -> Tensor:
    ends = y.detach()
    peak = _positive(float(ends.max() - ends.min()), "range") if rule.peak == "range-of-truth" else rule.peak
    if rule.clip == "both":
        x, y = x.clamp(0, peak), y.clamp(0, peak)
    return _mean(planes(x), planes(y), rule, peak)


def _mean(x: Tensor, y: Tensor, rule: SsimSettings, peak: float) -> Tensor:
    if rule.arithmetic == "float32-direct":
        return volume_map(x, y, peak=peak, window=rule.window).mean(dtype=torch.float64)
    index = smooth_similarity_map if wants_gradient(x, y) else similarity_map
    values = index(x, y, peak=peak, window=rule.window, area=rule.area, channels=rule.channels)
    return values.mean() if wants_gradient(values) else _number(pool(values), x)


def _number(value: float, like: Tensor) -> Tensor:
    return torch.tensor(value, dtype=torch.float64, device=like.device)


def _psnr_l(protocol: Rules) -> Measure:
    rule = section(protocol, "psnr", PsnrSettings)
    return lambda x, y: _decibels(x, y, rule)


def _psnr_mu(protocol: Rules) -> Measure:
    rule, mu = section(protocol, "psnr", PsnrSettings), section(protocol, "mu", MuSettings)
    return lambda x, y: _decibels(*_encoded(lambda image: mu_law(image, *mu), x, y), rule)


def _psnr_pu(protocol: Rules, channels: Callable[[Tensor], Tensor] = lambda image: image) -> Measure:
    rule, pu = section(protocol, "psnr", PsnrSettings), section(protocol, "pu21", Pu21Settings)
    return lambda x, y: _decibels(*_lit(pu, channels, x, y), rule, PEAK)


def _lit(pu: Pu21Settings, channels: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    return _encoded(lambda image: pu21_encode(channels(image * pu.peak_luminance), pu.variant), x, y)


def _ssim_l(protocol: Rules) -> Measure:
    rule = section(protocol, "ssim", SsimSettings)
    return lambda x, y: _mean_similarity(x, y, rule)


def _ssim_mu(protocol: Rules) -> Measure:
    rule, mu = section(protocol, "ssim", SsimSettings), section(protocol, "mu", MuSettings)

    def measure(x: Tensor, y: Tensor) -> Tensor:
        if rule.arithmetic == "float32-direct":  # then the encoding is float32 too, as in public code
            return _mean_similarity(mu_law(x, *mu), mu_law(y, *mu), rule)
        return _mean_similarity(*_encoded(lambda image: mu_law(image, *mu), x, y), rule)

    return measure


def _ssim_pu(protocol: Rules) -> Measure:
    pu, rule = section(protocol, "pu21", Pu21Settings), SsimSettings(area="replicate", peak=PEAK)
    return lambda x, y: _mean_similarity(*_lit(pu, luminance, x, y), rule)


def _hdrvdp2(protocol: Rules) -> Measure:
    from ..hdrvdp2.metric import hdrvdp2, hdrvdp2_loss

    view = section(protocol, "hdrvdp2", Vdp2Settings)

    def measure(x: Tensor, y: Tensor) -> Tensor:
        images = [image.double() * view.scale for image in (x, y)]
        first, second = images if view.order == "prediction-first" else reversed(images)
        conditions: dict[str, Any] = {
            "color_encoding": view.encoding, "pixels_per_degree": view.density(*x.shape[:2]),
            "surround_l": view.surround, "precision": view.precision,
        }  # fmt: skip
        with warnings.catch_warnings():  # that a scale looks odd is for those to hear who chose it: the protocol did
            warnings.simplefilter("ignore", UserWarning)
            if wants_gradient(x, y):
                return 100 - hdrvdp2_loss(first, second, **conditions)
            return _number(hdrvdp2(first, second, maps=False, **conditions).q, x)

    return measure


def _hdrvdp3(protocol: Rules, jod: bool = False) -> Measure:
    from ..hdrvdp3.metric import hdrvdp3, hdrvdp3_loss, to_jod

    view = section(protocol, "hdrvdp3", Vdp3Settings)
    if view.encoding == "sRGB-display" and "scale" not in (protocol or {})["hdrvdp3"]:
        raise UsageError("hdrvdp3.encoding sRGB-display takes code values in [0, 1]: say by which hdrvdp3.scale.")

    def measure(x: Tensor, y: Tensor) -> Tensor:
        conditions: dict[str, Any] = {
            "encoding": view.encoding, "pixels_per_degree": view.density(*x.shape[:2]), "task": view.task,
            "display": view.display, "age": view.age, "mtf": view.mtf, "surround": view.surround,
            "precision": view.precision,
        }  # fmt: skip
        images = x.double() * view.scale, y.double() * view.scale
        with warnings.catch_warnings():  # as above
            warnings.simplefilter("ignore", UserWarning)
            if wants_gradient(x, y):
                loss = hdrvdp3_loss(*images, **conditions)
                return to_jod(loss) if jod else 10 - loss
            result = hdrvdp3(*images, maps=False, **conditions)
        return _number(result.Q_JOD if jod else result.Q, x)

    return measure


MEASURES: Mapping[str, Callable[[Rules], Measure]] = {
    "psnr-l": _psnr_l,
    "psnr-mu": _psnr_mu,
    "psnr-pu": _psnr_pu,
    "psnr-pu-y": lambda protocol: _psnr_pu(protocol, luminance),
    "ssim-l": _ssim_l,
    "ssim-mu": _ssim_mu,
    "ssim-pu": _ssim_pu,
    "hdrvdp2": _hdrvdp2,
    "hdrvdp3": _hdrvdp3,
    "hdrvdp3-jod": lambda protocol: _hdrvdp3(protocol, jod=True),
}
"""Metric -> what makes of a protocol's sections the function of two images."""

LINEAR = ("psnr-l", "ssim-l")
"""Metrics of linear values, which may be integers."""
