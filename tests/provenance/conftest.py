"""A small invented profile with its report, lock file and results, and no network behind it."""

import hashlib
import shutil
from pathlib import Path

import pytest
import yaml

from bench.core.params import Params
from bench.io.tables import write_scores
from bench.provenance.evidence import Evidence
from bench.stages.reporting import report
from bench.stages.scoring import summarize
from tests.shared import shared, undrawn

from ..report.conftest import card, parameters, score_rows, write_json

SIZE = {"parameters": 123456, "parameters_frozen": 0, "macs_256": 7_000_000_000, "macs_full": 160_000_000_000}
SECOND = "baseline--panoramas--s1"
"""A second seed of one variant."""


def invented() -> Params:
    variants = parameters().model_dump()["variants"]
    variants["baseline"]["train"] = {"panoramas": [0, 1]}
    return parameters(variants=variants)


def fill(params: Params) -> None:
    """Write what the stages before `summarize` leave, below the current folder; networks are a few bytes."""
    rows = score_rows()
    first = rows["baseline--panoramas--s0--panoramas"]
    rows[f"{SECOND}--panoramas"] = [row._replace(seed=1, value=row.value + 0.25) for row in first]
    for key, found in rows.items():
        write_scores(params.work / "scores" / f"{key}.csv", found)
        cell = params.evaluations[key]
        predictions = params.work / "predictions" / cell.run / cell.dataset / "test"
        predictions.mkdir(parents=True)
        (predictions / "courtyard-00.exr").write_bytes(key.encode())
    for run in params.runs:
        write_json(params.work / "weights" / f"{run}.json", card(params, run))
        (params.work / "weights" / f"{run}.safetensors").write_bytes(run.encode())
    for name in params.codebook_runs:
        write_json(params.work / "codebooks" / f"{name}.json", {"codebook": name, "data": "0" * 64, "codes": 32})
    write_json(params.work / "sizes.json", {"full": {"measured": SIZE, "published": SIZE}})


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def write_lock(params: Params) -> None:
    run = "full--panoramas--s0"
    weights, scores = params.work / "weights" / f"{run}.safetensors", params.reports / "scores.csv"
    stages = {
        f"train@{run}": {
            "cmd": f"python -m bench train {run}",
            "deps": [{"path": "bench/nn", "hash": "md5", "md5": "c0de.dir", "size": 9, "nfiles": 3}],
            "params": {"plan.yaml": {"plan.stage2": {"steps": 60, "batch": 4}}},
            "outs": [{"path": weights.as_posix(), "hash": "md5", "md5": md5(weights), "size": 18}],
        },
        "summarize": {"cmd": "x", "outs": [{"path": scores.as_posix(), "hash": "md5", "md5": md5(scores), "size": 9}]},
    }
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}), encoding="utf-8")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The invented profile's folder, not to be changed."""
    return shared(tmp_path_factory, "invented", complete)


def complete(folder: Path) -> None:
    """Fill a folder with the invented profile, its report and its lock file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        undrawn(patch)
        params = invented()
        fill(params)
        summarize.run(params)
        report.run(params)
        write_lock(params)


@pytest.fixture
def evidence(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Evidence:
    """Its records, in a copy that is now the current folder."""
    shutil.copytree(made, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return Evidence(invented())
