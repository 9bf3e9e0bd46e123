"""Pipelines in which all is done: the project's own with dummy outputs, and a plain one of as many stages.

Nothing of the project runs. Its real dvc.yaml, code and parameters are copied, every output is made as a dummy file,
and DVC's own functions hash them and write the lock file, so that `dvc repro` finds every stage as it should be.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from bench.core.params import Params

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("bench", "methods", "datasets", "reports/literature", "reports/printed", "reports/submissions", "dvc.yaml",
          "requirements.lock", ".dvc/config", ".dvcignore", ".gitignore", "params.yaml", "plan.yaml")  # fmt: skip
FILES = 11
"""Files in an output that is a folder: the demo's predictions of one run."""

LIST = """
import json
from dvc.repo import Repo
from dvc.stage import PipelineStage
stages = [stage for stage in Repo().index.stages if isinstance(stage, PipelineStage)]
print(json.dumps([[stage.name, [str(out.fs_path) for out in stage.outs]] for stage in stages]))
"""

FINISH = """
import json, yaml
from dvc.repo import Repo
from dvc.stage.serialize import to_single_stage_lockfile
repo, locked = Repo(), {}
with repo.lock:
    for stage in repo.index.stages:
        stage.save(run_cache=False)
        stage.commit()
        locked[stage.name] = json.loads(json.dumps(to_single_stage_lockfile(stage)))
with open("dvc.lock", "w", encoding="utf-8") as file:
    yaml.safe_dump({"schema": "2.0", "stages": locked}, file, sort_keys=False)
"""


def ask(folder: Path, *words: str) -> tuple[float, str]:
    """Run a command in a project; return the processor's seconds that it took and what it printed."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    answer = subprocess.run(
        words, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, answer.stdout


def _python(folder: Path, code: str) -> str:
    return ask(folder, sys.executable, "-W", "ignore", "-c", code)[1]


def _start(folder: Path) -> None:
    (folder / ".dvc").mkdir(parents=True, exist_ok=True)
    shutil.copy2(ROOT / ".dvc/config", folder / ".dvc/config")
    ask(folder, "git", "init", "--quiet")


def widened(content: dict[str, Any], stages: int, count: int) -> dict[str, Any]:
    """Add seeds of the runs without codebook, a training and an evaluation each, to a profile of `count` stages."""
    plain = [run for run in Params.model_validate(content).runs.values() if run.codebook is None]
    more = [(seed, run) for seed in range(1, stages) for run in plain][: max(0, stages - count) // 2]
    variants = dict(content["variants"])
    for run in plain:
        seeds = [run.seed, *(seed for seed, other in more if other is run)]
        variants[run.variant] = {**variants[run.variant], "train": {run.trainset: seeds}}
    return {**content, "variants": variants}


def project(folder: Path, stages: int = 0) -> int:
    """Make the project's pipeline, all of it done, with seeds added up to `stages`; return how many stages it has."""
    for part in COPIED:
        (folder / part).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
        copy(ROOT / part, folder / part)
    _start(folder)
    found = json.loads(_python(folder, LIST).splitlines()[-1])
    if stages > len(found):
        content = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
        text = yaml.safe_dump(widened(content, stages, len(found)), sort_keys=False, width=200)
        (folder / "params.yaml").write_text(text, encoding="utf-8")
        ask(folder, sys.executable, "-m", "bench", "plan")
        found = json.loads(_python(folder, LIST).splitlines()[-1])
    for path in (Path(out) for _, outs in found for out in outs):
        for file in [path] if path.suffix else [path / f"{number}.exr" for number in range(FILES)]:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(str(file), encoding="utf-8")
    _python(folder, FINISH)
    return len(found)


def plain(folder: Path, stages: int) -> None:
    """Make a pipeline of as many stages, all of it done: an empty command, one small file in and one out."""
    _start(folder)
    names = [f"file{number}.txt" for number in range(stages + 1)]
    for name in names:
        (folder / name).write_text(name, encoding="utf-8")
    pairs = pairwise(names)
    content = {f"stage{n}": {"cmd": "true", "deps": [i], "outs": [o]} for n, (i, o) in enumerate(pairs)}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": content}), encoding="utf-8")
    _python(folder, FINISH)
