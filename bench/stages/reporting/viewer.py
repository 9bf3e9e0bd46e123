"""The report's viewer: which scenes and methods it holds is decided here from files, how in `bench.report.viewer`."""

import json
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from bench.core import layout
from bench.core.errors import UsageError
from bench.core.fingerprint import fingerprint
from bench.core.parallel import spread
from bench.core.params import Params
from bench.core.places import place
from bench.core.registry import datasets, protocols
from bench.core.scene import Array
from bench.io.container import read_scene
from bench.io.files import write_bytes_atomic
from bench.io.radiance import read_exr
from bench.metrics.protocol import Protocol
from bench.metrics.viewing import visibility
from bench.report.results.inputs import Measured
from bench.report.trace import digests
from bench.report.viewer import viewer
from bench.report.viewer.choice import chosen
from bench.report.viewer.viewer import SHOWN, Listed, ViewedScene
from bench.stages.reporting.pictures import run_of, scenes_of

SCENES, LIMIT = 16, 6_200_000
"""Most scenes, and bytes of their scripts: git keeps every version."""


class ViewerFiles(NamedTuple):
    """The page, and scene -> its script."""

    page: str
    scripts: dict[str, bytes]


class _Task(NamedTuple):
    """A scene to pack: name in the viewer, prepared scene, and variant -> its prediction."""

    name: str
    dataset: str
    scene: Path
    predictions: dict[str, Path]


def make(measured: Measured, scores: pd.DataFrame) -> ViewerFiles | None:
    """Make the viewer of what the profile predicted; None where no prediction was kept.

    Scripts are kept in the work folder, under hashes of what they are made from: HDR-VDP-2's maps take time.
    """
    params = measured.params
    tasks = list(islice(_tasks(measured), SCENES))
    pack = partial(_packed, protocols[params.protocol], cache_folder(params))
    scripts: dict[str, bytes] = {}
    for script, task in zip(spread(pack, tasks, params.threads, "viewer"), tasks, strict=True):
        if sum(map(len, (*scripts.values(), script))) <= LIMIT:
            scripts[task.name] = script
    if not scripts:
        return None
    labels = {variant: measured.label(variant) for task in tasks for variant in task.predictions}
    listed = [_listed(params, scores, task) for task in tasks if task.name in scripts]
    return ViewerFiles(viewer.render(params, labels, listed), scripts)


def cache_folder(params: Params) -> Path:
    """Folder of this profile's packed scenes: no output of a stage, and safe to delete."""
    return params.work / "viewer_cache"


def _tasks(measured: Measured) -> Iterator[_Task]:
    """Yield the scenes of which there are predictions."""
    params, names = measured.params, set[str]()
    for dataset, path in _views(params):
        runs = {variant: run_of(params, variant, dataset) for variant in chosen(params, measured.results, dataset)}
        folders = {variant: layout.predictions(params, run, dataset) for variant, run in runs.items()}
        files = {variant: folder / path.parent.name / f"{path.name}.exr" for variant, folder in folders.items()}
        there = {variant: file for variant, file in files.items() if file.exists()}
        if there:
            name = f"{dataset}-{path.name}" if path.name in names else path.name
            names.add(name)
            yield _Task(name, dataset, path, there)


def _views(params: Params) -> Iterator[tuple[str, Path]]:
    """Yield data set and folder of the tested scenes: those with truth first, and of every place a view first."""
    tested = dict.fromkeys(entry.dataset for entry in params.evaluations.values())
    for wanted in ("test", "no-truth"):
        splits = [(data, split) for data in tested for split, role in datasets[data].splits.items() if role == wanted]
        views = [(data, path) for data, split in splits for path in scenes_of(params, data, split).values()]
        before, turns = Counter[tuple[str, str]](), []
        for data, path in views:
            turns.append(before[data, place(path.name)])
            before[data, place(path.name)] += 1
        yield from (view for _, view in sorted(zip(turns, views, strict=True), key=itemgetter(0)))


def _packed(protocol: Protocol, cache: Path, task: _Task) -> bytes:
    """Return the script of a scene: the one that was kept, if nothing that it depends on has changed."""
    files = [task.scene / "scene.json", *task.predictions.values()]
    code = fingerprint("score", "bench/report/viewer/packing.py", "bench/report/viewer/viewer.py")
    parts = (task.name, list(task.predictions), [digests.of_file(file) for file in files], code)
    kept = cache / f"{digests.of_bytes(json.dumps([*parts, protocol.model_dump_json()]).encode())}.js"
    if kept.exists():
        return kept.read_bytes()
    scene = read_scene(task.scene)
    predictions = {variant: read_exr(file) for variant, file in task.predictions.items()}
    maps = {} if scene.radiance is None else {v: _seen(one, scene.radiance, protocol) for v, one in predictions.items()}
    made = viewer.script(
        ViewedScene(task.name, scene, predictions, {v: one for v, one in maps.items() if one is not None})
    )
    write_bytes_atomic(kept, made)
    return made


def _seen(prediction: Array, truth: Array | None, protocol: Protocol) -> Array | None:
    """Return HDR-VDP-2's map of visible differences; None without truth, or where there can be none."""
    from bench.metrics.scorer import Scorer

    if truth is None:
        return None
    try:
        found = visibility(Scorer(prediction, np.asarray(truth)).pair(protocol), protocol)
    except UsageError:
        return None
    seen: Array = np.nan_to_num(found.numpy())
    return seen if seen.shape == truth.shape[:2] else None


def _listed(params: Params, scores: pd.DataFrame, task: _Task) -> Listed:
    """Return a scene with the scores of what is shown of it."""
    rows = scores[(scores["dataset"] == task.dataset) & (scores["scene"] == read_scene(task.scene).id)]
    found: dict[str, dict[str, float]] = {}
    for variant in task.predictions:
        own = rows[rows["variant"] == variant]
        if run := params.runs.get(run_of(params, variant, task.dataset)):
            own = own[(own["trainset"] == run.trainset) & (own["seed"] == run.seed)]
        values = dict(zip(own["metric"], own["value"], strict=True))
        found[variant] = {metric: float(values[metric]) for metric in SHOWN if np.isfinite(values.get(metric, np.nan))}
    return Listed(task.name, task.dataset, task.scene.parent.name, found)
