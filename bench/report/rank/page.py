"""A standing as one HTML file, which opens from disk: a chart of all rows, the table, and the neighbours' scenes."""

import math
from collections.abc import Callable
from typing import NamedTuple

from bench.report.page.page import environment
from bench.report.rank.standing import RankedRow, Standing, said
from bench.report.results.paired import interval

MARK = b'<body class="rank">'
"""What every such page holds, and no other."""

MARGIN = 0.05
"""Share of the chart left free at either end."""


class Bar(NamedTuple):
    """A row of the chart in percent of its width: the ends of the interval (equal where there is none) and the mean.

    outside : the mean lies beyond the chart, on the left ("left") or right.
    """

    low: float
    high: float
    mean: float
    outside: str = ""


def render(ranked: Standing) -> str:
    """Return the page; equal standings give equal bytes."""
    drawn = {"bars": bars(ranked), "zero": _scale(ranked)(0.0), "scenes": _scenes(ranked)}
    html: str = environment().get_template("rank.html.j2").render(ranked=ranked, said=said, against=_by, **drawn)
    return html


def bars(ranked: Standing) -> list[Bar | None]:
    """Return for each row where its difference from the own result lies in the chart; None for the own row.

    The chart shows the row's value minus the own one, so that better rows stand to the right. It spans the nearer half
    of the rows; of the others it shows what is inside.
    """
    scale = _scale(ranked)
    found: list[Bar | None] = []
    for row in ranked.rows:
        if (ends := _ends(row)) is None:
            found.append(None)
            continue
        low, high, mean = map(scale, ends)
        outside = "left" if mean < 0 else "right" if mean > 100 else ""
        found.append(Bar(max(low, 0), min(high, 100), mean, outside))
    return found


def _by(row: RankedRow) -> str:
    return interval(row.difference) if row.difference else ""


def _ends(row: RankedRow) -> tuple[float, float, float] | None:
    if row.difference is None:
        return None
    mean, low, high = row.difference.mean, row.difference.low, row.difference.high
    return (-high, -low, -mean) if not math.isnan(low) else (-mean, -mean, -mean)


def _scale(ranked: Standing) -> Callable[[float], float]:
    drawn = sorted((ends for row in ranked.rows if (ends := _ends(row))), key=lambda ends: abs(ends[2]))
    shown = [0.0, *(value for ends in drawn[: len(drawn) // 2 + 1] for value in ends)]
    low, span = min(shown), (max(shown) - min(shown)) or 1.0
    return lambda value: 100 * (MARGIN + (1 - 2 * MARGIN) * (value - low) / span)


def _scenes(ranked: Standing) -> list[str]:
    return sorted({scene for row in ranked.neighbours for scene in row.scenes})
