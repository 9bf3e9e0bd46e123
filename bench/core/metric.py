"""A metric: what scores a predicted radiance against the truth."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class MetricCard:
    """What is known of a metric without running it. Every field is a literal in the metric's file.

    unit    : of the value, "dB" or "1"; "Q" is HDR-VDP-2's quality correlate.
    better  : "higher" or "lower".
    domain  : what the images are encoded to before the comparison: "mu", "linear", "pu21" or "vision" (a model of it).
    """

    name: str
    unit: str
    better: str
    domain: str
    module: str
    attribute: str

    def load(self) -> Any:
        """Import the metric's module and return the function that carries the card."""
        return getattr(importlib.import_module(self.module), self.attribute)


def metric(name: str, *, unit: str, better: str, domain: str) -> Callable[[F], F]:
    """Register the decorated function as metric `name`; arguments are literals, the fields of `MetricCard`."""

    def mark(function: F) -> F:
        function.card = MetricCard(  # type: ignore[attr-defined]
            name, unit, better, domain, function.__module__, function.__name__
        )
        return function

    return mark
