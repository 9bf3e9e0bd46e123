"""What a protocol says about its metrics, in the words of captions and of dashes."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from bench.core.params import Params
from bench.core.registry import metrics, protocols

UNITS = {"peak_luminance": "cd/m2 for linear 1.0"}
PAPER_SIZE = "1500x1000"


@cache
def rule(identity: str) -> Any:
    """Return the protocol of this id, such as "whole-float@1"; None if this version has no such one."""
    name = identity.partition("@")[0]
    if name not in protocols:
        return None
    found = protocols[name]
    return found if found.id == identity else None


def absent(metric: str, identity: str) -> str:
    """Return why rows under this protocol lack a metric."""
    found = rule(identity)
    if found is not None and metric in found.metrics and (reason := metrics[metric].missing):
        return reason
    if found is None or metric in found.metrics:
        return f"not scored under {identity}"
    return f"protocol {identity} doesn't define it"


def conditions(identity: str, metrics: Iterable[str], params: Params) -> str:
    """Return sentences on the settings of PU21 and HDR-VDP-2, as far as these metrics need them; else "".

    The settings are read from the protocol's file, whatever fields it has.
    """
    found, scored = rule(identity), set(metrics)
    pu21 = sorted(name for name in scored if "-pu" in name and "@" not in name)
    sentences = []
    if found is not None and found.pu21 is not None and pu21:
        sentences.append(f"PU21 ({', '.join(pu21)}): {_settings(found.pu21)}.")
    if "hdrvdp2" in scored:
        if found is not None and found.hdrvdp2 is not None:
            sentences.append(f"HDR-VDP-2: {_settings(found.hdrvdp2)}.")
        sentences.append(caution(params))
    return " ".join(sentences)


def _settings(section: Any) -> str:
    return ", ".join(_setting(name, value) for name, value in section.model_dump().items() if value is not None)


def _setting(name: str, value: object) -> str:
    text = (
        f"{value:g}" if isinstance(value, float) else " ".join(map(str, value if isinstance(value, tuple) else [value]))
    )
    return f"{name.replace('_', ' ')} {text}" + (f" {UNITS[name]}" if name in UNITS else "")


def caution(params: Params) -> str:
    """Return the sentence that says what HDR-VDP-2's Q may be compared with."""
    depends = "Q depends on the picture's size and on pixels per degree"
    if params.simulate is None:
        return f"{depends}: only pictures of one size, under one setting, compare."
    size = f"{params.simulate.width}x{params.simulate.height}"
    return f"{depends}: on views of {size} pixels it doesn't compare with the paper's figures for {PAPER_SIZE}."
