"""A cluster for all tests of this folder, and a way to wait for Slurm."""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from . import cluster as slurm

HOLD = [sys.executable, slurm.__file__, "hold"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for a cluster, which the user of munged can enter, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="slurm-")).resolve()
    yield path
    assert not slurm.processes(path)
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def cluster(slurm_is_possible: None) -> Iterator[Path]:
    """A cluster with two idle nodes: the folder with its slurm.conf. It ends with this process, however that ends."""
    path = Path(tempfile.mkdtemp(prefix="slurm-")).resolve()
    with subprocess.Popen(
        [*HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "ready\n"
        yield path
        holder.communicate(timeout=3 * slurm.PATIENCE)
    assert not slurm.processes(path)
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def slurm_is_possible() -> None:
    """Skip where there can be no cluster."""
    if reason := slurm.obstacle():
        pytest.skip(reason)


@pytest.fixture
def healthy(cluster: Path) -> Iterator[Path]:
    """The cluster with both nodes idle, and made so again after the test."""
    assert slurm.states(cluster) == dict.fromkeys(slurm.NODES, "idle")
    yield cluster
    slurm.ask(cluster, "scancel", "--user=root")
    for name, state in slurm.states(cluster).items():
        if state.startswith(("down", "drain")):
            slurm.ask(cluster, "scontrol", "update", f"nodename={name}", "state=resume")
    until(lambda: slurm.states(cluster) == dict.fromkeys(slurm.NODES, "idle"))


def until(holds: Callable[[], object], seconds: float = 60) -> None:
    """Wait until something holds; fail if it takes too long."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
