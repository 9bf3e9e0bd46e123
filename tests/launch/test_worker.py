import os
import sys
from pathlib import Path

import pytest

from bench.launch.job import CloneSource, EventReader, JobSpec
from bench.launch.repro import environment, follow
from bench.launch.worker import Ending, JobRepro

RAN = ["Running stage 'a':", "> python a.py", "working on a", "Updating lock file 'dvc.lock'", ""]


@pytest.fixture
def replay(tmp_path, monkeypatch):
    """Follow a `dvc repro` that says these lines and ends with this code; return its end and the events."""

    def make(lines, code, stages=("a", "b", "c")):
        script = f"import sys\nfor line in {lines!r}: print(line)\nsys.exit({code})"
        monkeypatch.setattr(JobRepro, "_command", lambda self: [sys.executable, "-c", script])
        source = CloneSource(tmp_path, "abc", "dvc.yaml", tmp_path, tmp_path)
        events, logs = tmp_path / "events", tmp_path / "logs"
        spec = JobSpec("a", {name: name for name in stages}, source, tmp_path, events, logs)
        end = JobRepro(spec, Ending()).run()
        return end, [(event.kind, event.stage, event.code, event.transient) for event in EventReader(events).new()]

    return make


def test_stages_are_told_as_they_happen(replay, tmp_path):
    lines = [*RAN, "Stage 'b' is cached - skipping run, checking out outputs", "Stage 'c' didn't change, skipping"]
    end, events = replay(lines, 0)
    assert end == (0, "", False)
    assert events == [
        ("running", "a", 0, False),
        ("done", "a", 0, False),
        ("restored", "b", 0, False),
        ("restored", "c", 0, False),
    ]
    assert "working on a" in (tmp_path / "logs/a.log").read_text()
    assert "working on a" not in (tmp_path / "logs/b.log").read_text()
    assert (tmp_path / "logs/a.job.log").read_text().splitlines() == lines


@pytest.mark.parametrize(("code", "transient"), [(1, False), (3, False), (75, True), (-9, True), (137, True)])
def test_a_failed_command_is_told_with_its_code(replay, code, transient):
    lines = [*RAN, "Running stage 'b':", "no memory", f"WARNING: failed to run: python b.py, exited with {code}"]
    _, events = replay([*lines, "ERROR: failed to reproduce 'b'"], 1)
    assert events[-1] == ("failed", "b", code, transient)
    assert len(events) == 4


def test_a_stage_whose_output_is_missing_failed_though_its_command_did_not(replay):
    lines = ["Running stage 'a':", "WARNING: output 'x' does not exist", "Running stage 'b':"]
    _, events = replay([*lines, "Updating lock file 'dvc.lock'", "ERROR: failed to reproduce 'a'"], 255)
    assert [event[:2] for event in events] == [("running", "a"), ("running", "b"), ("done", "b"), ("failed", "a")]


def test_a_stage_that_made_what_the_lock_file_holds_is_done(replay):
    _, events = replay(["Running stage 'a':", "Running stage 'b':"], 0)
    assert [event[:2] for event in events[2:]] == [("done", "a"), ("done", "b")]


def test_a_dvc_that_dies_leaves_its_stage_open(replay):
    (code, note, transient), events = replay(["Running stage 'a':", "step 7"], 9)
    assert (code, note, transient) == (9, "step 7", False)
    assert [event[:2] for event in events] == [("running", "a")]


def test_a_lock_that_another_process_holds_may_be_free_next_time(replay):
    said = "ERROR: Unable to acquire lock. Most likely another DVC process is running"
    assert replay([said], 255)[0] == (255, said, True)


def test_stages_of_other_jobs_are_not_told(replay):
    assert replay(["Running stage 'upstream':", "Updating lock file 'dvc.lock'"], 0)[1] == []


def test_a_command_ends_with_who_listens_to_it(tmp_path):
    heard = []

    def hear(line):
        heard.append(int(line))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        follow(["sh", "-c", "echo $$; exec sleep 1000"], tmp_path, os.environ, hear)
    with pytest.raises(ProcessLookupError):
        os.kill(heard[0], 0)


def test_the_environment_puts_this_python_first_and_says_what_the_slot_has():
    base = {"PATH": "/usr/bin", "SUBMITIT_FOLDER": "x", "CUDA_VISIBLE_DEVICES": "7", "HOME": "/h"}
    first = Path(sys.executable).parent
    assert environment(base) == {"PATH": f"{first}:/usr/bin", "CUDA_VISIBLE_DEVICES": "7", "HOME": "/h"}
    assert environment(base, "0,1", 2)["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert environment(base, "0,1", 2)["BENCH_PROCESSES"] == "2"


def test_the_verbs_that_train_become_torchrun_where_the_environment_says_so(monkeypatch):
    from bench.cli import processes
    from bench.core.errors import UsageError

    called = []
    monkeypatch.setattr(processes.os, "execv", lambda program, arguments: called.append(arguments[1:]))
    monkeypatch.setattr(sys, "argv", ["bench", "train", "run"])
    for asked, world in (("1", None), ("4", "4"), ("4", None)):
        monkeypatch.setenv("BENCH_PROCESSES", asked)
        monkeypatch.delenv("WORLD_SIZE", raising=False) if world is None else monkeypatch.setenv("WORLD_SIZE", world)
        processes.share()
    assert called == [
        ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=4", "-m", "bench", "train", "run"]
    ]
    monkeypatch.setenv("BENCH_PROCESSES", "many")
    with pytest.raises(UsageError, match="BENCH_PROCESSES is 'many'"):
        processes.share()
