"""DVC opens the project, or says in a sentence why it can't."""

import errno
import os

import pytest
from dvc.exceptions import DvcException

from bench.cli import doctor, dry_run
from bench.core.errors import UsageError
from bench.launch import clone, graph
from bench.repository import git, project

NO_CHECKOUT = "is no git checkout .a zip download is none.*git init"


@pytest.fixture
def download(tmp_path, monkeypatch):
    """A tree without .git, inside a folder that is a checkout of something else."""
    git.output(tmp_path, "init", "--quiet")
    folder = tmp_path / "download"
    (folder / ".dvc").mkdir(parents=True)
    (folder / ".dvc" / "config").touch()
    (folder / "dvc.yaml").write_text("stages: {}\n")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(doctor, "ROOT", folder)
    return folder


def test_a_tree_without_git_is_told(download):
    finding = doctor.cache()
    assert finding.state == "fail" and "is no git checkout" in finding.detail
    with pytest.raises(UsageError, match=NO_CHECKOUT):
        graph.read(download, "dvc.yaml")
    with pytest.raises(UsageError, match=NO_CHECKOUT):
        dry_run.listing(download / "params.yaml", "summarize", None)


def test_a_checkout_without_a_commit_is_told(download):
    git.output(download, "init", "--quiet")
    with pytest.raises(UsageError, match=r"has no commit yet.*git commit"):
        clone.commit(download)


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.EROFS, "^DVC can't open the project: Read-only file system .*tmp. It writes to .dvc"),
     (errno.EACCES, "^DVC can't open the project: Permission denied .*tmp")],
)  # fmt: skip
def test_a_checkout_that_cannot_be_written_to_is_told(download, monkeypatch, number, words):
    git.output(download, "init", "--quiet")

    def refuse(path, *_, **__):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(os, "makedirs", refuse)
    assert doctor.cache().state == "fail"
    with pytest.raises(UsageError, match=words), project.opened(download):
        pass


def test_what_dvc_refuses_is_told_with_a_hint(download):
    git.output(download, "init", "--quiet")
    with (
        pytest.raises(UsageError, match=r"^DVC can't read x: .*\. Try this$"),
        project.opened(download, "read x", " Try this"),
    ):
        raise DvcException("broken")
