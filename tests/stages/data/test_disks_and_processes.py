"""Full disks and second processes, told exactly, by fetch and prepare."""

import errno
import multiprocessing
import shutil
import socket
import time
from collections import namedtuple

import numpy as np
import pytest

from bench.core import layout
from bench.core.errors import DiskFull
from bench.data import download as downloads
from bench.stages.data import fetch, prepare
from tests.data import builders
from tests.data import server as servers
from tests.stages.data.test_fetch import TEST, TRAIN, zipped


@pytest.fixture
def params(dataset_params, tmp_path):
    """A Kalantari set of three training scenes and a test scene, read in place; the current folder."""
    for number in range(3):
        builders.kalantari(tmp_path / "mine" / "Training" / f"00{number}", seed=number)
    builders.kalantari(tmp_path / "mine" / "Test" / "7", seed=9)
    made = dataset_params("kalantari", {"on_disk": str(tmp_path / "mine")})
    fetch.run(made, "kalantari")
    return made


def test_a_full_disk_is_no_fault_of_scenes(params, monkeypatch):
    saved, save = [], np.save

    def fill(path, *options, **named):
        saved.append(path)
        if len(saved) > 2:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        save(path, *options, **named)

    monkeypatch.setattr(np, "save", fill)
    with pytest.raises(DiskFull, match=r"scene: could not be written .*the disk is full, [\d.]+ MB are free") as caught:
        prepare.run(params, "kalantari")
    assert "refused" not in str(caught.value) and len(str(caught.value).splitlines()) == 1 and len(saved) == 3
    monkeypatch.setattr(np, "save", save)
    prepare.run(params, "kalantari")
    assert len(list(layout.scenes(params, "kalantari", "train").iterdir())) == 3


def slowly(params, started, goes_on):
    read = prepare.read

    def wait(task):
        started.set()
        assert goes_on.wait(20)
        return read(task)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepare, "read", wait)
        prepare.run(params, "kalantari")


def test_a_second_prepare_names_the_first_and_waits_for_it(params, capfd):
    context = multiprocessing.get_context("fork")
    started, goes_on = context.Event(), context.Event()
    first = context.Process(target=slowly, args=(params, started, goes_on))
    first.start()
    assert started.wait(20)
    second = context.Process(target=prepare.run, args=(params, "kalantari"))
    second.start()
    time.sleep(0.3)
    assert second.is_alive() and not layout.scenes(params, "kalantari", "train").exists()
    goes_on.set()
    first.join()
    second.join()
    assert (first.exitcode, second.exitcode) == (0, 0)
    assert len(list(layout.scenes(params, "kalantari", "train").iterdir())) == 3
    said = capfd.readouterr()
    told = f"kalantari is being prepared by process {first.pid} on {socket.gethostname()}; waiting for it to end."
    assert said.out.splitlines().count(told) == 1 and "error" not in said.err


class TestFetch:
    @pytest.fixture
    def site(self, dataset_params, monkeypatch, tmp_path):
        monkeypatch.setattr(downloads, "PAUSES", ())
        builders.kalantari(tmp_path / "train" / "Training" / "001")
        builders.kalantari(tmp_path / "test" / "Test" / "PAPER" / "A", seed=1)
        running = servers.Server()
        running.files = {
            f"/{TRAIN}": zipped(tmp_path / "train", tmp_path / "a.zip"),
            f"/{TEST}": zipped(tmp_path / "test", tmp_path / "b.zip"),
        }
        yield dataset_params("kalantari", {"mirror": running.url(), "accept_licence": True})
        running.close()

    def test_a_disk_that_fills_up_while_a_file_arrives_is_told(self, site, monkeypatch):
        def fill(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(downloads, "_shown", fill)
        with pytest.raises(DiskFull, match=rf"store/kalantari: the disk is full; what has arrived of {TRAIN} is kept"):
            fetch.run(site, "kalantari")

    def test_a_disk_too_small_for_what_is_unpacked_is_told_before_anything_is(self, site, tmp_path, monkeypatch):
        fetch.run(site, "kalantari")
        unpacked = tmp_path / "store" / "kalantari" / "unpacked"
        shutil.rmtree(unpacked)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: namedtuple("Usage", "free")(100))
        with pytest.raises(
            DiskFull, match=rf"unpacked: [\d.]+ GB are needed to unpack {TRAIN}, 0.00 GB are free"
        ) as caught:
            fetch.run(site, "kalantari")
        assert "By hand" not in str(caught.value) and not unpacked.exists()
