"""The chart on the page's front: rows of Table 1 by PSNR-mu and HDR-VDP-2 with intervals, the highest on top."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bench.core.registry import metrics
from bench.report.results.inputs import Measured, Paper
from bench.report.results.results import Summary, spread
from bench.report.scores.scored import METRICS
from bench.report.table.table import Column, Row, Table

LEARNED, UNTRAINED, FLOOR, SUBMITTED, THIRD = "learned", "without training", "floor", "submitted", "others' weights"
MARKS = {
    LEARNED: "trained here",
    THIRD: "others' weights",
    SUBMITTED: "someone's results, scored here",
    UNTRAINED: "a merge without training",
    FLOOR: "a floor: no method should fall below",
}
"""Kind of mark -> its meaning for readers."""
SHOWN = ("psnr-mu", "hdrvdp2")
TICKS = 6
"""Most labels of an axis."""


class ChartBar(NamedTuple):
    """A mean with its interval: as text, exact, and in percent of the axis; low and high are None without interval."""

    text: str
    exact: str
    at: float
    low: float | None
    high: float | None
    words: str


class ChartRow(NamedTuple):
    """A row: its name, the kind of its mark, and a bar for each axis, None where it has no such score."""

    name: str
    mark: str
    bars: tuple[ChartBar | None, ...]


class ChartAxis(NamedTuple):
    """An axis: heading, and (percent of the axis, label) of its ticks."""

    head: str
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class MethodChart:
    """The chart: what it shows, axes, and rows from the first to the last by the first axis."""

    title: str
    axes: tuple[ChartAxis, ...]
    lines: tuple[ChartRow, ...]

    @property
    def marks(self) -> dict[str, str]:
        """Kinds of marks that it holds, with their meaning."""
        held = {line.mark for line in self.lines}
        return {mark: meaning for mark, meaning in MARKS.items() if mark in held}


def chart(paper: Paper, table: Table, measured: Measured) -> MethodChart | None:
    """Make the chart of Table 1's first measured data set; None where fewer than two of its rows have a score."""
    first = METRICS[0].key
    panels = list(dict.fromkeys(row.panel for row in table.rows if isinstance(row.cells.get(first), float)))
    rows = [row for row in table.rows if panels and row.panel == panels[0] and row.cells.get(first) is not None]
    if len(rows) < 2:
        return None
    rows.sort(key=lambda row: -float(row.cells[first] or 0))
    shown = [column for column in METRICS if column.key.replace("_", "-") in SHOWN]
    columns = [column for column in shown if any(row.cells.get(column.key) is not None for row in rows)]
    found = [_of_row(row, paper, measured) for row in rows]
    scales = [_scale(column, found) for column in columns]
    lines = [
        ChartRow(
            row.texts.get("method", str(row.cells["method"])),
            _mark(row, paper, measured),
            tuple(_bar(column, result, scale) for column, scale in zip(columns, scales, strict=True)),
        )
        for row, result in zip(rows, found, strict=True)
    ]
    axes = tuple(ChartAxis(_head(column), _ticks(*scale)) for column, scale in zip(columns, scales, strict=True))
    return MethodChart(f"Methods on {panels[0]}, by {columns[0].head}", axes, tuple(lines))


def _of_row(row: Row, paper: Paper, measured: Measured) -> Summary:
    name = str(row.cells["method"])
    results = measured.submitted if row.cells["kind"] == "submitted" else measured.results
    return results[_variant(row, paper) if results is measured.results else name, row.panel]


def _variant(row: Row, paper: Paper) -> str:
    name = str(row.cells["method"])
    return name if row.cells["kind"] == "floor" else paper.own.get(name, name)


def _mark(row: Row, paper: Paper, measured: Measured) -> str:
    kind = str(row.cells["kind"])
    if kind in (FLOOR, SUBMITTED):
        return kind
    if kind == "measured-third-party-weights":
        return THIRD
    return LEARNED if measured.learned(_variant(row, paper)) else UNTRAINED


def _head(column: Column) -> str:
    unit = metrics[column.key.replace("_", "-")].unit
    return f"{column.head}, {unit}" if unit else column.head


Scale = tuple[float, float, float]
"""Lowest and highest value of an axis, and the step of its ticks."""


def _scale(column: Column, found: Sequence[Summary]) -> Scale:
    values = [value for result in found if (bounds := _bounds(column, result)) for value in bounds]
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    width = max(high - low, 1e-6)
    power = 10.0 ** math.floor(math.log10(width / TICKS))
    step = next(step * power for step in (1, 2, 5, 10) if width / (step * power) <= TICKS)
    return low - 0.02 * width, high + 0.02 * width, step


def _bounds(column: Column, result: Summary) -> tuple[float, float, float] | None:
    metric = column.key.replace("_", "-")
    if metric not in result.values:
        return None
    interval = spread(result.cells[metric])
    return result.values[metric], interval.low, interval.high


def _ticks(low: float, high: float, step: float) -> tuple[tuple[float, str], ...]:
    first, last = math.ceil(low / step), math.floor(high / step)
    return tuple((_percent(tick * step, low, high), f"{tick * step:g}") for tick in range(first, last + 1))


def _percent(value: float, low: float, high: float) -> float:
    share = (value - low) / (high - low)
    return 100 * min(max(share, 0.0), 1.0) if not math.isnan(share) else 0.0


def _bar(column: Column, result: Summary, scale: Scale) -> ChartBar | None:
    bounds = _bounds(column, result)
    if bounds is None:
        return None
    value, low, high = bounds
    text = column.text(value)
    if math.isnan(low):
        return ChartBar(text, column.exact(value), _percent(value, *scale[:2]), None, None, text)
    words = f"{text}, 95 % interval {column.text(low)} to {column.text(high)}"
    return ChartBar(
        text,
        column.exact(value),
        _percent(value, *scale[:2]),
        _percent(low, *scale[:2]),
        _percent(high, *scale[:2]),
        words,
    )
