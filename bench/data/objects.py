"""Moving objects of a simulated bracket: where they are, what covers them, and how they cover the view."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bench.core.simulation import Simulation
from bench.data.camera import Lens, Pose, horizon
from bench.data.panorama import Panorama, luminance
from bench.data.silhouettes import STRIDE, Plane, outline

Light = NDArray[np.float64]
"""(H, W, 3) float64 relative radiance."""

METRES = {"person": 1.7, "animal": 0.7, "vehicle": 1.5}
REACH = {"person": 0.45, "animal": 1.0, "vehicle": 1.6}
"""Half length of an object, in heights."""

SIZE = {"person": (0.3, 0.85), "animal": (0.18, 0.4), "vehicle": (0.16, 0.36)}
"""Smallest and largest height as a share of the frame's."""

CAMERA_HEIGHT = 1.5
"""Metres above the ground: gives an object's size from the place where it stands."""

GROUND_ALBEDO = 0.3
"""Assumed where an object stands, to estimate the light that falls on it."""

ALBEDO = {"skin": 0.4, "hair": 0.06, "shoe": 0.07, "tyre": 0.04, "hub": 0.35, "glass": 0.08, "lamp": 0.6}
"""Reflectance of materials that don't vary; the others (coat, trousers, fur, paint) draw theirs."""

PATTERN = {"coat": 0.5, "trousers": 0.4, "fur": 0.3, "paint": 0.15, "hair": 0.2, "skin": 0.1, "shoe": 0.2}
"""Strength of the texture on a material: an exponent of its contrast; 0 for the materials not listed."""

TINT = {"skin": (1.25, 0.95, 0.75), "hair": (1.1, 0.95, 0.85)}
BLUR_MOMENTS = 7


@dataclass(frozen=True)
class Mover:
    """One object: position in the reference frame and its path.

    x, y   : pixels, the point between its feet at the reference's moment.
    height : pixels.
    path   : (short, middle, long): displacement in pixels along x, the middle one 0.
    drop   : the same path's slope dy/dx.
    facing : 1 to the right, -1 to the left; the way it moves.
    light  : radiance of a perfectly white surface there.
    """

    kind: str
    x: float
    y: float
    height: float
    path: tuple[float, float, float]
    drop: float
    facing: int
    phase: float
    build: float
    light: float
    colours: dict[str, NDArray[np.float64]]
    texture: Panorama
    aim: Pose

    @cached_property
    def texture_level(self) -> float:
        """Geometric mean luminance of the texture: one number for all frames, or the object would flicker."""
        reach = REACH[self.kind]
        x, y = np.meshgrid(np.linspace(-reach, reach, 24), np.linspace(0, 1, 24))
        return float(np.exp(np.mean(np.log(luminance(_texture(self, x, y)) + 1e-9))))

    def blurred(self, frame: int, share: float) -> list[float]:
        """Displacements during the exposure of frame 0..2: one, or several for the long frame."""
        here, step = self.path[frame], self.path[2]
        if frame < 2 or share == 0:
            return [here]
        return [here + step * share * (k / (BLUR_MOMENTS - 1) - 0.5) for k in range(BLUR_MOMENTS)]


@dataclass(frozen=True)
class Sight:
    """The reference frame without objects (1 saturates the short frame), and its camera."""

    view: Light
    pose: Pose
    lens: Lens


def draw_movers(
    sight: Sight, settings: Simulation, home: str, others: list[Panorama], rng: np.random.Generator
) -> list[Mover]:
    """Draw the objects of one view of panorama `home`, far ones first; their texture is from one of `others`."""
    low, high = settings.objects
    kinds = ["person", "person", "animal"] + ([] if home in settings.indoors else ["vehicle"])
    movers: list[Mover] = []
    for _ in range(int(rng.integers(low, high + 1))):
        kind = str(rng.choice(kinds))
        if kind == "vehicle":  # one is enough: two hide most of the view
            kinds.remove(kind)
        movers.append(_draw(sight, settings, kind, others, rng))
    return sorted(movers, key=lambda mover: mover.y)


def _draw(sight: Sight, settings: Simulation, kind: str, others: list[Panorama], rng: np.random.Generator) -> Mover:
    lens, level = sight.lens, horizon(sight.lens, sight.pose)
    # Feet between a little below the horizon and somewhat below the frame: near people are cut off by its edge.
    height = lens.height * rng.uniform(*SIZE[kind])
    foot = max(level, 0.15 * lens.height) + height * CAMERA_HEIGHT / METRES[kind]
    foot = min(foot, 0.7 * lens.height + 0.7 * height)
    facing = int(rng.choice([-1, 1]))
    speed = rng.uniform(*settings.motion)
    path = (-facing * speed * rng.uniform(0.8, 1.2), 0.0, facing * speed)
    x = lens.width * rng.uniform(0.12, 0.88)
    return Mover(
        kind, x, foot, height, path, rng.uniform(-0.06, 0.06), facing, rng.uniform(0, 1), rng.uniform(0, 1),
        _light(sight.view, x, foot, height), _colours(rng), others[int(rng.integers(len(others)))],
        Pose(rng.uniform(0, 360), rng.uniform(-25, 5)),
    )  # fmt: skip


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
    for name in ("coat", "trousers", "fur", "paint"):
        tint = np.exp(rng.normal(0, 0.3 if name != "fur" else 0.08, 3))
        colours[name] = math.exp(rng.uniform(math.log(0.07), math.log(0.5))) * tint / tint.mean()
    colours["fur"] = colours["fur"] * np.array((1.12, 1.0, 0.85))
    colours["skin"] = colours["skin"] * rng.uniform(0.4, 1.1)
    return colours


def composite(view: Light, movers: list[Mover], frame: int, blur: float, offset: tuple[float, float]) -> Light:
    """Cover the view with its objects as frame 0..2 sees them; in the long frame they smear.

    offset : (x, y) pixels by which the camera's own rotation moves things in this frame.
    The smear is a mean of radiance, as on a sensor. Returns a new array.
    """
    result = view.copy()
    for mover in movers:
        moments = mover.blurred(frame, blur)
        rows, columns = _extent(mover, moments, offset, view.shape)
        if rows.start >= rows.stop or columns.start >= columns.stop:
            continue
        behind = result[rows, columns]
        result[rows, columns] = np.mean([_cover(behind, mover, d, offset, rows, columns) for d in moments], axis=0)
    return result


def _extent(
    mover: Mover, moments: list[float], offset: tuple[float, float], shape: tuple[int, ...]
) -> tuple[slice, slice]:
    reach = REACH[mover.kind] * mover.height + 2
    left = mover.x + offset[0] + min(moments) - reach
    right = mover.x + offset[0] + max(moments) + reach
    rise = 2 + max(abs(mover.drop * d) for d in moments)
    top = mover.y + offset[1] - 1.1 * mover.height - rise
    bottom = mover.y + offset[1] + 0.1 * mover.height + rise
    return (
        slice(max(0, int(top)), min(shape[0], math.ceil(bottom))),
        slice(max(0, int(left)), min(shape[1], math.ceil(right))),
    )


def _cover(
    behind: Light, mover: Mover, moved: float, offset: tuple[float, float], rows: slice, columns: slice
) -> Light:
    px, py = np.meshgrid(np.arange(columns.start, columns.stop) + 0.5, np.arange(rows.start, rows.stop) + 0.5)
    x = (px - mover.x - offset[0] - moved) / mover.height * mover.facing
    y = (mover.y + offset[1] + mover.drop * moved - py) / mover.height
    picture = behind * _shadow(mover, x, y)[..., None]
    cloth = np.asarray(np.clip(_texture(mover, x, y) / mover.texture_level, 0.02, 12))
    edge = 1 / mover.height  # one pixel of soft edge: the share of a pixel that a shape covers
    phase = mover.phase + moved * mover.facing / mover.height / STRIDE.get(mover.kind, 1.0)
    for part in outline(mover.kind, phase, mover.build):
        # Only the part's own rectangle is drawn: most parts are a small share of the object.
        (left, low), (right, high) = part.bounds()
        across_columns = (x[0] > left - edge) & (x[0] < right + edge)
        down_rows = (y[:, 0] > low - edge) & (y[:, 0] < high + edge)
        window = np.ix_(down_rows, across_columns)
        distance, across = part.distance(x[window], y[window])
        cover = np.clip(0.5 - distance * mover.height, 0, 1)[..., None]
        rounding = 0.72 + 0.28 * np.sqrt(1 - across**2) + 0.18 * across * mover.facing
        colour = (
            mover.light * part.shade * mover.colours[part.material] * cloth[window] ** PATTERN.get(part.material, 0)
        )
        picture[window] += cover * (colour * rounding[..., None] - picture[window])
    return np.asarray(picture)


def _shadow(mover: Mover, x: Plane, y: Plane) -> Plane:
    # Where it touches the ground less light arrives; without it objects float.
    spread = REACH[mover.kind] * 0.75
    return np.asarray(1 - 0.45 * np.exp(-((x / spread) ** 2) - ((y + 0.005) / 0.045) ** 2))


def _texture(mover: Mover, x: Plane, y: Plane) -> Light:
    # A part of the other panorama, about 45 degrees high: the pattern of cloth, fur or paint.
    rays = np.stack([0.8 * (x - 0.1), 0.8 * (y - 0.5), np.ones_like(x)], axis=-1)
    return mover.texture.sample(mover.aim.to_world(rays))
