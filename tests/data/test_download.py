"""Downloads from a server that misbehaves: the right bytes, or a sentence and nothing under the final name."""

import errno
import hashlib
import io
import json
import multiprocessing
import shutil
import sys
import time
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from bench.core.errors import BenchError, UsageError
from bench.data import download as downloads
from bench.data.download import Checksums, RemoteFile, download, drive_folder, part_of

from . import server as servers

NAME, KILLS = "set.zip", 20


def archive(seed, size=300_000):
    """A zip with one incompressible file; its length depends on `size` alone."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as bundle:
        bundle.writestr(zipfile.ZipInfo("a.bin"), np.random.default_rng(seed).bytes(size))
    return content.getvalue()


GOOD, OTHER = archive(0), archive(1)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(downloads, "PAUSES", (0.0, 0.0, 0.0))
    running = servers.Server()
    running.files[f"/{NAME}"] = GOOD
    yield running
    running.close()


@pytest.fixture
def fetch(tmp_path, server):
    """Download NAME from the server (or other addresses) to a store."""
    checksums = Checksums(tmp_path / "checksums.json", "set")

    def run(*urls, **source):
        addresses = urls or (server.url(f"/{NAME}"),)
        return download(RemoteFile(NAME, addresses, **source), tmp_path / "store", checksums)

    return run


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def part(store, server):
    """Where what the server has sent is kept."""
    return part_of(store / NAME, server.url(f"/{NAME}"))


def left(store):
    """Files of the store, locks aside."""
    return {path.name for path in store.iterdir() if not path.name.endswith(".lock")}


def test_a_file_is_downloaded_once_and_recorded(fetch, store, server, tmp_path):
    assert fetch().read_bytes() == GOOD
    record = json.loads((tmp_path / "checksums.json").read_text())
    assert record == {"set": {NAME: {"bytes": len(GOOD), "sha256": hashlib.sha256(GOOD).hexdigest()}}}
    fetch()
    assert len(server.asked) == 1 and left(store) == {NAME}


@pytest.mark.parametrize("marked", [True, False], ids=["with-etag", "without-etag"])
def test_a_dropped_connection_is_resumed(fetch, server, store, marked):
    server.faults[f"/{NAME}"], server.mark = ("drop", 3), marked
    assert fetch().read_bytes() == GOOD
    begins = [int(asked.removeprefix("bytes=").rstrip("-")) for _, asked in server.asked[1:]]
    assert begins == sorted(set(begins)) and begins[0] >= 0.25 * len(GOOD)
    assert left(store) == {NAME}


def test_errors_of_the_server_are_waited_out(fetch, server):
    server.faults[f"/{NAME}"] = "500", 2
    assert fetch().read_bytes() == GOOD and len(server.asked) == 3


def test_a_server_that_ignores_ranges_is_asked_for_all_again(fetch, server, store, part):
    store.mkdir()
    part.write_bytes(b"x" * 1000)
    part.with_name(f"{part.name}.json").write_text('{"mark": null}')
    server.faults[f"/{NAME}"] = "no-range", 9
    assert fetch().read_bytes() == GOOD
    assert server.asked == [(f"/{NAME}", "bytes=1000-")]


@pytest.mark.parametrize("fault", ["short", "lie"])
def test_a_body_that_is_always_cut_short_is_no_file(fetch, server, store, fault):
    server.faults[f"/{NAME}"] = fault, 1000
    with pytest.raises(BenchError, match=r"cut short|the connection ended|the connection failed") as caught:
        fetch()
    assert f"{NAME} couldn't be downloaded." in str(caught.value)
    assert NAME not in left(store)


def test_another_file_of_the_same_length_is_refused_with_both_sums(fetch, server, store):
    fetch()
    (store / NAME).unlink()
    assert len(OTHER) == len(GOOD)
    server.files[f"/{NAME}"] = OTHER
    with pytest.raises(BenchError, match="another file than the recorded one") as caught:
        fetch()
    for content in (GOOD, OTHER):
        assert hashlib.sha256(content).hexdigest() in str(caught.value)
    assert left(store) == set()
    server.files[f"/{NAME}"] = GOOD
    assert fetch().read_bytes() == GOOD


def test_a_file_that_changes_on_the_server_is_not_mixed(fetch, server, store):
    """The part is of the old file; If-Range makes the server send the new one whole."""
    server.faults[f"/{NAME}"] = "drop", 1
    original = servers.answer

    def swap(running, request):
        original(running, request)
        running.files[f"/{NAME}"] = OTHER

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(servers, "answer", swap)
        assert fetch().read_bytes() == OTHER


def test_redirects_are_followed(fetch, server):
    server.files = {"/elsewhere": GOOD, f"/{NAME}": b""}
    server.faults[f"/{NAME}"] = "/elsewhere", 9
    assert fetch().read_bytes() == GOOD


def test_a_login_page_is_no_archive(fetch, server, store):
    server.faults[f"/{NAME}"] = "page", 9
    with pytest.raises(BenchError, match=r"sent a web page instead of the file.*by hand"):
        fetch()
    assert NAME not in left(store)


def test_a_login_page_leaves_what_had_arrived(fetch, server, store, part):
    store.mkdir()
    part.write_bytes(GOOD[:200_000])
    part.with_name(f"{part.name}.json").write_text('{"mark": null}')
    server.faults[f"/{NAME}"] = "page", 1
    with pytest.raises(BenchError, match="sent a web page"):
        fetch()
    assert part.read_bytes() == GOOD[:200_000]
    assert fetch().read_bytes() == GOOD and server.asked[-1] == (f"/{NAME}", "bytes=200000-")


def test_a_part_that_is_whole_is_not_asked_for_again(fetch, server, store, part):
    store.mkdir()
    part.write_bytes(GOOD)
    part.with_name(f"{part.name}.json").write_text('{"mark": null}')
    assert fetch().read_bytes() == GOOD
    assert server.asked == [(f"/{NAME}", f"bytes={len(GOOD)}-")]


def test_a_part_longer_than_the_servers_file_is_dropped(fetch, server, store, part):
    store.mkdir()
    part.write_bytes(GOOD + b"more")
    assert fetch().read_bytes() == GOOD


def test_a_store_that_cannot_be_written_is_named(fetch, store):
    store.parent.mkdir(exist_ok=True)
    store.write_text("a file where the folder should be")
    with pytest.raises(UsageError, match=r"store: can't be written \(File exists\); set downloads\.folder"):
        fetch()


def test_another_address_is_tried(fetch, server):
    server.faults["/gone/set.zip"] = "500", 99
    server.files["/page/set.zip"] = GOOD
    server.faults["/page/set.zip"] = "page", 9
    urls = [server.url(path) for path in ("/missing/set.zip", "/gone/set.zip", "/page/set.zip", f"/{NAME}")]
    assert fetch(*urls).read_bytes() == GOOD
    assert {path for path, _ in server.asked} == {"/missing/set.zip", "/gone/set.zip", "/page/set.zip", f"/{NAME}"}


def test_all_addresses_say_why(fetch, server):
    with pytest.raises(BenchError) as caught:
        fetch(server.url("/a"), server.url("/b"), "http://127.0.0.1:9/c")
    lines = str(caught.value).splitlines()
    assert len(lines) == 4 and "404" in lines[1] and "404" in lines[2] and "the connection failed" in lines[3]


def test_another_published_size_is_a_note(fetch, capsys):
    assert fetch(bytes=290_000).read_bytes() == GOOD
    assert f"note: {NAME} has {len(GOOD)} bytes, 290000 were published" in capsys.readouterr().out


def test_a_known_beginning_of_the_sum_is_enforced(fetch, store):
    with pytest.raises(BenchError, match="397923af was expected"):
        fetch(sha256="397923af")
    assert fetch(sha256=hashlib.sha256(GOOD).hexdigest()[:8]).read_bytes() == GOOD


def test_a_file_changed_on_this_disk_is_noticed(fetch, store):
    fetch()
    (store / NAME).write_bytes(OTHER)
    with pytest.raises(UsageError, match="it was changed after its download"):
        fetch()


def test_a_full_disk_is_noticed_before_anything_arrives(fetch, store, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2 * len(GOOD)))
    with pytest.raises(UsageError, match=r"are needed to download and unpack set\.zip"):
        fetch()
    assert NAME not in left(store)


def test_the_proxy_of_the_environment_is_used(fetch, server, monkeypatch):
    """A proxy is asked for the whole address, which this server takes for a path."""
    monkeypatch.setenv("http_proxy", server.url())
    monkeypatch.setenv("no_proxy", "")
    server.files["http://far.example/set.zip"] = GOOD
    assert fetch("http://far.example/set.zip").read_bytes() == GOOD


def test_progress_is_told_in_plain_lines(fetch, server, monkeypatch, capsys):
    monkeypatch.setattr(downloads.progress, "PLAIN_EVERY", 0.0)
    fetch()
    assert "of 0.3 MB" in capsys.readouterr().err


def test_killed_at_any_moment_the_next_run_completes_the_same_bytes(fetch, server, store, part):
    server.pause = 0.004  # about 20 pieces: some 80 ms
    start = time.monotonic()
    fetch()
    length, inside, kept = time.monotonic() - start, 0, 0
    context, rng = multiprocessing.get_context("fork"), np.random.default_rng(0)
    for _ in range(KILLS):
        shutil.rmtree(store)
        process = context.Process(target=fetch)
        process.start()
        time.sleep(rng.uniform(0, 1.5 * length))
        inside += process.is_alive()
        process.kill()
        process.join()
        kept += part.exists()
        assert not (store / NAME).exists() or (store / NAME).read_bytes() == GOOD
        assert fetch().read_bytes() == GOOD
    assert inside >= KILLS // 3 and kept >= 3, "kills must land in the middle"


def test_two_processes_do_not_write_one_file(fetch, server, store):
    server.pause = 0.004
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=fetch) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(server.asked) == 1 and (store / NAME).read_bytes() == GOOD


class TestDrive:
    def test_without_gdown_it_says_how_to_get_it(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "gdown", None)
        with pytest.raises(UsageError, match=r"pip install -e '\.\[gdown\]'"):
            drive_folder("abc", tmp_path)

    def test_a_full_disk_is_not_taken_for_a_refusal(self, tmp_path, monkeypatch):
        def fill(**options):
            raise OSError(errno.ENOSPC, "No space left on device", "x.zip")

        monkeypatch.setitem(sys.modules, "gdown", SimpleNamespace(download_folder=fill))
        with pytest.raises(OSError, match="No space left on device"):
            drive_folder("abc", tmp_path, tries=(0, 0))

    def test_a_refusal_is_told_after_several_tries(self, tmp_path, monkeypatch):
        calls = []

        def refuse(**options):
            calls.append(options)
            raise RuntimeError("Cannot retrieve the folder information")

        monkeypatch.setitem(sys.modules, "gdown", SimpleNamespace(download_folder=refuse))
        with pytest.raises(BenchError, match=r"didn't give folder abc .Cannot retrieve"):
            drive_folder("abc", tmp_path, tries=(0, 0))
        assert len(calls) == 2 and calls[0]["id"] == "abc" and calls[0]["resume"]
