"""The report's pictures of scenes: which to show is decided here from files, how in `bench.report`."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.core.params import Params
from bench.core.registry import datasets, protocols
from bench.core.scene import Radiance, Scene
from bench.io.container import list_scenes, read_scene
from bench.io.radiance import read_exr
from bench.metrics.intervals import place
from bench.report.figures.crops import Exhibit, choose, crop_figure
from bench.report.figures.figures import contact_sheet
from bench.report.figures.style import shrink
from bench.report.page.page import Figure, Section
from bench.report.results.inputs import Measured
from bench.report.scores import unscored
from bench.report.scores.masks import label
from bench.report.table.table import Table
from bench.stages import layout

SHOWN = {"test": 3, "no-truth": 2}
"""Roles of the splits that are predicted, and how many of their scenes to show."""

THUMBNAIL = 130


def sections(params: Params, scores: pd.DataFrame, measured: Measured) -> list[Section]:
    """Return crops with truth, crops without, the contact sheet of each tested data set, and what isn't scored."""
    tested = list(dict.fromkeys(cell.dataset for cell in params.evaluations.values()))
    crops, sheets, missing = [], [], []
    if not params.tables.crops:
        missing.append("The parameter file names no variants to show (`tables.crops` is empty).")
    for dataset in tested:
        for split, most in _splits(dataset, *SHOWN).items():
            found = _scenes(params, dataset, split) if params.tables.crops else {}
            crops += [_crops(measured, scores, dataset, split, found[name]) for name in _chosen(params, found, most)]
            if params.tables.crops and not found:
                missing.append(f"No prepared {split} scenes of {dataset} in this profile.")
        sheets += _sheet(params, dataset)
    none = [] if sheets else ["No prepared test scenes in this profile."]
    intro = (
        "Scenes are those with the largest saturated and moving shares, from different places first. "
        "Methods have their names in the tables and, on a line of its own where it is another, that of our variant."
    )
    return [
        Section("crops", "Crops", intro if crops else "", _unscored(params, measured), crops, missing),
        Section("views", "Test views", figures=sheets, missing=none),
    ]


def _unscored(params: Params, measured: Measured) -> list[Table]:
    """List what was predicted for sets that have no split with truth."""
    found = []
    for cell in params.evaluations.values():
        if "test" not in datasets[cell.dataset].splits.values():
            run = params.runs.get(cell.run)
            folder = layout.predictions(params, cell.run, cell.dataset)
            trainset, seed = (run.trainset, run.seed) if run else ("", None)
            scenes = len(list(folder.rglob("*.exr")))
            found.append(unscored.Predicted(cell.dataset, cell.variant, trainset, seed, scenes))
    made = unscored.table(measured, found)
    return [made] if made else []


def _splits(dataset: str, *roles: str) -> dict[str, int]:
    """Return the dataset's splits that have one of these roles, and how many of their scenes to show."""
    return {split: SHOWN[role] for split, role in datasets[dataset].splits.items() if role in roles}


def _scenes(params: Params, dataset: str, split: str) -> dict[str, Path]:
    folder = layout.scenes(params, dataset, split)
    return {path.name: path for path in list_scenes(folder)} if folder.exists() else {}


def _areas(params: Params, scene: Scene) -> dict[str, NDArray[np.bool_]]:
    areas: dict[str, NDArray[np.bool_]] = protocols[params.protocol].areas(scene)
    return areas


def _chosen(params: Params, found: dict[str, Path], most: int) -> list[str]:
    interest = {}
    for name, path in found.items():
        areas = _areas(params, read_scene(path))
        interest[name] = (place(name), float(sum(mask.mean() for mask in areas.values())))
    return choose(interest, most)


def _crops(measured: Measured, scores: pd.DataFrame, dataset: str, split: str, path: Path) -> Figure:
    params, scene = measured.params, read_scene(path)
    labels = {variant: label(variant, measured).replace(" · ", "\n") for variant in params.tables.crops}
    predictions = {text: _prediction(params, name, dataset, split, path.name) for name, text in labels.items()}
    known = {} if scene.radiance is None else {name: _value(params, scores, name, dataset, scene) for name in labels}
    values = {labels[name]: value for name, value in known.items() if value is not None}
    figure = crop_figure(Exhibit(scene, _areas(params, scene), predictions, values))
    scored = f" PSNR-μ: protocol {params.protocol}." if values else ""
    said = "a scene without truth, so no error maps. After the paper's Figs. 8 and 9."
    if scene.radiance is not None:
        said = f"with truth and error maps. After the paper's Figs. 5 and 6.{scored}"
    return Figure(
        f"crops_{dataset}_{split}_{path.name}",
        figure,
        f"{dataset}, {path.name}",
        f"{path.name}: {said}",
    )


def _run(params: Params, variant: str, dataset: str) -> str:
    order = list(params.datasets)
    own = {name: run for name, run in params.runs.items() if run.variant == variant}
    tested = [name for name in own if any(c.run == name and c.dataset == dataset for c in params.evaluations.values())]
    ranked = [
        (own[name].trainset != dataset, order.index(own[name].trainset), own[name].seed, name) for name in tested or own
    ]
    return min(ranked)[-1] if ranked else variant


def _value(params: Params, scores: pd.DataFrame, variant: str, dataset: str, scene: Scene) -> float | None:
    """Return PSNR-mu of the whole picture in dB, if the variant was scored on this scene."""
    run = params.runs.get(_run(params, variant, dataset))
    rows = scores[(scores["variant"] == variant) & (scores["dataset"] == dataset) & (scores["scene"] == scene.id)]
    rows = rows[rows["metric"] == "psnr-mu"]
    if run is not None:
        rows = rows[(rows["trainset"] == run.trainset) & (rows["seed"] == run.seed)]
    return float(rows["value"].iloc[0]) if len(rows) else None


def _prediction(params: Params, variant: str, dataset: str, split: str, scene: str) -> Radiance | None:
    folder = layout.predictions(params, _run(params, variant, dataset), dataset)
    path = folder / split / f"{scene}.exr"
    return read_exr(path) if path.exists() else None


def _eight_bits(scene: Scene) -> list[NDArray[np.uint8]]:
    """Frames as pictures, of every n-th pixel where they are much larger than a thumbnail."""
    step = max(1, scene.frames.shape[2] // (4 * THUMBNAIL))
    full = np.iinfo(scene.frames.dtype).max
    return [np.rint(frame[::step, ::step] / np.float32(full) * 255).astype(np.uint8) for frame in scene.frames]


def _sheet(params: Params, dataset: str) -> list[Figure]:
    views = []
    shown = _splits(dataset, "test") or _splits(dataset, "no-truth")
    for name, path in [item for split in shown for item in _scenes(params, dataset, split).items()]:
        scene = read_scene(path)
        frames = [shrink(frame, THUMBNAIL) for frame in _eight_bits(scene)]
        times = ", ".join(f"{time:g}" for time in scene.times)
        views.append((f"{name}, t = {times}", frames))
    caption = "Each test view's frames as stored, short to long; t is the relative exposure time."
    return [Figure(f"contact_{dataset}", contact_sheet(views), f"Test views of {dataset}", caption)] if views else []
