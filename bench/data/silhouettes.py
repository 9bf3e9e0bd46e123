"""Outlines of people, animals, vehicles and static things, drawn from rounded limbs and plates.

Coordinates are in units of the object's height: x ahead (the way it faces), y up, the feet at y = 0.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float64]
"""(h, w) float64."""

Point = tuple[float, float]

STRIDE = {"person": 0.85, "animal": 1.1}
"""Path covered in one full cycle of the legs, in heights."""


@dataclass(frozen=True)
class Part:
    """One filled shape: a limb (two points, tapering) or a plate (a convex polygon with rounded corners).

    points   : two ends of a limb, or the corners of a plate, counter-clockwise.
    radius   : of the limb at its first end, or of the plate's corners.
    end      : radius of the limb at its second end.
    material : what it is made of; parts of one material share a colour.
    shade    : factor on that colour, for the far leg or a wheel.
    """

    points: tuple[Point, ...]
    radius: float
    material: str
    end: float = 0.0
    shade: float = 1.0

    def bounds(self) -> tuple[Point, Point]:
        """Lowest and highest corner of the rectangle that holds the part."""
        radius = max(self.radius, self.end)
        xs, ys = zip(*self.points, strict=True)
        return (min(xs) - radius, min(ys) - radius), (max(xs) + radius, max(ys) + radius)

    def distance(self, x: Plane, y: Plane) -> tuple[Plane, Plane]:
        """Signed distance to the outline (negative inside) and position across the part (-1 behind .. 1 ahead)."""
        return self._limb(x, y) if len(self.points) == 2 else self._plate(x, y)

    def _limb(self, x: Plane, y: Plane) -> tuple[Plane, Plane]:
        (x0, y0), (x1, y1) = self.points
        dx, dy = x1 - x0, y1 - y0
        along = np.clip(((x - x0) * dx + (y - y0) * dy) / max(dx * dx + dy * dy, 1e-12), 0, 1)
        across_x, across_y = x - x0 - along * dx, y - y0 - along * dy
        radius = self.radius + along * (self.end - self.radius)
        return np.hypot(across_x, across_y) - radius, np.clip(across_x / radius, -1, 1)

    def _plate(self, x: Plane, y: Plane) -> tuple[Plane, Plane]:
        inside = np.full(x.shape, -np.inf)
        square = np.full(x.shape, np.inf)
        for (x0, y0), (x1, y1) in zip(self.points, self.points[1:] + self.points[:1], strict=True):
            dx, dy = x1 - x0, y1 - y0
            along = np.clip(((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy), 0, 1)
            square = np.minimum(square, (x - x0 - along * dx) ** 2 + (y - y0 - along * dy) ** 2)
            inside = np.maximum(inside, ((x - x0) * dy - (y - y0) * dx) / math.hypot(dx, dy))
        distance = np.sqrt(square) * np.where(inside > 0, 1, -1) - self.radius
        low, high = min(p[0] for p in self.points), max(p[0] for p in self.points)
        return distance, np.clip((2 * x - low - high) / (high - low), -1, 1)


def outline(kind: str, phase: float, build: float, sway: float = 1.0) -> list[Part]:
    """Parts of a thing, a key of `SHAPES`, back to front.

    phase : of the gait or of the wind, in cycles (for what neither walks nor sways: without effect).
    build : in [0, 1]: slim to stout, short-haired to long-haired, hatchback to van, sparse to dense.
    sway  : factor on how far leaves and cloth move.
    """
    if kind in SWAYING:
        return SWAYING[kind](phase, build, sway)
    return SHAPES[kind](phase, build)


def _leg(hip: Point, swing: float, length: float, thick: float, material: str, shade: float) -> list[Part]:
    knee = (hip[0] + 0.5 * length * math.sin(swing), hip[1] - 0.5 * length * math.cos(swing))
    # The knee only bends backwards, most while the leg comes forward.
    bend = swing - 0.35 * max(0.0, math.cos(2 * swing)) * (swing < 0)
    foot = (knee[0] + 0.46 * length * math.sin(bend), knee[1] - 0.46 * length * math.cos(bend))
    return [
        Part((hip, knee), thick, material, 0.75 * thick, shade),
        Part((knee, foot), 0.72 * thick, material, 0.5 * thick, shade),
        Part((foot, (foot[0] + 1.5 * thick, foot[1] - 0.008)), 0.5 * thick, "shoe", 0.4 * thick, shade),
    ]


def _person(phase: float, build: float) -> list[Part]:
    swing = 0.42 * math.sin(2 * math.pi * phase)
    stout = 0.82 + 0.4 * build
    legs = [_leg((0, 0.48), s, 0.475, 0.052 * stout, "trousers", k) for s, k in ((-swing, 0.7), (swing, 1.0))]
    arms = [_arm(s, 0.032 * stout, k) for s, k in ((0.9 * swing, 0.7), (-0.9 * swing, 1.0))]
    body = [
        Part(((0.0, 0.77), (0.0, 0.51)), 0.082 * stout, "coat", 0.08 * stout),
        Part(((0.012, 0.84), (0.012, 0.88)), 0.034, "skin", 0.034),
        Part(((0.018, 0.915), (0.02, 0.935)), 0.052, "skin", 0.054),
    ]
    hair_end = 0.93 - 0.13 * build
    hair = [Part(((-0.008, 0.95), (-0.03, hair_end)), 0.052, "hair", 0.03)]
    return [*legs[0], *arms[0], *legs[1], *body, *hair, *arms[1]]


def _arm(swing: float, thick: float, shade: float) -> list[Part]:
    shoulder = (0.0, 0.79)
    elbow = (shoulder[0] + 0.17 * math.sin(swing), shoulder[1] - 0.17 * math.cos(swing))
    lower = swing + 0.35
    hand = (elbow[0] + 0.15 * math.sin(lower), elbow[1] - 0.15 * math.cos(lower))
    return [
        Part((shoulder, elbow), thick, "coat", 0.85 * thick, 0.85 * shade),
        Part((elbow, hand), 0.8 * thick, "coat", 0.65 * thick, 0.85 * shade),
        Part((hand, hand), 0.026, "skin", 0.026, shade),
    ]


def _animal(phase: float, build: float) -> list[Part]:
    # A dog: height 1 at the head, length about 1.4.
    a, b = (0.45 * math.sin(2 * math.pi * (phase + lag)) for lag in (0.0, 0.4))
    thick = 0.05 + 0.03 * build
    legs = [
        _leg((x, 0.5), swing, 0.48, thick, "fur", shade)
        for x, swing, shade in ((-0.42, -a, 0.7), (0.3, -b, 0.7), (-0.46, a, 1.0), (0.26, b, 1.0))
    ]
    body = [
        Part(((-0.55, 0.62), (-0.78, 0.85)), 0.045, "fur", 0.02),
        Part(((-0.42, 0.58), (0.25, 0.6)), 0.15 + 0.04 * build, "fur", 0.18 + 0.04 * build),
        Part(((0.3, 0.68), (0.47, 0.86)), 0.12, "fur", 0.09),
        Part(((0.5, 0.88), (0.69, 0.8)), 0.1, "fur", 0.045),
        Part(((0.45, 0.93), (0.4, 0.78)), 0.045, "fur", 0.035, 0.6),
    ]
    return [part for leg in legs for part in leg] + body


def _vehicle(phase: float, build: float) -> list[Part]:
    # A car of height 1: about 2.8 long. A stout one is a van with a long roof.
    tail = -1.28 - 0.12 * build
    roof = (-1.0 - 0.25 * build, 0.35 + 0.2 * build)
    wheels = [
        part
        for x in (-0.85, 0.85)
        for part in (
            Part(((x, 0.21), (x, 0.21)), 0.21, "tyre", 0.21),
            Part(((x, 0.21), (x, 0.21)), 0.11, "hub", 0.11),
        )
    ]
    cabin = ((tail + 0.1, 0.58), (0.85, 0.58), (roof[1], 0.94), (roof[0], 0.94))
    panes = [
        ((roof[0] - 0.02, 0.61), (-0.28, 0.61), (-0.28, 0.88), (roof[0] + 0.07, 0.88)),
        ((-0.2, 0.61), (0.68, 0.61), (roof[1] - 0.04, 0.88), (-0.2, 0.88)),
    ]
    return [
        Part(((tail, 0.2), (1.32, 0.2), (1.36, 0.42), (0.9, 0.6), (tail, 0.6)), 0.05, "paint"),
        Part(cabin, 0.05, "paint"),
        *(Part(pane, 0.012, "glass") for pane in panes),
        Part(((tail + 0.02, 0.47), (1.33, 0.42)), 0.012, "paint", 0.012, 0.7),
        Part(((1.3, 0.42), (1.34, 0.42)), 0.045, "lamp", 0.04),
        *wheels,
    ]


def _leaves(
    count: int, centre: Point, width: float, height: float, size: float, phase: float, sway: float
) -> list[Part]:
    """An ellipse of leaves, even but not regular: each turns by the golden angle; the upper ones move most."""
    leaves = []
    for k in range(count):
        out, turn = math.sqrt((k + 0.5) / count), 2.39996 * k
        x, y = centre[0] + width * out * math.cos(turn), centre[1] + height * out * math.sin(turn)
        wind = 0.035 * sway * y * math.sin(2 * math.pi * phase + 1.7 * k)
        x, y = x + wind, y + 0.4 * wind
        lean = turn + 0.9 * math.sin(5.3 * k) + 4 * wind
        tip = (x + size * math.cos(lean), y + size * math.sin(lean))
        # Leaves below and inside lie in the shade of the others.
        shade = (0.5 + 0.5 * (y - centre[1] + height) / (2 * height)) * (0.65 + 0.35 * math.sin(2.9 * k) ** 2)
        leaves.append(Part(((x, y), tip), 0.36 * size, "leaf", 0.06 * size, 0.3 + 0.9 * shade))
    # Inner leaves last: the outline stays ragged, the middle closed.
    return leaves[::-1]


def _plant(phase: float, build: float, sway: float) -> list[Part]:
    # In a pot, 1.1 m high.
    stems = [Part(((0.0, 0.2), (0.22 * math.sin(1.9 * k), 0.62 + 0.03 * k)), 0.013, "bark", 0.007) for k in range(6)]
    crown = _leaves(90 + int(60 * build), (0.0, 0.66), 0.27 + 0.09 * build, 0.29, 0.075, phase, sway)
    pot = [
        Part(((-0.12, 0.01), (0.12, 0.01), (0.155, 0.25), (-0.155, 0.25)), 0.01, "pot"),
        Part(((-0.17, 0.25), (0.17, 0.25), (0.17, 0.29), (-0.17, 0.29)), 0.01, "pot", shade=1.15),
    ]
    return [*stems, *crown, *pot]


def _bush(phase: float, build: float, sway: float) -> list[Part]:
    stems = [Part(((0.1 * k - 0.25, 0.0), (0.17 * k - 0.42, 0.6)), 0.018, "bark", 0.01) for k in range(6)]
    crown = _leaves(330 + int(120 * build), (0.0, 0.52), 0.55 + 0.15 * build, 0.44, 0.062, phase, sway)
    return [*stems, *crown]


def _banner(phase: float, build: float, sway: float) -> list[Part]:
    # Cloth hung from an arm on a mast: strips that ripple one after the other.
    strips, wide = 9, 0.34 + 0.1 * build
    mast = [
        Part(((0.0, 0.0), (0.0, 0.985)), 0.014, "metal", 0.01),
        Part(((0.0, 0.95), (wide + 0.05, 0.95)), 0.009, "metal", 0.009),
    ]
    cloth = []
    for k in range(strips):
        wave = math.sin(2 * math.pi * phase + 0.8 * k)
        drift = 0.022 * sway * math.sin(2 * math.pi * phase + 0.8 * k + 1.2)
        left, right = 0.03 + wide * k / strips, 0.03 + wide * (k + 1.15) / strips
        hem = 0.34 + 0.012 * sway * wave
        corners = ((left + drift, hem), (right + drift, hem), (right, 0.945), (left, 0.945))
        cloth.append(Part(corners, 0.002, "cloth", shade=0.92 + 0.1 * math.sin(0.8 * k) + 0.06 * sway * wave))
    return [*mast, *cloth]


def _post(phase: float, build: float) -> list[Part]:
    sign = ((-0.1, 0.74), (0.1, 0.74), (0.1, 0.97), (-0.1, 0.97))
    lower = ((-0.085, 0.63), (0.085, 0.63), (0.085, 0.7), (-0.085, 0.7))
    return [
        Part(((0.0, 0.0), (0.0, 0.99)), 0.014 + 0.006 * build, "metal", 0.013),
        Part(sign, 0.012, "sign"),
        Part(((-0.055, 0.8), (0.055, 0.91)), 0.016, "metal", 0.016, 1.3),
        *([Part(lower, 0.008, "sign", shade=0.8)] if build > 0.4 else []),
    ]


def _lamp(phase: float, build: float) -> list[Part]:
    # A standard lamp, not lit: a lit one would need light on everything round it.
    wide = 0.13 + 0.05 * build
    return [
        Part(((0.0, 0.03), (0.0, 0.8)), 0.01, "metal", 0.01),
        Part(((-0.12, 0.005), (0.12, 0.005), (0.1, 0.03), (-0.1, 0.03)), 0.008, "metal"),
        Part(((-wide, 0.74), (wide, 0.74), (0.6 * wide, 0.985), (-0.6 * wide, 0.985)), 0.008, "cloth"),
    ]


def _crate(phase: float, build: float) -> list[Part]:
    wide, gaps = 0.55 + 0.2 * build, (0.2, 0.42, 0.64)
    front = ((-wide, 0.0), (wide, 0.0), (wide, 0.84), (-wide, 0.84))
    lid = ((-wide, 0.84), (wide, 0.84), (wide - 0.12, 0.98), (-wide + 0.12, 0.98))
    return [
        Part(front, 0.01, "wood"),
        Part(lid, 0.01, "wood", shade=1.35),
        *(Part(((-wide, y), (wide, y)), 0.012, "wood", 0.012, 0.45) for y in gaps),
        *(Part(((x, 0.03), (x, 0.82)), 0.035, "wood", 0.035, 0.8) for x in (-wide + 0.05, wide - 0.05)),
    ]


def _bench(phase: float, build: float) -> list[Part]:
    ends = (-0.82, 0.82)
    return [
        *(Part(((x, 0.0), (x + 0.03, 0.97)), 0.03, "metal", 0.024, 0.8) for x in ends),
        *(Part(((-0.95, y), (0.95, y)), 0.045, "wood", 0.045, 1.05) for y in (0.93, 0.78, 0.63)),
        Part(((-0.95, 0.42), (0.95, 0.42), (1.0, 0.5), (-1.0, 0.5)), 0.015, "wood", shade=1.25),
        *(Part(((x, 0.0), (x, 0.42)), 0.03, "metal", 0.03) for x in ends),
    ]


def _chair(phase: float, build: float) -> list[Part]:
    return [
        *(Part(((x, 0.0), (0.9 * x, 0.46)), 0.022, "wood", 0.022, 0.65) for x in (-0.2, 0.22)),
        Part(((-0.25, 0.5), (-0.27, 0.98)), 0.022, "wood", 0.02),
        Part(((0.21, 0.5), (0.19, 0.98)), 0.022, "wood", 0.02),
        *(Part(((-0.27, y), (0.19, y)), 0.03, "wood", 0.03, 1.05) for y in (0.94, 0.8, 0.66)),
        Part(((-0.27, 0.43), (0.24, 0.43), (0.27, 0.5), (-0.29, 0.5)), 0.012, "cloth", shade=1.2),
        *(Part(((x, 0.0), (x, 0.43)), 0.024, "wood", 0.026) for x in (-0.26, 0.22)),
    ]


SHAPES: dict[str, Callable[[float, float], list[Part]]] = {
    "person": _person, "animal": _animal, "vehicle": _vehicle,
    "post": _post, "lamp": _lamp, "crate": _crate, "bench": _bench, "chair": _chair,
}  # fmt: skip

SWAYING: dict[str, Callable[[float, float, float], list[Part]]] = {"plant": _plant, "bush": _bush, "banner": _banner}
