"""The links of a chain: evaluations, trainings, codebooks and data, each with its stage, files, hashes and card."""

from collections.abc import Sequence
from typing import Any

from bench.core.params import Params
from bench.provenance.evidence import Evidence
from bench.report.trace import digests, origins
from bench.report.trace.origins import Sources
from bench.stages import layout

Link = dict[str, Any]


def chain(sources: Sources, evidence: Evidence) -> dict[str, list[Link]]:
    """Return the links behind these entries of the parameter file, from evaluations down to data."""
    every = sources.closed(evidence.params)
    return {
        "evaluations": [_evaluation(key, evidence) for key in every.evaluations],
        "trainings": [_training(run, evidence) for run in every.runs],
        "codebooks": [_codebook(name, evidence) for name in every.codebooks],
        "data": [_data(name, evidence) for name in every.datasets],
    }


def stages(names: Sequence[str], evidence: Evidence) -> list[Link]:
    """Return what dvc.lock records of each stage: its command, and the hashes of what it read and wrote."""
    found = []
    for name in names:
        reads = evidence.lock.inputs(name)
        code = {path: known["md5"] for path, known in reads.items() if not path.startswith(("work/", "reports/"))}
        writes = {path: known["md5"] for path, known in evidence.lock.outputs(name).items()}
        found.append({"stage": name, "recorded": name in evidence.lock.stages, "writes": writes, "code": code})
    return found


def _evaluation(key: str, evidence: Evidence) -> Link:
    params, cell = evidence.params, evidence.params.evaluations[key]
    stage, recorded = f"evaluate@{key}", evidence.sidecar.get("evaluations", {}).get(key, {})
    rows = digests.of_rows(origins.rows(params, evidence.scores, key))
    predictions = layout.predictions(params, cell.run, cell.dataset)
    link = {
        "evaluation": key,
        "stage": stage,
        "predictions": evidence.file(stage, predictions, recorded.get("predictions", {}).get("sha256")),
        "scores": _scores(key, rows, evidence),
        "rows": {"file": evidence.scores_file.as_posix(), "sha256": rows},
    }
    if cell.weights:
        link["card"] = evidence.foreign_card(key)
    return link | {"parameters": evidence.lock.parameters(stage)}


def _scores(key: str, reported: str, evidence: Evidence) -> Link:
    """Return what is known of an evaluation's score file; its rows here are compared with those of the report."""
    file = layout.scores(evidence.params, key)
    known = evidence.file(f"evaluate@{key}", file, None)
    if file.exists():
        same = digests.of_rows(evidence.rows([key])[0]) == reported
        known["here"] = "as recorded" if same else "changed since"
    return known


def _training(run: str, evidence: Evidence) -> Link:
    stage = f"train@{run}"
    recorded = evidence.sidecar.get("runs", {}).get(run, {})
    weights = layout.weights(evidence.params, run)
    return {
        "run": run,
        "stage": stage,
        "weights": evidence.file(stage, weights, recorded.get("weights_sha256")),
        "card": evidence.card(run),
        "parameters": evidence.lock.parameters(stage) or _declared(evidence.params, run),
    }


def _declared(params: Params, run: str) -> dict[str, Any]:
    """What today's parameter file says of a training that no lock file records."""
    entry = params.runs[run]
    sections = {
        "stage2": params.stage2,
        "patches": params.patches,
        f"variants.{entry.variant}": params.variants[entry.variant],
    }
    said: dict[str, Any] = {"recipe": params.recipe, "head": params.head}
    return said | {name: section.model_dump(mode="json") for name, section in sections.items()}


def _codebook(name: str, evidence: Evidence) -> Link:
    recorded = evidence.sidecar.get("codebooks", {}).get(name, {})
    stage = f"codebook@{name}"
    return {
        "codebook": name,
        "stage": stage,
        "weights": evidence.file(stage, layout.codebook(evidence.params, name), recorded.get("weights_sha256")),
        "card": evidence.codebook_card(name),
        "parameters": evidence.lock.parameters(stage)
        or {"stage1": evidence.params.stage1_of(name).model_dump(mode="json")},
    }


def _data(name: str, evidence: Evidence) -> Link:
    params, splits = evidence.params, dict(evidence.sidecar.get("datasets", {}).get(name, {}))
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


def _locked(stage: str, path: str, evidence: Evidence) -> Link:
    # Frames and archives can be many gigabytes: they aren't hashed again for one number.
    return {"path": path, **evidence.lock.outputs(stage).get(path, {})}
