"""Outlines of people, animals and vehicles, drawn from rounded limbs and plates.

Coordinates are in units of the object's height: x ahead (the way it faces), y up, the feet at y = 0.
"""

import math
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


def outline(kind: str, phase: float, build: float) -> list[Part]:
    """Parts of a "person", an "animal" or a "vehicle", back to front.

    phase : of the gait, in cycles (for a vehicle: without effect, wheels look the same).
    build : in [0, 1]: slim to stout, short-haired to long-haired, hatchback to van.
    """
    return {"person": _person, "animal": _animal, "vehicle": _vehicle}[kind](phase, build)


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
