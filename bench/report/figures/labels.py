"""Placement of the names of points in a plane: none covers another, a point or a pointer."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

RINGS = (7.0, 12.0, 18.0, 26.0, 36.0, 48.0, 62.0, 78.0, 96.0, 116.0, 140.0)
"""Distances of a name from its point that are tried, in points (1/72 inch)."""

POINTED = 12.0
"""Distance from which on a line leads from the point to its name; any, where another point is about as near to it."""

DIRECTIONS = 24
GAP = 1.5
"""Space around a name, in points."""

CROSSED = 40.0
"""Extra cost of a place that a line of the plot runs through, in points of distance."""

Spot = tuple[float, float]


class Box(NamedTuple):
    """A rectangle."""

    left: float
    bottom: float
    right: float
    top: float

    def meets(self, other: "Box", gap: float = 0.0) -> bool:
        """Tell whether two rectangles overlap, or come closer than `gap`."""
        return (
            self.left < other.right + gap
            and other.left < self.right + gap
            and self.bottom < other.top + gap
            and other.bottom < self.top + gap
        )

    def holds(self, other: "Box") -> bool:
        """Tell whether another rectangle lies inside."""
        inside = self.left <= other.left and other.right <= self.right
        return inside and self.bottom <= other.bottom and other.top <= self.top

    def crossed(self, start: Spot, end: Spot) -> bool:
        """Tell whether a line from `start` to `end` runs through, by the method of Liang and Barsky (1984)."""
        low, high = 0.0, 1.0
        for a, b, first, last in ((start[0], end[0], self.left, self.right), (start[1], end[1], self.bottom, self.top)):
            if a == b:
                if not first < a < last:
                    return False
                continue
            near, far = sorted(((first - a) / (b - a), (last - a) / (b - a)))
            low, high = max(low, near), min(high, far)
        return low < high

    def nearest(self, spot: Spot) -> Spot:
        """Return the point of the rectangle that is nearest to `spot`."""
        return min(max(spot[0], self.left), self.right), min(max(spot[1], self.bottom), self.top)


def place(
    spots: Sequence[Spot], sizes: Sequence[Spot], area: Box, radius: float, lines: Sequence[tuple[Spot, Spot]] = ()
) -> list[Box]:
    """Return a rectangle for the name of each spot, near it and inside `area`, all in points (1/72 inch).

    sizes  : width and height of each name.
    radius : of the marks at the spots, which no name covers.
    lines  : of the plot; names keep off them where there is room.

    Crowded spots choose first. Where no place is free, a name goes where it covers the fewest other things.
    """
    marks = [Box(x - radius, y - radius, x + radius, y + radius) for x, y in spots]
    chosen: dict[int, Box] = {}
    order = sorted(range(len(spots)), key=lambda i: (-_neighbours(spots, i), -spots[i][1], spots[i][0]))
    for index in order:
        best, least = Box(0, 0, 0, 0), math.inf
        for distance, box in _candidates(spots[index], sizes[index]):
            if distance >= least:
                continue
            cost = distance + CROSSED * sum(box.crossed(*line) for line in lines)
            cost += 1000 * _faults(index, box, spots, marks, chosen) + 1e6 * (not area.holds(box))
            if cost < least:
                best, least = box, cost
        chosen[index] = best
    return [chosen[index] for index in range(len(spots))]


def pointed(index: int, box: Box, spots: Sequence[Spot]) -> bool:
    """Tell whether a line should lead from the spot to its name: it is far, or could be another spot's."""
    away = math.dist(spots[index], box.nearest(spots[index]))
    others = (math.dist(spot, box.nearest(spot)) for place, spot in enumerate(spots) if place != index)
    return away > POINTED or any(other < away + 3 for other in others)


def _neighbours(spots: Sequence[Spot], index: int) -> int:
    return sum(math.dist(spots[index], other) < RINGS[-4] for other in spots)


def _candidates(spot: Spot, size: Spot) -> Iterator[tuple[float, Box]]:
    """Yield distances and rectangles around a spot; beside it is better than above or below, at equal distance."""
    for ring in RINGS:
        for step in range(DIRECTIONS):
            angle = 2 * math.pi * step / DIRECTIONS
            x, y = spot[0] + ring * math.cos(angle), spot[1] + ring * math.sin(angle)
            left = x - size[0] * (1 - math.cos(angle)) / 2
            bottom = y - size[1] * (1 - math.sin(angle)) / 2
            yield ring + 2 * abs(math.sin(angle)), Box(left, bottom, left + size[0], bottom + size[1])


def _faults(index: int, box: Box, spots: Sequence[Spot], marks: Sequence[Box], chosen: dict[int, Box]) -> int:
    """Weigh what a name here would cover: names and marks most, then pointers, and what its own pointer crosses."""
    own = spots[index], box.nearest(spots[index])
    found = 5 * sum(box.meets(mark, GAP) for mark in marks)
    for other, taken in chosen.items():
        there = spots[other], taken.nearest(spots[other])
        found += 8 * box.meets(taken, GAP) + box.crossed(*there) + taken.crossed(*own)
    return found
