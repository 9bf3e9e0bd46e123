"""Why: score a folder of results under every setting of HDR-VDP-2, and say what each step of a setting does."""

from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import UsageError
from bench.core.params import Params
from bench.core.reading import shown
from bench.io.files import check_destination, write_bytes_atomic, write_text_atomic
from bench.io.submission import match
from bench.metrics.checks import FileFinding
from bench.report.protocols.why import ScoredSettings, table
from bench.report.protocols.why_figure import why_figure
from bench.report.table.writers import to_csv
from bench.stages.own_files.score import ScoreRequest, scenes_of
from bench.stages.reporting.why import score_settings
from bench.stages.scoring.scoring import Task

FILES = ("why.csv", "why.png")


@dataclass(frozen=True)
class WhyResult:
    """What came out under each setting, faults of files by their names, and what was written."""

    found: ScoredSettings
    findings: tuple[tuple[str, FileFinding], ...]
    files: tuple[Path, ...]


def run(params: Params, request: ScoreRequest, folder: Path) -> WhyResult:
    """Score the files of `request` under all settings, and write table and figure into `folder`.

    A folder where other files of these names stand, or one of which nothing can be scored, raises UsageError.
    """
    paths = tuple(folder / name for name in FILES)
    check_destination("--out", folder, folder=True)
    taken = [path for path in paths if path.exists()]
    if taken and not request.force:
        raise UsageError(f"--out: {shown(taken[0])} exists; name another folder, or replace it with --force.")
    scenes, known = scenes_of(params, request)
    matched = match(request.folder, scenes, known)
    tasks = [Task(scene, file, scenes[scene]) for scene, file in matched.files.items()]
    if not tasks:
        raise UsageError(f"{shown(request.folder)} holds no file of the first {len(scenes)} scenes.")
    name = request.folder.resolve().name
    found, outcomes = score_settings(params, request.dataset, {name: tasks}, request.jobs or 1, request.trust)
    pairs = zip(tasks, outcomes[name], strict=True)
    findings = tuple((shown(task.prediction.name), one) for task, outcome in pairs for one in outcome.findings)
    if not found.published:
        said = next((f": {file} {finding.said}" for file, finding in findings if finding.bad), ".")
        raise UsageError(f"nothing in {shown(request.folder)} could be scored{said}")
    write_text_atomic(paths[0], to_csv(table(found)))
    write_bytes_atomic(paths[1], why_figure(found))
    return WhyResult(found, findings, paths)
