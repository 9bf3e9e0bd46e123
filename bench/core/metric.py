"""A metric: what scores a predicted radiance against the ground truth, and the part of a protocol that it owns."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal, TypeVar

T = TypeVar("T", bound=Callable[..., Any])

Better = Literal["higher", "lower"]
Domain = Literal["mu", "linear", "pu21", "vision"]
"""What images are encoded to before they are compared; vision: by a model of it."""

SUMMED = 2e-5
"""What an SSIM may differ by from machine to machine where a protocol repeats float32 sums of public code: instruction
sets move it by up to 5e-6."""


@dataclass(frozen=True)
class MetricCard:
    """Facts about a metric, readable without running it. Every field is a literal in the metric's file.

    unit     : of the value, "dB" or "1"; "Q" is HDR-VDP-2's quality correlate.
    label    : its name in tables and figures.
    digits   : after the point, in tables.
    low, high: the least and the most that the value can be, None where there is no bound; NaN is always allowed.
    needs    : optional libraries that it imports, as they are imported; without them it isn't scored.
    extra    : of pyproject.toml, what installs them; "" if none does.
    sections : of the protocol that decide its value besides region and values; the same sections, the same value.
    local    : has a value inside a mask.
    column   : is a column of Tables 1-3 wherever the protocol has it.
    """

    name: str
    unit: str
    better: Better
    domain: Domain
    label: str
    digits: int
    module: str
    attribute: str
    needs: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()
    local: bool = True
    column: bool = True
    low: float | None = None
    high: float | None = None
    extra: str = ""

    def possible(self, value: float) -> bool:
        """Tell whether the metric can have this value; NaN is what it has where it is undefined."""
        return not (self.low is not None and value < self.low) and not (self.high is not None and value > self.high)

    @property
    def missing(self) -> str:
        """Return why it can't be scored here, "" if it can."""
        absent = [library for library in self.needs if find_spec(library) is None]
        hint = f"; try: pip install -e '.[{self.extra}]'" if self.extra else ""
        return f"needs {' and '.join(absent)}, which isn't installed{hint}" if absent else ""

    def load(self) -> Any:
        """Import the metric's module and return its function, as `metric` describes it."""
        return getattr(importlib.import_module(self.module), self.attribute)


def metric(
    name: str,
    *,
    unit: str,
    better: Better,
    domain: Domain,
    label: str,
    digits: int,
    needs: tuple[str, ...] = (),
    sections: tuple[str, ...] = (),
    local: bool = True,
    column: bool = True,
    low: float | None = None,
    high: float | None = None,
    extra: str = "",
) -> Callable[[T], T]:
    """Register the decorated function as metric `name`; arguments are literals, the fields of `MetricCard`.

    The function takes a `bench.metrics.pair.ImagePair`, the protocol and a mask, (H, W) bool or None; returns a float.
    """

    def mark(function: T) -> T:
        function.card = MetricCard(  # type: ignore[attr-defined]
            name, unit, better, domain, label, digits, function.__module__, function.__name__,
            needs, sections, local, column, low, high, extra,
        )  # fmt: skip
        return function

    return mark


@dataclass(frozen=True)
class SectionCard:
    """A section of protocols that a metric's file owns: its name there, and the class that validates it.

    required : a protocol with a metric that uses it must write it; otherwise the class's defaults hold.
    """

    name: str
    module: str
    attribute: str
    required: bool = False

    def load(self) -> Any:
        """Import the section's module and return its class, a `bench.metrics.settings.ProtocolSection`."""
        return getattr(importlib.import_module(self.module), self.attribute)


def section(name: str, *, required: bool = False) -> Callable[[T], T]:
    """Register the decorated `bench.metrics.settings.ProtocolSection` as section `name`; see `SectionCard`.

    Protocols are listed and reported without torch: the file must import torch and other heavy libraries inside its
    functions.
    """

    def mark(model: T) -> T:
        model.card = SectionCard(name, model.__module__, model.__name__, required)  # type: ignore[attr-defined]
        return model

    return mark
