import configparser
from dataclasses import replace
from fnmatch import fnmatch

import pytest

from bench.launch.clone import name_of, refresh
from bench.launch.order import Source
from tests.launch.tiny import git, write_project

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
        return Source(
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
