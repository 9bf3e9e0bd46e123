"""Evaluate: predict the scenes of a dataset with one run, and score them under the profile's protocol and others."""

import math
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch

from bench.core import layout
from bench.core.errors import UsageError, unknown_name
from bench.core.params import Params
from bench.core.progress import track
from bench.core.registry import datasets, methods, protocols
from bench.core.runs import Evaluation, registration
from bench.io.container import list_scenes, read_scene
from bench.io.files import write_json_atomic
from bench.io.radiance import write_exr
from bench.io.tables import ScoreRow, write_scores
from bench.metrics.protocol import Protocol
from bench.stages.scoring.predict import PredictionCache, Predictor, predictor
from bench.stages.scoring.scoring import Outcome, Rules, Task, cache_folder, score_all
from bench.stages.training import environment, networks

SPLITS = ("test", "no-truth")
"""Roles of the splits that are predicted; only test scenes can be scored."""


def run(params: Params, name: str, limit: int | None = None) -> None:
    """Write predictions (EXR) and score rows of evaluation `name`, a key of the parameter file.

    Rows under the profile's protocol, with masks, go to scores/; those of the whole pictures under every protocol of
    `sensitivity` go to sensitivity/. `limit` stops after as many scenes of each split and prints their scores: a quick
    look, which writes nothing.
    """
    if name not in params.evaluations:
        raise unknown_name("evaluation", name, params.evaluations)
    evaluation = params.evaluations[name]
    device = environment.start(params)
    predict = _predictor(params, evaluation, device)

    # A network's predictions change with its weights, which no cache follows; a quick look keeps none.
    cached = evaluation.run not in params.runs and evaluation.weights is None and limit is None
    cache = PredictionCache.of(params, name, evaluation) if cached else None

    own = protocols[params.protocol].only(params.metrics)
    compared = [protocols[other] for other in (protocols if params.sensitivity == "all" else params.sensitivity)]
    others = tuple(other for other in compared if other.name != own.name)
    rules = Rules((own,), others, cache_folder(params), device.type)

    with ExitStack() as stack:
        folder = layout.predictions(params, evaluation.run, evaluation.dataset)
        if limit is None and not params.keep_predictions:  # an output of the pipeline, which must be there
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        if limit is not None or not params.keep_predictions:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))

        tasks = []
        scenes = list(_scenes(params, evaluation.dataset, limit))
        for split, path in track(scenes, len(scenes), f"evaluate {name}"):
            scene, file = read_scene(path), folder / split / f"{path.name}.exr"
            write_exr(file, cache.predict(predict, scene, path) if cache else predict(scene))
            if scene.radiance is not None:
                tasks.append(Task(scene.id, file, path))
        if cache:
            cache.tidy()

        outcomes = score_all(tasks, rules, workers=params.threads, label=f"score {name}")
        for task, outcome in zip(tasks, outcomes, strict=True):
            for finding in outcome.findings:
                if own.name not in outcome.scores:
                    raise UsageError(f"scene {task.scene!r}: {finding.said}")
                print(f"{task.scene}: {finding.said}")

    print(f"{len(tasks)} scenes under {own.id}" + ("; nothing was written" if limit is not None else ""))
    for metric in own.metrics:
        values = [scores[metric] for scores in (one.scores[own.name] for one in outcomes) if metric in scores]
        if values:
            known = [value for value in values if not math.isnan(value)]
            print(f"{metric:<12} {np.mean(known) if known else math.nan:.4f}")
    if limit is not None:
        return

    common = common_row(params, evaluation)
    write_scores(layout.scores(params, name), _rows(common, own, tasks, outcomes))
    rows = [row for other in compared for row in _rows(common, other, tasks, outcomes)]
    write_scores(layout.sensitivity(params, name), [row for row in rows if "@" not in row.metric])
    print(f"scores: {layout.scores(params, name)}; under {len(compared)} protocols: {layout.sensitivity(params, name)}")
    if params.keep_predictions:
        print(f"predictions: {folder}")
    if evaluation.weights is not None:
        card = networks.weights_card(Path(evaluation.weights))
        write_json_atomic(layout.foreign_card(params, evaluation), {**card, "run": name, "variant": evaluation.variant})


def common_row(params: Params, evaluation: Evaluation) -> ScoreRow:
    """Return a score row with what all rows of an evaluation have in common."""
    trained = params.runs.get(evaluation.run)
    return ScoreRow(
        profile=params.profile, method=params.variants[evaluation.variant].method, variant=evaluation.variant,
        trainset=trained.trainset if trained else "", seed=trained.seed if trained else None,
        dataset=evaluation.dataset, scene="", metric="", value=0.0, protocol="",
    )  # fmt: skip


def _predictor(params: Params, evaluation: Evaluation, device: torch.device) -> Predictor:
    """Return a trained run's network, a variant's with weights from elsewhere, or a variant without any."""
    variant = params.variants[evaluation.variant]
    card = methods[variant.method]
    if evaluation.run in params.runs:
        network = networks.read(params, evaluation.run)
        return predictor(card, network, device, params.tile, registration=registration(params, variant))
    if variant.weights is not None:
        network = networks.read_foreign(params, evaluation.variant)
        way = str(networks.weights_card(Path(variant.weights)).get("register", "none"))
        return predictor(card, network, device, params.tile, registration=way)
    return predictor(card, None, device, preset=variant.preset, options=variant.options)


def _scenes(params: Params, dataset: str, limit: int | None) -> Iterator[tuple[str, Path]]:
    """Yield split and folder of every scene to predict."""
    layout.need(params, layout.scenes(params, dataset), f"prepare {dataset}")
    splits = [split for split, role in datasets[dataset].splits.items() if role in SPLITS]
    folders = {split: layout.scenes(params, dataset, split) for split in splits}
    # A set may lack a split, such as scenes without truth; it can't lack all.
    there = {split: folder for split, folder in folders.items() if folder.exists()} or folders
    for split, folder in there.items():
        yield from ((split, path) for path in list_scenes(folder)[:limit])


def _rows(common: ScoreRow, protocol: Protocol, tasks: Sequence[Task], outcomes: Sequence[Outcome]) -> list[ScoreRow]:
    return [
        common._replace(scene=task.scene, metric=metric, value=value, protocol=protocol.id)
        for task, outcome in zip(tasks, outcomes, strict=True)
        for metric, value in outcome.scores.get(protocol.name, {}).items()
    ]
