"""Two folders of score rows in a checkout of their own, with the lock files that they were made under."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from bench.core.registry import protocols
from bench.io.container import list_scenes, read_scene
from bench.io.radiance import read_exr
from bench.io.tables import ScoreRow, write_scores
from bench.metrics.protocol import Protocol
from bench.regression.drift import FROZEN
from bench.regression.sides import Side, read_side

RUNS = ("reference-only", "triangle-merge", "flow-merge", "ahdrnet--panoramas--s0")
METRICS = ("psnr-l", "psnr-mu", "ssim-l", "ssim-mu")
RULE = protocols["whole-float"].model_copy(update={"metrics": METRICS})

Lock = dict[str, Any]


def measure(rule: Protocol = RULE, factor: float = 1.0) -> list[ScoreRow]:
    """Score the frozen predictions, times `factor`."""
    rows = []
    for run in RUNS:
        variant, trainset, seed = (*run.split("--"), "", "")[:3]
        for folder in list_scenes(FROZEN / "scenes"):
            prediction = read_exr(FROZEN / "predictions" / run / f"{folder.name}.exr") * np.float32(factor)
            for metric, value in rule.evaluate(prediction, read_scene(folder).radiance, trusted=True).items():
                number = int(seed[1:]) if seed else None
                place = (variant, variant, trainset, number, "panoramas", folder.name)
                rows.append(ScoreRow("demo", *place, metric, value, rule.id))
    return rows


@pytest.fixture(scope="session")
def rows() -> list[ScoreRow]:
    """Real scores of four methods on two scenes: to be copied, not changed."""
    return measure()


def lock(**md5: str) -> Lock:
    """Build a lock file of two evaluations, whose files have the md5 given by "stage__path", else the same ones.

    The stage is one, such as "train@x", or a group of them, such as "train".
    """

    def files(stage: str, *paths: str) -> list[dict[str, str]]:
        group = stage.partition("@")[0]
        given = [md5.get(f"{stage}__{path}", md5.get(f"{group}__{path}", f"md5-{path}")) for path in paths]
        return [{"path": path, "md5": value} for path, value in zip(paths, given, strict=True)]

    def stage(name: str, deps: Sequence[str], outs: Sequence[str], params: Mapping[str, Any]) -> Lock:
        return {"cmd": name, "deps": files(name, *deps), "outs": files(name, *outs), "params": {"plan.yaml": params}}

    scenes, weights = "work/demo/scenes/panoramas", "work/demo/weights/ahdrnet--panoramas--s0.safetensors"
    net, classic = "ahdrnet--panoramas--s0--panoramas", "triangle-merge--panoramas"
    made = [
        stage("prepare@panoramas", ["bench/data", "datasets/panoramas"], [scenes], {}),
        stage(
            "train@ahdrnet--panoramas--s0",
            ["requirements.lock", "bench/train", scenes],
            [weights],
            {"plan.stage2": {"steps": 600}},
        ),
        stage(
            f"evaluate@{net}",
            ["bench/metrics", scenes, weights],
            ["work/demo/predictions/ahdrnet--panoramas--s0/panoramas", f"work/demo/scores/{net}.csv"],
            {"plan.protocol": "whole-float"},
        ),
        stage(
            f"evaluate@{classic}",
            ["bench/metrics", scenes],
            ["work/demo/predictions/triangle-merge/panoramas", f"work/demo/scores/{classic}.csv"],
            {"plan.protocol": "whole-float"},
        ),
        stage("summarize", [], ["reports/demo/scores.csv"], {}),
    ]
    stages = {entry["cmd"]: entry for entry in made}
    return {"schema": "2.0", "stages": stages}


@pytest.fixture
def side(tmp_path: Path) -> Callable[..., Side]:
    """Write score rows, and a lock file of theirs if one is given, to a folder, and read it as BASE or NEW."""

    def write(name: str, rows: Sequence[ScoreRow], made: Lock | None = None, libraries: str = "") -> Side:
        folder = tmp_path / name
        write_scores(folder / "scores.csv", rows)
        if made is not None:
            digest = hashlib.md5((folder / "scores.csv").read_bytes()).hexdigest()
            made["stages"]["summarize"]["outs"][0]["md5"] = digest
            if libraries:
                (folder / "requirements.lock").write_text(libraries, encoding="utf-8")
                for entry in made["stages"]["train@ahdrnet--panoramas--s0"]["deps"][:1]:
                    entry["md5"] = hashlib.md5(libraries.encode()).hexdigest()
            (folder / "dvc.lock").write_text(yaml.safe_dump(made), encoding="utf-8")
        return read_side(name, tmp_path, tmp_path, "reports/demo")

    return write
