"""The bracket engine: real HDR panoramas in, exposure brackets with moving objects and truth out.

Views of one panorama never meet in two splits, and moving objects take their texture from another panorama of the same
split. Limits: a rotating camera shows no parallax, and there is one response curve (gamma 2.2).
"""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.core.errors import UsageError
from bench.core.scene import Radiance
from bench.core.seeding import generator
from bench.core.simulation import Simulation
from bench.data.geometry import Lens, Pose, shift
from bench.data.objects import Mover, composite, draw_movers
from bench.data.panorama import Panorama, load
from bench.data.sensor import dark, expose, saturated
from bench.io.atomic import replacing
from bench.io.ldr import write_tiff16
from bench.io.radiance import write_rgbe

FOLDERS = {"train": "Training", "test": "Test/EXTRA", "no-truth": "NoTruth"}
"""Where a split's scenes stand: Kalantari's layout, with a folder of its own for scenes without truth."""

Report = Callable[[str], None]


@dataclass(frozen=True)
class View:
    """One accepted bracket: three codes arrays short to long, the truth at the middle one's moment, its row."""

    codes: tuple[NDArray[np.uint16], ...]
    truth: Radiance
    exposures: tuple[int, ...]
    row: dict[str, Any]


@dataclass(frozen=True)
class Order:
    """What one view shall be: its place and its quantisation."""

    split: str
    panorama: str
    number: int
    bits: int

    @property
    def name(self) -> str:
        """Folder name: panorama and number, from 1."""
        return f"{self.panorama}-{self.number + 1:02d}"

    def exposures(self, step: int) -> tuple[int, ...]:
        """EVs as the exposure file states them: some start at 0, some are centred, as in the real set."""
        origin = 0 if step != 3 and self.number % 2 == 0 else -step
        return tuple(origin + i * step for i in range(3))


def simulate(settings: Simulation, panoramas: Path, out: Path, report: Report) -> None:
    """Write every bracket that `settings` describes to the new folder `out`, in Kalantari's layout, and `views.csv`.

    panoramas : folder of equirectangular `<name>.exr`.
    report    : called with one line of progress for each bracket.
    An earlier result at `out` is replaced once all is written. Equal settings give equal bytes. UsageError if a
    panorama is missing or isn't OpenEXR, if too few views of one are acceptable, or if `out` holds other files.
    """
    out = Path(out)
    if out.exists() and any(out.iterdir()) and not (out / "views.csv").is_file():
        raise UsageError(f"{out}: holds files that weren't simulated; choose an empty folder for simulated brackets.")
    names = [*settings.train, *settings.test]
    lights = {name: load(panoramas, name, settings.highlight_cap) for name in names}
    with replacing(out) as part:
        rows = []
        for view, order in views(settings, lights):
            _write(part / FOLDERS[order.split] / order.name, view, settings, order)
            rows.append(view.row)
            report(f"{order.split} {order.name}: accepted after {view.row['draws']} draw(s)")
        _write_rows(part / "views.csv", rows)


def orders(settings: Simulation) -> list[Order]:
    """List the views to make, panorama by panorama; scenes without truth follow the test views of theirs."""
    seen, depths = settings.test_views, settings.bit_depths
    wanted = [("train", name, range(settings.train_views)) for name in settings.train]
    wanted += [("test", name, range(seen)) for name in settings.test]
    for i, name in enumerate(settings.test):
        # Numbers go on after the test views: a scene's name is unique across splits.
        wanted.append(("no-truth", name, range(seen, seen + len(range(i, settings.no_truth_scenes, len(settings.test))))))
    return [Order(split, name, k, depths[k % len(depths)]) for split, name, numbers in wanted for k in numbers]


def views(settings: Simulation, lights: dict[str, Panorama]) -> Iterator[tuple[View, Order]]:
    """Draw the ordered views one after the other, each with where it belongs."""
    taken: dict[str, list[Pose]] = {name: [] for name in lights}
    for order in orders(settings):
        names = settings.train if order.split == "train" else settings.test
        others = [lights[name] for name in names if name != order.panorama]
        for draw in range(settings.max_draws):
            rng = generator(settings.seed, "bracket", order.split, order.name, draw)
            pose = _aim(settings, rng)
            if any(pose.angle_to(other) < settings.separation for other in taken[order.panorama]):
                continue
            # The step changes with the draw: a panorama of small range has no view that 3 EV suit.
            step = settings.ev_steps[(order.number + draw) % len(settings.ev_steps)]
            view = photograph(settings, lights[order.panorama], others, order, step, pose, rng)
            if view is not None:
                taken[order.panorama].append(pose)
                view.row["draws"] = draw + 1
                yield view, order
                break
        else:
            raise UsageError(
                f"panorama {order.panorama!r}: no acceptable view number {order.number + 1} ({order.split}) in "
                f"{settings.max_draws} draws. Ask for fewer views of it, or widen the acceptance bounds or separation."
            )


def _aim(settings: Simulation, rng: np.random.Generator) -> Pose:
    return Pose(rng.uniform(0, 360), rng.uniform(*settings.pitch), settings.roll * rng.standard_normal())


def photograph(
    settings: Simulation,
    light: Panorama,
    others: list[Panorama],
    order: Order,
    step: int,
    pose: Pose,
    rng: np.random.Generator,
) -> View | None:
    """Take one bracket, or None if the view isn't acceptable."""
    lens = Lens(settings.width, settings.height, settings.field_of_view)
    jitter = settings.rotation_jitter
    poses = [
        pose if i == 1 else Pose(*(a + jitter * rng.standard_normal() for a in (pose.yaw, pose.pitch, pose.roll)))
        for i in range(3)
    ]
    directions = [p.to_world(lens.rays()) for p in poses]
    if any(light.shows_flaws(d) for d in directions):
        return None
    plain = light.sample(directions[1])
    white = float(np.percentile(plain.max(axis=-1), settings.white_percentile))
    times = [2.0 ** (i * step) for i in range(3)]
    if not _usable(settings, [_ideal(plain / white, t) for t in times]):
        return None  # before the costly part: objects and noise change the shares little
    movers = draw_movers(plain / white, pose, lens, settings, light.name, others, rng)
    scenes = [
        composite(light.sample(d) / white, movers, i, settings.blur, _offset(lens, pose, poses[i]))
        for i, d in enumerate(directions)
    ]
    codes = [
        expose(s, t, full_well=settings.full_well, read_noise=settings.read_noise, bits=order.bits, rng=rng)
        for s, t in zip(scenes, times, strict=True)
    ]
    if not _usable(settings, codes):
        return None
    truth = np.clip(scenes[1], 0, 1).astype(np.float32)
    return View(tuple(codes), truth, order.exposures(step), _row(settings, order, step, codes, lens, poses, movers))


def _ideal(radiance: NDArray[np.float64], time: float) -> NDArray[np.uint16]:
    return np.rint(65535 * np.clip(radiance * time, 0, 1) ** (1 / 2.2)).astype(np.uint16)


def _usable(settings: Simulation, codes: list[NDArray[np.uint16]]) -> bool:
    (low, high), (least, most) = settings.mid_saturated, settings.long_saturated
    middle, long = saturated(codes[1]), saturated(codes[2])
    return low <= middle <= high and least <= long <= most and dark(codes[1]) < settings.mid_dark


def _offset(lens: Lens, pose: Pose, other: Pose) -> tuple[float, float]:
    # How far the camera's rotation moves the middle of the picture: objects stand in the same world.
    ahead = pose.to_world(np.array([0.0, 0.0, 1.0]))
    x, y, z = (float((ahead * other.to_world(axis)).sum()) for axis in np.eye(3))
    return lens.focal * x / z, -lens.focal * y / z


def _row(
    settings: Simulation,
    order: Order,
    step: int,
    codes: list[NDArray[np.uint16]],
    lens: Lens,
    poses: list[Pose],
    movers: list[Mover],
) -> dict[str, Any]:
    return {
        "split": order.split, "scene": order.name, "panorama": order.panorama,
        "yaw_deg": f"{poses[1].yaw:.2f}", "pitch_deg": f"{poses[1].pitch:.2f}",
        "ev": " ".join(map(str, order.exposures(step))), "ev_step": step, "bit_depth": order.bits,
        **{f"{name}_saturated": f"{saturated(c):.4f}" for name, c in zip(("short", "mid", "long"), codes, strict=True)},
        "mid_dark": f"{dark(codes[1]):.4f}",
        "camera_motion_px": f"{max(shift(lens, poses[1], poses[i]) for i in (0, 2)):.2f}",
        "objects": " ".join(m.kind for m in movers), "textures": " ".join(m.texture.name for m in movers),
        "object_motion_px": f"{max((abs(d) for m in movers for d in m.path), default=0):.2f}",
        "full_well_e": settings.full_well, "read_noise_e": settings.read_noise,
    }  # fmt: skip


def _write(folder: Path, view: View, settings: Simulation, order: Order) -> None:
    # Names as a camera gives them: consecutive numbers that start anywhere.
    first = int(generator(settings.seed, "names", order.split, order.name).integers(1, 9990))
    for i, codes in enumerate(view.codes):
        write_tiff16(folder / f"IMG_{first + i:04d}.tif", codes)
    (folder / "exposure.txt").write_text("".join(f"{ev:.1f}\n" for ev in view.exposures), encoding="ascii")
    if order.split != "no-truth":
        write_rgbe(folder / "HDRImg.hdr", view.truth)


def _write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["split", "scene"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
