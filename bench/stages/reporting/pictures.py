"""The report's pictures of scenes: which to show is decided here from files, how in `bench.report`."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.core import layout
from bench.core.params import Params
from bench.core.places import place
from bench.core.registry import datasets, protocols
from bench.core.scene import Array
from bench.core.stress import BETWEEN
from bench.io.container import list_scenes, read_scene
from bench.io.radiance import read_exr
from bench.report.figures.figures import contact_sheet
from bench.report.figures.images import Exhibit, choose, crop_figure
from bench.report.figures.style import shrink
from bench.report.page.page import Figure, PageSection
from bench.report.results.inputs import Measured
from bench.report.scores import unscored
from bench.report.table.table import Table

SHOWN = {"test": 3, "no-truth": 2}
"""Roles of the splits that are predicted, and how many of their scenes to show."""

AREAS = ("saturated", "moving")
"""Masks that decide on scenes and crops: every scene has these."""

THUMBNAIL = 130


def sections(params: Params, scores: pd.DataFrame, measured: Measured) -> list[PageSection]:
    """Return crops with truth, crops without, the contact sheet of each tested data set, and what isn't scored."""
    tested = list(dict.fromkeys(entry.dataset for entry in params.evaluations.values()))
    crops, missing, unscored_sets = [], [], _unscored(params, measured)
    for dataset in tested if params.tables.crops else ():
        for split, most in _splits(dataset, *SHOWN).items():
            found = scenes_of(params, dataset, split)
            crops += [_crops(measured, scores, dataset, split, found[name]) for name in _chosen(params, found, most)]
            missing += [] if found else [f"No prepared {split} scenes of {dataset} in this profile."]
    intro = (
        "Scenes are those with the largest saturated and moving shares, from different places first. "
        "Methods have their names in the tables and, on a line of its own where it is another, that of our variant."
    )
    made = [PageSection("crops", "Crops", intro if crops else "", unscored_sets, crops, missing)]
    sheets = [figure for dataset in tested for figure in _sheet(params, dataset)]
    none = [] if sheets else ["No prepared test scenes in this profile."]
    views = PageSection("views", "Test views", figures=sheets, missing=none)
    return [*(made if params.tables.crops or unscored_sets else []), views]


def _unscored(params: Params, measured: Measured) -> list[Table]:
    """List what was predicted for sets that have no split with truth."""
    found = []
    for entry in params.evaluations.values():
        if "test" not in datasets[entry.dataset].splits.values():
            run = params.runs.get(entry.run)
            variant, trainset, seed = (run.variant, run.trainset, run.seed) if run else (entry.run, "", None)
            scenes = len(list(layout.predictions(params, entry.run, entry.dataset).rglob("*.exr")))
            found.append(unscored.Predicted(entry.dataset, variant, trainset, seed, scenes))
    made = unscored.table(measured, found)
    return [made] if made else []


def _splits(dataset: str, *roles: str) -> dict[str, int]:
    """Return the dataset's splits that have one of these roles, and how many of their scenes to show."""
    return {split: SHOWN[role] for split, role in datasets[dataset].splits.items() if role in roles}


def scenes_of(params: Params, dataset: str, split: str) -> dict[str, Path]:
    """Return the prepared scenes of a split by their names, none where nothing was prepared."""
    folder = layout.scenes(params, dataset, split)
    return {path.name: path for path in list_scenes(folder)} if folder.exists() else {}


def _chosen(params: Params, found: dict[str, Path], most: int) -> list[str]:
    interest = {}
    for name, path in found.items():
        areas = protocols[params.protocol].areas(read_scene(path))
        interest[name] = (place(name), float(sum(areas[area].mean() for area in AREAS)))
    return choose(interest, most)


def _crops(measured: Measured, scores: pd.DataFrame, dataset: str, split: str, path: Path) -> Figure:
    params, scene = measured.params, read_scene(path)
    labels = {variant: measured.label(variant).replace(" · ", "\n") for variant in params.tables.crops}
    runs = {variant: run_of(params, variant, dataset) for variant in labels}
    files = {
        labels[v]: layout.predictions(params, run, dataset) / split / f"{path.name}.exr" for v, run in runs.items()
    }
    predictions = {text: read_exr(file) if file.exists() else None for text, file in files.items()}
    rows = scores[(scores["dataset"] == dataset) & (scores["scene"] == scene.id) & (scores["metric"] == "psnr-mu")]
    known = {} if scene.radiance is None else {v: _value(params, rows, v, run) for v, run in runs.items()}
    values = {labels[variant]: value for variant, value in known.items() if value is not None}
    found = protocols[params.protocol].areas(scene)
    areas = {name: found[name] for name in AREAS}
    scored = f" PSNR-μ: protocol {params.protocol}." if values else ""
    said = "a scene without truth, so no error maps. After the paper's Figs. 8 and 9."
    if scene.radiance is not None:
        said = f"with truth and error maps. After the paper's Figs. 5 and 6.{scored}"
    drawn = crop_figure(Exhibit(scene, areas, predictions, values))
    return Figure(f"crops_{dataset}_{split}_{path.name}", drawn, f"{dataset}, {path.name}", f"{path.name}: {said}")


def run_of(params: Params, variant: str, dataset: str) -> str:
    """Choose the run that stands for a variant: tested on the set, if possible trained on it, the lowest seed."""
    order = list(params.datasets)
    own = {name: run for name, run in params.runs.items() if run.variant == variant}
    tested = {entry.run for entry in params.evaluations.values() if entry.dataset == dataset}
    ranked = [
        (run.trainset != dataset, order.index(run.trainset), run.seed, name)
        for name, run in own.items()
        if name in tested or not own.keys() & tested
    ]
    return min(ranked)[-1] if ranked else variant


def _value(params: Params, rows: pd.DataFrame, variant: str, run: str) -> float | None:
    """Return PSNR-mu of the whole picture in dB from a scene's rows, if the variant was scored on it."""
    rows = rows[rows["variant"] == variant]
    if entry := params.runs.get(run):
        rows = rows[(rows["trainset"] == entry.trainset) & (rows["seed"] == entry.seed)]
    return float(rows["value"].iloc[0]) if len(rows) else None


def _eight_bits(frames: Array) -> list[NDArray[np.uint8]]:
    """Frames as pictures, of every n-th pixel where they are much larger than a thumbnail."""
    step = max(1, frames.shape[2] // (4 * THUMBNAIL))
    full = np.float32(np.iinfo(frames.dtype).max)
    return [np.rint(frame[::step, ::step] / full * 255).astype(np.uint8) for frame in frames]


def _some_takes(found: dict[str, Path]) -> dict[str, Path]:
    """Of views that were taken many times, keep the first, as it is and with each knob at its last value."""
    first = min((name.partition(BETWEEN)[0] for name in found if BETWEEN in name), default="")
    last = {name.rpartition("-")[0]: name for name in sorted(found) if name.startswith(f"{first}{BETWEEN}")}
    return {name: found[name] for name in last.values()} if first else found


def _sheet(params: Params, dataset: str) -> list[Figure]:
    views = []
    shown = _splits(dataset, "test") or _splits(dataset, "no-truth")
    found = {name: path for split in shown for name, path in scenes_of(params, dataset, split).items()}
    for name, path in _some_takes(found).items():
        scene = read_scene(path)
        frames = [shrink(frame, THUMBNAIL) for frame in _eight_bits(scene.frames)]
        times = ", ".join(f"{time:g}" for time in scene.times)
        views.append((f"{name}, t = {times}", frames))
    which = "One view, and how it was taken" if any(BETWEEN in name for name in found) else "Each test view"
    caption = f"{which}: frames as stored, short to long; t is the relative exposure time."
    return [Figure(f"contact_{dataset}", contact_sheet(views), f"Test views of {dataset}", caption)] if views else []
