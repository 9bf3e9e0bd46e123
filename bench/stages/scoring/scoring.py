"""Scoring of many predictions under one or several protocols: cached, and by as many processes as pay."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch

from bench.color.likeness import look
from bench.core import parallel
from bench.core.errors import UsageError
from bench.core.parallel import interrupted
from bench.core.params import Params
from bench.core.reading import shown
from bench.core.scene import Array, Radiance, Scene
from bench.io.container import CARD, read_scene
from bench.io.submission import read_radiance
from bench.metrics.checks import FileFinding, examine, off_peak
from bench.metrics.functional.images import one_thread
from bench.metrics.protocol import Protocol
from bench.metrics.scorer import Scorer, preparation
from bench.stages.scoring import score_cache
from bench.stages.scoring.score_cache import Scores

Item = TypeVar("Item")
Done = TypeVar("Done")

PEAK = "Files given as truth are neither scaled nor clipped, unlike prepared scenes."


class Task(NamedTuple):
    """One prediction to score.

    truth : folder of a prepared scene, or a radiance file; only a scene has masks.
    """

    scene: str
    prediction: Path
    truth: Path


@dataclass(frozen=True)
class Rules:
    """Protocols and options of a scoring.

    masked   : protocols that are applied to the whole picture and inside the scene's masks.
    whole    : protocols that are applied to the whole picture only.
    cache    : folder of scores computed before.
    device   : "cpu" or "cuda".
    examined : check the predictions first, as one does with other people's files, and leave out faulty ones.
    trusted  : take them for linear and rightly scaled, whatever they look like.
    """

    masked: tuple[Protocol, ...]
    whole: tuple[Protocol, ...]
    cache: Path
    device: str = "cpu"
    examined: bool = False
    trusted: bool = False


@dataclass(frozen=True)
class Outcome:
    """Scores and findings of one prediction.

    scores   : protocol's name -> metric -> value; protocols that couldn't be applied are absent.
    findings : faults of the prediction, and protocols' refusals.
    looks    : prediction and truth as `bench.color.likeness.look` shrinks them; None where either can't be.
    """

    scores: Mapping[str, Scores] = field(default_factory=dict)
    findings: tuple[FileFinding, ...] = ()
    looks: tuple[Array, Array] | None = None


def cache_folder(params: Params) -> Path:
    """Folder of this profile's cached scores: no output of a stage, and safe to delete."""
    return params.work / "score_cache"


def score_all(tasks: Sequence[Task], rules: Rules, *, workers: int, label: str) -> list[Outcome]:
    """Score every task, in their order; see `Rules`.

    Pictures are read one by one where they are scored, so memory doesn't grow with their number. What is done is cached
    at once: an interrupted call goes on where it was. On a GPU one process does everything.
    """
    return spread(partial(score_one, rules), tasks, workers if rules.device == "cpu" else 1, label)


def spread(work: Callable[[Item], Done], items: Sequence[Item], workers: int, label: str) -> list[Done]:
    """Do what `bench.core.parallel.spread` does, on one torch thread, here as in other processes.

    Sums associate differently with another number of threads, so one is what makes a number independent of how many
    processes shared the work.
    """
    with one_thread():
        return parallel.spread(work, items, workers, label, partial(torch.set_num_threads, 1))


def score_one(rules: Rules, task: Task) -> Outcome:
    """Score one prediction. Without `rules.examined`, a prediction or truth that can't be read raises UsageError."""
    try:
        truth = Truth.read(task.truth)
    except UsageError as error:
        if not rules.examined:
            raise
        return Outcome(findings=(FileFinding("truth", f"its truth is unusable: {error}"),))
    told: list[str] = []
    try:
        prediction = read_radiance(task.prediction, told)
    except UsageError as error:
        if not rules.examined:
            raise
        return Outcome(findings=(FileFinding("unreadable", _without_name(str(error), task.prediction)),))
    findings = examine(prediction, truth.radiance, rules.trusted) if rules.examined else []
    looks = _looks(prediction, truth.radiance) if rules.examined else None
    scored = all(finding.scored for finding in findings)
    findings += [FileFinding("converted", said, scored=True) for said in (*told, *truth.told)]
    if truth.scene is None and (said := off_peak(truth.radiance)):
        findings.append(FileFinding("range", f"its truth {said} {PEAK}", scored=True))
    if not scored:
        return Outcome(findings=tuple(findings), looks=looks)
    return replace(_under_all(rules, prediction, truth, findings), looks=looks)


def _looks(prediction: Radiance, truth: Array) -> tuple[Array, Array] | None:
    return (look(prediction), look(truth)) if np.isfinite(prediction).all() else None


def _without_name(said: str, path: Path) -> str:
    """Cut the path that a sentence begins with, and shorten it to the file's name further on."""
    name = shown(path)
    return said.removeprefix(name).removeprefix(":").strip().replace(name, shown(path.name))


class Truth(NamedTuple):
    """A truth (H, W, 3) in relative radiance, the scene around it if there is one, and a hash of both.

    told : sentences on what isn't taken as its file stores it.
    """

    radiance: Array
    scene: Scene | None
    digest: str
    told: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path) -> "Truth":
        """Read a prepared scene's folder or a radiance file; UsageError if it can't be, was altered or isn't finite."""
        if path.is_dir():
            scene = read_scene(path, verify=True)  # the digest below stands for the pixels only if they match it
            if scene.radiance is None:
                raise UsageError(f"scene {scene.id!r} has no truth, so nothing can be scored on it.")
            return cls(scene.radiance, scene, sha256((path / CARD).read_bytes()).hexdigest())
        told: list[str] = []
        radiance = read_radiance(path, told)
        if faults := [finding for finding in examine(radiance, radiance, trusted=True) if not finding.scored]:
            raise UsageError(f"{shown(path)}: {faults[0].said}")
        about = tuple(f"of its truth: {said}" for said in told)
        return cls(radiance, None, score_cache.pixels_digest(radiance), about)


def _under_all(rules: Rules, prediction: Radiance, truth: Truth, findings: list[FileFinding]) -> Outcome:
    digest, scores = score_cache.pixels_digest(prediction), {}
    refusals: list[tuple[Protocol, UsageError]] = []
    pair: Scorer | None = None
    for protocol in sorted((*rules.masked, *rules.whole), key=preparation):
        interrupted()
        scene = truth.scene if protocol in rules.masked else None
        name = score_cache.key(digest, truth.digest, protocol, scene is not None, rules.device)
        found = score_cache.read(rules.cache, name)
        if found is None:
            try:
                pair = pair or Scorer(
                    on_device(prediction, rules.device), on_device(truth.radiance, rules.device), truth.scene
                )
                found = pair.scores(protocol, protocol.areas(scene) if scene and protocol.masks.metrics else None)
            except UsageError as error:
                refusals.append((protocol, error))
                continue
            score_cache.write(rules.cache, name, found)
        scores[protocol.name] = found
    refused = (_refusal(protocol, error, bool(scores), truth, rules.device) for protocol, error in refusals)
    return Outcome(scores, (*findings, *refused))


def _refusal(protocol: Protocol, error: UsageError, scored: bool, truth: Truth, device: str) -> FileFinding:
    """Tell a prediction that a protocol refuses from a protocol that doesn't suit the scene, whatever is predicted.

    scored : whether other protocols could be applied; if none could, the file is bad either way.
    """
    said = f"can't be scored under {protocol.id}: {error}"
    if not scored:
        return FileFinding("refused", said)
    try:
        image = on_device(truth.radiance, device)
        Scorer(image, image, truth.scene).scores(protocol)
    except UsageError:
        return FileFinding("unsuited", said, scored=True)
    return FileFinding("refused", said)


def on_device(image: Array, device: str) -> Any:
    """Return an image as metrics take it: the array itself for "cpu", a float32 tensor on another device."""
    if device == "cpu":
        return image
    return torch.from_numpy(np.array(image, dtype=np.float32)).to(device)
