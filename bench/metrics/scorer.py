"""Scores of one prediction under one protocol or many; what two metrics or two protocols share is computed once."""

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from bench.core.errors import UsageError
from bench.core.metric import MetricCard
from bench.core.registry import metrics, protocols, sections
from bench.core.scene import Scene
from bench.metrics.functional.images import Image, couples, need_floats, pair, refuse_non_finite, wants_gradient
from bench.metrics.functional.metrics import MEASURES, Measure
from bench.metrics.masks import Mask
from bench.metrics.pair import ImagePair, Images, prepared_mask

if TYPE_CHECKING:
    from bench.metrics.protocol import Protocol


class Scorer:
    """A prediction and its truth (H, W, 3), linear relative radiance, and what has been computed of them.

    images : both, as float32 tensors.
    scene  : theirs, for protocols that compare more than these two; None if there is none.

    It keeps the scores of all protocols, and the pair of the last region and values that were asked for: protocols that
    share these should come one after the other.
    """

    def __init__(self, pred: Image, truth: Image, scene: Scene | None = None) -> None:
        """Check both images; NaN, infinity (also after rounding to float32) or unequal shapes raise UsageError."""
        self.images = _single(*pair(pred, truth))
        self.scene = scene
        self._scores: dict[Hashable, float] = {}
        self._prepared: Hashable = None
        self._pair: ImagePair

    def scores(self, protocol: "Protocol", masks: Mapping[str, Mask] | None = None) -> dict[str, float]:
        """Values of the protocol's metrics, and for those listed under its `masks` "<metric>@<mask>" for each mask.

        A metric whose optional library is missing is left out.
        """
        found: dict[str, float] = {}
        for name in protocol.metrics:
            card = metrics[name]
            if card.missing:
                continue
            function = card.load()
            key = name, protocol.region, protocol.values, *(getattr(protocol, part) for part in card.sections)
            if key not in self._scores:
                self._scores[key] = function(self.pair(protocol), protocol, None)
            found[name] = self._scores[key]
            if name in protocol.masks.metrics:
                areas = {label: prepared_mask(mask, protocol) for label, mask in (masks or {}).items()}
                found |= {f"{name}@{at}": function(self.pair(protocol), protocol, area) for at, area in areas.items()}
        return found

    def pair(self, protocol: "Protocol") -> ImagePair:
        """Both images as the protocol's metrics see them."""
        if self._prepared != (protocol.region, protocol.values):
            self._pair = ImagePair.prepared(*self.images, protocol, self.scene)
            self._prepared = protocol.region, protocol.values
        return self._pair


def _single(pred: Tensor, truth: Tensor) -> Images:
    """Both images in float32; what it can't hold raises UsageError."""
    x, y = (image.to(torch.float32) for image in (pred, truth))
    return refuse_non_finite(x, "prediction", rounded=True), refuse_non_finite(y, "truth", rounded=True)


def preparation(protocol: "Protocol") -> str:
    """Return what protocols are sorted by so that those sharing region and values come one after the other."""
    return f"{protocol.region} {protocol.values}"


def score(
    card: MetricCard,
    pred: Image,
    truth: Image,
    *,
    protocol: "Protocol | str | Mapping[str, Any] | None" = None,
    mask: Image | None = None,
    **settings: Any,
) -> Tensor:
    """Score linear relative radiance by one metric: (H, W, 3), (3, H, W) or a batch (B, 3, H, W).

    protocol : a protocol, its name, or a mapping of sections; None for the defaults of the metric's sections.
    mask     : (H, W) bool, the pixels that count; None for all.
    settings : without a protocol, fields of the metric's sections that differ from their defaults, such as `peak`.
    Returns a float64 tensor on the prediction's device, without dimension or, for a batch, (B,). It has a gradient
    where an image asks for it, unless there is a mask, the protocol quantises, or `functional.metrics` doesn't know
    the metric or a setting.
    Without a protocol images aren't rounded to float32 first. Their range isn't looked at, as `peak` may be another.
    NaN, infinity, unequal shapes, integers where the domain isn't linear, or a bad setting raise UsageError.
    """
    rule = _protocol(card, protocol, settings)
    if mask is not None and not card.local:
        raise UsageError(f"{card.name} has no value inside a mask.")
    if card.missing:
        raise UsageError(f"{card.name} {card.missing}.")
    if card.domain != "linear":  # there code values aren't just on another scale
        need_floats(pred, "prediction")
        need_floats(truth, "truth")
    pairs, batch = couples(pred, truth)
    values = [_scored(card, rule, *images, mask, protocol is not None) for images in pairs]
    return torch.stack(values) if batch else values[0]


def _protocol(card: MetricCard, given: "Protocol | str | Mapping[str, Any] | None", settings: dict[str, Any]) -> Any:
    """Return the protocol that a metric's sections are taken of."""
    from bench.metrics.protocol import Protocol, said

    if given is not None and settings:
        raise UsageError(f"{card.name} takes a protocol or settings ({', '.join(settings)}), not both.")
    if isinstance(given, str):
        return protocols[given]
    if isinstance(given, Protocol):
        return given
    if not isinstance(given, Mapping | None):
        raise UsageError(f"{card.name}: protocol is {given!r}; expected one, its name, or a mapping of sections.")
    about = {"schema_version": 1, "name": card.name, "version": 1, "title": "defaults", "source": "defaults"}
    own = _sections(card, settings) if given is None else {name: {} for name in card.sections} | {**given}
    own.pop("masks", None)  # of the protocol's other metrics
    with said(card.name):
        return Protocol.model_validate({**about, **own, "metrics": [card.name]})


def _sections(card: MetricCard, settings: dict[str, Any]) -> dict[str, Any]:
    """Sort settings into the sections of a metric that have fields of their names."""
    known = {name: sections[name].load().model_fields for name in card.sections}
    content = {name: {key: settings.pop(key) for key in [*settings] if key in fields} for name, fields in known.items()}
    if settings:
        there = ", ".join(dict.fromkeys(key for fields in known.values() for key in fields)) or "none"
        raise UsageError(f"{card.name} has no setting {', '.join(settings)}; it has: {there}.")
    return content


def _scored(card: MetricCard, rule: "Protocol", pred: Image, truth: Image, mask: Image | None, prepare: bool) -> Tensor:
    """Score one pair (H, W, 3); `prepare` says whether the protocol's region and values count."""
    measure = _followed(card, rule) if mask is None and wants_gradient(pred, truth) else None
    x, y = pair(pred, truth, gradient=measure is not None)
    images, area = ImagePair(x, y), mask
    if prepare:
        images = ImagePair.prepared(*_single(x, y), rule)
        area = None if mask is None else prepared_mask(np.asarray(mask), rule)
    if measure is not None:
        return measure(*images.linear)
    return torch.tensor(card.load()(images, rule, area), dtype=torch.float64, device=x.device)


def _followed(card: MetricCard, rule: "Protocol") -> Measure | None:
    """Return the metric under a protocol as a function with a gradient, None where it has none."""
    if card.name not in MEASURES or rule.values.quantise != "none":
        return None
    try:
        return MEASURES[card.name]({part: rule.section(sections[part].load()).model_dump() for part in card.sections})
    except UsageError:  # a setting that only the benchmark has
        return None
