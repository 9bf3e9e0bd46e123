"""The cluster itself: what it needs, that its limits hold, and that it leaves nothing."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from . import cluster as slurm
from .conftest import HOLD, until

EATER = f"{sys.executable} -c 'import time; held = bytearray(400 * 2**20); time.sleep(60)'"


def submit(cluster: Path, command: str, *options: str) -> str:
    """Submit a command and return the job's id."""
    log = f"--output={cluster}/%j.log"
    return slurm.ask(cluster, "sbatch", "--parsable", log, *options, "--wrap", command).strip()


def state(cluster: Path, job: str) -> str:
    return slurm.ask(cluster, "squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T").strip()


def listening(pids: set[int]) -> set[str]:
    """Return the addresses, in the kernel's hexadecimal, on which processes accept TCP connections."""
    inodes = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            inodes.add(str(link.readlink()).removeprefix("socket:[").removesuffix("]"))
    rows = [line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()]
    return {row[1].partition(":")[0] for row in rows if row[3] == "0A" and row[9] in inodes}


def test_without_packages_a_sentence_names_them(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    assert slurm.obstacle() == (
        "Slurm isn't installed; on Debian or Ubuntu: apt-get install --no-install-recommends munge slurm-wlm"
    )


def test_without_root_a_sentence_says_so(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda program, **_: program)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "need root" in slurm.obstacle()


def test_daemons_listen_on_loopback_only(healthy):
    daemons = slurm.processes(healthy)
    assert sorted(daemons.values()) == ["munged", "slurmctld", "slurmd", "slurmd", "slurmscriptd"]
    assert listening(set(daemons)) == {"0100007F"}


def test_each_node_takes_a_job(healthy):
    jobs = [submit(healthy, "srun hostname; sleep 60") for _ in range(3)]
    until(lambda: [state(healthy, job) for job in jobs] == ["RUNNING", "RUNNING", "PENDING"])
    nodes = {slurm.ask(healthy, "squeue", "--noheader", f"--jobs={job}", "--format=%N").strip() for job in jobs[:2]}
    assert nodes == set(slurm.NODES)


@pytest.mark.parametrize("prefix", ["", "srun "])
def test_a_job_above_its_memory_is_killed(healthy, prefix):
    job = submit(healthy, prefix + EATER, "--mem=200")
    until(lambda: state(healthy, job) == "FAILED")
    assert "exceeded memory limit" in (healthy / f"{job}.log").read_text()


def test_a_node_set_down_loses_its_job(healthy):
    job = submit(healthy, "sleep 60", "--nodelist=n2")
    until(lambda: state(healthy, job) == "RUNNING")
    slurm.ask(healthy, "scontrol", "update", "nodename=n2", "state=down", "reason=test")
    until(lambda: state(healthy, job) == "NODE_FAIL")


@pytest.mark.usefixtures("slurm_is_possible")
@pytest.mark.parametrize("end", ["interrupted", "terminated", "its owner killed"])
def test_nothing_is_left(folder, end):
    """A job that ignores SIGTERM runs when the cluster has to end."""
    reader, writer = os.pipe()
    owner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"], pass_fds=[writer])
    os.close(writer)
    with subprocess.Popen([*HOLD, folder], stdin=reader, stdout=subprocess.PIPE, text=True) as holder:
        os.close(reader)
        assert holder.stdout.readline() == "ready\n"
        submit(folder, "trap '' TERM; sleep 600 & wait; sleep 600")
        until(lambda: "sleep" in slurm.processes(folder).values())
        if number := {"interrupted": signal.SIGINT, "terminated": signal.SIGTERM}.get(end):
            holder.send_signal(number)
        else:
            owner.kill()
        holder.wait(timeout=3 * slurm.PATIENCE)
    owner.kill()
    owner.wait()
    assert holder.returncode == (130 if number else 0)
    assert not slurm.processes(folder)


@pytest.mark.usefixtures("slurm_is_possible")
def test_a_cluster_that_cannot_start_leaves_nothing(folder, tmp_path, monkeypatch):
    (tmp_path / "slurmd").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "slurmd").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    command = [sys.executable, slurm.__file__, "start", folder]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=3 * slurm.PATIENCE, check=False)
    assert (answer.returncode, answer.stderr.count("\n")) == (1, 1), answer.stderr
    assert "exit status 3" in answer.stderr
    assert (folder / "slurmctld.log").exists()
    assert not slurm.processes(folder)


@pytest.mark.usefixtures("slurm_is_possible")
def test_the_command_line_starts_shows_and_stops(folder):
    def run(verb: str) -> str:
        command = [sys.executable, slurm.__file__, verb, folder]
        return subprocess.run(command, capture_output=True, text=True, timeout=100, check=True).stdout

    run("start")
    assert "idle" in run("status")
    run("stop")
    assert run("status") == f"nothing runs for {folder}\n"
