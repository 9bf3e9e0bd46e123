"""Score: anyone's results, from a folder of radiance files, under named protocols."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.core.errors import UsageError, unknown_name
from bench.core.params import Params
from bench.core.registry import datasets, protocols
from bench.io.container import list_scenes, read_card
from bench.io.submission import ENCODED, READERS, UNREAD, FolderMatch, match, names
from bench.io.tables import ScoreRow, write_scores
from bench.metrics.checks import Finding
from bench.metrics.intervals import place
from bench.metrics.protocol import Protocol
from bench.stages import layout
from bench.stages.own_files import maps, submit
from bench.stages.own_files.destinations import check_file, check_folder
from bench.stages.scoring.scoring import Outcome, Rules, Task, cache_folder, score_all

MOST_WORKERS = 8
"""Processes started unless the user wants more: each needs about 1 GB for a large picture."""


EXTRA = dict.fromkeys(ENCODED, "a picture kind without radiance.") | dict.fromkeys(
    UNREAD, f"a kind that isn't read; write {', '.join(READERS)} (float)."
)
"""What is said of a file that is no reader's, by its kind."""


@dataclass(frozen=True)
class ScoreRequest:
    """What to score, and where to leave what.

    folder    : the predictions, <scene>.exr and so on.
    dataset   : registered, with prepared scenes; with `truth`, any label.
    protocols : names; empty for the profile's own, ("all",) for every one.
    truth     : folder of the true pictures, instead of a dataset's prepared scenes.
    out, maps : CSV file and folder of pictures to write, if any.
    submit    : name of the submission to keep, "" for none; `force` replaces an earlier one.
    limit     : first scenes only.
    jobs      : processes; None for as many as there are cores, up to 8.
    trust     : score files that look mis-scaled or tone-mapped too.
    """

    folder: Path
    dataset: str
    protocols: tuple[str, ...] = ()
    truth: Path | None = None
    out: Path | None = None
    maps: Path | None = None
    submit: str = ""
    force: bool = False
    limit: int | None = None
    jobs: int | None = None
    device: str = "cpu"
    trust: bool = False


@dataclass(frozen=True)
class ScoreResult:
    """What came of it.

    rows      : one score each, scenes in alphabetical order.
    findings  : (file or scene, finding), in the same order.
    protocols : in the order asked for.
    scenes    : how many were asked for.
    places    : scene -> place that it shows; scenes of one place aren't independent.
    kept      : file of the submission, None if none was kept.
    """

    rows: tuple[ScoreRow, ...]
    findings: tuple[tuple[str, Finding], ...]
    protocols: tuple[Protocol, ...]
    scenes: int
    places: Mapping[str, str]
    kept: Path | None = None

    @property
    def bad(self) -> bool:
        """Whether any file is missing, extra or faulty."""
        return any(finding.bad for _, finding in self.findings)


def run(params: Params, request: ScoreRequest) -> ScoreResult:
    """Score the files of a folder; bad ones are left out and named in the result's findings.

    Unknown names, folders that aren't there, destinations that can't be written and a submission that can't be kept
    raise UsageError before anything is scored. If nothing can be scored, no file is written.
    """
    rules = _rules(params, request)
    if request.submit:
        _check_submission(params, request, rules)
    _check_destinations(request)
    scenes, known = _scenes(params, request)
    matched = match(request.folder, scenes, known)
    tasks = [Task(scene, file, scenes[scene]) for scene, file in matched.files.items()]
    workers = request.jobs or min(_cores(), MOST_WORKERS)
    outcomes = score_all(tasks, rules, workers=workers, label="score")
    findings = (*_matching(matched), *_faults(tasks, outcomes))
    used = (*rules.masked, *rules.whole)
    rows = _rows(params, request, used, tasks, outcomes)
    result = ScoreResult(tuple(rows), findings, used, len(scenes), _places(scenes))
    return _write(request, result, [t for t, o in zip(tasks, outcomes, strict=True) if o.scores], workers)


def _check_submission(params: Params, request: ScoreRequest, rules: Rules) -> None:
    if request.limit is not None:
        raise UsageError("a submission covers every test scene; leave --limit out, or --submit.")
    if request.truth is not None and request.dataset in datasets:
        raise UsageError(
            f"a submission to {request.dataset} is scored on its prepared scenes; leave --truth out, or give the "
            "dataset another name."
        )
    used = {protocol.id for protocol in (*rules.masked, *rules.whole)}
    submit.check(params, request.submit, request.dataset, used, request.force)


def _check_destinations(request: ScoreRequest) -> None:
    if request.out is not None:
        check_file("--out", request.out)
    if request.maps is not None:
        check_folder("--maps", request.maps)
        if request.out in (request.maps, *request.maps.parents):
            raise UsageError(f"--out {request.out} is a file, and --maps {request.maps} needs a folder of this name.")
    if request.submit:
        check_file("--submit", submit.path(request.submit))


def _rules(params: Params, request: ScoreRequest) -> Rules:
    import torch

    if request.device not in ("cpu", "cuda"):
        raise unknown_name("device", request.device, ("cpu", "cuda"))
    if request.device == "cuda" and not torch.cuda.is_available():
        raise UsageError("no CUDA device is available here; leave --device out to score on the CPU.")
    wanted = request.protocols or (params.protocol,)
    chosen = tuple(protocols[name] for name in (protocols if "all" in wanted else dict.fromkeys(wanted)))
    masked, whole = (chosen, ()) if request.truth is None else ((), chosen)
    return Rules(masked, whole, cache_folder(params), request.device, examined=True, trusted=request.trust)


def _scenes(params: Params, request: ScoreRequest) -> tuple[dict[str, Path], set[str]]:
    """Return scene -> where its truth lies, and the names of other scenes whose files are no surprise."""
    if request.truth is not None:
        truths = match(request.truth, names(request.truth)).files
        return _first(truths, request.limit)
    card = datasets[request.dataset]
    split = next((name for name, role in card.splits.items() if role == "test"), None)
    if split is None:
        raise UsageError(
            f"{request.dataset} has no truth, so nothing can be scored on it; the data sets that have: "
            f"{', '.join(name for name, other in datasets.items() if 'test' in other.splits.values())}."
        )
    folder = layout.need(params, layout.scenes(params, request.dataset, split), f"prepare {request.dataset}")
    scenes, known = _first({path.name: path for path in list_scenes(folder)}, request.limit)
    others = (layout.scenes(params, request.dataset, name) for name, role in card.splits.items() if role == "no-truth")
    return scenes, known | {path.name for other in others if other.exists() for path in other.iterdir()}


def _places(scenes: Mapping[str, Path]) -> dict[str, str]:
    """Tell which place each scene shows: a prepared one's capture, else by name unless all names would be one place."""
    if any(path.is_dir() for path in scenes.values()):
        return {scene: _capture(path) or place(scene) for scene, path in scenes.items()}
    found = {scene: place(scene) for scene in scenes}
    return found if len(set(found.values())) > 1 else {scene: scene for scene in scenes}


def _capture(scene: Path) -> str:
    try:
        return str(read_card(scene)["metadata"].get("capture", ""))
    except (UsageError, KeyError, AttributeError):  # a damaged card is a finding of its own, when it's scored
        return ""


def _first(scenes: Mapping[str, Path], limit: int | None) -> tuple[dict[str, Path], set[str]]:
    kept = dict(list(scenes.items())[:limit])
    return kept, set(scenes) - set(kept)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _matching(matched: FolderMatch) -> list[tuple[str, Finding]]:
    found = [(scene, Finding("missing", "missing: the folder has no file of this scene.")) for scene in matched.missing]
    for path in matched.extra:
        found.append((path.name, _surplus(path, matched)))
    return found + [(path.name, _spare(taken)) for path, taken in matched.spare.items()]


def _surplus(path: Path, matched: FolderMatch) -> Finding:
    suffix, taken = path.suffix.lower(), matched.files.get(path.stem)
    if suffix in UNREAD and taken is not None:
        return _spare(taken)
    return Finding("extra", EXTRA.get(suffix, "extra: no scene has this name."))


def _spare(taken: Path) -> Finding:
    return Finding("spare", f"not scored, {taken.name} of the same scene is.", scored=True)


def _faults(tasks: Sequence[Task], outcomes: Sequence[Outcome]) -> list[tuple[str, Finding]]:
    pairs = zip(tasks, outcomes, strict=True)
    return [(task.prediction.name, finding) for task, outcome in pairs for finding in outcome.findings]


def _rows(
    params: Params, request: ScoreRequest, used: Sequence[Protocol], tasks: Sequence[Task], outcomes: Sequence[Outcome]
) -> list[ScoreRow]:
    variant = request.submit or request.folder.resolve().name
    blank = ScoreRow(params.profile, "submitted", variant, "", None, request.dataset, "", "", 0.0, "")
    return [
        blank._replace(scene=task.scene, metric=metric, value=value, protocol=protocol.id)
        for protocol in used
        for task, outcome in zip(tasks, outcomes, strict=True)
        for metric, value in outcome.scores.get(protocol.name, {}).items()
    ]


def _write(request: ScoreRequest, result: ScoreResult, scored: Sequence[Task], workers: int) -> ScoreResult:
    if not result.rows:
        return result
    if request.out is not None:
        write_scores(request.out, result.rows)
    if request.maps is not None:
        maps.draw(request.maps, scored, result.protocols[0], workers=workers, device=request.device)
    if request.submit and not result.bad and _complete(result):
        return replace(result, kept=submit.keep(request.submit, result.rows))
    return result


def _complete(result: ScoreResult) -> bool:
    """Whether each protocol that could be applied scores every scene."""
    scored = {(row.protocol, row.scene) for row in result.rows}
    return len(scored) == result.scenes * len({protocol for protocol, _ in scored})
