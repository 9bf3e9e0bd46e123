"""A small project of git and DVC with a pipeline whose stages take a fraction of a second."""

import dataclasses
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from bench.launch.graph import DvcStage, Pipeline
from bench.launch.plan import LaunchOptions

ROOT = Path(__file__).resolve().parents[2]

STAGE = '''
"""A stage: joins its inputs to its output. The folder $TINY keeps count, and holds what shall go wrong."""
import os, pathlib, subprocess, sys, time

name, output, *inputs = sys.argv[1:]
control = pathlib.Path(os.environ["TINY"])
with open(control / "ran", "a") as file:
    visible, processes = (os.environ.get(key, "-") for key in ("CUDA_VISIBLE_DEVICES", "BENCH_PROCESSES"))
    file.write(f"{name} {visible or '-'} {processes} {os.getpid()}\\n")
print("working on", name, flush=True)
order = control / name
if order.exists():
    word, number = order.read_text().split()
    if word == "sleep":
        subprocess.run(["sleep", number])
    else:
        if word == "once":
            order.unlink()
        print("something went wrong in", name, flush=True)
        sys.exit(int(number))
path = pathlib.Path(output)
path.parent.mkdir(parents=True, exist_ok=True)
path.write_text(f"{name}({', '.join(pathlib.Path(source).read_text() for source in inputs)})")
'''

PIPELINE = """
stages:
  fetch:
    wdir: ${root}
    cmd: python stage.py fetch work/${profile}/raw
    deps: [stage.py]
    params: [{"${params_file}": [seed]}]
    outs: ["work/${profile}/raw"]
  prepare:
    wdir: ${root}
    cmd: python stage.py prepare work/${profile}/scenes work/${profile}/raw
    deps: [stage.py, "work/${profile}/raw"]
    outs: ["work/${profile}/scenes"]
  train:
    foreach: ${runs}
    do:
      wdir: ${root}
      cmd: python stage.py train-${key} work/${profile}/weights/${key} work/${profile}/scenes given/weights
      deps: [stage.py, given/weights, "work/${profile}/scenes"]
      params: [{"${params_file}": ["runs.${key}"]}]
      outs: ["work/${profile}/weights/${key}"]
  evaluate:
    foreach: ${runs}
    do:
      wdir: ${root}
      cmd: >-
        python stage.py evaluate-${key} work/${profile}/scores/${key}
        work/${profile}/weights/${key} work/${profile}/scenes
      deps: [stage.py, "work/${profile}/weights/${key}", "work/${profile}/scenes"]
      outs: ["work/${profile}/scores/${key}"]
  join:
    wdir: ${root}
    cmd: python stage.py join work/${profile}/join work/${profile}/weights/a work/${profile}/weights/b
    deps: [stage.py, "work/${profile}/weights/a", "work/${profile}/weights/b"]
    outs: ["work/${profile}/join"]
  summarize:
    wdir: ${root}
    cmd: >-
      python stage.py summarize reports/${profile}/scores
      work/${profile}/join work/${profile}/scores/a work/${profile}/scores/b
    deps: [stage.py, "work/${profile}/join", "work/${profile}/scores"]
    outs: [{"reports/${profile}/scores": {cache: false}}]
"""

PARAMS = (
    "{{profile: {profile}, root: {root}, params_file: {file}, seed: 0, runs: {{a: {{seed: 0}}, b: {{seed: 0}}}}}}\n"
)


REPORT = """#!/bin/sh
echo "page of" work/tiny/scores/*
"""

LAUNCH = """
import os, pickle, sys
from types import SimpleNamespace
from bench.core.errors import BenchError
from bench.launch import preview
from bench.launch.head import launch
preview.sys = SimpleNamespace(executable=os.path.join(os.environ["TINY"], "report"))  # in place of `python -m bench`
try:
    launch(pickle.loads(bytes.fromhex(sys.argv[1])))
except KeyboardInterrupt:
    sys.exit(130)
except BenchError as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(error.exit_code)
"""


def pipeline_of(edges, head=()):
    """A pipeline, all of it out of date, from what each stage reads; DVC has no part in it."""
    stages = {
        name: DvcStage(name, name, frozenset(above), "changed command", name not in head, ())
        for name, above in edges.items()
    }
    return Pipeline("dvc.yaml", stages, (), "cache", {}, None)


def git(folder, *arguments):
    identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    command = ["git", "-C", folder, *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def write_project(folder):
    files = {
        "stage.py": STAGE,
        "dvc.yaml": PIPELINE,
        "params.yaml": PARAMS.format(profile="tiny", root=".", file="params.yaml"),
        "profiles/other/params.yaml": PARAMS.format(profile="other", root="../..", file="profiles/other/params.yaml"),
        ".gitignore": "work/\nruns/\ngiven/\n__pycache__/\n",
        ".dvcignore": "__pycache__/\n",
        ".dvc/config": "[core]\n    analytics = false\n    check_update = false\n",
        ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
        "given/weights": "given",
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    (folder / "profiles/other/dvc.yaml").symlink_to("../../dvc.yaml")
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "tiny")


class Project:
    """A project with its control folder."""

    @classmethod
    def copied(cls, template, folder):
        shutil.copytree(template, folder / "tiny", symlinks=True)
        return cls(folder / "tiny", folder / "control")

    def __init__(self, root, control):
        self.root, self.control = root, control
        control.mkdir()
        (control / "report").write_text(REPORT)
        (control / "report").chmod(0o755)
        bin_folder = str(Path(sys.executable).parent)
        path = os.pathsep.join([bin_folder, os.environ["PATH"]])
        self.environ = {**os.environ, "TINY": str(control), "PYTHONPATH": str(ROOT), "PATH": path}

    def options(self, **changes):
        base = LaunchOptions(root=self.root, file="dvc.yaml", profile="tiny", slots=(None, None), poll=0.1, backoff=0.1)
        return dataclasses.replace(base, **changes)

    def command(self, **changes):
        """A process that launches: what `python -m bench launch` does, on this project."""
        return [sys.executable, "-c", LAUNCH, pickle.dumps(self.options(**changes)).hex()]

    def start(self, start_new_session=False, **changes):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        command = self.command(**changes)
        return subprocess.Popen(command, cwd=self.root, env=self.environ, start_new_session=start_new_session, **pipes)

    def launch(self, **changes):
        process = self.start(**changes)
        output = process.communicate(timeout=120)[0]
        return process.returncode, output

    def order(self, name, what):
        """Let a stage do something else from now on: "sleep 9", "exit 3" or, "once 75", exit once; None: its work."""
        path = self.control / name
        path.unlink(missing_ok=True) if what is None else path.write_text(what)

    def repro(self, *arguments):
        command = [sys.executable, "-m", "dvc", "repro", *arguments]
        answer = subprocess.run(command, cwd=self.root, env=self.environ, capture_output=True, text=True, check=False)
        return answer.returncode, answer.stdout + answer.stderr

    @property
    def ran(self):
        """Stages that ran, anywhere, in order: name, CUDA_VISIBLE_DEVICES, BENCH_PROCESSES."""
        return [tuple(line.split()[:3]) for line in self._lines()]

    def _lines(self):
        path = self.control / "ran"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def pids(self):
        return [int(line.split()[3]) for line in self._lines()]

    @property
    def names(self):
        return [entry[0] for entry in self.ran]

    def state(self):
        return json.loads((self.root / "runs/tiny/launch/state.json").read_text())

    def results(self):
        """Everything that the pipeline makes, with the lock file."""
        files = [path for folder in ("work/tiny", "reports/tiny") for path in (self.root / folder).rglob("*")]
        made = {str(path.relative_to(self.root)): path.read_text() for path in files if path.is_file()}
        return {**made, "dvc.lock": yaml.safe_load((self.root / "dvc.lock").read_text())}
