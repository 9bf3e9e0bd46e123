"""Files that appear whole or not at all: a full disk, other failures, and what is left behind."""

import errno
from collections import namedtuple
from pathlib import Path

import pytest

from bench.core.errors import BenchError, DiskFull, UsageError
from bench.io import files
from bench.io.files import replacing


def write(path, error=None):
    with replacing(path) as part:
        part.write_text("new")
        if error:
            raise error


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("old")
    return path


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_the_users_to_mend(old, number):
    with pytest.raises(UsageError, match=r"scores\.csv: could not be written .*the disk is full, [\d.]+ MB are free"):
        write(old, OSError(number, "No space left"))
    assert old.read_text() == "old" and list(old.parent.iterdir()) == [old]


@pytest.mark.parametrize(("free", "kind"), [(1000, DiskFull), (10**9, BenchError)])
def test_a_short_write_without_a_number_is_judged_by_the_free_space(old, monkeypatch, free, kind):
    """NumPy reports one as: OSError("810000 requested and 102336 written")."""
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: namedtuple("Usage", "free")(free))
    with pytest.raises(BenchError, match="810000 requested") as caught:
        write(old, OSError("810000 requested and 102336 written"))
    assert type(caught.value) is kind
    assert list(old.parent.iterdir()) == [old]


def test_another_failure_is_no_fault_of_the_input(old):
    with pytest.raises(BenchError, match="check free space and permissions") as caught:
        write(old, PermissionError(errno.EACCES, "Permission denied"))
    assert caught.value.exit_code == 1
    assert old.read_text() == "old" and list(old.parent.iterdir()) == [old]


def test_a_file_where_the_folder_should_be_is_told_in_one_sentence(old):
    with pytest.raises(BenchError, match=r"scores\.csv/scene: could not be written"):
        write(old / "scene")
    assert old.read_text() == "old" and list(old.parent.iterdir()) == [old]


def test_an_interrupt_leaves_nothing_either(old):
    with pytest.raises(KeyboardInterrupt):
        write(old, KeyboardInterrupt())
    assert old.read_text() == "old" and list(old.parent.iterdir()) == [old]


def test_success_replaces_files_and_folders(old, tmp_path):
    write(old)
    assert old.read_text() == "new"
    for content in ("one", "two"):
        with replacing(tmp_path / "scene") as part:
            part.mkdir()
            (part / content).touch()
    assert [path.name for path in (tmp_path / "scene").iterdir()] == ["two"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scene", "scores.csv"]


def test_a_read_only_disk_is_told_in_one_sentence(old, monkeypatch):
    """Even to unlink a file that isn't there fails on one."""
    number = errno.EROFS

    def refuse(*_, **__):
        raise OSError(number, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(BenchError, match=r"could not be written \(Read-only file system\)"), replacing(old):
        refuse()
