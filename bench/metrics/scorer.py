"""Scores of one prediction under one protocol or many; what two metrics or two protocols share is computed once."""

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import torch

from bench.core.errors import UsageError
from bench.core.metric import MetricCard
from bench.core.registry import metrics, sections
from bench.metrics.checks import need_floats
from bench.metrics.functional.images import Image, pair, refuse_non_finite
from bench.metrics.masks import Mask
from bench.metrics.pair import ImagePair, prepared_mask

if TYPE_CHECKING:
    from bench.metrics.protocol import Protocol


class Scorer:
    """A prediction and its truth (H, W, 3), linear relative radiance, and what has been computed of them.

    images : both, as float32 tensors.

    It keeps the scores of all protocols, and the pair of the last region and values that were asked for: protocols that
    share these should come one after the other.
    """

    def __init__(self, pred: Image, truth: Image) -> None:
        """Check both images; NaN, infinity (also after rounding to float32) or unequal shapes raise UsageError."""
        x, y = (image.to(torch.float32) for image in pair(pred, truth))
        self.images = refuse_non_finite(x, "prediction", rounded=True), refuse_non_finite(y, "truth", rounded=True)
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
            self._pair = ImagePair.prepared(*self.images, protocol)
            self._prepared = protocol.region, protocol.values
        return self._pair


def preparation(protocol: "Protocol") -> str:
    """Return what protocols are sorted by so that those sharing region and values come one after the other."""
    return f"{protocol.region} {protocol.values}"


def score(card: MetricCard, pred: Image, truth: Image, *, mask: Image | None = None, **settings: Any) -> float:
    """Score one pair (H, W, 3), linear relative radiance, by one metric and its default settings.

    mask     : (H, W) bool, the pixels that count; None for all.
    settings : fields of the metric's sections that differ from their defaults, such as `peak` or `peak_luminance`.
    Images aren't rounded to float32 first, as protocols do, and their range isn't looked at, as `peak` may be another.
    NaN, infinity, unequal shapes, integers where the domain isn't linear, or a bad setting raise UsageError.
    """
    from bench.metrics.protocol import Protocol, said

    known = {name: sections[name].load().model_fields for name in card.sections}
    content: dict[str, Any] = {
        name: {key: settings.pop(key) for key in [*settings] if key in fields} for name, fields in known.items()
    }
    if settings:
        there = ", ".join(dict.fromkeys(key for fields in known.values() for key in fields)) or "none"
        raise UsageError(f"{card.name} has no setting {', '.join(settings)}; it has: {there}.")
    if mask is not None and not card.local:
        raise UsageError(f"{card.name} has no value inside a mask.")
    if card.missing:
        raise UsageError(f"{card.name} {card.missing}.")
    about = {"schema_version": 1, "name": card.name, "version": 1, "title": "defaults", "source": "defaults"}
    with said(card.name):
        protocol = Protocol.model_validate({**about, "metrics": [card.name], **content})
    if card.domain != "linear":  # there code values aren't just on another scale
        need_floats(pred, "prediction")
        need_floats(truth, "truth")
    area: Any = mask
    value: float = card.load()(ImagePair(*pair(pred, truth)), protocol, area)
    return value
