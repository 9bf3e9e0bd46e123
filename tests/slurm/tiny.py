"""A tiny git and DVC project: one stage, four that read from it, one that reads from these; any can be made to hang."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

MIDDLE = ("left", "right", "large", "small")
LARGE = 700
"""MiB that stage `large` holds."""

STAGE = f'''\
"""python stage.py NAME [INPUT...]: after a second, write a text made from the inputs; say in $TRIAL where it ran."""
import hashlib, os, sys, time
from pathlib import Path

name, *inputs = sys.argv[1:]
trial = Path(os.environ["TRIAL"])
with (trial / "ran").open("a") as log:
    log.write(f"{{name}} {{os.environ.get('SLURM_JOB_ID')}} {{os.environ.get('SLURMD_NODENAME')}}\\n")
if (trial / f"{{name}}.hangs").exists():
    time.sleep(600)
held = bytearray({LARGE} * 2**20 if name == "large" else 0)
time.sleep(3 if held else 1)
digest = hashlib.sha256(b"".join(Path(path).read_bytes() for path in inputs)).hexdigest()
Path("out").mkdir(exist_ok=True)
Path(f"out/{{name}}.txt").write_text(f"{{name}} {{digest}}\\n")
'''


@dataclass(frozen=True)
class Trial:
    """The project and a folder beside it, in which its stages say that they ran."""

    project: Path
    notes: Path

    def environment(self) -> dict[str, str]:
        """Variables for whatever runs stages."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
        return {"TRIAL": str(self.notes), "PATH": path}

    @property
    def log(self) -> Path:
        """File for what a launch prints."""
        return self.notes / "launch.log"

    def said(self) -> str:
        """Return what the last launch has printed."""
        return self.log.read_text(encoding="utf-8")

    def hang(self, *stages: str) -> None:
        """Make stages hang that begin from now on, and no others."""
        for mark in self.notes.glob("*.hangs"):
            mark.unlink()
        for name in stages:
            (self.notes / f"{name}.hangs").touch()

    def ran(self) -> list[tuple[str, str, str]]:
        """Return name, job and node of each time that a stage began; `None` where that wasn't in a job."""
        path = self.notes / "ran"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [tuple(line.split()) for line in lines]

    def results(self) -> dict[str, object]:
        """Return the bytes of each output, and what `dvc.lock` holds, whose order is that in which stages ended."""
        outputs = {path.name: path.read_bytes() for path in (self.project / "out").iterdir()}
        return {**outputs, "dvc.lock": yaml.safe_load((self.project / "dvc.lock").read_text(encoding="utf-8"))}


def make(folder: Path) -> Trial:
    """Make the project in a new folder and commit it."""
    trial = Trial(folder / "project", folder / "notes")
    trial.project.mkdir(parents=True)
    trial.notes.mkdir()
    (trial.project / "stage.py").write_text(STAGE, encoding="utf-8")
    (trial.project / "seed.txt").write_text("7\n", encoding="utf-8")
    (trial.project / "dvc.yaml").write_text(yaml.safe_dump({"stages": _stages()}), encoding="utf-8")
    (trial.project / ".gitignore").write_text("out/\n", encoding="utf-8")
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    _call(trial, "git", "init", "--quiet", "--initial-branch=main")
    dvc(trial, "init", "--quiet")
    dvc(trial, "config", "core.analytics", "false")
    _call(trial, "git", "add", "--all")
    _call(trial, "git", *identity, "commit", "--quiet", "--message=Tiny")
    return trial


def dvc(trial: Trial, *arguments: str) -> str:
    """Run DVC in the project and return what it prints."""
    return _call(trial, sys.executable, "-m", "dvc", *arguments)


def _stages() -> dict[str, dict[str, object]]:
    def stage(name: str, *inputs: str) -> dict[str, object]:
        command = " ".join(["python", "stage.py", name, *inputs])
        return {"cmd": command, "deps": ["stage.py", *inputs], "outs": [f"out/{name}.txt"]}

    middle = {name: stage(name, "out/source.txt") for name in MIDDLE}
    join = stage("join", *(f"out/{name}.txt" for name in MIDDLE))
    return {"source": stage("source", "seed.txt"), **middle, "join": join}


def _call(trial: Trial, *command: str) -> str:
    answer = subprocess.run(
        command, cwd=trial.project, env={**os.environ, **trial.environment()}, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout
