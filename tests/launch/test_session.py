"""Whole launches on a small project, with git, DVC and submitit as they are."""

import os
import signal
import socket
import time

import pytest

from bench.core.errors import UsageError
from bench.launch.plan import plan
from tests.launch.tiny import Project, git

WORKERS = {"fetch", "prepare", "train-a", "train-b", "evaluate-a", "evaluate-b", "join"}


@pytest.fixture(scope="module")
def serial(template, tmp_path_factory):
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


def test_a_launch_makes_what_dvc_repro_makes_and_a_second_one_does_nothing(project, serial):
    code, output = project.launch(slots=("3", "5"), processes=2)
    assert code == 0, output
    assert project.results() == serial
    assert sorted(project.names) == sorted([*WORKERS, "summarize"])
    assert "head: 7 stages restored or up to date, run: summarize" in output
    assert {(gpu, processes) for name, gpu, processes in project.ran if name in WORKERS} == {("3", "2"), ("5", "2")}
    assert project.state()["jobs"] == []
    code, output = project.launch()
    assert code == 0
    assert len(project.names) == 8
    assert "head: 8 stages restored or up to date, run: none" in output


def test_a_failure_is_told_and_the_next_launch_goes_on_from_there(project, serial):
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
    assert project.results() == serial
    assert project.names.count("train-a") == 2


def test_a_launch_that_is_killed_and_one_that_is_interrupted_leave_nothing_running(project):
    project.order("train-a", "sleep 1000")
    project.order("train-b", "sleep 1000")
    first = project.start()
    wait_for(lambda: len(project.pids) == 4, first)
    first.kill()
    first.wait()  # its output stays open: the workers live on
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


def test_a_plan_names_jobs_and_reasons_and_writes_nothing(project, monkeypatch):
    monkeypatch.chdir(project.root)
    before = sorted(project.root.rglob("*"))
    lines = plan(project.options(stages=("evaluate_plain@a", "join"))).lines()
    after = [path for path in sorted(project.root.rglob("*")) if ".dvc/tmp" not in str(path)]
    assert after == before
    assert lines[0].startswith("tiny at ")
    assert "7 of 8 stages are out of date; 4 jobs on local, at most 2 at once" in lines[0]
    assert any(line.startswith("  train@b  (changed deps: ") for line in lines)
    assert not any("evaluate_plain@b" in line or "summarize" in line for line in lines)


@pytest.mark.parametrize(
    ("path", "content", "words"),
    [
        ("stage.py", "print()", "stage.py differ from the commit, and jobs run the commit"),
        ("params.yaml", "profile: tiny", "DVC can't read dvc.yaml"),
    ],
)
def test_a_checkout_that_is_not_committed_is_refused(project, monkeypatch, path, content, words):
    monkeypatch.chdir(project.root)
    (project.root / path).write_text(content)
    with pytest.raises(UsageError, match=words):
        plan(project.options())


def test_an_unknown_stage_is_answered_with_the_nearest(project, monkeypatch):
    monkeypatch.chdir(project.root)
    with pytest.raises(UsageError, match=r"no stage \(of dvc.yaml\) is called 'trian'. Did you mean 'train@"):
        plan(project.options(stages=("trian",)))
