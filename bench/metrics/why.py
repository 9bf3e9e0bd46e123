"""Why is my Q different? Every setting of HDR-VDP-2 that public code has, and single steps away from one of them."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from bench.core.registry import protocols
from bench.metrics.light import OwnMaximum, OwnPercentiles, TruthMaximum
from bench.metrics.protocol import Protocol
from bench.metrics.viewing import Display, Hdrvdp2
from bench.metrics.viewing3 import Hdrvdp3

BASE = "whole-float"
"""The protocol whose setting steps lead away from."""

LIGHT = "light of 100 cd/m2"
"""The step to linear light; steps of its scale lead away from it."""

METRIC = "hdrvdp2"

JOD = "3.0.7, Q_JOD"
"""The step to HDR-VDP-3; steps of its own lead away from it."""


class ViewingSetting(NamedTuple):
    """One way to call a model of vision.

    name     : unique among all; a protocol's own or what a step changes.
    group    : "published", or what the step changes.
    protocol : with `metric` as its only metric.
    against  : name of the setting that this one is a single step from; "" for published ones.
    unit     : of the value; values of different units don't compare.
    """

    name: str
    group: str
    protocol: Protocol
    against: str = ""
    metric: str = METRIC
    unit: str = "Q"

    @property
    def key(self) -> str:
        """Group and name, which no other setting has."""
        return f"{self.group}: {self.name}"

    @property
    def view(self) -> Hdrvdp2 | Hdrvdp3:
        """What the model is called with."""
        return self.protocol.section(Hdrvdp2) if self.metric == METRIC else self.protocol.section(Hdrvdp3)

    @property
    def scale(self) -> str:
        """How relative values are scaled, in words."""
        match self.view.scale:
            case TruthMaximum() as rule:
                return f"x {rule.truth_maximum:g} / max(truth)"
            case OwnMaximum() as rule:
                return f"x {rule.own_maximum:g} / own maximum"
            case OwnPercentiles() as rule:
                return f"own {rule.percent:g} and {100 - rule.percent:g} % to {rule.low:g} and {rule.high:g}"
            case factor:
                return f"x {factor:g}"


def published() -> list[ViewingSetting]:
    """Return the settings of all protocols with HDR-VDP-2, the base first."""
    names = [name for name in protocols if METRIC in protocols[name].metrics]
    return [
        ViewingSetting(name, "published", protocols[name].only([METRIC]))
        for name in sorted(names, key=lambda name: name != BASE)
    ]


def steps() -> list[ViewingSetting]:
    """Return single steps from the base, by what they change."""
    base = protocols[BASE].only([METRIC])
    lit = _changed(base, encoding="rgb-bt.709", scale=100.0)
    lights = {f"light of {scale:g} cd/m2{whose}": {"scale": scale} for scale, whose in SCALES.items()}
    densities: dict[str, dict[str, Any]] = {
        f"{ppd:.4g} ppd{whose}": {"pixels_per_degree": ppd} for ppd, whose in DENSITIES.items()
    }
    densities["the image fills 24 in"] = {"pixels_per_degree": OWN}
    stored = base.model_copy(update={"values": base.values.model_copy(update={"quantise": "rgbe"})})
    return [
        *_group("encoding", base, BASE, {LIGHT: {"encoding": "rgb-bt.709", "scale": 100.0}}),
        *_group("scale", lit, LIGHT, lights),
        *_group("pixels per degree", base, BASE, densities),
        *_group("order", base, BASE, {"truth first": {"order": "truth-first"}}),
        ViewingSetting("through Radiance .hdr", "file", stored, BASE),
        *_group("version", base, BASE, {"2.2.1": {"version": "2.2.1"}}),
        *_group("version", base, BASE, {"2.2.0, Q_MOS": {"version": "2.2.0"}}, "Q_MOS"),
        ViewingSetting("3.0.7, Q", "version", _third(base), BASE, "hdrvdp3", "Q of 3"),
        ViewingSetting(JOD, "version", _third(base), BASE, "hdrvdp3-jod", "JOD"),
        *(
            ViewingSetting(name, "HDR-VDP-3", _third(base, **change), JOD, "hdrvdp3-jod", "JOD")
            for name, change in THIRD.items()
        ),
    ]


SCALES = {1.0: ", AFUNet #5", 1000.0: ", GMODiff", 4000.0: ", LA-HDR", 65535.0: ", LRT-HDR"}
"""Luminance of linear 1.0 in cd/m2 -> whose public code hands it over."""

DENSITIES = {
    10.0: "", 21.8218: ", GMODiff", 23.7874: ", SCTNet", 25.3424: ", SAFNet", 30.0: ", LRT-HDR", 50.0: ", AFUNet #5",
    59.9442: ", LA-HDR",
}  # fmt: skip
"""Pixels per degree -> whose public code has them, at 1500x1000 where the image's size decides."""

OWN = Display(diagonal_inches=24.0, resolution="image", distance_m=0.5)


THIRD: Mapping[str, Mapping[str, Any]] = {
    "light of 100 cd/m2, HDR-VDP-3": {"encoding": "rgb-bt.709", "scale": 100.0},
    "light of 4000 cd/m2, HDR-VDP-3": {"encoding": "rgb-bt.709", "scale": 4000.0},
    "10 ppd, HDR-VDP-3": {"pixels_per_degree": 10.0},
    "59.94 ppd, HDR-VDP-3": {"pixels_per_degree": 59.9442},
}
"""Steps of HDR-VDP-3."""


def _third(protocol: Protocol, **changes: Any) -> Protocol:
    """Return a protocol whose images HDR-VDP-3 gets as HDR-VDP-2 does, but for these changes."""
    view = protocol.section(Hdrvdp2)
    same = {"encoding": view.encoding, "scale": view.scale, "pixels_per_degree": view.pixels_per_degree}
    content = protocol.model_dump() | {"metrics": ["hdrvdp3", "hdrvdp3-jod"], "hdrvdp3": same | changes}
    return Protocol.model_validate(content)


def _changed(protocol: Protocol, **changes: Any) -> Protocol:
    view: Hdrvdp2 = protocol.section(Hdrvdp2)
    return protocol.model_copy(update={METRIC: view.model_copy(update=changes)})


def _group(
    group: str, base: Protocol, against: str, changes: Mapping[str, Mapping[str, Any]], unit: str = "Q"
) -> Iterator[ViewingSetting]:
    for name, change in changes.items():
        yield ViewingSetting(name, group, _changed(base, **change), against, METRIC, unit)
