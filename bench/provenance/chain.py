"""The chain from a number, table or figure down to data and code, as values that JSON can hold."""

import hashlib
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.core import layout
from bench.core.errors import UsageError, unknown_name
from bench.core.registry import metrics, protocols
from bench.provenance import values
from bench.provenance.evidence import Evidence
from bench.provenance.number import Number
from bench.provenance.values import Value
from bench.report.table.kinds import KINDS
from bench.report.trace import digests, origins, provenance
from bench.report.trace.origins import Sources
from bench.report.trace.provenance import target
from bench.repository import git


def of_number(number: Number, evidence: Evidence) -> dict[str, Any]:
    """Return the chain of one number; of a cell that isn't computed alone, what its table was made from."""
    value = values.compute(number, evidence)
    sources, command = _sources(number, value, evidence), None
    if value.text or value.missing:
        command = _command(number, evidence, sources or Sources())
    elif sources:
        command = f"dvc repro {target(evidence.params, 'report')}"
    file = number.cell.file if number.cell else evidence.scores_file
    rows = [] if value.rows is None else value.rows[["variant", "seed", "scene", "value"]].to_dict("records")
    described = {
        "subject": _describe(number),
        "value": {
            "text": value.text,
            "number": _json_number(value.exact),
            "how": value.how,
            "files": list(value.files),
            "rows": [{**row, "value": _json_number(row["value"])} for row in rows],
            "missing": value.missing,
            "agrees": agrees(number, value),
        },
        "protocol": _protocol(number, evidence) if sources else None,
    }
    return described | _traced(file, sources, evidence) | {"command": command}


def of_file(file: Path, evidence: Evidence) -> dict[str, Any]:
    """Return what a whole table or figure was made from, by the provenance.json beside it."""
    entries = evidence.provenance.get("entries", {})
    if not entries:
        again = f"dvc repro {target(evidence.params, 'report')}"
        raise UsageError(f"{evidence.provenance_file} doesn't exist: an older version made this report. Run: {again}")
    if file.stem not in entries:
        raise unknown_name(f"table or figure in {evidence.provenance_file}", file.stem, entries)
    recorded = entries[file.stem]["sha256"].get(file.name)
    described = {
        "subject": {"file": file.as_posix(), "sha256": recorded},
        "protocol": evidence.provenance["protocol"],
        "command": evidence.provenance["command"],
    }
    found = described | _traced(file, _recorded(file.stem, evidence), evidence)
    if recorded is not None and file.exists() and recorded != digests.of_file(file):
        found["notes"].insert(0, f"{file} was changed by hand: {evidence.provenance_file} describes another.")
    return found


def _recorded(name: str, evidence: Evidence) -> Sources | None:
    """Return what a table or figure was made from by provenance.json; None where it isn't listed."""
    entry = evidence.provenance.get("entries", {}).get(name)
    if entry is None:
        return None
    groups = {k: tuple(entry.get(k, ())) for k in ("evaluations", "runs", "codebooks", "datasets", "inspections")}
    return Sources(**groups, sizes=bool(entry["sizes"]))


def _traced(file: Path, sources: Sources | None, evidence: Evidence) -> dict[str, Any]:
    """Return links, stages, commits and notes; without sources only the commits."""
    names = [*sources.stages(evidence.params), "summarize", "report"] if sources else []
    stages = _stages(names, evidence)
    return {
        **_links(sources or Sources(), evidence),
        "stages": stages,
        "commits": commits([file, evidence.scores_file, evidence.lock.file, Path(evidence.params.params_file)]),
        "notes": _notes(evidence, stages) if sources else [],
    }


def agrees(number: Number, value: Value) -> bool | None:
    """Return True if a cell holds the value computed again; None where there is nothing to compare."""
    if number.cell is None or number.scene or not value.text:
        return None
    return value.text == number.cell.text


def _describe(number: Number) -> dict[str, Any]:
    named = {"variant": number.variant, "dataset": number.dataset, "metric": number.metric, "scene": number.scene}
    if number.cell is None:
        return named
    cell = number.cell
    row = {"label": cell.row.get("method", ""), "kind": cell.row.get("kind", "")}
    where = {"file": cell.file.as_posix(), "line": cell.line, "column": cell.column, "text": cell.text}
    return {**where, **row, **named, "meaning": KINDS.get(row["kind"], ""), "reason": cell.reason}


def _json_number(value: float | None) -> float | str | None:
    return value if value is None or math.isfinite(value) else str(value)  # JSON has no infinity and no NaN


def _sources(number: Number, value: Value, evidence: Evidence) -> Sources | None:
    """Return what a number was made from; None for a number of the paper, a word, or a row without a result."""
    if number.cell and not number.metric and number.cell.table is None:
        return _recorded(number.cell.name, evidence)
    if not number.variant or number.column.startswith("paper_") or not (value.text or value.missing):
        return None
    if number.cell and not number.cell.row.get("scenes"):
        return None
    keys = values.evaluations_of(number, evidence)
    if number.column == "params_m" or number.column in values.SIZES:
        params = evidence.params
        runs = tuple(name for name in sorted(params.runs) if params.runs[name].variant == number.variant)[:1]
        foreign = tuple(key for key in keys if params.evaluations[key].weights)
        return Sources(evaluations=foreign, runs=runs, sizes=number.column in values.SIZES)
    return Sources(evaluations=keys)


def _protocol(number: Number, evidence: Evidence) -> dict[str, Any] | None:
    name = evidence.protocol(number.variant, number.dataset)
    name = name or (number.cell.row.get("protocol", "") if number.cell else "")
    if not name or not (number.metric or number.column in (*values.PAIRED, *values.COUNTS)):
        return None
    known, _, version = name.partition("@")
    if known not in protocols or str(protocols[known].version) != version:
        return {"id": name, "settings": {}, "title": "not among the protocols of this version"}
    rules = protocols[known]
    settings = rules.model_dump(mode="json", exclude=provenance.NOT_SETTINGS)
    metric = number.metric.partition("@")[0]
    decide = ["region", "values", *metrics[metric].sections] if metric in metrics else list(settings)
    return {"id": name, "title": rules.title, "settings": settings, "decide": decide}


def commits(files: Iterable[Path]) -> dict[str, Any]:
    """Return what git says of files below the current folder.

    files         : file -> the commit that last changed it, "" where no commit holds it.
    changed_since : the files that differ from the last commit.
    dirty         : whether any tracked file differs from it.
    problem       : why git has no answer, "" if it has.
    """
    names, here, problem = list(dict.fromkeys(path.as_posix() for path in files if path.exists())), Path(), ""
    try:
        if git.ask(here, "rev-parse", "HEAD").returncode:
            problem = "this folder is no git checkout, so commits are unknown"
    except UsageError:
        problem = "git isn't installed, so commits are unknown"
    if problem:
        return {"files": {}, "changed_since": [], "dirty": False, "problem": problem}
    return {
        "files": {name: git.output(here, "log", "-1", "--format=%H", "--", name).strip() for name in names},
        "changed_since": [line[3:] for line in git.output(here, "status", "--porcelain", "--", *names).splitlines()],
        "dirty": bool(git.output(here, "status", "--porcelain", "--untracked-files=no")),
        "problem": "",
    }


def _command(number: Number, evidence: Evidence, sources: Sources) -> str:
    """Return the command that makes the number again and prints it, or looks the paper's up."""
    params = evidence.params
    verb = "--check" if number.cell and not number.scene else "--value"
    read = f"explain {number.words} {verb}"
    # A file's path names its profile; without one the parameter file does.
    again = f"python -m bench {read}" if number.cell and not number.scene else layout.command(params, read)
    names = [f"evaluate@{key}" for key in sources.evaluations]
    if number.column == "params_m":
        names = [f"train@{run}" for run in sources.runs] or names
    if number.column in values.SIZES:
        names = ["sizes"]
    return f"dvc repro {' '.join(target(params, name) for name in names)} && {again}" if names else again


def _notes(evidence: Evidence, stages: list[dict[str, Any]]) -> list[str]:
    """Say what isn't known here, and what would make it known."""
    params, notes = evidence.params, []
    if not params.work.exists():
        notes.append(f"{params.work} isn't on this disk: its hashes are those recorded, and files weren't compared.")
    if not evidence.lock.stages:
        notes.append(
            f"{evidence.lock.file} isn't tracked, so no hash of a stage is recorded: this report was made without DVC. "
            "Where other hardware trained it, the command gives close values, not the same."
        )
    if not evidence.provenance:
        file = evidence.provenance_file
        notes.append(f"{file} isn't there (an older version made the report), so cards aren't known.")
    elif evidence.provenance.get("params", {}).get("sha256") != digests.of_params(params):
        notes.append(f"{params.params_file} has changed since this report was made.")
    if (md5 := evidence.lock.outputs("summarize").get(evidence.scores_file.as_posix(), {}).get("md5")) not in (
        None,
        hashlib.md5(evidence.scores_file.read_bytes(), usedforsecurity=False).hexdigest(),
    ):
        notes.append(f"{evidence.scores_file} isn't the file that {evidence.lock.file} records (md5 {md5}).")
    unrecorded = [stage["stage"] for stage in stages if not stage["recorded"] and evidence.lock.stages]
    if unrecorded:
        notes.append(f"{evidence.lock.file} doesn't record {', '.join(unrecorded)}.")
    return notes


def _links(sources: Sources, evidence: Evidence) -> dict[str, list[dict[str, Any]]]:
    """Return the links behind these entries of the parameter file, from evaluations down to data."""
    every = sources.closed(evidence.params)
    return {
        "evaluations": [_evaluation(key, evidence) for key in every.evaluations],
        "trainings": [_training(run, evidence) for run in every.runs],
        "codebooks": [_codebook(name, evidence) for name in every.codebooks],
        "data": [_data(name, evidence) for name in every.datasets],
    }


def _stages(names: Sequence[str], evidence: Evidence) -> list[dict[str, Any]]:
    """Return what dvc.lock records of each stage: its command, and the hashes of what it read and wrote."""
    found = []
    for name in names:
        reads = evidence.lock.inputs(name)
        code = {path: known["md5"] for path, known in reads.items() if not path.startswith(("work/", "reports/"))}
        writes = {path: known["md5"] for path, known in evidence.lock.outputs(name).items()}
        found.append({"stage": name, "recorded": name in evidence.lock.stages, "writes": writes, "code": code})
    return found


def _evaluation(key: str, evidence: Evidence) -> dict[str, Any]:
    params, evaluation = evidence.params, evidence.params.evaluations[key]
    stage, recorded = f"evaluate@{key}", evidence.recorded("evaluations", key)
    rows = origins.digest(origins.rows(params, evidence.scores, key))
    file = layout.scores(params, key)
    scores = evidence.file(stage, file, None)
    if file.exists():  # its rows are compared with those of the report
        scores["here"] = "as recorded" if origins.digest(evidence.rows([key])[0]) == rows else "changed since"
    predictions = layout.predictions(params, evaluation.run, evaluation.dataset)
    link = {
        "evaluation": key,
        "stage": stage,
        "predictions": evidence.file(stage, predictions, recorded.get("predictions", {}).get("sha256")),
        "scores": scores,
        "rows": {"file": evidence.scores_file.as_posix(), "sha256": rows},
    }
    if evaluation.weights:
        link["card"] = evidence.card("evaluations", key)
    return link | {"parameters": evidence.lock.parameters(stage)}


def _training(run: str, evidence: Evidence) -> dict[str, Any]:
    stage = f"train@{run}"
    recorded, params = evidence.recorded("runs", run), evidence.params
    variant = params.runs[run].variant
    sections = {"stage2": params.stage2, "patches": params.patches, f"variants.{variant}": params.variants[variant]}
    declared = {name: section.model_dump(mode="json") for name, section in sections.items()}
    return {
        "run": run,
        "stage": stage,
        "weights": evidence.file(stage, layout.weights(params, run), recorded.get("weights_sha256")),
        "card": evidence.card("runs", run),
        # Today's parameter file, where dvc.lock doesn't record the training.
        "parameters": evidence.lock.parameters(stage) or {"recipe": params.recipe, "head": params.head, **declared},
    }


def _codebook(name: str, evidence: Evidence) -> dict[str, Any]:
    recorded = evidence.recorded("codebooks", name)
    stage = f"codebook@{name}"
    return {
        "codebook": name,
        "stage": stage,
        "weights": evidence.file(stage, layout.codebook(evidence.params, name), recorded.get("weights_sha256")),
        "card": evidence.card("codebooks", name),
        "parameters": evidence.lock.parameters(stage)
        or {"stage1": evidence.params.stage1_of(name).model_dump(mode="json")},
    }


def _data(name: str, evidence: Evidence) -> dict[str, Any]:
    params, splits = evidence.params, evidence.recorded("datasets", name)
    scenes, raw = layout.scenes(params, name), layout.raw(params, name)
    folders = [path for path in sorted(scenes.glob("*/")) if path.is_dir()] if scenes.exists() else []
    return {
        "dataset": name,
        "stages": [f"fetch@{name}", f"prepare@{name}"],
        "splits": splits or {path.name: digests.of_records(path) for path in folders},
        "scenes": _locked(f"prepare@{name}", scenes.as_posix().rstrip("/"), evidence),
        "raw": _locked(f"fetch@{name}", raw.as_posix(), evidence),
        "parameters": evidence.lock.parameters(f"fetch@{name}") | evidence.lock.parameters(f"prepare@{name}"),
    }


def _locked(stage: str, path: str, evidence: Evidence) -> dict[str, Any]:
    # Frames and archives can be many gigabytes: they aren't hashed again for one number.
    return {"path": path, **evidence.lock.outputs(stage).get(path, {})}
