"""What the chart of protocols shows: its columns, what each shifts, and which methods stand out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle

from bench.report.protocols.ranking import Grid, Metric, Place, tau

PROPOSED, FLOORS = "#d55e00", ("#22262b", "#8c6d31")
MOVERS = ("#0072b2", "#009e73", "#cc4c7d", "#7b61ff")
"""Colours of the paper's method, of floors, and of the methods that change places most: few, so that each is told."""


@dataclass(frozen=True)
class Stop:
    """A column of the bump chart: protocols that give every method the same value of a metric.

    likeness : Kendall's tau between its order of the methods, floors left out, and that of the profile's protocol.
    """

    protocols: tuple[str, ...]
    metric: Metric
    places: Mapping[str, Place]
    likeness: float | None

    @property
    def names(self) -> list[str]:
        """Names of the protocols without versions."""
        return [name.partition("@")[0] for name in self.protocols]

    @property
    def label(self) -> str:
        """The first one's name, over two lines if it is long; a further line counts those that are equal to it."""
        first, *others = self.names
        broken = first.replace("-", "-\n", 1) if len(first) > 12 else first
        return f"{broken}\n(= {len(others)} more)" if others else broken

    @property
    def equal(self) -> str:
        """The sentence that names the protocols which share this column; "" where it holds one."""
        first, *others = self.names
        same = f"{self.metric.head} of every method, to {self.metric.digits} decimals"
        return f"{first} = {' = '.join(others)}: the same {same}." if others else ""

    @property
    def heights(self) -> dict[str, int]:
        """Variant -> place from the top; equal ranks in the order of the profile's, so that no dot covers another."""
        order = sorted((place.rank, i, name) for i, (name, place) in enumerate(self.places.items()) if place.rank)
        return {name: height for height, (_, _, name) in enumerate(order, start=1)}


def stops(grid: Grid, floors: Sequence[str] = (), own: Mapping[str, Place] | None = None) -> list[Stop]:
    """Return the columns of a grid: the profile's protocol first, then those whose order is most like it.

    own : ranks to compare with, if not the grid's own protocol's.
    """
    reference = own or grid.column(grid.own)
    compared = {name: place for name, place in reference.items() if name not in floors}
    made = []
    for family in grid.families:
        places = grid.column(family[0])
        made.append(Stop(tuple(family), grid.metric, places, tau(compared, places, grid.metric.digits)))
    return sorted(made, key=lambda s: (grid.own not in s.protocols, -(s.likeness if s.likeness is not None else -2)))


def shifts(grid: Grid) -> list[tuple[Stop, dict[str, float]]]:
    """Return every column but the profile's own, with variant -> its value minus that under the profile's protocol."""
    own = grid.column(grid.own)
    made = []
    for stop in stops(grid):
        pairs = {name: (place.value, own[name].value) for name, place in stop.places.items() if place.rank}
        found = {name: a - b for name, (a, b) in pairs.items() if a is not None and b is not None}
        finite = {name: value for name, value in found.items() if math.isfinite(value)}
        if finite and grid.own not in stop.protocols:
            made.append((stop, finite))
    return made


def path_of(columns: Sequence[Stop], variant: str) -> list[tuple[int, int]]:
    """Return (column, height) of a method wherever it is ranked."""
    return [(x, stop.heights[variant]) for x, stop in enumerate(columns) if variant in stop.heights]


def movers(columns: Sequence[Stop], variants: Sequence[str]) -> list[str]:
    """Return the few of `variants` that gain or lose most places in any column, in the given order."""
    moved = {name: max((abs(stop.places[name].change or 0) for stop in columns), default=0) for name in variants}
    most = sorted((name for name in variants if moved[name]), key=lambda name: -moved[name])[: len(MOVERS)]
    return [name for name in variants if name in most]


def colours(grid: Grid, columns: Sequence[Stop], floors: Sequence[str], proposed: str = "") -> dict[str, str]:
    """Return the colours of what stands out: the paper's method, floors, and what changes places most."""
    named = [name for name in floors if name in grid.variants]
    found = {proposed: PROPOSED} if proposed in grid.variants else {}
    found |= dict(zip(named, cycle(FLOORS), strict=False))
    others = [name for name in grid.variants if name not in found]
    return found | dict(zip(movers(columns, others), MOVERS, strict=False))


def note(grid: Grid, columns: Sequence[Stop], floors: Sequence[str], proposed: str = "") -> str:
    """Say what is in colour, and which protocols share a column."""
    coloured = colours(grid, columns, floors, proposed)
    moving = ", ".join(name for name, colour in coloured.items() if colour in MOVERS)
    parts = {
        "the paper's method": proposed if proposed in coloured else "",
        "floors": ", ".join(name for name in floors if name in coloured),
        "the largest changes of rank": moving,
    }
    said = "; ".join(f"{names} ({what})" for what, names in parts.items() if names)
    equal = [stop.equal for stop in columns if stop.equal]
    return "\n".join([*([f"In colour: {said}. Grey: all others."] if said else []), *equal])
