"""A launch of a small project, with git, DVC and submitit as they are; tests/slow has more of them."""

import shutil
import signal
import subprocess
import sys

import pytest
import yaml

from bench.core.errors import UsageError
from bench.launch import head
from bench.launch.head import end_slurm_jobs, end_workers, take_over
from bench.launch.job import Held, hold
from bench.launch.plan import plan
from bench.launch.worker import ENTRIES, write_entries
from tests.launch.tiny import ROOT, Project, git

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep:DeprecationWarning")  # DVC's use of pygtrie

WORKERS = {"fetch", "prepare", "train-a", "train-b", "evaluate-a", "evaluate-b", "join"}


@pytest.fixture(scope="module")
def launched(template, tmp_path_factory):
    """A project after a launch with partial reports, with what that said."""
    project = Project.copied(template, tmp_path_factory.mktemp("launched"))
    code, output = project.launch(slots=("3", "5"), processes=2, partial=True)
    assert code == 0, output
    return project, output


def test_a_launch_makes_what_dvc_repro_makes_and_a_second_one_does_nothing(launched, reproduced):
    project, output = launched
    assert project.results() == reproduced.results()
    (head,) = project.root.glob("runs/tiny/launch/*/logs/head.log")
    assert "is cached - skipping run" not in head.read_text()  # all that jobs did was taken over before
    assert sorted(project.names) == sorted([*WORKERS, "summarize"])
    assert "head: 7 stages restored or up to date, run: summarize" in output
    assert {(gpu, processes) for name, gpu, processes in project.ran if name in WORKERS} == {("3", "2"), ("5", "2")}
    assert project.state()["jobs"] == []
    code, output = project.launch()
    assert code == 0
    assert len(project.names) == 8
    assert "head: 8 stages restored or up to date, run: none" in output


def test_partial_reports_show_what_is_evaluated_and_the_last_shows_all(launched):
    project, output = launched
    pages = [line for line in output.splitlines() if line.startswith("partial report: ")]
    assert pages[-1] == "partial report: page of work/tiny/scores/a work/tiny/scores/b"
    assert 1 <= len(pages) <= 2 and pages[0].startswith("partial report: page of work/tiny/scores/")
    (log,) = project.root.glob("runs/tiny/launch/*/logs/report.log")
    assert log.read_text() == pages[-1].removeprefix("partial report: ") + "\n"


def test_a_plan_names_jobs_and_reasons_and_writes_nothing(project, monkeypatch):
    monkeypatch.chdir(project.root)
    before = sorted(project.root.rglob("*"))
    lines = plan(project.options(stages=("evaluate@a", "join"))).lines()
    after = [path for path in sorted(project.root.rglob("*")) if ".dvc/tmp" not in str(path)]
    assert after == before
    assert lines[0].startswith("tiny at ")
    assert "6 of 8 stages are out of date; 4 jobs on local, at most 2 at once" in lines[0]
    assert any(line.startswith("  train@b  (changed deps: ") for line in lines)
    assert not any("evaluate@b" in line or "summarize" in line for line in lines)
    assert [*plan(project.options(stages=("train",))).reasons] == ["fetch", "prepare", "train@a", "train@b"]


def test_jobs_see_what_is_not_committed_such_as_an_edit_and_a_new_profile(project, monkeypatch):
    monkeypatch.chdir(project.root)
    (project.root / "stage.py").write_text((project.root / "stage.py").read_text().replace("working on", "at work on"))
    assert " with changes to stage.py: 8 of 8 stages" in plan(project.options()).lines()[0]
    folder = project.root / "profiles/new"
    folder.mkdir()
    (folder / "dvc.yaml").symlink_to("../../dvc.yaml")
    text = (project.root / "profiles/other/params.yaml").read_text().replace("other", "new")
    (folder / "params.yaml").write_text(text)
    code, output = project.launch(file="profiles/new/dvc.yaml", profile="new", stages=("train@a",))
    assert code == 0, output
    assert "with changes to stage.py, profiles/new/dvc.yaml, profiles/new/params.yaml: 3 of 8 stages" in output
    assert "run: none" in output  # the head found what jobs had made from the same, changed, files
    assert sorted(project.names) == ["fetch", "prepare", "train-a"]
    assert (project.root / "work/new/weights/a").exists()
    logs = "".join(path.read_text() for path in project.root.glob("runs/new/launch/*/logs/train@a.log"))
    assert "at work on train-a" in logs
    assert git(project.root, "status", "--porcelain").splitlines() == [" M stage.py", "?? profiles/new/"]


def results_of_a(project):
    """What `train@a` and its upstream stages have made and recorded."""
    results = project.results()
    lock = {name: results["dvc.lock"]["stages"][name] for name in ("fetch", "prepare", "train@a")}
    return lock, {name: results[f"work/tiny/{name}"] for name in ("raw", "scenes", "weights/a")}


def test_what_is_lost_after_a_launch_is_made_again_by_workers(launched, reproduced, tmp_path):
    project = Project.copied(launched[0].root, tmp_path)
    shutil.rmtree(project.root / "work")
    shutil.rmtree(project.root / ".dvc/cache")
    code, output = project.launch(stages=("train@a",))
    assert code == 0, output
    assert "head: 3 stages restored or up to date, run: none" in output
    assert sorted(project.names) == ["fetch", "prepare", "train-a"]
    assert results_of_a(project) == results_of_a(reproduced)


def test_files_of_dvc_that_a_kill_cut_short_are_removed_and_all_is_restored(made, reproduced):
    project = made
    damaged = ("dvc.lock", ".dvc/tmp/rwlock")
    for name in damaged:
        (project.root / name).write_text("")
    code, output = project.repro()
    assert code != 0, "dvc repro alone recovers: then launch needn't"
    code, output = project.launch(stages=("train@a",))
    assert code == 0, output
    assert all(f"removed {name}, which a kill had cut short" in output for name in damaged)
    assert project.names == []
    assert results_of_a(project) == results_of_a(reproduced)


def test_parameters_that_do_not_suit_the_pipeline_are_refused(project, monkeypatch):
    monkeypatch.chdir(project.root)
    (project.root / "params.yaml").write_text("profile: tiny")
    with pytest.raises(UsageError, match=r"DVC can't read dvc\.yaml"):
        plan(project.options())


def test_an_unknown_stage_is_answered_with_the_nearest(project, monkeypatch):
    monkeypatch.chdir(project.root)
    with pytest.raises(UsageError, match=r"no stage \(of dvc.yaml\) is called 'trian'. Did you mean 'train@"):
        plan(project.options(stages=("trian",)))


def test_what_the_cache_holds_is_not_launched(made, monkeypatch):
    project = made
    monkeypatch.chdir(project.root)
    assert plan(project.options()).reasons == {}
    shutil.rmtree(project.root / "work/tiny")
    assert plan(project.options()).jobs == []
    shutil.rmtree(project.root / ".dvc/cache/files")
    assert len(plan(project.options()).jobs) == 4


ADDRESSES = {"fetch": "dvc.yaml:fetch", "train@a": "dvc.yaml:train@a", "join": "dvc.yaml:join"}


def lock_of(project):
    return yaml.safe_load((project.root / "dvc.lock").read_text())


def test_entries_are_left_and_taken_over_with_their_outputs(made, tmp_path):
    project = made
    whole, events = lock_of(project), tmp_path / "events"
    events.mkdir()
    write_entries(project.root / "dvc.lock", ADDRESSES, events / "one.1.jsonl")
    (project.root / "dvc.lock").unlink()
    shutil.rmtree(project.root / "work")
    take_over(project.root, "dvc.yaml", ADDRESSES, events)
    assert lock_of(project)["stages"] == {name: whole["stages"][name] for name in ADDRESSES}
    assert list(lock_of(project)["stages"]["train@a"]) == ["cmd", "deps", "params", "outs"]
    found = {str(path.relative_to(project.root / "work/tiny")) for path in project.root.rglob("work/tiny/**/*")}
    assert found == {"raw", "weights", "weights/a", "join"}
    code, said = project.repro()
    assert code == 0
    assert lock_of(project) == whole
    assert said.count("didn't change, skipping") >= len(ADDRESSES)


def test_only_what_is_wanted_and_whole_is_taken(made, tmp_path):
    project = made
    events = tmp_path / "events"
    events.mkdir()
    write_entries(project.root / "dvc.lock", ADDRESSES, events / "one.1.jsonl")
    (events / f"two.1.jsonl{ENTRIES}").write_text('{"fetch": ')
    (project.root / "dvc.lock").unlink()
    take_over(project.root, "dvc.yaml", {"join": "dvc.yaml:join"}, events)
    assert list(lock_of(project)["stages"]) == ["join"]


def test_an_interrupt_leaves_the_lock_file_as_it_was(made, tmp_path, monkeypatch):
    project = made
    write_entries(project.root / "dvc.lock", ADDRESSES, tmp_path / "one.1.jsonl")
    before = (project.root / "dvc.lock").read_text()

    def interrupted(data, stream):
        stream.write(before[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr("dvc.utils.serialize._yaml._dump", interrupted)
    with pytest.raises(KeyboardInterrupt):
        take_over(project.root, "dvc.yaml", ADDRESSES, tmp_path)
    assert (project.root / "dvc.lock").read_text() == before
    assert list(project.root.glob(".dvc.lock*")) == []


def test_what_is_taken_over_is_written_as_dvc_writes_it(made, tmp_path):
    project = made
    write_entries(project.root / "dvc.lock", ADDRESSES, tmp_path / "one.1.jsonl")
    before = (project.root / "dvc.lock").read_text()
    take_over(project.root, "dvc.yaml", ADDRESSES, tmp_path)
    assert (project.root / "dvc.lock").read_text() == before


def test_without_entries_nothing_is_written(project, tmp_path):
    write_entries(project.root / "dvc.lock", ADDRESSES, tmp_path / "one.1.jsonl")
    take_over(project.root, "dvc.yaml", ADDRESSES, tmp_path)
    assert list(tmp_path.glob(f"*{ENTRIES}")) == []
    assert not (project.root / "dvc.lock").exists()


def test_a_damaged_lock_is_left_to_the_head(tmp_path):
    (tmp_path / "dvc.lock").write_text("stages: {fetch: {cmd: a, outs: [{pa")
    write_entries(tmp_path / "dvc.lock", ADDRESSES, tmp_path / "one.1.jsonl")
    assert list(tmp_path.glob(f"*{ENTRIES}")) == []


HOLDER = """
import os, signal, sys, time
from pathlib import Path
from bench.launch.job import hold
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
    monkeypatch.setattr(head, "GRACE", -4.5)
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
