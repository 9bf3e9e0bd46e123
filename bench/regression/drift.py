"""Frozen predictions: a few stored ones scored anew, so that a metric that drifts is seen without any training."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bench.core import layout
from bench.core.errors import UsageError
from bench.core.params import Params, load
from bench.core.reading import read_json
from bench.core.registry import datasets, metrics, protocols
from bench.io.container import list_scenes
from bench.io.files import replacing, write_json_atomic
from bench.io.tables import ScoreRow, read_scores, write_scores
from bench.regression.comparison import Comparison, compare
from bench.regression.sides import SCORES, Side
from bench.stages.data import backbone, fetch, prepare
from bench.stages.scoring import evaluate
from bench.stages.scoring.scoring import Rules, Task, score_all
from bench.stages.training import environment, train

FROZEN = Path(__file__).parent / "frozen"
"""scenes/<scene>, predictions/<run>/<scene>.exr, scores.csv and cards.json, made from params.yaml."""

CARDS = "cards.json"
"""Direction of each metric, and the versions of the libraries that computed the frozen scores."""

DATASET = "panoramas"


def check(folder: Path = FROZEN) -> Comparison:
    """Score the frozen predictions under every protocol and compare with the frozen scores, to 1e-6.

    A prediction or scene that is missing or damaged raises UsageError.
    """
    try:
        cards = read_json(folder / CARDS)
        made, better = dict(cards["libraries"]), dict(cards["better"])
    except (UsageError, ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{folder / CARDS} can't be read ({error}); restore it with git.") from error
    base = Side("frozen scores", read_scores([folder / SCORES]), remark=_versions(made), better=better)
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / SCORES
        write_scores(file, _scored(folder))
        now = {name: card.better for name, card in metrics.items()}
        new = Side("scores now", read_scores([file]), remark=_versions(environment.libraries()), better=now)
    return replace(compare(base, new, "rescored"), notes=tuple(_notes(base, new)))


def _versions(libraries: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(libraries.items()))


def _notes(base: Side, new: Side) -> Iterator[str]:
    if base.remark != new.remark:
        yield f"the frozen scores were computed with {base.remark}; here are {new.remark}"


def _scored(folder: Path) -> list[ScoreRow]:
    """Score every frozen prediction under every protocol that applies, whole and inside masks."""
    params = load(folder / "params.yaml")
    jobs = [(entry, scene) for entry in params.evaluations.values() for scene in list_scenes(folder / "scenes")]
    tasks = [Task(s.name, folder / "predictions" / entry.run / f"{s.name}.exr", s) for entry, s in jobs]
    named = dict(protocols)  # each is read from its file whenever it is asked for
    with tempfile.TemporaryDirectory() as cache:  # nothing may come from scores computed before
        rules = Rules(tuple(named.values()), (), Path(cache))
        outcomes = score_all(tasks, rules, workers=1, label="score frozen predictions")
    return [
        evaluate.common_row(params, evaluation)._replace(
            scene=scene.name, metric=metric, value=value, protocol=named[name].id
        )
        for (evaluation, scene), outcome in zip(jobs, outcomes, strict=True)
        for name, scores in sorted(outcome.scores.items())
        for metric, value in scores.items()
    ]


def accept(folder: Path = FROZEN) -> None:
    """Replace the frozen scores by those of now, of the same predictions: a metric was changed on purpose."""
    write_scores(folder / SCORES, _scored(folder))
    better = {name: card.better for name, card in metrics.items()}
    write_json_atomic(folder / CARDS, {"better": better, "libraries": environment.libraries()})


def renew(folder: Path = FROZEN) -> None:
    """Simulate, train and predict anew by the project's own stages, and replace all that is frozen."""
    params = load(folder / "params.yaml")
    fetch.run(params, DATASET)
    prepare.run(params, DATASET)
    backbone.run(params)
    for run in params.runs:
        train.run(params, run)
    for name in params.evaluations:
        evaluate.run(params, name)
    _freeze(params, folder)
    accept(folder)


def _freeze(params: Params, folder: Path) -> None:
    split = next(split for split, role in datasets[DATASET].splits.items() if role == "test")
    with replacing(folder / "scenes") as part:
        shutil.copytree(layout.scenes(params, DATASET, split), part)
    with replacing(folder / "predictions") as part:
        for entry in params.evaluations.values():
            shutil.copytree(layout.predictions(params, entry.run, entry.dataset) / split, part / entry.run)
