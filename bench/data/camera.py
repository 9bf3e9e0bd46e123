"""The simulated camera: where it stands and looks, and its sensor (noise, clipping, gamma, quantisation).

Axes of the world and of the camera: x to the right, y up, z ahead. Angles are in degrees, lengths in metres; the
world's origin is the lens at the reference frame's moment.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.color.exposure import encode
from bench.core.scene import Array

FULL = 65535
"""Full range of a stored frame."""

Vectors = NDArray[np.float64]
"""(..., 3) float64 directions, of any length."""


@dataclass(frozen=True)
class Lens:
    """A pinhole camera: size in pixels, horizontal field of view in degrees."""

    width: int
    height: int
    field_of_view: float

    @property
    def focal(self) -> float:
        """Focal length in pixels."""
        return self.width / 2 / math.tan(math.radians(self.field_of_view) / 2)

    def rays(self) -> Vectors:
        """Directions through all pixel centres in camera axes, (H, W, 3), not normalised (z = 1)."""
        x = (np.arange(self.width) + 0.5 - self.width / 2) / self.focal
        y = (self.height / 2 - np.arange(self.height) - 0.5) / self.focal
        xs, ys = np.meshgrid(x, y)
        return np.stack([xs, ys, np.ones_like(xs)], axis=-1)

    def ray(self, x: float, y: float) -> Vectors:
        """Direction through the point (x, y), pixels from the top left corner, in camera axes: (3,), z = 1."""
        return np.array([(x - self.width / 2) / self.focal, (self.height / 2 - y) / self.focal, 1.0])


@dataclass(frozen=True)
class Pose:
    """Where a camera looks: yaw to the right, pitch up, roll clockwise, in degrees."""

    yaw: float
    pitch: float
    roll: float = 0.0

    def to_world(self, rays: Vectors) -> Vectors:
        """Turn directions from camera axes to world axes, (..., 3)."""
        x, y, z = rays[..., 0], rays[..., 1], rays[..., 2]
        # Written out instead of as matrix products: BLAS may round differently from machine to machine.
        c, s = _turn(self.roll)
        x, y = c * x + s * y, c * y - s * x
        c, s = _turn(self.pitch)
        y, z = c * y + s * z, c * z - s * y
        c, s = _turn(self.yaw)
        x, z = c * x + s * z, c * z - s * x
        return np.stack([x, y, z], axis=-1)

    def to_camera(self, vectors: Vectors) -> Vectors:
        """Turn directions from world axes to camera axes, (..., 3): `to_world` undone."""
        axes = [self.to_world(axis) for axis in np.eye(3)]
        x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
        return np.stack([x * axis[0] + y * axis[1] + z * axis[2] for axis in axes], axis=-1)

    def angle_to(self, other: "Pose") -> float:
        """Angle between the two optical axes in degrees."""
        ahead = np.array([0.0, 0.0, 1.0])
        cosine = float((self.to_world(ahead) * other.to_world(ahead)).sum())
        return math.degrees(math.acos(min(1.0, max(-1.0, cosine))))


def _turn(degrees: float) -> tuple[float, float]:
    angle = math.radians(degrees)
    return math.cos(angle), math.sin(angle)


@dataclass(frozen=True)
class Station:
    """A camera in the world: its pose, and the position of its lens, (x, y, z) in metres."""

    pose: Pose
    position: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def place(self, lens: Lens, points: Vectors) -> tuple[Vectors, Vectors, Vectors]:
        """Where world points (..., 3) lie in the picture: x and y in pixels from the top left corner, depth in metres.

        x and y mean nothing where the depth isn't positive.
        """
        x, y, z = np.moveaxis(self.pose.to_camera(points - np.array(self.position)), -1, 0)
        ahead = np.where(z > 0, z, 1.0)
        return lens.width / 2 + lens.focal * x / ahead, lens.height / 2 - lens.focal * y / ahead, z


@dataclass(frozen=True)
class Dome:
    """What a panorama shows, given a shape: a floor and a dome. Seen from the origin it looks like the panorama.

    camera_height : of the origin above the floor, metres.
    radius        : of the dome round the origin, metres, larger than `camera_height`.
    """

    camera_height: float
    radius: float

    def meet(self, station: Station, directions: Vectors) -> Vectors:
        """Points (..., 3), in metres, where rays from the station's lens along world directions (..., 3) meet it."""
        position = np.array(station.position)
        # The farther root of |position + t * direction| = radius; the lens is inside.
        square = (directions * directions).sum(axis=-1)
        half = (directions * position).sum(axis=-1)
        rest = self.radius**2 - float((position * position).sum())
        far = (np.sqrt(half * half + square * rest) - half) / square
        down = directions[..., 1] < 0
        floor = (-self.camera_height - position[1]) / np.where(down, directions[..., 1], -1.0)
        return np.asarray(position + np.where(down & (floor < far), floor, far)[..., None] * directions)


def horizon(lens: Lens, pose: Pose) -> float:
    """Row of the horizon at the view's centre column, in pixels from the top; may lie outside the view."""
    return lens.height / 2 + lens.focal * math.tan(math.radians(pose.pitch))


def rotation_shift(lens: Lens, pose: Pose, other: Pose) -> float:
    """Median displacement of the picture by a turn from `pose` to `other`, in pixels."""
    rays = lens.rays()[::8, ::8]
    seen = other.to_camera(pose.to_world(rays))
    ahead = seen[..., 2] > 0.1
    moved = seen[ahead][:, :2] / seen[ahead][:, 2:] - rays[ahead][:, :2]
    return float(np.median(np.hypot(moved[:, 0], moved[:, 1]))) * lens.focal


def expose(
    radiance: Array, time: float, *, full_well: float, read_noise: float, bits: int, rng: np.random.Generator
) -> NDArray[np.uint16]:
    """Photograph relative radiance (H, W, 3), 1 saturating an exposure of time 1: (H, W, 3) uint16, as stored.

    Shot noise is Poisson over `full_well` electrons, read noise Gaussian with `read_noise` electrons. The result is
    clipped, gamma-encoded, quantised to 2^bits levels and spread over the full 16-bit range.
    """
    # Twice the full well is dozens of deviations above clipping: brighter light changes nothing but the time it takes.
    mean = np.clip(radiance * time * full_well, 0, 2 * full_well)
    # On a grid of 1/64 electron the draw doesn't hang on the last bit of the mean, which differs between machines.
    electrons = rng.poisson(np.rint(mean * 64) / 64) + read_noise * rng.standard_normal(mean.shape)
    levels = 2**bits - 1
    quantised = np.rint(encode(electrons / full_well) * levels)
    stored: NDArray[np.uint16] = np.rint(quantised * (FULL / levels)).astype(np.uint16)
    return stored


def saturated(frame: NDArray[np.uint16]) -> float:
    """Share of pixels of an (H, W, 3) frame whose brightest channel is at its full value."""
    return float((frame.max(axis=-1) == FULL).mean())


def dark(frame: NDArray[np.uint16]) -> float:
    """Share of pixels of an (H, W, 3) frame whose mean value is below 6/255 of the full one."""
    return float((frame.mean(axis=-1) < FULL * 6 / 255).mean())
