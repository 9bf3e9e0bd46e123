"""One bracket: three frames of a view of a panorama, with moving objects, noise and truth, if it is a usable one."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.color.exposure import encode
from bench.core.scene import Radiance
from bench.core.simulation import Simulation
from bench.data.geometry import Lens, Pose, shift
from bench.data.objects import Light, Mover, Sight, composite, draw_movers
from bench.data.panorama import Panorama
from bench.data.sensor import FULL, dark, expose, saturated

Frame = NDArray[np.uint16]
"""(H, W, 3) uint16 RGB, gamma-encoded, full range."""


@dataclass(frozen=True)
class ViewSpec:
    """What one view shall be.

    number : from 0, among the views of its panorama.
    bits   : quantisation of its frames.
    step   : EV between its frames.
    """

    split: str
    panorama: str
    number: int
    bits: int
    step: int

    @property
    def name(self) -> str:
        """Folder name: panorama and number, from 1."""
        return f"{self.panorama}-{self.number + 1:02d}"

    @property
    def exposures(self) -> tuple[int, ...]:
        """EVs as the exposure file states them: some start at 0, some are centred, as in the real set."""
        origin = 0 if self.step != 3 and self.number % 2 == 0 else -self.step
        return tuple(origin + i * self.step for i in range(3))

    @property
    def times(self) -> list[float]:
        """Relative exposure times, the shortest is 1."""
        return [2.0 ** (i * self.step) for i in range(3)]


@dataclass(frozen=True)
class Bracket:
    """One accepted bracket.

    frames   : short, middle, long.
    seen     : the light that each of them saw, (H, W, 3) float64, not clipped; 1 saturates the short frame.
    radiance : (H, W, 3) float32 in [0, 1], what the middle frame sees at its moment; 1 saturates the short frame.
    row      : what `views.csv` tells of it.
    """

    frames: list[Frame]
    seen: list[Light]
    radiance: Radiance
    row: dict[str, Any]


def photograph(
    settings: Simulation, lights: dict[str, Panorama], spec: ViewSpec, pose: Pose, rng: np.random.Generator
) -> Bracket | None:
    """Take one bracket with the middle frame's camera at `pose`, or None if the view isn't acceptable."""
    lens, light = Lens(settings.width, settings.height, settings.field_of_view), lights[spec.panorama]
    poses = [pose if i == 1 else _jittered(pose, settings.rotation_jitter, rng) for i in range(3)]
    directions = [p.to_world(lens.rays()) for p in poses]
    if any(light.shows_flaws(d) for d in directions):
        return None
    plain = light.sample(directions[1])
    white = float(np.percentile(plain.max(axis=-1), settings.white_percentile))
    # Looked at before the costly part: objects and noise change the shares little.
    if not usable(settings, [_ideal(plain / white, time) for time in spec.times]):
        return None
    names = settings.train if spec.split == "train" else settings.test
    others = [lights[name] for name in names if name != spec.panorama]
    movers = draw_movers(Sight(plain / white, pose, lens), settings, spec.panorama, others, rng)
    seen = [
        composite(light.sample(d) / white, movers, i, settings.blur, _offset(lens, pose, poses[i]))
        for i, d in enumerate(directions)
    ]
    frames = [_expose(settings, s, time, spec.bits, rng) for s, time in zip(seen, spec.times, strict=True)]
    if not usable(settings, frames):
        return None
    radiance = np.clip(seen[1], 0, 1).astype(np.float32)
    return Bracket(frames, seen, radiance, _shares(frames) | _motion(lens, poses, movers))


def usable(settings: Simulation, frames: list[Frame]) -> bool:
    """Tell whether a bracket's shares of saturated and dark pixels lie in the accepted ranges."""
    (low, high), (least, most) = settings.mid_saturated, settings.long_saturated
    middle, long = saturated(frames[1]), saturated(frames[2])
    return low <= middle <= high and least <= long <= most and dark(frames[1]) < settings.mid_dark


def _jittered(pose: Pose, degrees: float, rng: np.random.Generator) -> Pose:
    return Pose(*(angle + degrees * rng.standard_normal() for angle in (pose.yaw, pose.pitch, pose.roll)))


def _expose(settings: Simulation, light: Light, time: float, bits: int, rng: np.random.Generator) -> Frame:
    return expose(light, time, full_well=settings.full_well, read_noise=settings.read_noise, bits=bits, rng=rng)


def _ideal(light: Light, time: float) -> Frame:
    frame: Frame = np.rint(FULL * encode(light, time)).astype(np.uint16)
    return frame


def _offset(lens: Lens, pose: Pose, other: Pose) -> tuple[float, float]:
    # How far the camera's rotation moves the middle of the picture: objects stand in the same world.
    ahead = pose.to_world(np.array([0.0, 0.0, 1.0]))
    x, y, z = (float((ahead * other.to_world(axis)).sum()) for axis in np.eye(3))
    return lens.focal * x / z, -lens.focal * y / z


def _shares(frames: list[Frame]) -> dict[str, str]:
    named = zip(("short", "mid", "long"), frames, strict=True)
    return {f"{name}_saturated": f"{saturated(f):.4f}" for name, f in named} | {"mid_dark": f"{dark(frames[1]):.4f}"}


def _motion(lens: Lens, poses: list[Pose], movers: list[Mover]) -> dict[str, str]:
    return {
        "yaw_deg": f"{poses[1].yaw:.2f}",
        "pitch_deg": f"{poses[1].pitch:.2f}",
        "camera_motion_px": f"{max(shift(lens, poses[1], poses[i]) for i in (0, 2)):.2f}",
        "objects": " ".join(mover.kind for mover in movers),
        "textures": " ".join(mover.texture.name for mover in movers),
        "object_motion_px": f"{max((abs(d) for mover in movers for d in mover.path), default=0):.2f}",
    }
