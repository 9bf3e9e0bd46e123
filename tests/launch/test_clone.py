import configparser
from dataclasses import replace
from fnmatch import fnmatch

import pytest

from bench.launch.clone import commit, edits, loose_inputs, name_of, refresh, snapshot, untracked
from bench.launch.job import CloneSource
from tests.launch.tiny import git, write_project


@pytest.fixture
def root(tmp_path):
    for name in ("code/a.py", "code/b.py", "dvc.lock", "profiles/p/dvc.lock", "reports/p/table.csv", "reports/q/t.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("old")
    (tmp_path / ".gitignore").write_text("__pycache__/\nweights/\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "all")
    return tmp_path


def test_results_and_locks_may_differ_from_the_commit(root):
    assert edits(root, ["reports/p"]) == []
    for name in ("dvc.lock", "profiles/p/dvc.lock", "reports/p/table.csv"):
        (root / name).write_text("new")
    (root / "code" / "untracked.py").write_text("")
    assert edits(root, ["reports/p"]) == []


@pytest.mark.parametrize("name", ["code/a.py", "reports/q/t.csv"])
@pytest.mark.parametrize("staged", [False, True])
def test_all_else_that_differs_is_named(root, name, staged):
    (root / name).write_text("new")
    if staged:
        git(root, "add", name)
    assert edits(root, ["reports/p"]) == [name]


def test_a_deleted_and_a_renamed_file_differ_too(root):
    (root / "code/a.py").unlink()
    git(root, "mv", "code/b.py", "code/c.py")
    assert edits(root, []) == ["code/a.py", "code/b.py", "code/c.py"]


def test_inputs_outside_git_are_linked(root):
    (root / "weights").mkdir()
    (root / "weights/x.safetensors").write_text("")
    stray, links = loose_inputs(root, ["code", "code/a.py", "weights/x.safetensors", "not/there"])
    assert (stray, links) == ([], ["weights/x.safetensors"])


def test_files_that_git_does_not_know_inside_an_input_are_found(root):
    (root / "code/__pycache__").mkdir()
    (root / "code/__pycache__/a.pyc").write_text("")
    assert loose_inputs(root, ["code"]) == ([], [])
    (root / "code/new.py").write_text("")
    assert loose_inputs(root, ["code/a.py"]) == ([], [])
    assert loose_inputs(root, ["code"]) == (["code/new.py"], [])


def test_files_that_git_does_not_track_are_told_from_others(root):
    (root / "profiles/q").mkdir()
    (root / "profiles/q/dvc.yaml").symlink_to("../../code/a.py")
    assert untracked(root, ["profiles/q/dvc.yaml", "profiles/q/not.there", "code/a.py"]) == ["profiles/q/dvc.yaml"]
    assert untracked(root, ["not.there"]) == []


class TestSnapshot:
    """What jobs see of files that differ from the commit."""

    def test_nothing_differs(self, root):
        assert snapshot(root, []) == commit(root)

    def test_the_commit_holds_the_named_files_as_they_are(self, root):
        (root / "code/a.py").write_text("new")
        (root / "code/b.py").unlink()
        (root / "code/*.py").write_text("a name with a star")
        (root / "dvc.lock").write_text("not named")
        before = git(root, "status", "--porcelain"), commit(root)
        made = snapshot(root, ["code/a.py", "code/b.py", "code/*.py"])
        assert (git(root, "status", "--porcelain"), commit(root)) == before
        assert git(root, "diff", "--name-status", "--no-renames", "HEAD", made).split() == [
            "A", "code/*.py", "M", "code/a.py", "D", "code/b.py",
        ]  # fmt: skip
        assert git(root, "show", f"{made}:code/a.py") == "new"
        assert git(root, "show", f"{made}:dvc.lock") == "old"

    def test_the_same_files_give_the_same_commit(self, root):
        (root / "code/a.py").write_text("new")
        one = snapshot(root, ["code/a.py"])
        (root / "code/a.py").write_text("newer")
        two = snapshot(root, ["code/a.py"])
        (root / "code/a.py").write_text("new")
        assert snapshot(root, ["code/a.py"]) == one != two


LOCK = """\
schema: '2.0'
stages:
  fetch:
    cmd: python fetch.py
  other:
    cmd: none
  train@a:
    cmd: train
    outs:
    - path: weights
      md5: abc
"""
NEEDED = {"fetch", "train@a"}


@pytest.fixture
def source(tmp_path):
    root = tmp_path / "head"
    write_project(root)
    (tmp_path / "lock").write_text(LOCK)
    (root / ".dvc/config.local").write_text("['remote \"far\"']\n    password = secret\n")
    (root / "runs/other").mkdir(parents=True)

    def make(file, revision="HEAD", root=root):
        commit = git(root, "rev-parse", revision).strip()
        remotes = {"far": str(tmp_path / "far")}
        return CloneSource(
            root, commit, file, tmp_path / "lock", tmp_path / "cache", remotes, ("given/weights", "runs/other")
        )

    return make


@pytest.mark.parametrize("file", ["dvc.yaml", "profiles/other/dvc.yaml"])
def test_a_clone_has_one_pipeline_and_what_the_head_has_outside_git(source, tmp_path, file):
    clone = tmp_path / "clones" / "0"
    refresh(clone, source(file), NEEDED)
    assert [str(path.relative_to(clone)) for path in clone.rglob("dvc.yaml")] == [file]
    assert (clone / file).read_text() == (tmp_path / "head/dvc.yaml").read_text()
    assert not (clone / file).is_symlink()
    assert (clone / file).with_name("dvc.lock").read_text() == LOCK.replace("  other:\n    cmd: none\n", "")
    assert (clone / "given/weights").read_text() == "given"
    assert (clone / "runs/other").resolve() == tmp_path / "head/runs/other"
    config = configparser.ConfigParser()
    config.read(clone / ".dvc/config.local")
    assert config["cache"]["dir"] == str(tmp_path / "cache")
    assert dict(config["'remote \"far\"'"]) == {"password": "secret", "url": str(tmp_path / "far")}


def test_a_clone_is_brought_to_the_commit_and_keeps_what_stages_made(source, tmp_path):
    clone, root = tmp_path / "0", tmp_path / "head"
    refresh(clone, source("dvc.yaml"), NEEDED)
    (clone / "stage.py").write_text("changed by a stage")
    (clone / "work/made").parent.mkdir()
    (clone / "work/made").write_text("result")
    (clone / ".dvc/tmp").mkdir()
    (clone / ".dvc/tmp/rwlock").write_text("{}")
    (clone / ".git/index.lock").write_text("")
    (root / "stage.py").write_text("next")
    git(root, "commit", "--all", "--message", "next")
    refresh(clone, source("dvc.yaml"), NEEDED)
    assert (clone / "stage.py").read_text() == "next"
    assert (clone / "work/made").read_text() == "result"
    assert not (clone / ".dvc/tmp/rwlock").exists()
    refresh(clone, source("profiles/other/dvc.yaml", "HEAD~1"), NEEDED)
    assert (clone / "stage.py").read_text() != "next"
    assert not (clone / "dvc.yaml").exists()


def test_a_clone_of_a_checkout_that_was_moved_is_made_again(source, tmp_path):
    refresh(tmp_path / "0", source("dvc.yaml"), NEEDED)
    (tmp_path / "0/made").write_text("by a stage")
    (tmp_path / "head").rename(tmp_path / "moved")
    root = tmp_path / "moved"
    (root / "stage.py").write_text("next")
    git(root, "commit", "--all", "--message", "next")
    moved = replace(source("dvc.yaml", root=root), root=root)
    refresh(tmp_path / "0", moved, NEEDED)
    assert (tmp_path / "0/stage.py").read_text() == "next"
    assert not (tmp_path / "0/made").exists()


def test_a_clone_of_another_work_tree_of_the_same_repository_is_kept(source, tmp_path):
    git(tmp_path / "head", "worktree", "add", "--quiet", "--detach", str(tmp_path / "tree"))
    own = replace(source("dvc.yaml"), root=tmp_path / "tree")
    for _ in range(2):
        refresh(tmp_path / "0", own, NEEDED)
        (tmp_path / "0/made").touch()
    refresh(tmp_path / "0", own, NEEDED)
    assert (tmp_path / "0/made").exists()


def test_each_checkout_has_names_of_its_own(tmp_path):
    one, other = (name_of(tmp_path / name, "lab", 3) for name in "ab")
    assert one != other
    assert fnmatch(one, name_of(tmp_path / "a", "lab", "*"))
    assert not fnmatch(one, name_of(tmp_path / "b", "lab", "*"))


def test_half_a_clone_is_made_again(source, tmp_path):
    (tmp_path / "0").mkdir()
    (tmp_path / "0/stage.py").write_text("rubbish")
    refresh(tmp_path / "0", source("dvc.yaml"), NEEDED)
    assert (tmp_path / "0/stage.py").read_text() != "rubbish"


def test_without_a_lock_at_the_head_a_clone_has_none(source, tmp_path):
    clone = tmp_path / "0"
    (tmp_path / "lock").unlink()
    (tmp_path / "head/dvc.lock").write_text("damaged, and committed like that")
    git(tmp_path / "head", "add", "--all")
    git(tmp_path / "head", "commit", "--quiet", "--message", "a damaged lock")
    refresh(clone, source("dvc.yaml"), NEEDED)
    assert not (clone / "dvc.lock").exists()
