"""The same predictions under many protocols: values, and ranks within each protocol."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import pandas as pd

from bench.report.results.results import Results, Summary, collect


class SharedMetric(NamedTuple):
    """A metric as tables name it. `twin` is the one whose ranks it is compared with, if not its own."""

    name: str
    head: str
    unit: str
    digits: int
    twin: str = ""


SHARED = (
    SharedMetric("psnr-mu", "PSNR-μ", "dB", 2),
    # What some challenges call mu PSNR: a tanh comes first, so it is another number.
    SharedMetric("psnr-mu-tanh", "PSNR-μ after tanh", "dB", 2, twin="psnr-mu"),
    SharedMetric("psnr-l", "PSNR-l", "dB", 2),
    SharedMetric("ssim-mu", "SSIM-μ", "", 4),
    SharedMetric("ssim-l", "SSIM-l", "", 4),
    SharedMetric("hdrvdp2", "HDR-VDP-2", "Q", 2),
)
"""Metrics that public protocols share, in the order of the tables; for all of them higher is better."""


class RankedValue(NamedTuple):
    """One method under one protocol.

    value  : mean over scenes, then seeds, in the metric's unit; NaN where the protocol gives NaN on any scene; None
             where there is no score.
    rank   : 1 is best, equal shown digits share a rank; None where `reason` says why it isn't ranked.
    change : places gained (+) or lost (-) against the profile's protocol, among methods ranked under both.
    """

    value: float | None = None
    spread: float | None = None
    rank: int | None = None
    change: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class ProtocolGrid:
    """One metric on one data set.

    own       : id of the profile's protocol, the first of `protocols`.
    variants  : in the order of the profile's protocol (by the metric's twin, if it has one), best first.
    places    : (variant, protocol) -> what it reached; every pair is there.
    """

    dataset: str
    metric: SharedMetric
    own: str
    protocols: tuple[str, ...]
    variants: tuple[str, ...]
    places: Mapping[tuple[str, str], RankedValue]

    def column(self, protocol: str) -> dict[str, RankedValue]:
        """Return variant -> place under one protocol."""
        return {variant: self.places[variant, protocol] for variant in self.variants}

    def row(self, variant: str) -> dict[str, RankedValue]:
        """Return protocol -> place of one method."""
        return {protocol: self.places[variant, protocol] for protocol in self.protocols}

    @property
    def defined(self) -> list[str]:
        """Protocols under which any method is ranked."""
        return [name for name in self.protocols if any(place.rank for place in self.column(name).values())]

    def shown(self, protocol: str) -> dict[str, str]:
        """Return variant -> value with the digits that tables show, ranked values only."""
        column = self.column(protocol)
        return {name: f"{place.value:.{self.metric.digits}f}" for name, place in column.items() if place.rank}

    @property
    def families(self) -> list[list[str]]:
        """Defined protocols, those together that give every method the same shown value."""
        found: dict[tuple[tuple[str, str], ...], list[str]] = {}
        for name in self.defined:
            found.setdefault(tuple(self.shown(name).items()), []).append(name)
        return list(found.values())


def by_protocol(scores: pd.DataFrame) -> dict[str, Results]:
    """Average score rows for each protocol by itself; rows inside masks are left out."""
    whole = scores[~scores["metric"].str.contains("@")]
    return {str(name): collect(rows) for name, rows in whole.groupby("protocol", sort=True)}


def grids(results: Mapping[str, Results], own: str, dataset: str) -> list[ProtocolGrid]:
    """Lay out every shared metric that two protocols or more define on this data set.

    results : protocol -> (variant, dataset) -> result; `own` is the profile's protocol, which comes first.
    """
    protocols = (own, *sorted(set(results) - {own}))
    variants = sorted({variant for found in results.values() for variant, name in found if name == dataset})
    made = []
    for metric in SHARED:
        values = {name: _values(metric.name, results.get(name, {}), variants, dataset) for name in protocols}
        if sum(any(place.value is not None for place in column.values()) for column in values.values()) > 1:
            twin = _values(metric.twin or metric.name, results.get(own, {}), variants, dataset)
            made.append(_grid(metric, dataset, values, twin))
    return made


def _values(metric: str, results: Results, variants: Sequence[str], dataset: str) -> dict[str, RankedValue]:
    found = {variant: results.get((variant, dataset)) for variant in variants}
    known = any(result and (metric in result.values or metric in result.unknown) for result in found.values())
    scenes = max((result.scenes for result in found.values() if result), default=0)
    return {variant: _place(metric, result, known, scenes) for variant, result in found.items()}


def _place(metric: str, result: Summary | None, known: bool, scenes: int) -> RankedValue:
    if result is None:
        return RankedValue(reason="not scored under this protocol")
    if metric in result.unknown:
        # A mean over the other scenes would be a mean over easier scenes.
        count, scores = result.unknown[metric], result.scenes * result.seeds
        why = "the public code's own answer (as where a prediction falls below -1/5000); not ranked"
        return RankedValue(math.nan, reason=f"NaN on {count} of {scores} scores, {why}")
    if metric not in result.values:
        return RankedValue(reason="not scored" if known else "this protocol doesn't define the metric")
    fewer = f"mean of {result.scenes} scenes where others have {scenes}; not ranked" if result.scenes < scenes else ""
    return RankedValue(result.values[metric], result.spreads.get(metric), reason=fewer)


def ranks(column: Mapping[str, RankedValue], digits: int) -> dict[str, int]:
    """Return the rank of each method that can be ranked: one more than the number of higher ones, as shown."""
    shown = {
        name: float(f"{place.value:.{digits}f}")
        for name, place in column.items()
        if place.value is not None and not place.reason
    }
    return {name: 1 + sum(other > value for other in shown.values()) for name, value in shown.items()}


def changes(column: Mapping[str, RankedValue], reference: Mapping[str, RankedValue], digits: int) -> dict[str, int]:
    """Return the places gained (+) or lost (-) against `reference`, counted among methods ranked in both.

    So a method that only one of them ranks (NaN, or never scored) moves nobody.
    """
    common = ranks(column, digits).keys() & ranks(reference, digits).keys()
    now = ranks({name: column[name] for name in common}, digits)
    before = ranks({name: reference[name] for name in common}, digits)
    return {name: before[name] - now[name] for name in common}


def _grid(
    metric: SharedMetric,
    dataset: str,
    values: Mapping[str, Mapping[str, RankedValue]],
    reference: Mapping[str, RankedValue],
) -> ProtocolGrid:
    places = {}
    for protocol, column in values.items():
        rank, moved = ranks(column, metric.digits), changes(column, reference, metric.digits)
        for variant, place in column.items():
            places[variant, protocol] = place._replace(rank=rank.get(variant), change=moved.get(variant))
    order = ranks(reference, metric.digits)
    # Ranked ones first, ties by the digits that aren't shown; then names.
    key = {name: (order[name], -(place.value or 0.0)) for name, place in reference.items() if name in order}
    variants = sorted(reference, key=lambda name: (*key.get(name, (math.inf, 0.0)), name))
    return ProtocolGrid(dataset, metric, next(iter(values)), tuple(values), tuple(variants), places)


def tau(first: Mapping[str, RankedValue], second: Mapping[str, RankedValue], digits: int) -> float | None:
    """Return Kendall's tau-b between two orders of the methods that both rank; None where either has but one place.

    Source: Kendall, The treatment of ties in ranking problems, Biometrika 33 (1945).
    """
    a, b = ranks(first, digits), ranks(second, digits)
    pairs = [(a[x] - a[y], b[x] - b[y]) for x, y in combinations(sorted(a.keys() & b.keys()), 2)]
    untied = math.sqrt(sum(p != 0 for p, _ in pairs) * sum(q != 0 for _, q in pairs))
    score = sum((p * q > 0) - (p * q < 0) for p, q in pairs)
    return score / untied if untied else None
