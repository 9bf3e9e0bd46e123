"""Temporary files: what killed processes left goes, what others still write stays, and any name fits."""

import errno
import multiprocessing
import os
import shutil
import signal
import socket
import time
from itertools import count
from pathlib import Path

import pytest

from bench.core.errors import BenchError, DiskFull
from bench.data.simulate import write_views
from bench.io import files
from bench.io.files import replacing, write_text_atomic
from bench.io.lock import alone


def write(path, folder, started, seconds):
    with replacing(path) as part:
        if folder:
            (part / "inside").mkdir(parents=True)
        else:
            part.write_text("half")
        started.set()
        time.sleep(seconds)


def simulate(path, folder, started, seconds):
    """Be killed as `fetch` is that simulates."""

    def rows(part):
        (part / "Training").mkdir()
        started.set()
        time.sleep(seconds)
        yield {"split": "train", "scene": "1"}

    write_views(path, rows)


@pytest.fixture
def begin(tmp_path):
    """Start a process that writes; it is in the middle of it when this returns."""
    context, processes = multiprocessing.get_context("fork"), []

    def start(path, folder=False, seconds=60.0, work=write):
        started = context.Event()
        processes.append(context.Process(target=work, args=(path, folder, started, seconds)))
        processes[-1].start()
        assert started.wait(10)
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.join()


def replace(path, *_):
    """Replace a folder, and be killed when the old one has stepped aside and the new one hasn't its name yet."""
    rename = Path.rename

    def killed(self, target):
        if self.suffix == ".part":
            os.kill(os.getpid(), signal.SIGKILL)
        return rename(self, target)

    with pytest.MonkeyPatch.context() as patch, replacing(path) as part:
        (part / "new").mkdir(parents=True)
        patch.setattr(Path, "rename", killed)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("work", [write, simulate])
@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize("same", [True, False], ids=["of-the-same-name", "of-another-name"])
def test_what_a_killed_process_left_is_cleared_by_the_next(begin, tmp_path, work, folder, same):
    process = begin(tmp_path / "x", folder, work=work)
    process.kill()
    process.join()
    (left,) = names(tmp_path)
    assert left.endswith(".part")
    write_text_atomic(tmp_path / ("x" if same else "y"), "new")
    assert names(tmp_path) == ["x" if same else "y"]


@pytest.mark.parametrize("length", [1, 100, 190], ids=["short", "longest-of-ours", "long"])
def test_a_folder_that_a_killed_process_had_set_aside_comes_back(tmp_path, length):
    path = tmp_path / ("n" * length)
    (path / "only copy").mkdir(parents=True)
    process = multiprocessing.get_context("fork").Process(target=replace, args=(path,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL and not path.exists()
    assert {name.rpartition(".")[2] for name in names(tmp_path)} == {"old", "part"}
    write_text_atomic(tmp_path / "y", "new")
    assert names(tmp_path) == sorted([path.name, "y"]) and names(path) == ["only copy"]


@pytest.mark.parametrize("there", ["folder", "dangling link"])
def test_a_folder_that_was_set_aside_goes_once_it_is_replaced(tmp_path, there):
    old = files._temporary(tmp_path / "x", "old").name.replace(f"-{os.getpid()}-", "-999999999-")
    (tmp_path / old).mkdir()
    (tmp_path / "x").mkdir() if there == "folder" else (tmp_path / "x").symlink_to("nothing")
    write_text_atomic(tmp_path / "y", "new")
    assert names(tmp_path) == ["x", "y"]


def test_a_folder_of_a_name_too_long_to_be_known_stays_aside(tmp_path):
    old = files._temporary(tmp_path / ("n" * 250), "old").name.replace(f"-{os.getpid()}-", "-999999999-")
    (tmp_path / old).mkdir()
    write_text_atomic(tmp_path / "y", "new")
    assert names(tmp_path) == sorted([old, "y"])


def test_what_another_container_of_the_same_host_name_writes_stays(tmp_path, monkeypatch):
    """Containers number their processes from 1 on, whatever runs beside them."""
    monkeypatch.setattr(os, "readlink", lambda _: "pid:[1]")
    part = files._temporary(tmp_path / "x", "part").name.replace(f"-{os.getpid()}-", "-999999999-")
    (tmp_path / part).touch()
    with monkeypatch.context() as patch:
        patch.setattr(os, "readlink", lambda _: "pid:[2]")
        write_text_atomic(tmp_path / "y", "new")
    assert names(tmp_path) == sorted([part, "y"])
    files._next_look.clear()
    write_text_atomic(tmp_path / "y", "new")
    assert names(tmp_path) == ["y"]


def test_a_machine_without_process_namespaces_goes_by_its_name(monkeypatch):
    def missing(_):
        raise FileNotFoundError

    monkeypatch.setattr(os, "readlink", missing)
    assert files.TEMPORARY.fullmatch(files._temporary(Path("x"), "part").name)


def test_what_a_living_process_writes_stays(begin, tmp_path):
    process = begin(tmp_path / "x", seconds=0.3)
    write_text_atomic(tmp_path / "y", "new")
    assert len(names(tmp_path)) == 2
    process.join()
    assert process.exitcode == 0 and names(tmp_path) == ["x", "y"]


def test_what_another_machine_writes_and_what_is_no_temporary_file_stays(begin, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(socket, "gethostname", lambda: "elsewhere")
        begin(tmp_path / "x").kill()
    others = [".x.part", ".x.1.part", "x.zip.part", ".x.0123abcd-1.part", ".hidden", "x.00000000-99-0.part"]
    for name in others:
        (tmp_path / name).touch()
    write_text_atomic(tmp_path / "y", "new")
    assert {*others, "y"} < set(names(tmp_path)) and len(names(tmp_path)) == len(others) + 2


def test_a_killed_process_with_this_ones_id_is_no_obstacle(tmp_path, monkeypatch):
    """The first processes of containers have the same few ids."""
    monkeypatch.setattr(files, "_numbers", count(7))
    part = files._temporary(tmp_path / "x", "part")
    (part / "inside").mkdir(parents=True)
    monkeypatch.setattr(files, "_numbers", count(7))
    with replacing(tmp_path / "x") as again:
        assert again == part
        again.mkdir()
    assert names(tmp_path) == ["x"] and not names(tmp_path / "x")


def test_a_link_in_the_place_of_a_temporary_folder_is_removed_and_not_followed(tmp_path, monkeypatch):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    (tmp_path / "out").mkdir()
    dead = files._temporary(tmp_path / "out" / "x", "part").name.replace(f"-{os.getpid()}-", "-999999999-")
    (tmp_path / "out" / dead).symlink_to(tmp_path / "kept")
    write_text_atomic(tmp_path / "out" / "y", "new")
    assert names(tmp_path / "out") == ["y"] and names(tmp_path / "kept") == ["file"]


@pytest.mark.parametrize("name", ["n" * 250, "n" * 255, "\u00fc" * 127, "\u6620" * 85, "a" + "\U0001f600" * 63])
def test_any_name_that_the_file_system_has_can_be_written(tmp_path, name):
    write_text_atomic(tmp_path / name, "new")
    for _ in range(2):
        with replacing(tmp_path / name[:-1]) as part:
            part.mkdir()
    assert names(tmp_path) == sorted([name, name[:-1]])


def test_a_name_too_long_is_told(tmp_path):
    with pytest.raises(BenchError, match=r"could not be written \(File name too long\).*choose a shorter name\."):
        write_text_atomic(tmp_path / ("n" * 256), "new")
    assert not names(tmp_path)


def test_a_folder_that_vanishes_is_not_told_as_a_full_disk(tmp_path):
    said = pytest.raises(BenchError, match="see whether another process works there")
    with said as caught, replacing(tmp_path / "in" / "x") as part:
        shutil.rmtree(tmp_path / "in")
        part.write_text("new")
    assert "free space" not in str(caught.value)


def test_a_full_folder_is_not_looked_through_at_every_write(tmp_path, monkeypatch):
    scans, scan = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: (scans.append(folder), time.sleep(0.01), scan(folder))[-1])
    for number in range(20):
        write_text_atomic(tmp_path / str(number), "new")
    assert len(scans) == 1


def test_a_lock_that_cannot_be_made_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    told = r"file/\.lock: this lock.* can't be taken \(File exists\)"
    with pytest.raises(BenchError, match=told), alone(tmp_path / "file" / ".lock", "waiting"):
        pass
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr("bench.io.lock.FileLock.acquire", lambda *_, **__: (_ for _ in ()).throw(full))
    with pytest.raises(DiskFull, match=r"\.lock: the disk is full"), alone(tmp_path / ".lock", "waiting"):
        pass
