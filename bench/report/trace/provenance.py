"""provenance.json of a report folder: inputs (sha256) and stages behind each table or figure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.core.params import Params
from bench.core.registry import protocols
from bench.report.trace.origins import GROUPS, Sources

NAME = "provenance.json"
"""The file's name, one in tables/ and one in figures/."""

VERSION = 1

ABOUT = (
    "What each file of this folder was made from. By file name without ending: entries of the parameter file, and the "
    "stages of dvc.yaml that make them. Below: what is known of each entry, with hashes (sha256). For one number: "
    "python -m bench explain FILE:ROW:COLUMN."
)

CARD = (
    "run", "variant", "method", "preset", "options", "head", "register", "recipe", "settings", "trainset", "seed",
    "steps", "batch", "patches", "codebook", "codebook_sha256", "data", "perceptual", "parameters",
    "parameters_frozen", "precision", "tf32", "device", "processes", "libraries", "source", "source_sha256", "segments",
    "codes", "images",
)  # fmt: skip
"""Keys repeated from the cards of weights and codebooks, which git doesn't keep."""

NOT_SETTINGS = {"schema_version", "name", "version", "title", "source", "notes"}

Facts = Mapping[str, Mapping[str, Any]]
"""Name -> what is known of it: hashes, a card."""


@dataclass(frozen=True)
class Known:
    """Results of the stages before the report: group of `Sources` -> name -> facts that JSON can hold.

    params : sha256 of the profile's parameters.
    sizes  : variant -> parameters and multiply-adds (`bench.stages.cost.sizes`).
    """

    params: str
    evaluations: Facts = field(default_factory=dict)
    runs: Facts = field(default_factory=dict)
    codebooks: Facts = field(default_factory=dict)
    datasets: Facts = field(default_factory=dict)
    inspections: Facts = field(default_factory=dict)
    sizes: Facts = field(default_factory=dict)


def content(
    params: Params, known: Known, sources: Mapping[str, Sources], files: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """Return a folder's provenance as JSON values.

    sources : name without ending -> what it draws on.
    files   : name without ending -> file -> its sha256.
    """
    made = list(sources.values())
    union = {group: tuple(sorted({name for one in made for name in getattr(one, group)})) for group in GROUPS}
    used = Sources(**union, sizes=any(one.sizes for one in made)).closed(params)
    return {
        "about": ABOUT,
        "version": VERSION,
        "profile": params.profile,
        "params": {"file": params.params_file, "sha256": known.params},
        "protocol": protocol(params),
        "command": f"dvc repro {target(params, 'report')}",
        "entries": {name: _entry(params, made, files[name]) for name, made in sources.items()},
        "evaluations": {key: _evaluation(params, key, known) for key in used.evaluations},
        "runs": {run: {"stage": f"train@{run}", **known.runs.get(run, {})} for run in used.runs},
        "codebooks": {name: {"stage": f"codebook@{name}", **known.codebooks.get(name, {})} for name in used.codebooks},
        "datasets": {name: dict(known.datasets.get(name, {})) for name in used.datasets},
        "inspections": {name: dict(known.inspections.get(name, {})) for name in used.inspections},
        "sizes": dict(known.sizes) if used.sizes else {},
    }


def target(params: Params, stage: str) -> str:
    """Return what `dvc repro` calls a stage of this profile, from the project's root."""
    folder = Path(params.params_file).parent
    return stage if folder == Path() else f"{(folder / 'dvc.yaml').as_posix()}:{stage}"


def protocol(params: Params) -> dict[str, Any]:
    """Return the profile's protocol by its id, with every setting that moves a number."""
    used = protocols[params.protocol]
    return {"id": used.id, "settings": used.model_dump(mode="json", exclude=NOT_SETTINGS)}


def card(whole: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a card that provenance repeats."""
    return {key: whole[key] for key in CARD if key in whole}


def _entry(params: Params, made: Sources, files: Mapping[str, str]) -> dict[str, Any]:
    every = made.closed(params)
    named = {group: list(getattr(every, group)) for group in GROUPS if getattr(every, group)}
    return {"sha256": dict(files), **named, "sizes": every.sizes, "stages": made.stages(params)}


def _evaluation(params: Params, key: str, known: Known) -> dict[str, Any]:
    entry = params.evaluations[key]
    named = {"stage": f"evaluate@{key}", "run": entry.run, "dataset": entry.dataset}
    return {**named, **known.evaluations.get(key, {})}
