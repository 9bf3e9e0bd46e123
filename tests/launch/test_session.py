"""A launch of a small project, with git, DVC and submitit as they are; tests/slow has more of them."""

import shutil

import pytest

from bench.core.errors import UsageError
from bench.launch.plan import plan
from tests.launch.tiny import Project, git

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep:DeprecationWarning")  # DVC's use of pygtrie

WORKERS = {"fetch", "prepare", "train-a", "train-b", "evaluate-a", "evaluate-b", "join"}


@pytest.fixture(scope="module")
def reproduced(template, tmp_path_factory):
    """A project after `dvc repro`."""
    project = Project.copied(template, tmp_path_factory.mktemp("serial"))
    code, output = project.repro()
    assert code == 0, output
    return project


def test_a_launch_makes_what_dvc_repro_makes_and_a_second_one_does_nothing(project, reproduced):
    code, output = project.launch(slots=("3", "5"), processes=2)
    assert code == 0, output
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


def test_jobs_see_what_is_not_committed(project, monkeypatch):
    monkeypatch.chdir(project.root)
    (project.root / "stage.py").write_text((project.root / "stage.py").read_text().replace("working on", "at work on"))
    assert " with changes to stage.py: 8 of 8 stages" in plan(project.options()).lines()[0]
    code, output = project.launch()
    assert code == 0, output
    assert "run: summarize" in output  # the head found what jobs had made from the same, changed, file
    assert len(project.names) == 8
    logs = "".join(path.read_text() for path in project.root.glob("runs/tiny/launch/*/logs/train@a.log"))
    assert "at work on train-a" in logs
    assert git(project.root, "status", "--porcelain").splitlines() == [" M stage.py", "?? dvc.lock", "?? reports/"]


def test_a_new_profile_that_is_not_committed_is_launched(project):
    folder = project.root / "profiles/new"
    folder.mkdir()
    (folder / "dvc.yaml").symlink_to("../../dvc.yaml")
    text = (project.root / "profiles/other/params.yaml").read_text().replace("other", "new")
    (folder / "params.yaml").write_text(text)
    code, output = project.launch(file="profiles/new/dvc.yaml", profile="new", stages=("train",))
    assert code == 0, output
    assert "new at " in output and "with changes to profiles/new/dvc.yaml, profiles/new/params.yaml" in output
    assert sorted(project.names) == ["fetch", "prepare", "train-a", "train-b"]
    assert (project.root / "work/new/weights/b").exists()


def test_what_is_lost_after_a_launch_is_made_again_by_workers(project, reproduced):
    assert project.launch()[0] == 0
    (project.root / "reports/tiny/scores").unlink()
    shutil.rmtree(project.root / "work")
    shutil.rmtree(project.root / ".dvc/cache")
    code, output = project.launch()
    assert code == 0, output
    assert "head: 7 stages restored or up to date, run: summarize" in output
    assert len(project.names) == 2 * 8
    assert project.results() == reproduced.results()


def test_files_of_dvc_that_a_kill_cut_short_are_removed_and_all_is_restored(reproduced, tmp_path):
    project = Project.copied(reproduced.root, tmp_path)
    damaged = ("dvc.lock", ".dvc/tmp/rwlock")
    for name in damaged:
        (project.root / name).write_text("")
    code, output = project.repro()
    assert code != 0, "dvc repro alone recovers: then launch needn't"
    code, output = project.launch()
    assert code == 0, output
    assert all(f"removed {name}, which a kill had cut short" in output for name in damaged)
    assert project.names in ([], ["summarize"])
    assert project.results() == reproduced.results()


def test_parameters_that_do_not_suit_the_pipeline_are_refused(project, monkeypatch):
    monkeypatch.chdir(project.root)
    (project.root / "params.yaml").write_text("profile: tiny")
    with pytest.raises(UsageError, match=r"DVC can't read dvc\.yaml"):
        plan(project.options())


def test_an_unknown_stage_is_answered_with_the_nearest(project, monkeypatch):
    monkeypatch.chdir(project.root)
    with pytest.raises(UsageError, match=r"no stage \(of dvc.yaml\) is called 'trian'. Did you mean 'train@"):
        plan(project.options(stages=("trian",)))


def test_what_the_cache_holds_is_not_launched(reproduced, tmp_path, monkeypatch):
    shutil.copytree(reproduced.root, tmp_path / "tiny", symlinks=True)
    monkeypatch.chdir(tmp_path / "tiny")
    project = Project(tmp_path / "tiny", tmp_path / "control")
    assert plan(project.options()).reasons == {}
    shutil.rmtree(project.root / "work/tiny")
    assert plan(project.options()).jobs == []
    shutil.rmtree(project.root / ".dvc/cache/files")
    assert len(plan(project.options()).jobs) == 4
