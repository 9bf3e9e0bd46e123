"""The bracket engine: real HDR panoramas in, exposure brackets with moving objects and truth out.

Views of one panorama never meet in two splits, and moving objects take their texture from another panorama of the same
split. Limits: a rotating camera shows no parallax, and there is one response curve (gamma 2.2).
"""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.color.exposure import encode
from bench.core.errors import UsageError
from bench.core.scene import Radiance
from bench.core.seeding import generator
from bench.core.simulation import Simulation
from bench.data.camera import FULL, Lens, Pose, dark, expose, saturated, shift
from bench.data.objects import Light, Sight, composite, draw_movers
from bench.data.panorama import Panorama, load
from bench.io.files import replacing
from bench.io.ldr import write_tiff16
from bench.io.radiance import write_rgbe

FOLDERS = {"train": "Training", "test": "Test/EXTRA", "no-truth": "NoTruth"}
"""Where a split's scenes stand: Kalantari's layout, with a folder of its own for scenes without truth."""

Frame = NDArray[np.uint16]
"""(H, W, 3) uint16 RGB, gamma-encoded, full range."""


@dataclass(frozen=True)
class ViewSpec:
    """One view to make.

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

    spec     : as it was taken; its step may differ from the one first asked for.
    frames   : short, middle, long.
    seen     : the light that each of them saw, (H, W, 3) float64, not clipped; 1 saturates the short frame.
    radiance : (H, W, 3) float32 in [0, 1], the truth: what the middle frame sees; 1 saturates the short frame.
    row      : its line of `views.csv`.
    """

    spec: ViewSpec
    frames: list[Frame]
    seen: list[Light]
    radiance: Radiance
    row: dict[str, Any]


def simulate(settings: Simulation, panoramas: Path, out: Path, report: Callable[[str], None]) -> None:
    """Write every bracket that `settings` describes to the folder `out`, in Kalantari's layout, and `views.csv`.

    panoramas : folder of equirectangular `<name>.exr`.
    report    : called with one line of progress for each bracket.
    An earlier result at `out` is replaced once all is written. Equal settings give equal bytes. UsageError if a
    panorama is missing or isn't OpenEXR, if too few views of one are acceptable, or if `out` holds other files.
    """
    out = Path(out)
    if out.exists() and any(out.iterdir()) and not (out / "views.csv").is_file():
        raise UsageError(f"{out}: holds files that weren't simulated; choose an empty folder for simulated brackets.")
    with replacing(out) as part:
        part.mkdir()
        rows = []
        for bracket in brackets(settings, panoramas):
            _write(part / FOLDERS[bracket.spec.split] / bracket.spec.name, bracket, settings)
            rows.append(bracket.row)
            report(f"{bracket.spec.split} {bracket.spec.name}: accepted after {bracket.row['draws']} draw(s)")
        with (part / "views.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]) if rows else ["split", "scene"], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def brackets(settings: Simulation, panoramas: Path) -> Iterator[Bracket]:
    """Draw the views one after the other; for the errors see `simulate`."""
    lights = {name: load(panoramas, name, settings.highlight_cap) for name in (*settings.train, *settings.test)}
    taken: dict[str, list[Pose]] = {name: [] for name in lights}
    for spec in view_specs(settings):
        yield _first_usable(settings, lights, spec, taken[spec.panorama])


def view_specs(settings: Simulation) -> list[ViewSpec]:
    """List the views to make, panorama by panorama; scenes without truth are dealt round the test panoramas."""
    seen, depths = settings.test_views, settings.bit_depths
    wanted = [("train", name, range(settings.train_views)) for name in settings.train]
    wanted += [("test", name, range(seen)) for name in settings.test]
    for i, name in enumerate(settings.test):
        count = len(range(i, settings.no_truth_scenes, len(settings.test)))
        # Numbers go on after the test views: a scene's name is unique across splits.
        wanted.append(("no-truth", name, range(seen, seen + count)))
    return [
        ViewSpec(split, name, k, depths[k % len(depths)], settings.ev_steps[k % len(settings.ev_steps)])
        for split, name, numbers in wanted
        for k in numbers
    ]


def _first_usable(settings: Simulation, lights: dict[str, Panorama], spec: ViewSpec, taken: list[Pose]) -> Bracket:
    for draw in range(settings.max_draws):
        rng = generator(settings.seed, "bracket", spec.split, spec.name, draw)
        pose = Pose(rng.uniform(0, 360), rng.uniform(*settings.pitch), settings.roll * rng.standard_normal())
        # Demanded less and less: where few directions are acceptable, views may lie close together.
        apart = settings.separation * max(0.0, 1 - 2 * draw / settings.max_draws)
        if any(pose.angle_to(other) < apart for other in taken):
            continue
        # The step changes with the draw: a panorama of small range has no view that 3 EV suit.
        spec = replace(spec, step=settings.ev_steps[(spec.number + draw) % len(settings.ev_steps)])
        bracket = _photograph(settings, lights, spec, pose, draw + 1, rng)
        if bracket is not None:
            taken.append(pose)
            return bracket
    raise UsageError(
        f"panorama {spec.panorama!r}: no acceptable view number {spec.number + 1} ({spec.split}) in "
        f"{settings.max_draws} draws. Ask for fewer views of it, or widen the acceptance bounds."
    )


def _photograph(
    settings: Simulation, lights: dict[str, Panorama], spec: ViewSpec, pose: Pose, draws: int, rng: np.random.Generator
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
    if not _usable(settings, [np.rint(FULL * encode(plain / white, t)).astype(np.uint16) for t in spec.times]):
        return None
    names = settings.train if spec.split == "train" else settings.test
    others = [lights[name] for name in names if name != spec.panorama]
    movers = draw_movers(Sight(plain / white, pose, lens), settings, spec.panorama, others, rng)
    seen = [
        composite(light.sample(d) / white, movers, i, settings.blur, _offset(lens, pose, poses[i]))
        for i, d in enumerate(directions)
    ]
    frames = [develop(s, time, spec, settings, rng) for s, time in zip(seen, spec.times, strict=True)]
    if not _usable(settings, frames):
        return None
    row = {
        "split": spec.split,
        "scene": spec.name,
        "panorama": spec.panorama,
        "draws": draws,
        "ev": " ".join(map(str, spec.exposures)),
        "ev_step": spec.step,
        "bit_depth": spec.bits,
        "full_well_e": settings.full_well,
        "read_noise_e": settings.read_noise,
        **{
            f"{name}_saturated": f"{saturated(f):.4f}" for name, f in zip(("short", "mid", "long"), frames, strict=True)
        },
        "mid_dark": f"{dark(frames[1]):.4f}",
        "yaw_deg": f"{pose.yaw:.2f}",
        "pitch_deg": f"{pose.pitch:.2f}",
        "camera_motion_px": f"{max(shift(lens, pose, poses[i]) for i in (0, 2)):.2f}",
        "objects": " ".join(mover.kind for mover in movers),
        "textures": " ".join(mover.texture.name for mover in movers),
        "object_motion_px": f"{max((abs(d) for mover in movers for d in mover.path), default=0):.2f}",
    }
    return Bracket(spec, frames, seen, np.clip(seen[1], 0, 1).astype(np.float32), row)


def develop(light: Light, time: float, spec: ViewSpec, settings: Simulation, rng: np.random.Generator) -> Frame:
    """Expose (H, W, 3) light, 1 saturating time 1, as this view's camera does."""
    return expose(light, time, full_well=settings.full_well, read_noise=settings.read_noise, bits=spec.bits, rng=rng)


def _jittered(pose: Pose, degrees: float, rng: np.random.Generator) -> Pose:
    return Pose(*(angle + degrees * rng.standard_normal() for angle in (pose.yaw, pose.pitch, pose.roll)))


def _usable(settings: Simulation, frames: list[Frame]) -> bool:
    (low, high), (least, most) = settings.mid_saturated, settings.long_saturated
    middle, long = saturated(frames[1]), saturated(frames[2])
    return low <= middle <= high and least <= long <= most and dark(frames[1]) < settings.mid_dark


def _offset(lens: Lens, pose: Pose, other: Pose) -> tuple[float, float]:
    # How far the camera's rotation moves the middle of the picture: objects stand in the same world.
    ahead = pose.to_world(np.array([0.0, 0.0, 1.0]))
    x, y, z = (float((ahead * other.to_world(axis)).sum()) for axis in np.eye(3))
    return lens.focal * x / z, -lens.focal * y / z


def _write(folder: Path, bracket: Bracket, settings: Simulation) -> None:
    # Names as a camera gives them: consecutive numbers that start anywhere.
    spec = bracket.spec
    first = int(generator(settings.seed, "names", spec.split, spec.name).integers(1, 9990))
    for i, frame in enumerate(bracket.frames):
        write_tiff16(folder / f"IMG_{first + i:04d}.tif", frame)
    write_evs(folder / "exposure.txt", spec)
    if spec.split != "no-truth":
        write_rgbe(folder / "HDRImg.hdr", bracket.radiance)


def write_evs(path: Path, spec: ViewSpec) -> None:
    """Write the EVs of a view's frames, one a line, as Kalantari's set does."""
    path.write_text("".join(f"{ev:.1f}\n" for ev in spec.exposures), encoding="ascii")
