"""The bracket engine: real HDR panoramas in, exposure brackets with moving objects and truth out.

Views of one panorama never meet in two splits, and moving objects take their texture from another panorama of the same
split. Limits: a rotating camera shows no parallax, and there is one response curve (gamma 2.2).
"""

import csv
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.core.errors import UsageError
from bench.core.seeding import generator
from bench.core.simulation import Simulation
from bench.data.bracket import Bracket, ViewSpec, photograph
from bench.data.geometry import Pose
from bench.data.panorama import Panorama, load
from bench.io.atomic import replacing
from bench.io.ldr import write_tiff16
from bench.io.radiance import write_rgbe

FOLDERS = {"train": "Training", "test": "Test/EXTRA", "no-truth": "NoTruth"}
"""Where a split's scenes stand: Kalantari's layout, with a folder of its own for scenes without truth."""


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
    lights = {name: load(panoramas, name, settings.highlight_cap) for name in (*settings.train, *settings.test)}
    with replacing(out) as part:
        part.mkdir()
        rows = []
        for spec, draws, view in views(settings, lights):
            _write(part / FOLDERS[spec.split] / spec.name, view, settings, spec)
            rows.append(_row(settings, spec, draws, view))
            report(f"{spec.split} {spec.name}: accepted after {draws} draw(s)")
        _write_rows(part / "views.csv", rows)


def orders(settings: Simulation) -> list[ViewSpec]:
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


def views(settings: Simulation, lights: dict[str, Panorama]) -> Iterator[tuple[ViewSpec, int, Bracket]]:
    """Draw the views one after the other: what each became, the number of draws it took, and the bracket."""
    taken: dict[str, list[Pose]] = {name: [] for name in lights}
    for spec in orders(settings):
        yield _first_usable(settings, lights, spec, taken[spec.panorama])


def _first_usable(
    settings: Simulation, lights: dict[str, Panorama], spec: ViewSpec, taken: list[Pose]
) -> tuple[ViewSpec, int, Bracket]:
    for draw in range(settings.max_draws):
        rng = generator(settings.seed, "bracket", spec.split, spec.name, draw)
        pose = Pose(rng.uniform(0, 360), rng.uniform(*settings.pitch), settings.roll * rng.standard_normal())
        # Demanded less and less: where few directions are acceptable, views may lie close together.
        apart = settings.separation * max(0.0, 1 - 2 * draw / settings.max_draws)
        if any(pose.angle_to(other) < apart for other in taken):
            continue
        # The step changes with the draw: a panorama of small range has no view that 3 EV suit.
        step = settings.ev_steps[(spec.number + draw) % len(settings.ev_steps)]
        spec = replace(spec, step=step)
        view = photograph(settings, lights, spec, pose, rng)
        if view is not None:
            taken.append(pose)
            return spec, draw + 1, view
    raise UsageError(
        f"panorama {spec.panorama!r}: no acceptable view number {spec.number + 1} ({spec.split}) in "
        f"{settings.max_draws} draws. Ask for fewer views of it, or widen the acceptance bounds."
    )


def _row(settings: Simulation, spec: ViewSpec, draws: int, view: Bracket) -> dict[str, Any]:
    return {
        "split": spec.split,
        "scene": spec.name,
        "panorama": spec.panorama,
        "draws": draws,
        "ev": " ".join(map(str, spec.exposures)),
        "ev_step": spec.step,
        "bit_depth": spec.bits,
        "full_well_e": settings.full_well,
        "read_noise_e": settings.read_noise,
        **view.row,
    }


def _write(folder: Path, view: Bracket, settings: Simulation, spec: ViewSpec) -> None:
    # Names as a camera gives them: consecutive numbers that start anywhere.
    first = int(generator(settings.seed, "names", spec.split, spec.name).integers(1, 9990))
    for i, frame in enumerate(view.frames):
        write_tiff16(folder / f"IMG_{first + i:04d}.tif", frame)
    (folder / "exposure.txt").write_text("".join(f"{ev:.1f}\n" for ev in spec.exposures), encoding="ascii")
    if spec.split != "no-truth":
        write_rgbe(folder / "HDRImg.hdr", view.radiance)


def _write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["split", "scene"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
