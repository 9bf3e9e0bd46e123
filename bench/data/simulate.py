"""The bracket engine: real HDR panoramas in, exposure brackets of a hand-held camera and truth out.

The panorama lies on a floor and a dome; things of the foreground stand at their own distance, some of them move. The
camera turns and is moved by a few centimetres between frames, so that frames differ by parallax, by what is hidden, and
by what has gone elsewhere: all of it known. Views of one panorama never meet in two splits, and things take their
texture from another panorama of the same split. Limits: things are flat, and there is one response curve (gamma 2.2).
"""

import csv
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
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
from bench.data.camera import FULL, Dome, Lens, Pose, Station, dark, expose, rotation_shift, saturated
from bench.data.layouts.brackets import UNCOVERED
from bench.data.objects import BACKDROP, Followed, Light, Sight, composite, draw_things, follow
from bench.data.panorama import Panorama, load
from bench.io.files import replacing
from bench.io.ldr import write_mask, write_tiff16
from bench.io.radiance import write_rgbe

FOLDERS = {"train": "Training", "validation": "Validation", "test": "Test/EXTRA", "no-truth": "NoTruth"}
"""Where a split's scenes stand: Kalantari's layout, with folders of their own for what his set doesn't have."""

VIEWS = "views.csv"
"""The record of what was made, a row for each scene."""

Frame = NDArray[np.uint16]
"""(H, W, 3) uint16 RGB, gamma-encoded, full range."""


@dataclass(frozen=True)
class ViewSpec:
    """One view to make.

    number : from 0, among the views of its panorama.
    bits   : quantisation of its frames.
    step   : EV between its frames; whole but in the stress test.
    """

    split: str
    panorama: str
    number: int
    bits: int
    step: float

    @property
    def name(self) -> str:
        """Folder name: panorama and number, from 1."""
        return f"{self.panorama}-{self.number + 1:02d}"

    @property
    def exposures(self) -> tuple[float, ...]:
        """EVs as the exposure file states them: some start at 0, some are centred, as in the real set."""
        origin = 0 if self.step != 3 and self.number % 2 == 0 else -self.step
        return tuple(origin + i * self.step for i in range(3))

    @property
    def times(self) -> list[float]:
        """Relative exposure times, the shortest is 1."""
        return [2.0 ** (i * self.step) for i in range(3)]


@dataclass(frozen=True)
class Bracket:
    """One bracket.

    spec      : as it was taken; its step may differ from the one first asked for.
    pose      : of the reference frame's camera.
    frames    : short, middle, long.
    seen      : the light that each of them saw, (H, W, 3) float64, not clipped; 1 saturates the short frame.
    radiance  : (H, W, 3) float32 in [0, 1], the truth: what the middle frame sees; 1 saturates the short frame.
    moving    : (H, W) bool, where the middle frame shows a moving object.
    uncovered : (H, W) bool, where it shows what is hidden from another frame, or outside of it.
    electrons : of a pixel that just saturates.
    row       : its line of `views.csv`.
    """

    spec: ViewSpec
    pose: Pose
    frames: list[Frame]
    seen: list[Light]
    radiance: Radiance
    moving: NDArray[np.bool_]
    uncovered: NDArray[np.bool_]
    electrons: float
    row: dict[str, Any]


def simulate(settings: Simulation, panoramas: Path, out: Path, report: Callable[[str], None]) -> None:
    """Write every bracket that `settings` describes to the folder `out`, in Kalantari's layout, and `views.csv`.

    panoramas : folder of equirectangular `<name>.exr`.
    report    : called with one line of progress for each bracket.
    An earlier result at `out` is replaced once all is written. Equal settings give equal bytes. UsageError if a
    panorama is missing or isn't OpenEXR, if too few views of one are acceptable, or if `out` holds other files.
    """

    def write(part: Path) -> Iterator[dict[str, Any]]:
        for bracket in brackets(settings, panoramas):
            write_bracket(part / FOLDERS[bracket.spec.split] / bracket.spec.name, bracket, settings)
            report(f"{bracket.spec.split} {bracket.spec.name}: accepted after {bracket.row['draws']} draw(s)")
            yield bracket.row

    write_views(out, write)


def write_views(out: Path, write: Callable[[Path], Iterable[dict[str, Any]]]) -> None:
    """Have `write` fill a folder and tell its scenes, a row of `views.csv` each; the whole becomes `out` at the end.

    An earlier result there is replaced; UsageError if `out` holds other files.
    """
    out = Path(out)
    if out.exists() and any(out.iterdir()) and not (out / VIEWS).is_file():
        raise UsageError(f"{out}: holds files that weren't simulated; choose an empty folder for simulated brackets.")
    with replacing(out) as part:
        part.mkdir()
        rows = list(write(part))
        with (part / VIEWS).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]) if rows else ["split", "scene"], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def brackets(settings: Simulation, panoramas: Path) -> Iterator[Bracket]:
    """Draw the views one after the other; for the errors see `simulate`."""
    lights = load_all(settings, panoramas)
    taken: dict[str, list[Pose]] = {name: [] for name in lights}
    for spec in view_specs(settings):
        yield _first_usable(settings, lights, spec, taken[spec.panorama])


def load_all(settings: Simulation, panoramas: Path) -> dict[str, Panorama]:
    """Read the panoramas of every split that has views; UsageError if one is missing."""
    used = [names for split, names in settings.places.items() if settings.views[split] or split == "test"]
    return {name: load(panoramas, name, settings.highlight_cap) for names in used for name in names}


def view_specs(settings: Simulation) -> list[ViewSpec]:
    """List the views to make, panorama by panorama; scenes without truth are dealt round the test panoramas."""
    seen, depths = settings.test_views, settings.bit_depths
    wanted = [(split, name, range(settings.views[split])) for split, names in settings.places.items() for name in names]
    for i, name in enumerate(settings.test):
        count = len(range(i, settings.no_truth_scenes, len(settings.test)))
        # Numbers go on after the test views: a scene's name is unique across splits.
        wanted.append(("no-truth", name, range(seen, seen + count)))
    # Where a place has one view, bit depths and steps go round the places.
    first = {name: i for names in settings.places.values() for i, name in enumerate(names)}
    return [
        ViewSpec(
            split, name, k,
            depths[(k + first[name]) % len(depths)], settings.ev_steps[(k + first[name]) % len(settings.ev_steps)],
        )
        for split, name, numbers in wanted
        for k in numbers
    ]  # fmt: skip


def _first_usable(settings: Simulation, lights: Mapping[str, Panorama], spec: ViewSpec, taken: list[Pose]) -> Bracket:
    steps = settings.ev_steps
    start = steps.index(spec.step)
    for draw in range(settings.max_draws):
        rng = generator(settings.seed, "pose", spec.split, spec.name, draw)
        pose = Pose(rng.uniform(0, 360), rng.uniform(*settings.pitch), settings.roll * rng.standard_normal())
        # Demanded less and less: where few directions are acceptable, views may lie close together.
        apart = settings.separation * max(0.0, 1 - 2 * draw / settings.max_draws)
        if any(pose.angle_to(other) < apart for other in taken):
            continue
        # The step changes with the draw: a panorama of small range has no view that 3 EV suit.
        spec = replace(spec, step=steps[(start + draw) % len(steps)])
        if not _promising(settings, lights[spec.panorama], spec, pose):
            continue
        bracket = retake(settings, lights, spec, pose, draw + 1)
        if _usable(settings, bracket.frames):
            taken.append(pose)
            return bracket
    raise UsageError(
        f"panorama {spec.panorama!r}: no acceptable view number {spec.number + 1} ({spec.split}) in "
        f"{settings.max_draws} draws. Ask for fewer views of it, or widen the acceptance bounds."
    )


def _promising(settings: Simulation, light: Panorama, spec: ViewSpec, pose: Pose) -> bool:
    """Look before the costly part: whether the place alone, without noise and things, would do."""
    lens = _lens(settings)
    directions = pose.to_world(lens.rays())
    # Seen from a little way off, another few degrees come in at the border.
    wide = Lens(lens.width, lens.height, min(settings.field_of_view + 6, 125))
    if light.shows_flaws(pose.to_world(wide.rays())):
        return False
    view = light.sample(directions)
    white = _white(settings, view)
    return _usable(settings, [np.rint(FULL * encode(view / white, time)).astype(np.uint16) for time in spec.times])


def retake(
    settings: Simulation, lights: Mapping[str, Panorama], spec: ViewSpec, pose: Pose, draws: int = 1,
    white_of: Callable[[Light], float] | None = None,
) -> Bracket:  # fmt: skip
    """Take one bracket with the reference frame's camera in `pose`, whether or not it is within the bounds.

    lights   : the panoramas of the view's split, by name.
    draws    : what `views.csv` says of how many were tried.
    white_of : chooses, from the light of the place without things, the radiance that just saturates the short frame;
               None: `settings.white_percentile` does.
    Camera, things and sensor draw from streams of their own: a setting that is turned changes nothing else of the view.
    """
    lens, light = _lens(settings), lights[spec.panorama]
    camera, world, sensor = (
        generator(settings.seed, what, spec.split, spec.name, draws) for what in ("camera", "things", "sensor")
    )
    dome = _dome(settings, spec.panorama, camera)
    stations = [Station(pose) if i == 1 else _shaken(settings, pose, camera) for i in range(3)]
    meets = [dome.meet(station, station.pose.to_world(lens.rays())) for station in stations]
    plain = light.sample(meets[1])
    white = white_of(plain) if white_of else _white(settings, plain)

    sight = Sight(plain / white, pose, lens, dome)
    others = [lights[name] for name in settings.neighbours(spec.panorama)]
    things = draw_things(sight, settings, spec.panorama, others, world)
    seats = [[thing.seat(lens, pose, station) for thing in things] for station in stations]
    covered = [
        composite(light.sample(points) / white, things, i, settings.blur, seats[i]) for i, points in enumerate(meets)
    ]
    middle = covered[1].owner
    movers = [number for number, thing in enumerate(things) if thing.moves]
    moving = np.isin(middle, movers)
    # The way of a surface by the camera's translation alone is the parallax; turning moves all of it alike.
    still = [replace(thing, path=(0.0, 0.0, 0.0), drop=0.0) for thing in things]
    turned = [Station(pose, station.position) for station in stations]
    followed = [follow(sight, things, middle, i, stations[i], seats[i], covered[i].owner) for i in (0, 2)]
    parallax = [
        follow(sight, still, middle, i, turned[i], [t.seat(lens, pose, turned[i]) for t in still], middle)
        for i in (0, 2)
    ]  # fmt: skip

    fewest, most = settings.electrons
    electrons = fewest * (most / fewest) ** sensor.uniform()
    frames = [
        develop(seen.light, time, spec, electrons, settings.read_noise, sensor)
        for seen, time in zip(covered, spec.times, strict=True)
    ]
    uncovered = followed[0].hidden | followed[1].hidden
    row = {
        "split": spec.split,
        "scene": spec.name,
        "panorama": spec.panorama,
        "draws": draws,
        "ev": " ".join(map(str, spec.exposures)),
        "ev_step": spec.step,
        "bit_depth": spec.bits,
        "electrons": f"{electrons:.0f}",
        "read_noise_e": settings.read_noise,
        **{
            f"{name}_saturated": f"{saturated(f):.4f}" for name, f in zip(("short", "mid", "long"), frames, strict=True)
        },
        "mid_dark": f"{dark(frames[1]):.4f}",
        "yaw_deg": f"{pose.yaw:.2f}",
        "pitch_deg": f"{pose.pitch:.2f}",
        "camera_height_m": f"{dome.camera_height:.2f}",
        "radius_m": f"{dome.radius:.2f}",
        "translation_cm": f"{100 * max(math.hypot(*stations[i].position) for i in (0, 2)):.2f}",
        "camera_rotation_px": f"{max(rotation_shift(lens, pose, stations[i].pose) for i in (0, 2)):.2f}",
        "parallax_px": f"{max(_parallax(one) for one in parallax):.2f}",
        "objects": " ".join(thing.kind for thing in things if thing.moves),
        "foreground": " ".join(thing.kind for thing in things if not thing.moves),
        "textures": " ".join(thing.texture.name for thing in things),
        "object_motion_px": f"{max((abs(d) for thing in things for d in thing.path), default=0):.2f}",
        "moving_share": f"{moving.mean():.4f}",
        "static_share": f"{((middle != BACKDROP) & ~moving).mean():.4f}",
        "uncovered_share": f"{uncovered.mean():.4f}",
    }
    truth = np.clip(covered[1].light, 0, 1).astype(np.float32)
    return Bracket(spec, pose, frames, [seen.light for seen in covered], truth, moving, uncovered, electrons, row)


def develop(
    light: Light, time: float, spec: ViewSpec, electrons: float, read_noise: float, rng: np.random.Generator
) -> Frame:
    """Expose (H, W, 3) light, 1 saturating time 1, as this view's camera does."""
    return expose(light, time, full_well=electrons, read_noise=read_noise, bits=spec.bits, rng=rng)


def _lens(settings: Simulation) -> Lens:
    return Lens(settings.width, settings.height, settings.field_of_view)


def _white(settings: Simulation, view: Light) -> float:
    return float(np.percentile(view.max(axis=-1), settings.white_percentile))


def _dome(settings: Simulation, panorama: str, rng: np.random.Generator) -> Dome:
    near, far = settings.radius_indoors if panorama in settings.indoors else settings.radius
    return Dome(rng.uniform(*settings.camera_height), near * (far / near) ** rng.uniform())


def _shaken(settings: Simulation, pose: Pose, rng: np.random.Generator) -> Station:
    turn, way = settings.rotation_jitter * rng.standard_normal(3), settings.translation * rng.standard_normal(3)
    angles = (float(angle + by) for angle, by in zip((pose.yaw, pose.pitch, pose.roll), turn, strict=True))
    # Arms give way sideways more than up and down.
    return Station(Pose(*angles), (float(way[0]), 0.6 * float(way[1]), float(way[2])))


def _parallax(followed: Followed) -> float:
    """Pixels by which the nearest surfaces move against the farthest, but for the last per cent on either side."""
    low, high = np.percentile(followed.moved.reshape(-1, 2), [1, 99], axis=0)
    return float(np.hypot(*(high - low)))


def _usable(settings: Simulation, frames: list[Frame]) -> bool:
    (low, high), (least, most) = settings.mid_saturated, settings.long_saturated
    middle, long = saturated(frames[1]), saturated(frames[2])
    return low <= middle <= high and least <= long <= most and dark(frames[1]) < settings.mid_dark


def write_bracket(folder: Path, bracket: Bracket, settings: Simulation) -> None:
    """Write frames and exposures of a bracket; truth and uncovered pixels too, but for scenes without truth."""
    # Names as a camera gives them: consecutive numbers that start anywhere.
    spec = bracket.spec
    first = int(generator(settings.seed, "names", spec.split, spec.name).integers(1, 9990))
    for i, frame in enumerate(bracket.frames):
        write_tiff16(folder / f"IMG_{first + i:04d}.tif", frame)
    write_evs(folder / "exposure.txt", spec)
    if spec.split != "no-truth":
        write_rgbe(folder / "HDRImg.hdr", bracket.radiance)
        write_mask(folder / UNCOVERED, bracket.uncovered)


def write_evs(path: Path, spec: ViewSpec) -> None:
    """Write the EVs of a view's frames, one a line, as Kalantari's set does."""
    path.write_text("".join(f"{ev:.1f}\n" for ev in spec.exposures), encoding="ascii")
