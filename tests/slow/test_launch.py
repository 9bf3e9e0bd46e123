"""Launches in which something goes wrong, on a small project with git, DVC and submitit as they are."""

import os
import signal
import socket
import time

import pytest

from tests.launch.tiny import Project, git, write_project


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("template") / "tiny"
    write_project(folder)
    return folder


@pytest.fixture
def project(template, tmp_path):
    return Project.copied(template, tmp_path)


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
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_failure_is_told_and_the_next_launch_goes_on_from_there(project, expected):
    project.order("train-a", "once 75")
    project.order("train-b", "exit 3")
    code, output = project.launch()
    assert code == 1
    told = output.partition("error: ")[2]
    assert "3 stages aren't done; launch again to go on:" in told
    assert "train@b: failed, exit code 3: something went wrong in train-b" in told
    assert "evaluate_plain@b: blocked, needs train@b" in told
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
    states = {name: card["state"] for name, card in project.state()["cards"].items()}
    assert states["prepare"] == "restored"
    assert {states[name] for name in ("train@a", "train@b", "evaluate_plain@a", "join")} == {"cancelled"}
    assert project.state()["jobs"] == []


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
