"""The whole chain of one number, or of a table or figure, as values that JSON can hold."""

import hashlib
import math
from pathlib import Path
from typing import Any

from bench.core.errors import UsageError, unknown_name
from bench.core.registry import protocols
from bench.provenance import history, links, values
from bench.provenance.evidence import Evidence
from bench.provenance.subject import Subject
from bench.provenance.values import Value
from bench.report.trace import digests, sidecar
from bench.report.trace.origins import Sources
from bench.report.trace.sidecar import target
from bench.stages import layout

KINDS = {
    "measured": "trained or run here, scored here",
    "measured-third-party-weights": "others' weights, scored here",
    "submitted": "scored here from someone's folder of results",
    "control": "a control of ours, scored here",
    "floor": "a floor: what no method should fall below",
    "published": "a row of which the paper's numbers are all there is: its code isn't public",
    "pending": "a row that this profile doesn't measure",
}
"""What kinds of rows a table has."""


def of_subject(subject: Subject, evidence: Evidence) -> dict[str, Any]:
    """Return the chain of one number; of a cell that isn't computed alone, what its table was made from."""
    value = values.compute(subject, evidence)
    sources, command = _sources(subject, value, evidence), None
    if value.text or value.missing:
        command = _command(subject, evidence, sources or Sources())
    elif sources:
        command = f"dvc repro {target(evidence.params, 'report')}"
    file = subject.cell.file if subject.cell else evidence.scores_file
    protocol = _protocol(subject, evidence) if sources else None
    described = {"subject": _subject(subject), "value": _value(subject, value), "protocol": protocol}
    return described | _traced(file, sources, evidence) | {"command": command}


def of_file(file: Path, evidence: Evidence) -> dict[str, Any]:
    """Return what a whole table or figure was made from, as its sidecar says."""
    entries = evidence.sidecar.get("entries", {})
    if not entries:
        again = f"dvc repro {target(evidence.params, 'report')}"
        raise UsageError(f"{evidence.sidecar_file} doesn't exist: an older version made this report. Run: {again}")
    if file.stem not in entries:
        raise unknown_name(f"table or figure in {evidence.sidecar_file}", file.stem, entries)
    recorded = entries[file.stem]["sha256"].get(file.name)
    described = {
        "subject": {"file": file.as_posix(), "sha256": recorded},
        "protocol": evidence.sidecar["protocol"],
        "command": evidence.sidecar["command"],
    }
    found = described | _traced(file, _recorded(file.stem, evidence), evidence)
    if recorded is not None and file.exists() and recorded != digests.of_file(file):
        found["notes"].insert(0, f"{file} isn't the file that its sidecar describes: it was changed by hand.")
    return found


def _recorded(name: str, evidence: Evidence) -> Sources | None:
    """Return what the sidecar says that a table or figure was made from, None where it says nothing."""
    entry = evidence.sidecar.get("entries", {}).get(name)
    if entry is None:
        return None
    groups = {k: tuple(entry.get(k, ())) for k in ("evaluations", "runs", "codebooks", "datasets", "inspections")}
    return Sources(**groups, sizes=bool(entry["sizes"]))


def _traced(file: Path, sources: Sources | None, evidence: Evidence) -> dict[str, Any]:
    """Return links, stages, commits and notes; all empty where nothing of ours stands behind a cell."""
    names = [*sources.stages(evidence.params), "summarize", "report"] if sources else []
    stages = links.stages(names, evidence)
    return {
        **links.chain(sources or Sources(), evidence),
        "stages": stages,
        "commits": _commits(file, evidence),
        "notes": _notes(evidence, stages) if sources else [],
    }


def agrees(subject: Subject, value: Value) -> bool | None:
    """Tell whether a cell holds the value computed again; None where there is nothing to compare."""
    if subject.cell is None or subject.scene or not value.text:
        return None
    return value.text == subject.cell.text


def _subject(subject: Subject) -> dict[str, Any]:
    named = {"variant": subject.variant, "dataset": subject.dataset, "metric": subject.metric, "scene": subject.scene}
    if subject.cell is None:
        return named
    cell = subject.cell
    row = {"label": cell.row.get("method", ""), "kind": cell.row.get("kind", "")}
    where = {"file": cell.file.as_posix(), "line": cell.line, "column": cell.column, "text": cell.text}
    return {**where, **row, **named, "meaning": KINDS.get(row["kind"], ""), "reason": cell.reason}


def _value(subject: Subject, value: Value) -> dict[str, Any]:
    rows = [] if value.rows is None else value.rows[["variant", "seed", "scene", "value"]].to_dict("records")
    return {
        "text": value.text,
        "number": _finite(value.number),
        "how": value.how,
        "files": list(value.files),
        "rows": [{**row, "value": _finite(row["value"])} for row in rows],
        "missing": value.missing,
        "agrees": agrees(subject, value),
    }


def _finite(number: float | None) -> float | str | None:
    # JSON has no word for infinity and NaN.
    return number if number is None or math.isfinite(number) else str(number)


def _sources(subject: Subject, value: Value, evidence: Evidence) -> Sources | None:
    """Return what stands behind a subject; None for a number of the paper, a word, or a row without a result."""
    if subject.cell and not subject.metric and subject.cell.number is None:
        return _recorded(subject.cell.name, evidence)
    if not subject.variant or subject.column.startswith("paper_") or not (value.text or value.missing):
        return None
    if subject.cell and not subject.cell.row.get("scenes"):
        return None
    keys = values.behind(subject, evidence)
    if subject.column == "params_m" or subject.column in values.SIZES:
        params = evidence.params
        runs = tuple(name for name in sorted(params.runs) if params.runs[name].variant == subject.variant)[:1]
        foreign = tuple(key for key in keys if params.evaluations[key].weights)
        return Sources(evaluations=foreign, runs=runs, sizes=subject.column in values.SIZES)
    return Sources(evaluations=keys)


def _protocol(subject: Subject, evidence: Evidence) -> dict[str, Any] | None:
    name = evidence.protocol(subject.variant, subject.dataset)
    name = name or (subject.cell.row.get("protocol", "") if subject.cell else "")
    if not name or not (subject.metric or subject.column in ("psnr_mu_difference", *values.COUNTS)):
        return None
    known, _, version = name.partition("@")
    if known not in protocols or str(protocols[known].version) != version:
        return {"id": name, "settings": {}, "title": "not among the protocols of this version"}
    rules = protocols[known]
    settings = rules.model_dump(mode="json", exclude=sidecar.NOT_SETTINGS)
    return {"id": name, "title": rules.title, "settings": settings}


def _commits(file: Path, evidence: Evidence) -> dict[str, Any]:
    files = [file, evidence.scores_file, evidence.lock.file, Path(evidence.params.params_file)]
    found = history.of_files(dict.fromkeys(path for path in files if path.exists()))
    return {
        "files": found.commits, "changed_since": list(found.changed), "dirty": found.dirty, "problem": found.problem,
    }  # fmt: skip


def _command(subject: Subject, evidence: Evidence, sources: Sources) -> str:
    """The one command that makes the number again and prints it, or looks the paper's up."""
    params = evidence.params
    verb = "--check" if subject.cell and not subject.scene else "--value"
    read = f"explain {subject.words} {verb}"
    # A file's path names its profile; without one the parameter file does.
    again = f"python -m bench {read}" if subject.cell and not subject.scene else layout.command(params, read)
    names = [f"evaluate@{key}" for key in sources.evaluations]
    if subject.column == "params_m":
        names = [f"train@{run}" for run in sources.runs] or names
    if subject.column in values.SIZES:
        names = ["sizes"]
    return f"dvc repro {' '.join(target(params, name) for name in names)} && {again}" if names else again


def _notes(evidence: Evidence, stages: list[dict[str, Any]]) -> list[str]:
    """Say what isn't known here, and what would make it known."""
    params, notes = evidence.params, []
    if not params.work.exists():
        notes.append(f"{params.work} isn't on this disk: its hashes are those recorded, and files weren't compared.")
    if not evidence.lock.exists:
        notes.append(
            f"{evidence.lock.file} isn't tracked, so no hash of a stage is recorded: this report was made without DVC. "
            "Where other hardware trained it, the command gives close values, not the same."
        )
    if not evidence.sidecar:
        notes.append(f"{evidence.sidecar_file} isn't there (an older version made the report), so cards aren't known.")
    elif evidence.sidecar.get("params", {}).get("sha256") != digests.of_params(params):
        notes.append(f"{params.params_file} has changed since this report was made.")
    if (md5 := evidence.lock.outputs("summarize").get(evidence.scores_file.as_posix(), {}).get("md5")) not in (
        None,
        hashlib.md5(evidence.scores_file.read_bytes(), usedforsecurity=False).hexdigest(),
    ):
        notes.append(f"{evidence.scores_file} isn't the file that {evidence.lock.file} records (md5 {md5}).")
    unrecorded = [stage["stage"] for stage in stages if not stage["recorded"] and evidence.lock.exists]
    if unrecorded:
        notes.append(f"{evidence.lock.file} doesn't record {', '.join(unrecorded)}.")
    return notes
