"""A launch on Slurm gives what `dvc repro` gives, also after a cancelled job, a lost node and too little memory."""

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from . import cluster as slurm
from . import tiny
from .conftest import until

ROOT = Path(__file__).resolve().parents[2]
STAGES = {"source", *tiny.MIDDLE, "join"}
PATIENCE = 600.0
"""Seconds for a launch; it takes a tenth of that on an idle machine."""

LAUNCH = """
import sys
from pathlib import Path
from bench.core.errors import BenchError
from bench.launch.plan import LaunchOptions
from bench.launch.pool import Needs
from bench.launch.head import launch

needs = Needs(memory=float(sys.argv[1]))
try:
    launch(LaunchOptions(Path.cwd(), "dvc.yaml", "tiny", executor="slurm", slots=(None, None), needs=needs, backoff=1))
except BenchError as error:
    print(error)
    sys.exit(error.exit_code)
except KeyboardInterrupt:
    sys.exit(130)
"""
"""What `python -m bench launch --on slurm --jobs 2 --memory GB` does, with the project in the working folder."""


@dataclass(frozen=True)
class Launch:
    """A launch in a process of its own."""

    trial: tiny.Trial
    process: subprocess.Popen[bytes]

    def began(self, name: str) -> tuple[str, str]:
        """Wait until a stage has begun; return its job and node."""
        until(lambda: self.process.poll() is not None or self._places(name), PATIENCE)
        assert self._places(name), f"the launch ended before {name} began"
        return self._places(name)[-1]

    def ends(self) -> int:
        """Wait until it ends; return its exit code."""
        return self.process.wait(PATIENCE)

    def _places(self, name: str) -> list[tuple[str, str]]:
        return [(job, node) for stage, job, node in self.trial.ran() if stage == name]


@contextmanager
def launched(cluster: Path, trial: tiny.Trial, gigabytes: float) -> Iterator[Launch]:
    """Start the launch of a project whose jobs get so much memory; afterwards it is over, and shown."""
    command = [sys.executable, "-c", LAUNCH, str(gigabytes)]
    variables = {**slurm.environment(cluster), **trial.environment(), "PYTHONPATH": str(ROOT)}
    with (
        trial.log.open("wb") as log,
        subprocess.Popen(command, cwd=trial.project, env=variables, stdout=log, stderr=log) as process,
    ):
        try:
            yield Launch(trial, process)
        finally:
            process.kill()
            print(trial.said())


def launch(cluster: Path, trial: tiny.Trial, gigabytes: float = 1.5) -> int:
    """Launch, wait, and return the exit code."""
    with launched(cluster, trial, gigabytes) as run:
        return run.ends()


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What serial `dvc repro` gives."""
    trial = tiny.make(tmp_path_factory.mktemp("serial"))
    tiny.dvc(trial, "repro")
    return trial.results()


@pytest.fixture
def trial(tmp_path: Path) -> tiny.Trial:
    return tiny.make(tmp_path)


def restores(trial: tiny.Trial) -> bool:
    """Whether `dvc repro` at the head has nothing to run."""
    before = trial.ran()
    return "Running stage" not in tiny.dvc(trial, "repro") and trial.ran() == before


def test_a_launch_gives_what_serial_repro_gives(healthy, trial, serial):
    assert launch(healthy, trial) == 0
    assert trial.results() == serial
    assert sorted(stage for stage, *_ in trial.ran()) == sorted(STAGES)
    assert {node for _, _, node in trial.ran()} == set(slurm.NODES)
    assert restores(trial)


def test_after_a_cancelled_job_a_lost_node_and_too_little_memory_a_second_launch_finishes(healthy, trial, serial):
    trial.hang("left", "right")
    with launched(healthy, trial, 0.5) as run:
        job, _ = run.began("left")
        _, node = run.began("right")
        trial.hang()
        slurm.ask(healthy, "scancel", job)
        slurm.ask(healthy, "scontrol", "update", f"nodename={node}", "state=down", "reason=test")
        assert run.ends() == 1
    report = trial.said().partition("launch again to go on:")[2]
    assert "large: failed, the job was out of memory (0.5 GB)" in report
    assert "left: cancelled" in report
    assert "join: blocked" in report
    assert "right" not in report, "a lost node isn't the job's fault: it is tried again within the launch"
    assert [place for name, *place in trial.ran() if name == "right"][-1][1] != node

    slurm.ask(healthy, "scontrol", "update", f"nodename={node}", "state=resume")
    assert launch(healthy, trial) == 0
    assert trial.results() == serial
    assert Counter(name for name, *_ in trial.ran()) == {
        "source": 1, "small": 1, "join": 1, "left": 2, "right": 2, "large": 2
    }  # fmt: skip
    assert restores(trial)


def test_an_interrupted_launch_leaves_no_job_and_can_go_on(healthy, trial, serial):
    trial.hang("left", "right")
    with launched(healthy, trial, 1.5) as run:
        run.began("left")
        run.began("right")
        limits = slurm.ask(healthy, "squeue", "--noheader", "--format=%l").split()
        assert set(limits) == {"2:00:00"}, "without --time the limit is the partition's"
        run.process.send_signal(signal.SIGINT)
        assert run.ends() == 130
    until(lambda: not slurm.ask(healthy, "squeue", "--noheader"))
    trial.hang()
    assert launch(healthy, trial) == 0
    assert trial.results() == serial
    assert restores(trial)


def test_more_memory_than_any_node_has_is_refused_in_a_sentence(healthy, trial):
    assert launch(healthy, trial, 100) == 2
    assert trial.said().rstrip().splitlines()[-1].startswith("Slurm refuses the job of source: ")
    assert not slurm.ask(healthy, "squeue", "--noheader")
