"""Write the page on the prepared scenes of one dataset, or of all that a profile has."""

import json
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.color.tonemap import for_display
from bench.core import layout
from bench.core.errors import UsageError, unknown_name
from bench.core.params import Params, load
from bench.core.progress import track
from bench.core.registry import ROOT, datasets, protocols
from bench.core.scene import Scene
from bench.data.checks import every_nth
from bench.data.statistics import measure
from bench.io.container import list_scenes, read_scene
from bench.io.files import write_text_atomic
from bench.report.figures.style import shrink
from bench.report.page.data_page import DataSection, SceneRow, render
from bench.report.scores.published import synthetic

THUMBNAIL = 110
"""Pixels of one frame's width."""

GAP = 3


def profiles() -> dict[str, Path]:
    """Return the parameter file of every profile by name."""
    found = [ROOT / "params.yaml", *sorted(ROOT.glob("profiles/*/params.yaml"))]
    return {load(path).profile: path for path in found if path.exists()}


def run(params: Params, name: str, out: Path | None = None, limit: int | None = None) -> Path:
    """Write the page on dataset `name` of this profile, or on all datasets of the profile `name`; return its path.

    A dataset that the profile doesn't use may have been prepared by hand.
    out   : default work/<profile>/data/<name>.html.
    limit : only the first scenes of each split.
    UsageError for a name that is neither, and where scenes aren't prepared yet.
    """
    names = [name]
    if name not in params.datasets and name not in datasets:
        known = profiles()
        if name not in known:
            raise unknown_name("dataset or profile", name, [*datasets, *known])
        params = load(known[name])
        names = list(params.datasets)
    sections = [_section(params, dataset, limit) for dataset in names]
    path = out or params.work / "data" / f"{name}.html"
    again = layout.command(params, f"data report --dataset {name}")
    write_text_atomic(path, render(params.profile, sections, again))
    return path


def _section(params: Params, dataset: str, limit: int | None) -> DataSection:
    card, rules = datasets[dataset], protocols[params.protocol]
    layout.need(params, layout.scenes(params, dataset), f"prepare {dataset}")
    record = layout.prepared(params, dataset)
    records: dict[str, Any] = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    folders = {split: layout.scenes(params, dataset, split) for split in params.splits(dataset)}
    found = [
        (split, path)
        for split, folder in folders.items()
        if folder.exists()
        for path in islice(list_scenes(folder), limit)
    ]
    if not found:
        again = layout.remake(params, f"prepare {dataset}")
        raise UsageError(f"{layout.scenes(params, dataset)}: no prepared scenes; run: {again}")
    rows = []
    for split, path in track(found, len(found), f"look at {dataset}"):
        scene = read_scene(path)
        figures = measure(scene, lambda scene: rules.areas(scene)["moving"])
        rows.append(SceneRow(split, path.name, strip(scene), figures, records.get(split, {}).get(path.name, {})))
    return DataSection(card, rows, dataset in synthetic(params))


def strip(scene: Scene) -> NDArray[np.uint8]:
    """Return the frames side by side, then the ground truth by mu-law, as one small picture (H, W, 3) uint8."""
    step = max(1, scene.frames.shape[2] // (4 * THUMBNAIL))
    pictures = [np.rint(255 * frame).astype(np.uint8) for frame in every_nth(scene, step)]
    if scene.radiance is not None:
        pictures.append(for_display(np.asarray(scene.radiance[::step, ::step])))
    small = [shrink(picture, THUMBNAIL) for picture in pictures]
    gap = np.full((small[0].shape[0], GAP, 3), 255, np.uint8)
    return np.concatenate([part for picture in small for part in (picture, gap)][:-1], axis=1)
