"""Evaluate: predict the scenes of a dataset with one run, and score them under the profile's protocol and others."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from bench.core.errors import UsageError, unknown_name
from bench.core.params import Params
from bench.core.progress import track
from bench.core.registry import datasets, methods, protocols
from bench.core.runs import Evaluation
from bench.io.container import list_scenes, read_scene
from bench.io.files import write_json_atomic
from bench.io.radiance import write_exr
from bench.io.tables import ScoreRow, write_scores
from bench.metrics.protocol import Protocol
from bench.stages import layout
from bench.stages.scoring.predict import PredictionCache, Predictor, predictor
from bench.stages.scoring.scoring import Outcome, Rules, Task, cache_folder, score_all
from bench.stages.training import environment, networks

SPLITS = ("test", "no-truth")
"""Roles of the splits that are predicted; only test scenes can be scored."""


def run(params: Params, cell: str, limit: int | None = None) -> None:
    """Write predictions (EXR) and score rows of evaluation `cell`, a key of the parameter file.

    Rows under the profile's protocol, with masks, go to scores/; those of the whole pictures under every protocol of
    `sensitivity` go to sensitivity/. `limit` stops after as many scenes of each split and prints their scores: a quick
    look, which writes nothing.
    """
    if cell not in params.evaluations:
        raise unknown_name("evaluation", cell, params.evaluations)
    entry = params.evaluations[cell]
    device = environment.start(params)
    if limit is None:
        tasks = _predict(params, cell, layout.predictions(params, entry.run, entry.dataset), device)
        _write(params, cell, tasks, _score(params, cell, tasks, device))
        if entry.weights is not None:
            card = json.loads(Path(entry.weights).with_suffix(".json").read_text(encoding="utf-8"))
            write_json_atomic(layout.foreign_card(params, entry), {**card, "run": cell, "variant": entry.variant})
        return
    with tempfile.TemporaryDirectory() as folder:
        tasks = _predict(params, cell, Path(folder), device, limit)
        _print(params, tasks, _score(params, cell, tasks, device))


def compared(params: Params) -> list[str]:
    """Names of the protocols that the same predictions are scored under, to be compared."""
    return list(protocols) if params.sensitivity == "all" else list(params.sensitivity)


def _predict(params: Params, cell: str, folder: Path, device: torch.device, limit: int | None = None) -> list[Task]:
    """Write a prediction for every scene; return what there is to score."""
    entry, tasks = params.evaluations[cell], []
    predict, kept = _predictor(params, entry, device), _kept(params, cell, limit)
    scenes = list(_scenes(params, entry, limit))
    for split, path in track(scenes, len(scenes), f"evaluate {cell}"):
        scene, file = read_scene(path), folder / split / f"{path.name}.exr"
        write_exr(file, kept.predict(predict, scene, path) if kept else predict(scene))
        if scene.radiance is not None:
            tasks.append(Task(scene.id, file, path))
    if kept:
        kept.tidy()
    return tasks


def _kept(params: Params, cell: str, limit: int | None) -> PredictionCache | None:
    """Return where slow predictions are kept; a quick look keeps none, and a network's change with its weights."""
    entry = params.evaluations[cell]
    if entry.run in params.runs or limit is not None:
        return None
    return PredictionCache.of(params, cell, params.variants[entry.variant], entry.code)


def _scenes(params: Params, entry: Evaluation, limit: int | None) -> Iterator[tuple[str, Path]]:
    layout.need(params, layout.scenes(params, entry.dataset), f"prepare {entry.dataset}")
    splits = [split for split, role in datasets[entry.dataset].splits.items() if role in SPLITS]
    folders = {split: layout.scenes(params, entry.dataset, split) for split in splits}
    # A set may lack a split, such as scenes without truth; it can't lack all.
    there = {split: folder for split, folder in folders.items() if folder.exists()} or folders
    for split, folder in there.items():
        yield from ((split, path) for path in list_scenes(folder)[:limit])


def _predictor(params: Params, entry: Evaluation, device: torch.device) -> Predictor:
    variant = params.variants[entry.variant]
    card = methods[variant.method]
    if entry.run in params.runs:
        return predictor(card, networks.read(params, entry.run), device, params.tile)
    if variant.weights is not None:
        return predictor(card, networks.read_foreign(params, entry.variant), device, params.tile)
    return predictor(card, None, device, preset=variant.preset, options=variant.options)


def _score(params: Params, cell: str, tasks: Sequence[Task], device: torch.device) -> list[Outcome]:
    own = protocols[params.protocol]
    others = tuple(protocols[name] for name in compared(params) if name != own.name)
    rules = Rules((own,), others, cache_folder(params), device.type)
    outcomes = score_all(tasks, rules, workers=params.threads, label=f"score {cell}")
    for task, outcome in zip(tasks, outcomes, strict=True):
        for finding in outcome.findings:
            if own.name not in outcome.scores:
                raise UsageError(f"scene {task.scene!r}: {finding.said}")
            print(f"{task.scene}: {finding.said}")
    return outcomes


def _write(params: Params, cell: str, tasks: Sequence[Task], outcomes: Sequence[Outcome]) -> None:
    own, blank = protocols[params.protocol], _row(params, params.evaluations[cell])
    rows = _rows(blank, own, tasks, outcomes)
    write_scores(layout.scores(params, cell), rows)
    whole = [row for name in compared(params) for row in _rows(blank, protocols[name], tasks, outcomes)]
    write_scores(layout.sensitivity(params, cell), [row for row in whole if "@" not in row.metric])


def _rows(blank: ScoreRow, protocol: Protocol, tasks: Sequence[Task], outcomes: Sequence[Outcome]) -> list[ScoreRow]:
    return [
        blank._replace(scene=task.scene, metric=metric, value=value, protocol=protocol.id)
        for task, outcome in zip(tasks, outcomes, strict=True)
        for metric, value in outcome.scores.get(protocol.name, {}).items()
    ]


def _row(params: Params, evaluation: Evaluation) -> ScoreRow:
    """The cells that all score rows of an evaluation share."""
    entry = params.runs.get(evaluation.run)
    return ScoreRow(
        profile=params.profile,
        method=params.variants[evaluation.variant].method,
        variant=evaluation.variant,
        trainset=entry.trainset if entry else "",
        seed=entry.seed if entry else None,
        dataset=evaluation.dataset,
        scene="",
        metric="",
        value=0.0,
        protocol="",
    )


def _print(params: Params, tasks: Sequence[Task], outcomes: Sequence[Outcome]) -> None:
    own = protocols[params.protocol]
    print(f"{len(tasks)} scenes under {own.id}; nothing was written")
    for metric in own.metrics if outcomes else ():
        print(f"{metric:<12} {np.mean([outcome.scores[own.name][metric] for outcome in outcomes]):.4f}")
