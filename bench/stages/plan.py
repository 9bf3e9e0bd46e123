"""`plan.yaml`: what DVC needs of a parameter file, written out for each stage. Git tracks it, nobody edits it.

DVC can't derive, include or leave out: here each training and evaluation stands with its paths, and where a stage needs
no codebook or weights, the path repeats one that it depends on anyway. Everything lies below the one key `plan`, since
DVC refuses variables that the parameter file beside it has too.
"""

import os
import re
from pathlib import Path
from typing import Any

import yaml

from bench.core import layout
from bench.core.errors import UsageError
from bench.core.params import Params, Variant, included
from bench.core.reading import need_regular, shown
from bench.core.registry import code_of, datasets
from bench.core.runs import trains
from bench.io.files import write_text_atomic

HEADER = "# Written by `python -m bench plan` from the parameter file beside it; nobody edits it.\n"

SETTINGS = (
    "threads", "protocol", "sensitivity", "metrics", "keep_predictions", "head", "register", "tile", "precision",
    "preset", "simulate", "recipe", "caps", "patches", "perceptual", "stage1", "stage2", "downloads",
)  # fmt: skip
"""What stages depend on as it stands; defaults aren't written out, since they depend on the code that holds them."""


def run(params: Params, check: bool = False) -> None:
    """Write plan.yaml if it isn't what the parameters give; with `check` refuse that instead, as the pipeline does."""
    if check:
        need_fresh(params)
        write_text_atomic(layout.planned(params), "plan.yaml agrees with the parameters.\n")
    else:
        print(f"{path(params)} {'is written' if write(params) else 'agrees with the parameters'}")
        trained = {run.variant for run in params.runs.values()}
        idle = [n for n, v in params.variants.items() if trains(v) and n not in trained and v.train is None]
        if idle:
            print(f"not trained, since `train` names no training set and seed for them: {', '.join(idle)}")


def path(params: Params) -> Path:
    """Return where the plan of a parameter file lies: beside it."""
    return Path(params.params_file).with_name("plan.yaml")


def write(params: Params) -> bool:
    """Write plan.yaml if it isn't what the parameters give; tell whether it was."""
    if not stale(params):
        return False
    write_text_atomic(path(params), text(params))
    return True


def stale(params: Params) -> bool:
    """Tell whether plan.yaml is missing, older than the parameters, or edited."""
    file, wanted = path(params), text(params).encode()
    return not file.exists() or need_regular(file).stat().st_size != len(wanted) or file.read_bytes() != wanted


def need_fresh(params: Params) -> None:
    """Raise UsageError where plan.yaml isn't what the parameters give."""
    if stale(params):
        raise UsageError(
            f"{path(params)} isn't what {params.params_file} gives: the parameters have changed since, or it was "
            f"edited. Write it anew with: {layout.command(params, 'plan')}"
        )


def text(params: Params) -> str:
    """Return the content of plan.yaml; UsageError for parameters that DVC can't run."""
    _need_words(params)
    if not params.evaluations:
        raise UsageError(
            f"{params.params_file} evaluates nothing, and the pipeline ends with scores; say where: evaluate: "
            f"[{next(iter(params.datasets), 'panoramas')}]."
        )
    content = {"plan": document(params)}
    return HEADER + yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=10_000, default_flow_style=None)


def _need_words(params: Params) -> None:
    """Refuse paths of parameter files that a shell, to which DVC gives its commands as text, would read otherwise."""
    for file in (params.params_file, str(included(Path(params.params_file)) or "")):
        if not re.fullmatch(r"[A-Za-z0-9._+/-]*", file) or file.startswith("-"):
            raise UsageError(
                f"{shown(repr(file))}: the path of a parameter file becomes a word of a shell's command; it may have "
                "letters, digits, slashes and . _ + - only. Rename its folder."
            )


NUMBER = re.compile(r"[-+]?(0o[0-7]+|[0-9]+[eE][-+]?[0-9]+)")
"""Text that PyYAML writes without quotes and DVC, which reads YAML 1.2, would take for a number."""


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper, which quotes what looks like a number in either version of YAML."""


def _represent(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="'" if NUMBER.fullmatch(value) else None)


_Dumper.add_representer(str, _represent)


def document(params: Params) -> dict[str, Any]:
    """Return what stands below `plan`, as YAML values."""
    file = Path(params.params_file)
    stated = params.model_dump(mode="json", exclude_unset=True, by_alias=True)
    full = params.model_dump(mode="json", by_alias=True)
    if not (params.runs or params.codebook_runs):
        stated |= {"perceptual": {"backbone": "none"}}  # as the stage `backbone` has it
    plain = {name: stated.get(name, {} if isinstance(full[name], dict) else full[name]) for name in SETTINGS}
    return {
        "profile": params.profile,
        "root": os.path.relpath(Path.cwd(), file.parent.absolute()),
        "file": str(path(params)),
        "params": params.params_file,
        "included": str(included(file) or file),
        **plain,
        "datasets": {
            name: {"code": code_of(datasets[name].module), **stated["datasets"][name]} for name in params.datasets
        },
        "codebooks": {key: _codebook(params, key) for key in params.codebook_runs},
        "variants": {name: _variant(params, variant) for name, variant in params.variants.items()},
        "runs": {key: _run(params, key) for key in params.runs},
        "inspected": {
            key: {"variant": run.variant, "trainset": run.trainset, "code": run.code}
            for key, run in params.runs.items()
            if run.codebook
        },
        "evaluations": {key: _evaluation(params, key) for key in params.evaluations},
        "gathered": _gathered(params),
    }


def _codebook(params: Params, key: str) -> dict[str, Any]:
    made = params.codebook_runs[key]
    spec = params.codebooks[made.codebook]
    facts = {"trainset": made.trainset, "seed": made.seed, "segments": made.segments, "codes": made.codes}
    return {**facts, **({"options": dict(spec.options)} if spec.options else {})}


def _variant(params: Params, variant: Variant) -> dict[str, Any]:
    chosen = {"options": dict(variant.options), "recipe": variant.recipe, "stage2": dict(variant.stage2)}
    stated = {name: value for name, value in chosen.items() if value}
    return {"method": variant.method, "preset": variant.preset, **stated}


def _run(params: Params, key: str) -> dict[str, Any]:
    run = params.runs[key]
    file = layout.codebook(params, run.codebook) if run.codebook else layout.scenes(params, run.trainset)
    return {
        "variant": run.variant, "trainset": run.trainset, "seed": run.seed, "code": run.code, "codebook": str(file),
    }  # fmt: skip


def _evaluation(params: Params, key: str) -> dict[str, Any]:
    entry = params.evaluations[key]
    trained = layout.weights(params, entry.run) if entry.run in params.runs else None
    weights = entry.weights or trained
    file = Path(weights or layout.scenes(params, entry.dataset))
    # The card says how frames are registered and, of weights from elsewhere, what the network is built with.
    card = file.with_suffix(".json") if weights else file
    return {
        "run": entry.run, "variant": entry.variant, "dataset": entry.dataset, "code": entry.code,
        "weights": str(file), "card": str(card),
    }  # fmt: skip


def _gathered(params: Params) -> dict[str, str]:
    """Folders that the report reads; where no stage writes into one, the score rows stand in its place."""
    scores = f"reports/{params.profile}/scores.csv"
    there = {"weights": params.runs, "curves": params.runs, "codebooks": params.codebook_runs}
    there["inspect"] = params.codebook_runs
    return {name: str(params.work / name) if made else scores for name, made in there.items()}
