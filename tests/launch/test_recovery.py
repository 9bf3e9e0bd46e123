import signal
import subprocess
import sys

import pytest

from bench.launch import recovery
from bench.launch.lock import Held, hold
from bench.launch.recovery import end_slurm_jobs, end_workers
from tests.launch.tiny import ROOT

HOLDER = """
import os, signal, sys, time
from pathlib import Path
from bench.launch.lock import hold
os.setpgid(0, 0)
signal.signal(signal.SIGTERM, signal.SIG_IGN if sys.argv[2] == "deaf" else signal.SIG_DFL)
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(1000)
"""


@pytest.fixture
def holder(tmp_path):
    path = tmp_path / "clones" / "0.lock"
    found = []

    def start(how="obeys"):
        command = [sys.executable, "-c", HOLDER, path, how]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        found.append(process)
        assert process.stdout.readline() == "held\n"
        return path, process

    yield start
    for process in found:
        process.kill()
        process.communicate()


def test_a_lock_tells_who_holds_it_and_goes_with_its_process(holder):
    path, process = holder()
    with pytest.raises(Held, match=f"process {process.pid} on ") as caught, hold(path):
        pass
    assert caught.value.holder.process == process.pid
    process.kill()
    process.wait()
    with hold(path), pytest.raises(Held), hold(path):
        pass


@pytest.mark.parametrize(("how", "number"), [("obeys", signal.SIGTERM), ("deaf", signal.SIGKILL)])
def test_workers_of_a_head_that_is_gone_are_ended(holder, monkeypatch, how, number):
    monkeypatch.setattr(recovery, "GRACE", -4.5)
    path, process = holder(how)
    (ended,) = end_workers([path, path.with_name("1.lock")])
    assert ended.process == process.pid
    assert process.wait(10) == -number


def test_jobs_of_slurm_are_cancelled(tmp_path, monkeypatch):
    tool = tmp_path / "scancel"
    tool.write_text(f"#!/bin/sh\necho $* >> {tmp_path}/called\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    end_slurm_jobs(["12", "13"])
    end_slurm_jobs([])
    assert (tmp_path / "called").read_text() == "12 13\n"
