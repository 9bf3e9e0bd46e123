"""Things that stand or move in a simulated bracket: where they are, what covers them, and how they cover the view."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.core.simulation import Simulation
from bench.data.camera import Dome, Lens, Pose, Station, Vectors, horizon
from bench.data.panorama import Panorama, luminance
from bench.data.silhouettes import STRIDE, Plane, outline

Light = NDArray[np.float64]
"""(H, W, 3) float64 relative radiance."""

Owner = NDArray[np.int8]
"""(H, W) int8: the thing that covers most of a pixel, by its place in the list of things; BACKDROP for none."""

BACKDROP = -1

METRES = {
    "person": 1.7, "animal": 0.7, "vehicle": 1.5,
    "plant": 1.1, "bush": 1.5, "banner": 2.6, "post": 2.4, "lamp": 1.6, "crate": 0.7, "bench": 0.85, "chair": 0.95,
}  # fmt: skip

REACH = {
    "person": 0.45, "animal": 1.0, "vehicle": 1.6,
    "plant": 0.6, "bush": 0.9, "banner": 0.6, "post": 0.2, "lamp": 0.3, "crate": 0.85, "bench": 1.1, "chair": 0.4,
}  # fmt: skip
"""Half width of a thing, in heights."""

SIZE = {"person": (0.3, 1.0), "animal": (0.18, 0.5), "vehicle": (0.2, 0.55)}
"""Smallest and largest height of a moving object as a share of the frame's."""

STATIC = {True: ("plant", "lamp", "chair", "crate"), False: ("bush", "post", "bench", "banner", "crate")}
"""What stands in a room, and what stands outdoors."""

LARGEST = 1.5
"""Heights of the frame: a static thing that would be larger stands farther away, or it would hide the view."""

CANDIDATES = 8
"""Places that are drawn for each thing; of those that can be seen it takes the first, or the one before most light."""

BRIGHT = 85
"""Percentile of a view's luminance from which a pixel belongs to its brightest part."""

GROUND_ALBEDO = 0.3
"""Assumed where a thing stands, to estimate the light that falls on it."""

ALBEDO = {
    "skin": 0.4, "hair": 0.06, "shoe": 0.07, "tyre": 0.04, "hub": 0.35, "glass": 0.08, "lamp": 0.6,
    "bark": 0.1, "metal": 0.22,
}  # fmt: skip
"""Reflectance of materials that don't vary; the others (coat, trousers, fur, paint, ...) draw theirs."""

PATTERN = {
    "coat": 0.5, "trousers": 0.4, "fur": 0.3, "paint": 0.15, "hair": 0.2, "skin": 0.1, "shoe": 0.2,
    "leaf": 0.15, "cloth": 0.45, "wood": 0.35, "pot": 0.2, "sign": 0.1, "bark": 0.3,
}  # fmt: skip
"""Strength of the texture on a material: an exponent of its contrast; 0 for the materials not listed."""

TINT = {"skin": (1.25, 0.95, 0.75), "hair": (1.1, 0.95, 0.85), "bark": (1.2, 1.0, 0.8)}

WIND = 0.16
"""Cycles that leaves and cloth are apart from one frame to the next."""


class Seat(NamedTuple):
    """Where a frame's camera sees a thing: its foot (x, y) in pixels, and its size relative to the reference frame."""

    x: float
    y: float
    scale: float


@dataclass(frozen=True)
class Thing:
    """One thing, upright and facing the camera: position in the reference frame, distance, and path if it moves.

    x, y   : pixels, the point between its feet at the reference's moment.
    height : pixels, in the reference frame.
    depth  : metres along the reference frame's optical axis.
    path   : (short, middle, long): displacement in pixels along x, the middle one 0; all 0 for a static thing.
    drop   : the same path's slope dy/dx.
    facing : 1 to the right, -1 to the left; the way it moves.
    wind   : phase of leaves and cloth in each frame, in cycles.
    light  : radiance of a perfectly white surface there.
    """

    kind: str
    x: float
    y: float
    height: float
    depth: float
    path: tuple[float, float, float]
    drop: float
    facing: int
    phase: float
    wind: tuple[float, float, float]
    sway: float
    build: float
    light: float
    colours: dict[str, NDArray[np.float64]]
    texture: Panorama
    aim: Pose

    @property
    def moves(self) -> bool:
        """Whether it goes somewhere; leaves that sway don't count."""
        return any(self.path)

    @cached_property
    def texture_level(self) -> float:
        """Geometric mean luminance of the texture: one number for all frames, or the thing would flicker."""
        reach = REACH[self.kind]
        x, y = np.meshgrid(np.linspace(-reach, reach, 24), np.linspace(0, 1, 24))
        return float(np.exp(np.mean(np.log(luminance(_texture(self, x, y)) + 1e-9))))

    def blurred(self, frame: int, share: float) -> list[float]:
        """Displacements during the exposure of frame 0..2: one, or about one a pixel for the long frame."""
        here, step = self.path[frame], self.path[2]
        if frame < 2 or share * step == 0:
            return [here]
        moments = max(5, math.ceil(abs(step * share)))
        return [here + step * share * (k / (moments - 1) - 0.5) for k in range(moments)]

    def seat(self, lens: Lens, pose: Pose, station: Station) -> Seat:
        """Where the camera at `station` sees it, the reference frame's camera standing at the origin in `pose`."""
        foot = pose.to_world(lens.ray(self.x, self.y) * self.depth)
        x, y, depth = (float(value) for value in station.place(lens, foot))
        return Seat(x, y, self.depth / max(depth, 0.1))  # hands don't shake by a metre: it stays ahead


@dataclass(frozen=True)
class Sight:
    """The reference frame without things (1 saturates the short frame), its camera, and what the panorama lies on."""

    view: Light
    pose: Pose
    lens: Lens
    dome: Dome

    @cached_property
    def points(self) -> Vectors:
        """What each pixel shows of the panorama, (H, W, 3) world points in metres."""
        return self.dome.meet(Station(self.pose), self.pose.to_world(self.lens.rays()))


class Covered(NamedTuple):
    """A frame with its things: light (H, W, 3) and the owner of each pixel."""

    light: Light
    owner: Owner


def draw_things(
    sight: Sight, settings: Simulation, home: str, others: list[Panorama], rng: np.random.Generator
) -> list[Thing]:
    """Draw the things of one view of panorama `home`, far ones first; their texture is from one of `others`."""
    inside = home in settings.indoors
    kinds = ["person", "person", "animal"] + (["vehicle"] if home in settings.roads else [])
    things: list[Thing] = []
    for _ in range(int(rng.integers(settings.objects[0], settings.objects[1] + 1))):
        kind = str(rng.choice(kinds))
        if kind == "vehicle":  # one is enough: two hide most of the view
            kinds.remove(kind)
        things.append(_draw(sight, settings, kind, others, rng))
    standing = list(STATIC[inside])
    for _ in range(int(rng.integers(settings.foreground[0], settings.foreground[1] + 1))):
        kind = str(rng.choice(standing))
        if len(standing) > 2:  # a row of equal lamps looks made up
            standing.remove(kind)
        things.append(_draw(sight, settings, kind, others, rng))
    return sorted(things, key=lambda thing: -thing.depth)


def _draw(sight: Sight, settings: Simulation, kind: str, others: list[Panorama], rng: np.random.Generator) -> Thing:
    moves = kind in SIZE
    speed, longer = rng.uniform(*settings.motion), rng.uniform(0.8, 1.2)
    facing, seeks_light = int(rng.choice([-1, 1])), bool(rng.uniform() < settings.before_lights)
    # Every number is drawn whatever the settings say: a setting that is turned changes nothing else of a view.
    numbers = rng.uniform(size=(CANDIDATES, 2))
    seats = [_seat(sight, settings, kind, float(across), float(far)) for across, far in numbers]
    x, foot, height, depth = _choose(sight, seats, kind, seeks_light and moves)
    path = (-facing * speed * longer, 0.0, facing * speed) if moves else (0.0, 0.0, 0.0)
    wind = rng.uniform(0, 1)
    return Thing(
        kind, x, foot, height, depth, path, rng.uniform(-0.06, 0.06) if moves else 0.0, facing,
        rng.uniform(0, 1), (wind - WIND, wind, wind + WIND), settings.sway, rng.uniform(0, 1),
        _light(sight.view, x, foot, height), _colours(rng), others[int(rng.integers(len(others)))],
        Pose(rng.uniform(0, 360), rng.uniform(-25, 5)),
    )  # fmt: skip


def _seat(
    sight: Sight, settings: Simulation, kind: str, across: float, far: float
) -> tuple[float, float, float, float]:
    """Foot (x, y), height and depth of a thing on the floor, from two numbers in [0, 1]."""
    lens, tall = sight.lens, METRES[kind]
    if kind in SIZE:
        low, high = SIZE[kind]
        depth = lens.focal * tall / (lens.height * (low + far * (high - low)))
    else:
        near, away = settings.distance
        depth = max(near * (away / near) ** far, lens.focal * tall / (LARGEST * lens.height))
    depth = min(depth, 0.9 * sight.dome.radius)  # not behind the wall
    level = horizon(lens, sight.pose)
    # The floor at this depth; a leaning picture would tilt it by less than a pixel.
    foot = level + lens.focal * sight.dome.camera_height / depth / math.cos(math.radians(sight.pose.pitch))
    return lens.width * (0.08 + 0.84 * across), foot, lens.focal * tall / depth, depth


def _choose(
    sight: Sight, seats: list[tuple[float, float, float, float]], kind: str, seeks_light: bool
) -> tuple[float, float, float, float]:
    """Return the first seat where much of the thing is in the picture, or that which has most light behind it."""
    seen = [seat for seat in seats if _shown(sight.lens, seat) >= 0.35] or seats
    if not seeks_light:
        return seen[0]
    light = luminance(sight.view)
    bright = light >= np.percentile(light, BRIGHT)
    return max(seen, key=lambda seat: _behind(bright, seat, REACH[kind]))


def _shown(lens: Lens, seat: tuple[float, float, float, float]) -> float:
    """Share of a thing's height that lies in the picture."""
    _, foot, height, _ = seat
    return max(0.0, min(foot, lens.height) - max(foot - height, 0.0)) / height


def _behind(bright: NDArray[np.bool_], seat: tuple[float, float, float, float], reach: float) -> int:
    """Bright pixels that a thing would cover, those that its rectangle holds."""
    x, foot, height, _ = seat
    half = 0.4 * reach * height
    rows = slice(max(0, int(foot - height)), max(0, int(foot)))
    columns = slice(max(0, int(x - half)), max(0, int(x + half) + 1))
    return int(bright[rows, columns].sum())


def _light(view: Light, x: float, foot: float, height: float) -> float:
    rows, columns = view.shape[:2]
    bottom = int(np.clip(foot, 0.6 * rows, rows))
    left = int(np.clip(x - 0.4 * height, 0, columns - 8))
    patch = view[int(bottom - 0.25 * rows) : bottom, left : left + max(8, int(0.8 * height))]
    ground = float(np.median(luminance(patch)))
    # Kept inside what the bracket shows: neither a hole in the long frame nor a lamp.
    return float(np.clip(ground / GROUND_ALBEDO, 0.02, 0.8))


def _colours(rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
    colours = {name: albedo * np.array(TINT.get(name, (1.0, 1.0, 1.0))) for name, albedo in ALBEDO.items()}
    for name in ("coat", "trousers", "fur", "paint", "cloth", "wood", "pot", "sign", "leaf"):
        tint = np.exp(rng.normal(0, 0.08 if name in ("fur", "wood", "leaf") else 0.3, 3))
        colours[name] = math.exp(rng.uniform(math.log(0.07), math.log(0.5))) * tint / tint.mean()
    colours["fur"] = colours["fur"] * np.array((1.12, 1.0, 0.85))
    colours["wood"] = colours["wood"] * np.array((1.25, 1.0, 0.72))
    colours["pot"] = colours["pot"] * np.array((1.3, 0.95, 0.8))
    # Leaves are never bright: 4 to 12 % of the green light.
    colours["leaf"] = np.minimum(0.4 * colours["leaf"] + 0.03, 0.14) * np.array((0.85, 1.25, 0.5))
    colours["skin"] = colours["skin"] * rng.uniform(0.4, 1.1)
    return colours


def composite(view: Light, things: list[Thing], frame: int, blur: float, seats: list[Seat]) -> Covered:
    """Cover the view with its things as frame 0..2 sees them; in the long frame moving ones smear.

    seats : where this frame's camera sees each of them at the reference's moment.
    The smear is a mean of radiance, as on a sensor. Returns new arrays.
    """
    result, owner = view.copy(), np.full(view.shape[:2], BACKDROP, np.int8)
    for number, (thing, seat) in enumerate(zip(things, seats, strict=True)):
        moments = thing.blurred(frame, blur)
        rows, columns = _extent(thing, moments, seat, view.shape)
        if rows.start >= rows.stop or columns.start >= columns.stop:
            continue
        behind = result[rows, columns]
        drawn = [_cover(behind, thing, moved, frame, seat, rows, columns) for moved in moments]
        result[rows, columns] = np.mean([light for light, _ in drawn], axis=0)
        covered = np.mean([share for _, share in drawn], axis=0) >= 0.5
        owner[rows, columns][covered] = number
    return Covered(result, owner)


def _extent(thing: Thing, moments: list[float], seat: Seat, shape: tuple[int, ...]) -> tuple[slice, slice]:
    height = thing.height * seat.scale
    reach = REACH[thing.kind] * height + 2
    rise = 2 + max(abs(thing.drop * moved) for moved in moments)
    top, bottom = seat.y - 1.1 * height - rise, seat.y + 0.1 * height + rise
    return (
        slice(max(0, int(top)), min(shape[0], math.ceil(bottom))),
        slice(max(0, int(seat.x + min(moments) - reach)), min(shape[1], math.ceil(seat.x + max(moments) + reach))),
    )


def _cover(
    behind: Light, thing: Thing, moved: float, frame: int, seat: Seat, rows: slice, columns: slice
) -> tuple[Light, Plane]:
    """Return the picture in this rectangle with the thing in it, and the share of each pixel that it covers."""
    height = thing.height * seat.scale
    px, py = np.meshgrid(np.arange(columns.start, columns.stop) + 0.5, np.arange(rows.start, rows.stop) + 0.5)
    x = (px - seat.x - moved) / height * thing.facing
    y = (seat.y + thing.drop * moved - py) / height
    picture, open_ = behind * _shadow(thing, x, y)[..., None], np.ones(x.shape)
    cloth = np.asarray(np.clip(_texture(thing, x, y) / thing.texture_level, 0.02, 12))
    edge = 1 / height  # one pixel of soft edge: the share of a pixel that a shape covers
    gait = thing.phase + moved * thing.facing / thing.height / STRIDE.get(thing.kind, 1.0)
    phase = gait if thing.kind in SIZE else thing.wind[frame]
    for part in outline(thing.kind, phase, thing.build, thing.sway):
        # Only the part's own rectangle is drawn: most parts are a small share of the thing.
        (left, low), (right, high) = part.bounds()
        across_columns = (x[0] > left - edge) & (x[0] < right + edge)
        down_rows = (y[:, 0] > low - edge) & (y[:, 0] < high + edge)
        window = np.ix_(down_rows, across_columns)
        distance, across = part.distance(x[window], y[window])
        cover = np.clip(0.5 - distance * height, 0, 1)
        rounding = 0.72 + 0.28 * np.sqrt(1 - across**2) + 0.18 * across * thing.facing
        colour = (
            thing.light * part.shade * thing.colours[part.material] * cloth[window] ** PATTERN.get(part.material, 0)
        )
        picture[window] += cover[..., None] * (colour * rounding[..., None] - picture[window])
        open_[window] *= 1 - cover
    return np.asarray(picture), 1 - open_


def _shadow(thing: Thing, x: Plane, y: Plane) -> Plane:
    # Where it touches the ground less light arrives; without it things float.
    spread = REACH[thing.kind] * 0.75
    return np.asarray(1 - 0.45 * np.exp(-((x / spread) ** 2) - ((y + 0.005) / 0.045) ** 2))


def _texture(thing: Thing, x: Plane, y: Plane) -> Light:
    # A part of the other panorama, about 45 degrees high: the pattern of cloth, fur or paint.
    rays = np.stack([0.8 * (x - 0.1), 0.8 * (y - 0.5), np.ones_like(x)], axis=-1)
    return thing.texture.sample(thing.aim.to_world(rays))


class Followed(NamedTuple):
    """Where the reference frame's surfaces lie in another frame.

    hidden : (H, W) bool, something nearer stands before it there, or it is outside that frame.
    moved  : (H, W, 2) float64, displacement in pixels (x, y) from the reference frame to that frame.
    """

    hidden: NDArray[np.bool_]
    moved: NDArray[np.float64]


def follow(
    sight: Sight, things: list[Thing], owner: Owner, frame: int, station: Station, seats: list[Seat], there: Owner
) -> Followed:
    """Follow each pixel of the reference frame, owned as `owner` says, to frame 0..2, taken from `station`.

    seats, there : where that frame sees the things, and the owner of its pixels.
    """
    lens = sight.lens
    px, py = np.meshgrid(np.arange(lens.width) + 0.5, np.arange(lens.height) + 0.5)
    x, y, _ = station.place(lens, sight.points)
    for number, (thing, seat) in enumerate(zip(things, seats, strict=True)):
        own, step = owner == number, thing.path[frame]
        x[own] = seat.x + step + (px[own] - thing.x) * seat.scale
        y[own] = seat.y + thing.drop * step + (py[own] - thing.y) * seat.scale
    # A point on the border of two pixels belongs to one of them on every machine: 1e-6 is far above rounding.
    column, row = (np.floor(value + 1e-6).astype(np.intp) for value in (x, y))
    outside = (column < 0) | (column >= lens.width) | (row < 0) | (row >= lens.height)
    nearest = there[np.clip(row, 0, lens.height - 1), np.clip(column, 0, lens.width - 1)]
    # Things are listed far to near, and the backdrop is behind all of them.
    return Followed(outside | (nearest > owner), np.stack([x - px, y - py], axis=-1))
