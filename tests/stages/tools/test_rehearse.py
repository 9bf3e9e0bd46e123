"""The rehearsal: a launch that is killed and goes on, and processes that end by themselves after Ctrl-C."""

import json
import os
import signal
import sys
import threading
import time

import pytest

from bench.core import layout
from bench.core.errors import BenchError
from bench.core.params import load
from bench.stages.tools import rehearse
from bench.stages.tools.rehearse import supervise

pytestmark = pytest.mark.usefixtures("signals_as_at_a_terminal")

TIDY = """
import os, sys, time
from pathlib import Path
try:
    Path(sys.argv[1], "pid").write_text(str(os.getpid()))
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(0.8)  # longer than subprocess.run would wait before it kills
    Path(sys.argv[1], "tidied").touch()
"""

STUBBORN = """
import os, signal, sys, time
from pathlib import Path
signal.signal(signal.SIGINT, signal.SIG_IGN)
Path(sys.argv[1], "pid").write_text(str(os.getpid()))
time.sleep(60)
"""


def interrupt(folder):
    """Press Ctrl-C once the command runs: the terminal sends it to both processes."""
    while not (folder / "pid").exists() or not (folder / "pid").read_text():
        time.sleep(0.02)
    time.sleep(0.1)
    os.kill(int((folder / "pid").read_text()), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)


def supervised(script, folder, grace):
    threading.Thread(target=interrupt, args=(folder,), daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        supervise([sys.executable, "-c", script, str(folder)], grace)
    pid = int((folder / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_exit_code_is_the_commands():
    assert supervise([sys.executable, "-c", "raise SystemExit(7)"]) == 7


def test_an_interrupted_pipeline_ends_by_itself(tmp_path):
    supervised(TIDY, tmp_path, grace=20)
    assert (tmp_path / "tidied").exists()


def test_one_that_does_not_end_is_told_to(tmp_path):
    begin = time.monotonic()
    supervised(STUBBORN, tmp_path, grace=0.3)
    assert time.monotonic() - begin < 15


PAGE = """
import pathlib, sys, time
page = pathlib.Path(sys.argv[1])
page.touch() if sys.argv[2] == "draws" else None
time.sleep(60 if sys.argv[2] == "draws" else 0)
"""


@pytest.mark.parametrize(("what", "was"), [("draws", True), ("ends", False)])
def test_a_launch_is_killed_when_its_first_partial_report_is_there(tmp_path, what, was):
    begin = time.monotonic()
    assert rehearse._killed([sys.executable, "-c", PAGE, str(tmp_path / "page"), what], tmp_path / "page") is was
    assert time.monotonic() - begin < 30


def test_stages_that_ran_are_counted_from_the_events_of_all_launches(tmp_path, monkeypatch, write_params, small_params):
    monkeypatch.chdir(tmp_path)
    params = load(write_params(small_params))
    kinds = [("started", ""), ("running", "a"), ("done", "a"), ("restored", "b"), ("failed", "c"), ("ended", "")]
    for launch, job in (("1", "a.1"), ("2", "a.1")):
        events = tmp_path / "runs" / params.profile / "launch" / launch / "events"
        events.mkdir(parents=True)
        text = "".join(json.dumps({"kind": kind, "stage": stage}) + "\n" for kind, stage in kinds)
        (events / f"{job}.jsonl").write_text(text)
        (events / f"{job}.jsonl.lock.json").write_text("{}")
    assert rehearse._done(params) == ["a", "a"]


def test_the_lock_file_lies_beside_the_parameters_only_during_a_rehearsal(
    tmp_path, monkeypatch, write_params, small_params
):
    monkeypatch.chdir(tmp_path)
    params = load(write_params(small_params))
    lock, kept = tmp_path / "dvc.lock", tmp_path / "runs" / params.profile / "dvc.lock"
    with rehearse._own_lock(params):
        lock.write_text("first")
    assert not lock.exists() and kept.read_text() == "first"
    with pytest.raises(KeyboardInterrupt), rehearse._own_lock(params):
        assert lock.read_text() == "first"
        lock.write_text("second")
        raise KeyboardInterrupt
    assert not lock.exists() and kept.read_text() == "second"


def test_a_rehearsal_in_which_a_stage_runs_twice_fails(tmp_path, monkeypatch, write_params, small_params):
    monkeypatch.chdir(tmp_path)
    params = load(write_params(small_params))
    page = layout.partial(params) / "index.html"
    done: list[str] = []

    def launched(*names):
        def run(command, page=page):
            done.extend(names)
            page.parent.mkdir(parents=True, exist_ok=True)
            page.touch()
            return True

        return run

    monkeypatch.setattr(rehearse, "_done", lambda _: [*done])
    monkeypatch.setattr(rehearse, "_killed", launched("a"))
    monkeypatch.setattr(rehearse, "_need", launched())
    rehearse.rehearse(params)
    monkeypatch.setattr(rehearse, "_need", launched("a"))
    with pytest.raises(BenchError, match=r"stages ran again though they were done: a\."):
        rehearse.rehearse(params)
