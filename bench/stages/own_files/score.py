"""Score: anyone's results, from a folder of radiance files, under named protocols."""

import math
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from bench.color import likeness
from bench.core import layout
from bench.core.errors import UsageError, unknown_name
from bench.core.metric import SUMMED
from bench.core.parallel import cores
from bench.core.params import Params
from bench.core.places import place
from bench.core.reading import LONGEST_NAME, shown
from bench.core.registry import datasets, protocols
from bench.io.container import RADIANCE, list_scenes, read_card
from bench.io.decoding import first_bytes
from bench.io.files import check_destination, write_bytes_atomic
from bench.io.lock import alone
from bench.io.submission import ENCODED, READERS, UNREAD, FolderMatch, match, names, read_radiance
from bench.io.tables import COLUMNS, ScoreRow, read_scores, write_scores
from bench.metrics.checks import FileFinding
from bench.metrics.protocol import Protocol
from bench.metrics.scorer import Scorer
from bench.metrics.viewing import visibility
from bench.report.figures.images import SceneMaps, map_figure
from bench.report.scores.published import published_scenes
from bench.report.trace import digests
from bench.stages.reporting import submission_log
from bench.stages.scoring.scoring import Outcome, Rules, Task, Truth, cache_folder, on_device, score_all, spread

MOST_WORKERS = 8
"""Processes started unless the user wants more: each needs about 1 GB for a large picture."""

HEAD = ",".join(COLUMNS).encode()
"""What a file of scores begins with."""

SUBMISSION = r"[a-z0-9]+(-[a-z0-9]+)*"
"""Names that a submission can have."""

LOCK = Path("work") / "submissions.lock"
"""Held while a submission is written; git doesn't see it there."""

VIEWING = "whole-float"
"""The protocol whose viewing conditions maps are drawn under where the one asked for has no HDR-VDP-2."""

EXTRA = dict.fromkeys(ENCODED, "a picture kind without radiance.") | dict.fromkeys(
    UNREAD, f"a kind that isn't read; write {', '.join(READERS)} (float)."
)
"""Suffix of a file that no reader takes -> what the finding says of it."""


@dataclass(frozen=True)
class ScoreRequest:
    """Predictions to score, and files to write.

    folder    : the predictions, <scene>.exr and so on.
    dataset   : registered, with prepared scenes; with `truth`, any label.
    protocols : names; empty for the profile's own, ("all",) for every one.
    truth     : folder of the true pictures, instead of a dataset's prepared scenes.
    out, maps : CSV file and folder of pictures to write, if any.
    submit    : name of the submission to keep, "" for none.
    link      : address of a description of what is submitted, "" for none.
    files     : address of a zip archive of what is submitted, from which others can score it again; "" for none.
    rescore   : name of a kept submission that these are the predictions of: its scores must come out again.
    force     : replace an earlier submission, and whatever `out` is.
    limit     : first scenes only.
    jobs      : processes; None for as many as there are cores, up to 8.
    trust     : score files that look mis-scaled or tone-mapped too, and take copies of truths and of each other.
    """

    folder: Path
    dataset: str
    protocols: tuple[str, ...] = ()
    truth: Path | None = None
    out: Path | None = None
    maps: Path | None = None
    submit: str = ""
    link: str = ""
    files: str = ""
    rescore: str = ""
    force: bool = False
    limit: int | None = None
    jobs: int | None = None
    device: str = "cpu"
    trust: bool = False


@dataclass(frozen=True)
class ScoreResult:
    """Scores and findings.

    rows      : one score each, scenes in alphabetical order.
    findings  : (file or scene, finding), in the same order.
    protocols : in the order asked for.
    scenes    : how many were asked for.
    places    : scene -> place that it shows; scenes of one place aren't independent.
    kept      : file of the submission, None if none was kept.
    published : how many test scenes the data set is known to have; None where nobody knows.
    """

    rows: tuple[ScoreRow, ...]
    findings: tuple[tuple[str, FileFinding], ...]
    protocols: tuple[Protocol, ...]
    scenes: int
    places: Mapping[str, str]
    kept: Path | None = None
    published: int | None = None

    @property
    def whole(self) -> int:
        """Scenes that a mean of all would be over: those asked for or, where there are more, the published ones."""
        return max(self.scenes, self.published or 0)

    @property
    def bad(self) -> bool:
        """True if any file is missing, extra or faulty."""
        return any(finding.bad for _, finding in self.findings)


def run(params: Params, request: ScoreRequest) -> ScoreResult:
    """Score the files of a folder; bad ones are left out and named in the result's findings.

    Unknown names, folders that aren't there, destinations that can't be written and a submission that can't be kept
    raise UsageError before anything is scored. If nothing can be scored, no file is written.
    """
    rules = _rules(params, request)
    used = (*rules.masked, *rules.whole)
    submission_log.need_link(request.link)
    submission_log.need_files(request.files)
    if request.submit:
        _check_submission(params, request, {protocol.id for protocol in used})
    said = _need_logged(params, request, used) if request.rescore else None
    _check_destinations(request)
    scenes, known = scenes_of(params, request)
    matched = match(request.folder, scenes, known)
    tasks = [Task(scene, file, scenes[scene]) for scene, file in matched.files.items()]
    workers = request.jobs or min(cores(), MOST_WORKERS)
    outcomes = score_all(tasks, rules, workers=workers, label="score")
    done = list(zip(tasks, outcomes, strict=True))
    faults = [(shown(task.prediction.name), finding) for task, outcome in done for finding in outcome.findings]
    if not request.trust:
        faults += [*_truths(done), *_twins(tasks), *_strangers(done, scenes)]
    variant = request.submit or request.rescore or request.folder.resolve().name
    rows = tuple(
        ScoreRow(params.profile, "submitted", variant, "", None, request.dataset, scene, metric, value, protocol.id)
        for protocol in used
        for scene, outcome in zip(map(shown, matched.files), outcomes, strict=True)
        for metric, value in outcome.scores.get(protocol.name, {}).items()
    )
    published = published_scenes(params, request.dataset)
    result = ScoreResult(rows, (*_matching(matched), *faults), used, len(scenes), _places(scenes), published=published)
    if not rows:
        return result
    if request.out is not None:
        write_scores(request.out, rows)
    if request.maps is not None:
        scored = [task for task, outcome in done if outcome.scores]
        draw_maps(request.maps, scored, used[0], workers=workers, device=request.device)
    if (request.submit or said) and not result.bad and _complete(result):
        entry = _entry(params, request, rows, matched, scenes)
        if said:
            entry = _confirmed(said, entry, rows)
        return replace(result, kept=_keep(entry, () if said else rows, request.force))
    return result


def _need_logged(params: Params, request: ScoreRequest, used: Sequence[Protocol]) -> submission_log.Submission:
    """Return what the log holds of the submission to be scored again; UsageError where it can't be compared."""
    if request.submit or request.limit is not None or request.truth is not None:
        raise UsageError("--rescore takes every prepared test scene; leave --submit, --limit and --truth out.")
    entries, wanted = submission_log.read(layout.submissions()), {protocol.id for protocol in used}
    found = submission_log.latest(entries, request.rescore, params.profile, request.dataset, used[0].id)
    if found is None or set(found.protocols) != wanted:
        known = sorted({
            f"{one.name} on {one.dataset} under {', '.join(one.protocols)} (profile {one.profile})" for one in entries
        })  # fmt: skip
        raise UsageError(
            f"{submission_log.path(layout.submissions())} has no submission {shown(request.rescore)} on "
            f"{request.dataset} under {', '.join(sorted(wanted))} (profile {params.profile}); it has: "
            f"{'; '.join(map(shown, known)) or 'none'}."
        )
    return found


def _confirmed(
    said: submission_log.Submission, entry: submission_log.Submission, rows: Sequence[ScoreRow]
) -> submission_log.Submission:
    """Return the event of a rescoring; UsageError for one of other files, on other scenes, or with other scores.

    Scores of another processor or library may be rounded otherwise: the event keeps the digest of what is confirmed.
    """
    other = sorted(scene for scene, digest in entry.predictions.items() if said.predictions.get(scene) != digest)
    where = f"{submission_log.path(layout.submissions())} ({said.name}, {said.date})"
    if other or entry.predictions.keys() != said.predictions.keys():
        raise UsageError(f"not the files that {where} was made from: {', '.join(map(shown, other)) or 'scenes lack'}.")
    if entry.truth != said.truth:
        raise UsageError(
            f"the prepared scenes aren't those that {where} was scored on; prepare them on such a machine."
        )
    path, groups = _submission(said.name), {_group(row) for row in rows}
    kept = [row for row in (_kept(path) if path.exists() else []) if _group(row) in groups]
    if submission_log.digest(kept) != said.scores:
        raise UsageError(f"{shown(path)} doesn't hold the scores that {where} tells of; restore both from git.")
    if not _rounded(kept, rows):
        raise UsageError(f"the same files give other scores than {where} holds: don't take this submission as it is.")
    return replace(entry, scores=said.scores, link=entry.link or said.link, files=entry.files or said.files)


def _rounded(kept: Sequence[ScoreRow], rows: Sequence[ScoreRow]) -> bool:
    """Tell whether rows differ from the kept ones in nothing but what rounding may make of their values."""
    ours, theirs = ({row._replace(value=0.0): row.value for row in some} for some in (rows, kept))
    return ours.keys() == theirs.keys() and all(
        math.isclose(value, theirs[key], rel_tol=0, abs_tol=SUMMED) or (math.isnan(value) and math.isnan(theirs[key]))
        for key, value in ours.items()
    )


def _entry(
    params: Params, request: ScoreRequest, rows: Sequence[ScoreRow], matched: FolderMatch, scenes: Mapping[str, Path]
) -> submission_log.Submission:
    truth = next(iter(scenes.values())).parent if request.truth is None else None
    return submission_log.Submission(
        name=request.submit or request.rescore,
        kind=submission_log.RESCORED if request.rescore else submission_log.SELF_REPORTED,
        date=submission_log.today(),
        profile=params.profile,
        dataset=request.dataset,
        protocols=tuple(dict.fromkeys(row.protocol for row in rows)),
        predictions={shown(scene): digests.of_file(file) for scene, file in matched.files.items()},
        truth=digests.of_records(truth) if truth else "",
        scores=submission_log.digest(rows),
        link=request.link,
        files=request.files,
    )


def _check_submission(params: Params, request: ScoreRequest, used: set[str]) -> None:
    """Refuse a submission that can't be kept: in part, on other pictures, under a name that isn't free.

    used : ids of the protocols. A submission may hold several of them and several datasets; what it holds already of
           one is only replaced with `force`.
    """
    if request.limit is not None:
        raise UsageError("a submission covers every test scene; leave --limit out, or --submit.")
    if request.truth is not None and request.dataset in datasets:
        raise UsageError(
            f"a submission to {request.dataset} is scored on its prepared scenes; leave --truth out, or give the "
            "dataset another name."
        )
    name = request.submit
    if not re.fullmatch(SUBMISSION, name) or len(name) > LONGEST_NAME:
        raise UsageError(
            f"a submission can't be called {shown(repr(name))}; use small letters, digits and hyphens, at most "
            f"{LONGEST_NAME} of them: my-method."
        )
    if name in params.variants:
        raise UsageError(f"{name!r} is a variant of this benchmark; call the submission something else.")
    path = _submission(name)
    if path.exists() and not request.force:
        _need_free(path, _kept(path), {(params.profile, request.dataset, protocol) for protocol in used})


Group = tuple[str, str, str]
"""Profile, dataset and protocol: what is kept and replaced as a whole."""


def _group(row: ScoreRow) -> Group:
    return row.profile, row.dataset, row.protocol


def _need_free(path: Path, held: Sequence[ScoreRow], wanted: Collection[Group]) -> None:
    taken = sorted({_group(row) for row in held}.intersection(wanted))
    if taken:
        protocols = ", ".join(protocol for *_, protocol in taken)
        raise UsageError(
            f"{path} already holds scores on {taken[0][1]} under {protocols}; choose another name, or replace them "
            "with --force."
        )


def _truths(done: Sequence[tuple[Task, Outcome]]) -> Iterator[tuple[str, FileFinding]]:
    """Find the predictions that are the truth itself: what has no error has infinite PSNR."""
    for task, outcome in done:
        scores = {name: value for found in outcome.scores.values() for name, value in found.items() if "@" not in name}
        if any(name.startswith("psnr") and value == math.inf for name, value in scores.items()):
            said = "equals the truth: it is a copy of it (if it is meant so, score it with --trust)."
            yield shown(task.prediction.name), FileFinding("truth", said, scored=True)


def _twins(tasks: Sequence[Task]) -> Iterator[tuple[str, FileFinding]]:
    """Find files of the same bytes under the names of different scenes, as a loop's mistake makes them."""
    sizes: dict[int, list[Task]] = {}
    for task in tasks:
        if task.prediction.is_file():
            sizes.setdefault(task.prediction.stat().st_size, []).append(task)
    for same in (found for found in sizes.values() if len(found) > 1):
        known: dict[str, Task] = {}
        for task in same:
            first = known.setdefault(digests.of_file(task.prediction), task)
            if first is not task and not _alike(first, task):
                other = shown(first.prediction.name)
                said = f"is a copy of {other}, of another scene (if it is meant so, score it with --trust)."
                yield shown(task.prediction.name), FileFinding("twins", said, scored=True)


def _strangers(done: Sequence[tuple[Task, Outcome]], scenes: Mapping[str, Path]) -> Iterator[tuple[str, FileFinding]]:
    """Find the predictions that show another scene than their own."""
    known = {task.scene: outcome.looks[1] for task, outcome in done if outcome.looks is not None}
    for task, outcome in done:
        if outcome.looks is None or likeness.alike(*outcome.looks):
            continue
        for scene in scenes.keys() - known.keys():  # whose own prediction is missing or can't be read
            with suppress(UsageError):
                known[scene] = likeness.look(np.asarray(Truth.read(scenes[scene]).radiance))
        others = {scene: truth for scene, truth in known.items() if scene != task.scene}
        if other := likeness.stranger(*outcome.looks, others):
            said = f"shows the scene {shown(other)}, not its own: are names exchanged?"
            finding = FileFinding("scene", f"{said} (If it is meant so, score it with --trust.)", scored=True)
            yield shown(task.prediction.name), finding


def _alike(one: Task, other: Task) -> bool:
    """Tell whether two scenes have the same truth; a prepared one's is in its folder."""
    files = [task.truth / RADIANCE if task.truth.is_dir() else task.truth for task in (one, other)]
    return all(file.is_file() for file in files) and len(set(map(digests.of_file, files))) == 1


def _check_destinations(request: ScoreRequest) -> None:
    if request.out is not None:
        check_destination("--out", request.out)
        if request.out.is_file() and not request.force and first_bytes(request.out, len(HEAD)) != HEAD:
            said = "exists and holds no scores; choose another name, or replace it with --force."
            raise UsageError(f"--out {shown(request.out)} {said}")
    if request.maps is not None:
        check_destination("--maps", request.maps, folder=True)
        if request.maps.resolve() in [folder.resolve() for folder in (request.folder, request.truth) if folder]:
            raise UsageError(f"--maps {shown(request.maps)} holds the pictures that are compared; name another folder.")
        if request.out in (request.maps, *request.maps.parents):
            raise UsageError(f"--out {request.out} is a file, and --maps {request.maps} needs a folder of this name.")
    if request.submit:
        check_destination("--submit", _submission(request.submit))


def _rules(params: Params, request: ScoreRequest) -> Rules:
    import torch

    if request.device not in ("cpu", "cuda"):
        raise unknown_name("device", request.device, ("cpu", "cuda"))
    if request.device == "cuda" and not torch.cuda.is_available():
        raise UsageError("no CUDA device is available here; leave --device out to score on the CPU.")
    chosen = protocols_of(params, request)
    masked, whole = (chosen, ()) if request.truth is None else ((), chosen)
    return Rules(masked, whole, cache_folder(params), request.device, examined=True, trusted=request.trust)


def protocols_of(params: Params, request: ScoreRequest) -> tuple[Protocol, ...]:
    """Return the protocols that are asked for, the profile's where none is."""
    wanted = request.protocols or (params.protocol,)
    return tuple(protocols.sound() if "all" in wanted else (protocols[name] for name in dict.fromkeys(wanted)))


def scenes_of(params: Params, request: ScoreRequest) -> tuple[dict[str, Path], set[str]]:
    """Return scene -> where its truth lies, and the names of other scenes whose files are no surprise."""
    if request.truth is not None:
        truths = match(request.truth, names(request.truth)).files
        return _first(truths, request.limit)
    card = datasets[request.dataset]
    split = next((name for name, role in card.splits.items() if role == "test"), None)
    if split is None:
        raise UsageError(
            f"{request.dataset} has no truth, so nothing can be scored on it; the datasets that have: "
            f"{', '.join(name for name, other in datasets.items() if 'test' in other.splits.values())}."
        )
    folder = layout.need(params, layout.scenes(params, request.dataset, split), f"prepare {request.dataset}")
    scenes, known = _first({path.name: path for path in list_scenes(folder)}, request.limit)
    others = (layout.scenes(params, request.dataset, name) for name, role in card.splits.items() if role == "no-truth")
    return scenes, known | {path.name for other in others if other.exists() for path in other.iterdir()}


def _places(scenes: Mapping[str, Path]) -> dict[str, str]:
    """Tell which place each scene shows: a prepared one's capture, else by name unless all names would be one place."""
    if any(path.is_dir() for path in scenes.values()):
        return {shown(scene): _capture(path) or place(scene) for scene, path in scenes.items()}
    found = {shown(scene): place(scene) for scene in scenes}
    return found if len(set(found.values())) > 1 else {scene: scene for scene in found}


def _capture(scene: Path) -> str:
    try:
        return str(read_card(scene)["metadata"].get("capture", ""))
    except (UsageError, KeyError, AttributeError):  # a damaged card is a finding of its own, when it's scored
        return ""


def _first(scenes: Mapping[str, Path], limit: int | None) -> tuple[dict[str, Path], set[str]]:
    kept = dict(list(scenes.items())[:limit])
    return kept, set(scenes) - set(kept)


def _matching(matched: FolderMatch) -> list[tuple[str, FileFinding]]:
    found = [
        (shown(scene), FileFinding("missing", "missing: the folder has no file of this scene."))
        for scene in matched.missing
    ]
    for path in matched.extra:
        found.append((shown(path.name), _surplus(path, matched)))
    return found + [(shown(path.name), _spare(taken)) for path, taken in matched.spare.items()]


def _surplus(path: Path, matched: FolderMatch) -> FileFinding:
    suffix, taken = path.suffix.lower(), matched.files.get(path.stem)
    if suffix in UNREAD and taken is not None:
        return _spare(taken)
    return FileFinding("extra", EXTRA.get(suffix, "extra: no scene has this name."))


def _spare(taken: Path) -> FileFinding:
    return FileFinding("spare", f"not scored, {shown(taken.name)} of the same scene is.", scored=True)


def _complete(result: ScoreResult) -> bool:
    # Each protocol that could be applied scores every scene.
    scored = {(row.protocol, row.scene) for row in result.rows}
    return len(scored) == result.scenes * len({protocol for protocol, _ in scored})


def _submission(name: str) -> Path:
    return layout.submissions() / f"{name}.csv"


def _kept(path: Path) -> list[ScoreRow]:
    rows = (ScoreRow(*cells) for cells in read_scores([path]).itertuples(index=False))
    return [row._replace(seed=None) for row in rows]  # what others submit has no seed


def _keep(entry: submission_log.Submission, rows: Sequence[ScoreRow], force: bool) -> Path:
    """Write the rows to the submission's file, with `force` in place of those of the same group, and log the event.

    One process at a time reads, merges and writes: of two at once, neither's rows are lost. Rows that another has
    written since this one began to score raise UsageError without `force`.
    """
    path, groups = _submission(entry.name), {_group(row) for row in rows}
    with redirect_stdout(sys.stderr), alone(LOCK, f"another process writes {path.parent}; waiting for it"):
        older = _kept(path) if path.exists() else []
        if not force:
            _need_free(path, older, groups)
        kept = [row for row in older if _group(row) not in groups]
        if rows:
            write_scores(path, sorted([*kept, *rows], key=_group))
        submission_log.add(path.parent, entry)
    return path


def draw_maps(folder: Path, tasks: Sequence[Task], protocol: Protocol, *, workers: int, device: str) -> None:
    """Write <scene>.png with prediction, truth, error map and HDR-VDP-2's visibility map of each task."""
    viewing = protocol if protocol.hdrvdp2 is not None else protocols[VIEWING]
    spread(partial(_draw, folder, viewing, device), tasks, workers if device == "cpu" else 1, "maps")


def _draw(folder: Path, viewing: Protocol, device: str, task: Task) -> None:
    prediction, truth = read_radiance(task.prediction), np.asarray(Truth.read(task.truth).radiance)
    reason, seen = "", None
    try:
        pair = Scorer(on_device(prediction, device), on_device(truth, device)).pair(viewing)
        seen = np.nan_to_num(visibility(pair, viewing).cpu().numpy())
    except UsageError as error:
        reason = str(error)
    title = f"{shown(task.scene)}: {shown(task.prediction.name)}. Visibility: HDR-VDP-2 as in {viewing.id}"
    write_bytes_atomic(folder / f"{task.scene}.png", map_figure(SceneMaps(prediction, truth, seen, title, reason)))
