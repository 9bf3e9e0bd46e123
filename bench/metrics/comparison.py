"""One pair of images under protocols. What two metrics or two protocols share is computed once."""

import math
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from bench.color.transfer import mu_law
from bench.core.errors import UsageError
from bench.metrics import pu21, rounding
from bench.metrics.direct import volume_map
from bench.metrics.fidelity import decibels, mean_square_error
from bench.metrics.images import Image, by_rows, pair, planes, pool, refuse_non_finite
from bench.metrics.masks import Mask
from bench.metrics.settings import Mu, Region
from bench.metrics.similarity import similarity_map

if TYPE_CHECKING:
    from bench.metrics.hdrvdp2 import Result
    from bench.metrics.protocol import Protocol

Pair = tuple[Tensor, Tensor]
"""Prediction and truth in one domain, (H, W, 3) or, as luminance, (H, W)."""

Encoder = Callable[[Tensor], Tensor]

METRICS = {
    "psnr-l": ("psnr", "l"),
    "psnr-mu": ("psnr", "mu"),
    "psnr-mu-tanh": ("psnr", "mu-tanh"),
    "psnr-pu": ("psnr", "pu"),
    "psnr-pu-y": ("psnr", "pu-y"),
    "ssim-l": ("ssim", "l"),
    "ssim-mu": ("ssim", "mu"),
    "ssim-pu": ("ssim", "pu-y"),
    "hdrvdp2": ("hdrvdp2", "l"),
}
"""What each metric does, and in which domain."""

QUANTISERS = {"none": lambda values: values, "rgbe": rounding.rgbe, "png16": rounding.png16}


class Comparison:
    """A prediction and its truth (H, W, 3), linear relative radiance, and what has been computed of them.

    It keeps the scores of all protocols, and the encoded images of the last region and values that were asked for:
    protocols that share these should come one after the other.
    """

    def __init__(self, pred: Image, truth: Image) -> None:
        """Check both images; NaN, infinity (also after rounding to float32) or unequal shapes raise UsageError."""
        x, y = (image.to(torch.float32) for image in pair(pred, truth))
        self._images: Pair = refuse_non_finite(x, "prediction"), refuse_non_finite(y, "truth")
        self._scores: dict[Any, float] = {}
        self._state: Any = None
        self._domains: dict[Any, Pair] = {}
        self._local: tuple[Any, Tensor, int] | None = None

    def scores(self, rule: "Protocol", masks: Mapping[str, Mask] | None = None) -> dict[str, float]:
        """Values of the protocol's metrics, and for those listed under its `masks` "<metric>@<mask>" for each mask."""
        found: dict[str, float] = {}
        for name in rule.metrics:
            key = name, *_sections(rule, name)
            if key not in self._scores:
                self._scores[key] = self._score(rule, key, None)
            found[name] = self._scores[key]
            if name in rule.masks.metrics:
                areas = {label: _region_of_mask(mask, rule) for label, mask in (masks or {}).items()}
                found |= {f"{name}@{label}": self._score(rule, key, area) for label, area in areas.items()}
        return found

    def visibility(self, rule: "Protocol") -> Tensor:
        """HDR-VDP-2's probability in [0, 1] that the difference is seen: (H, W), of what the protocol compares.

        A protocol without viewing conditions, or a picture that is too small, raises UsageError.
        """
        visible: Tensor = _viewed(rule, *self._domain(rule, "l"), maps=True).p_map
        return visible

    def _score(self, rule: "Protocol", key: tuple[Any, ...], mask: Tensor | None) -> float:
        kind, domain = METRICS[key[0]]
        if kind == "ssim":
            if self._local is None or self._local[0] != key:  # the map of one metric serves all masks
                self._local = key, *self._similarity(rule, domain)
            _, values, border = self._local
            return pool(values, mask, border)
        x, y = self._domain(rule, domain)
        return _viewed(rule, x, y, maps=False).q if kind == "hdrvdp2" else _psnr(rule, domain, x, y, mask)

    def _similarity(self, rule: "Protocol", domain: str) -> tuple[Tensor, int]:
        x, y = self._domain(rule, domain)
        if domain == "mu" and rule.ssim.arithmetic == "float32-direct":  # then the encoding is float32 too
            x, y = (_mu_encoder(rule.mu)(image) for image in self._domain(rule, "l"))
        return _ssim(rule, domain, x, y)

    def _domain(self, rule: "Protocol", domain: str) -> Pair:
        if self._state != (rule.region, rule.values):
            self._state, self._domains = (rule.region, rule.values), {}
        key = domain, _encoding(rule, domain)
        if key not in self._domains:
            self._domains[key] = self._linear(rule) if domain == "l" else _encode(rule, domain, self._domain(rule, "l"))
        return self._domains[key]

    def _linear(self, rule: "Protocol") -> Pair:
        x, y = self._images
        return _prepare(x, rule, "prediction"), _prepare(y, rule, "truth")


def preparation(rule: "Protocol") -> str:
    """Return what protocols are sorted by so that those sharing region and values come one after the other."""
    return f"{rule.region} {rule.values}"


def _encoding(rule: "Protocol", domain: str) -> Any:
    """Return the sections that decide how a domain is encoded."""
    return {"l": None, "mu": rule.mu, "mu-tanh": (rule.mu, rule.tanh)}.get(domain, rule.pu21)


def _sections(rule: "Protocol", name: str) -> Any:
    """Return all sections that decide the value of a metric without a mask."""
    kind, domain = METRICS[name]
    return rule.region, rule.values, _encoding(rule, domain), getattr(rule, kind)


def _encode(rule: "Protocol", domain: str, linear: Pair) -> Pair:
    """Encode both images in float64."""
    if domain == "mu":
        steps = _mu_encoder(rule.mu)
    elif domain == "mu-tanh":
        steps = _tanh_encoder(rule, linear)
    else:
        steps = _pu_encoder(rule, domain)
    x, y = (by_rows(lambda rows: steps(rows.to(torch.float64)), image) for image in linear)
    return x, y


def _mu_encoder(mu: Mu) -> Encoder:
    if mu.negative == "clamp":
        return lambda image: mu_law(image, mu.constant)
    return lambda image: (1 + image * mu.constant).log() / math.log1p(mu.constant)


def _pu_encoder(rule: "Protocol", domain: str) -> Encoder:
    view = rule.pu21
    assert view is not None  # a protocol with these metrics has the section
    if domain == "pu":
        return lambda image: pu21.encode(image * view.peak_luminance, view.variant)
    return lambda image: pu21.encode(pu21.luminance(image * view.peak_luminance), view.variant)


def _tanh_encoder(rule: "Protocol", linear: Pair) -> Encoder:
    """Tanh, then the mu-law. A percentile of 0 gives NaN for values of 0, as public code does."""
    tanh, mu = rule.tanh, _mu_encoder(rule.mu)
    assert tanh is not None  # a protocol with this metric has the section
    base = linear[0 if tanh.of == "prediction" else 1].to(torch.float64)
    scale = base.new_tensor(np.percentile((base**tanh.exponent).cpu().numpy(), tanh.percentile))
    return lambda image: mu((image**tanh.exponent / scale).tanh())


def _psnr(rule: "Protocol", domain: str, x: Tensor, y: Tensor, mask: Tensor | None) -> float:
    if mask is None:
        mean_square = mean_square_error(x, y)
    else:
        square = (x.to(torch.float64) - y).square_()
        mean_square = pool(square.mean(-1) if square.ndim == 3 else square, mask)
    if mean_square == 0:
        return float(rule.psnr.identical)
    return decibels(mean_square, _peak(rule, domain, y))


def _peak(rule: "Protocol", domain: str, truth: Tensor) -> float:
    if domain in ("pu", "pu-y"):
        return pu21.PEAK
    if domain == "mu-tanh":
        return 1.0
    if rule.psnr.peak != "max-of-truth":
        return rule.psnr.peak
    if (largest := float(truth.max())) <= 0:
        raise UsageError(f"protocol {rule.id} takes the truth's largest value as peak, but no value is above 0.")
    return largest


def _ssim(rule: "Protocol", domain: str, x: Tensor, y: Tensor) -> tuple[Tensor, int]:
    """Return the local similarity and the width of the border without values."""
    if domain == "pu-y":
        return pu21.similarity(x, y), 0
    how = rule.ssim
    if how.clip == "both":  # clamping keeps NaN, as public code's clip does
        x, y = x.clamp(0, how.peak), y.clamp(0, how.peak)
    x, y = planes(x), planes(y)
    if how.arithmetic == "float32-direct":
        values = volume_map(x, y, peak=how.peak, window=how.window)
    else:
        values = similarity_map(x, y, peak=how.peak, window=how.window, area=how.area, channels=how.channels)
    return values, how.window.border(how.area)


def _viewed(rule: "Protocol", x: Tensor, y: Tensor, maps: bool) -> "Result":
    """Compare linear images by HDR-VDP-2 as the protocol says."""
    from bench.metrics.hdrvdp2 import hdrvdp2  # only for protocols that have it

    view = rule.hdrvdp2
    if view is None:
        raise UsageError(f"protocol {rule.id} says nothing of HDR-VDP-2's viewing conditions.")
    rows, columns = x.shape[:2]
    with warnings.catch_warnings():  # that a scale looks odd is for those to hear who chose it: here the protocol did
        warnings.simplefilter("ignore", UserWarning)
        return hdrvdp2(
            x.to(torch.float64) * view.scale,
            y.to(torch.float64) * view.scale,
            color_encoding=view.encoding,
            pixels_per_degree=view.density(columns, rows),
            surround_l=view.surround,
            maps=maps,
            precision=view.precision,
        )


def _prepare(image: Tensor, rule: "Protocol", role: str) -> Tensor:
    """Crop, resample, clip and quantise (H, W, 3) float32."""
    values = rule.values
    image = _resized(_cropped(image, rule), rule.region)
    if values.clip in (role, "both"):
        image = image.clamp(0, values.clip_high)
    quantised: Tensor = QUANTISERS[values.quantise](image)
    return quantised


def _cropped(image: Tensor, rule: "Protocol") -> Tensor:
    border = rule.region.crop
    rows, columns = image.shape[:2]
    if min(rows, columns) <= 2 * border:
        raise UsageError(f"protocol {rule.id} crops {border} px on every side of {rows}x{columns}: none are left.")
    return image[border : rows - border, border : columns - border]


def _resized(image: Tensor, region: Region) -> Tensor:
    if region.resize == "none":
        return image
    sizes = [max(round(length * region.scale), 1) for length in image.shape[:2]]
    batch = planes(image)[None].to(torch.float64)
    small = interpolate(batch, size=sizes, mode="bilinear", align_corners=False)
    return small[0].permute(1, 2, 0).to(image.dtype).contiguous()


def _region_of_mask(mask: Mask, rule: "Protocol") -> Tensor:
    """Crop a mask (H, W) like the image; where the image is resampled, the nearest pixel counts."""
    area = _cropped(torch.from_numpy(np.array(mask)), rule)
    if rule.region.resize == "none":
        return area
    sizes = [max(round(length * rule.region.scale), 1) for length in area.shape]
    return interpolate(area[None, None].float(), size=sizes, mode="nearest-exact")[0, 0].bool()
