"""Launches in which something goes wrong, on a small project with git, DVC and submitit as they are."""

import json
import os
import signal
import socket
import subprocess
import time

import pytest

from bench.launch.clone import lock_of, name_of
from bench.launch.job import hold
from tests.launch import conftest as fixtures
from tests.launch.tiny import Project, git

template, project = fixtures.template, fixtures.project


pytestmark = pytest.mark.usefixtures("signals_as_at_a_terminal")


@pytest.fixture
def expected(template, tmp_path_factory):
    """What `dvc repro` alone makes."""
    project = Project.copied(template, tmp_path_factory.mktemp("serial"))
    code, output = project.repro()
    assert code == 0, output
    return project.results()


def wait_for(condition, process):
    deadline = time.monotonic() + 100
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def alive(pid):
    """Whether a process is there, and no mere zombie that its new parent hasn't asked for yet."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state) and not state.startswith("Z")


def test_a_failure_is_told_and_the_next_launch_goes_on_from_there(project, expected):
    project.order("train-a", "once 75")
    project.order("train-b", "exit 3")
    code, output = project.launch()
    assert code == 1
    told = output.partition("error: ")[2]
    assert "3 stages aren't done; launch again to go on:" in told
    assert "train@b: failed, exit code 3: something went wrong in train-b" in told
    assert "evaluate@b: blocked, needs train@b" in told
    assert "join: blocked, needs train@b" in told
    log = project.root / next(line.split()[1] for line in told.splitlines() if line.strip().startswith("log: "))
    assert "working on train-b\nsomething went wrong in train-b" in log.read_text()
    assert (project.names.count("train-a"), project.names.count("train-b")) == (2, 1), "75 is tried again, 3 isn't"
    assert (project.root / "work/tiny/scores/a").exists(), "what is finished is restored at once"
    project.order("train-b", None)
    code, output = project.launch()
    assert code == 0, output
    assert project.results() == expected
    assert project.names.count("train-a") == 2


def test_a_launch_that_is_killed_and_one_that_is_interrupted_leave_nothing_running(project):
    project.order("train-a", "sleep 1000")
    project.order("train-b", "sleep 1000")
    first = project.start()
    wait_for(lambda: len(project.pids) == 4, first)
    first.kill()
    first.wait()
    first.stdout.close()  # no more is read: its workers have it open, too
    assert all(alive(pid) for pid in project.pids[2:])
    second = project.start()
    wait_for(lambda: len(project.pids) == 6, second)
    assert not any(alive(pid) for pid in project.pids[:4])

    code, output = project.launch()
    assert code == 2
    assert f"another launch is running on this checkout: process {second.pid} on {socket.gethostname()}" in output

    second.send_signal(signal.SIGINT)
    output = second.communicate(timeout=100)[0]
    assert second.returncode == 130, output
    assert not any(alive(pid) for pid in project.pids)
    states = {name: card["state"] for name, card in project.state()["stages"].items()}
    assert states["prepare"] == "restored"
    assert {states[name] for name in ("train@a", "train@b", "evaluate@a", "join")} == {"cancelled"}
    assert project.state()["jobs"] == []


def test_a_closed_terminal_ends_the_workers_and_leaves_a_state_to_go_on_from(project, expected):
    project.order("train-a", "sleep 1000")
    project.order("train-b", "sleep 1000")
    first = project.start(start_new_session=True)
    wait_for(lambda: len(project.pids) == 4, first)
    for _ in range(2):  # the kernel's, and then the shell's
        os.killpg(first.pid, signal.SIGHUP)
        time.sleep(0.2)
    output = first.communicate(timeout=100)[0]
    assert first.returncode == 130, output
    assert not any(alive(pid) for pid in project.pids)
    assert project.state()["jobs"] == []
    states = {name: card["state"] for name, card in project.state()["stages"].items()}
    assert states["prepare"] == "done"
    assert {states[name] for name in ("train@a", "train@b", "evaluate@a", "join")} == {"cancelled"}
    project.order("train-a", None)
    project.order("train-b", None)
    code, output = project.launch()
    assert code == 0, output
    assert "ended process" not in output
    assert project.results() == expected


def test_with_nohup_a_closed_terminal_changes_nothing(project, expected):
    project.order("train-a", "sleep 3")
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        launch = project.start(start_new_session=True)
    finally:
        signal.signal(signal.SIGHUP, before)
    wait_for(lambda: "train-a" in project.names, launch)
    os.killpg(launch.pid, signal.SIGHUP)
    output = launch.communicate(timeout=100)[0]
    assert launch.returncode == 0, output
    assert project.results() == expected


def test_workers_of_a_killed_launch_are_found_without_its_list_and_in_its_own_folder(project, tmp_path):
    project.order("train-a", "sleep 1000")
    first = project.start(clones=tmp_path / "far")
    wait_for(lambda: "train-a" in project.names, first)
    first.kill()
    first.wait()
    first.stdout.close()
    path = project.root / "runs/tiny/launch/state.json"
    path.write_text(json.dumps({**project.state(), "jobs": []}))
    other = lock_of(tmp_path / "far" / name_of(tmp_path / "another", "tiny", 0))
    project.order("train-a", None)
    with hold(other):
        code, output = project.launch()
    assert code == 0, output
    assert "a worker of an earlier launch whose head was gone" in output
    assert f"process {os.getpid()} " not in output, "the other checkout's isn't ended"
    assert project.names.count("train-a") == 2


def test_without_a_shared_cache_results_travel_through_a_remote(project, tmp_path):
    code, output = project.launch(stages=("train",), push=True)
    assert code == 2
    assert "--push needs a default remote of DVC" in output
    with (project.root / ".dvc/config").open("a") as config:
        config.write("    remote = far\n['remote \"far\"']\n    url = ../../remote\n")
    git(project.root, "commit", "--all", "--message", "remote")
    code, output = project.launch(stages=("train",), push=True, slots=(None,))
    assert code == 0, output
    assert sorted(project.names) == ["fetch", "prepare", "train-a", "train-b"]
    assert (project.root / "work/tiny/weights/b").exists()
    assert (tmp_path / "remote/files/md5").is_dir()
