"""Addresses that don't end, creep, pack or lie: little is read from them, and the next address gives the file."""

import gzip
import io
import json
import os
import re
import shutil
import socket
import threading
import time
import zipfile
from collections import Counter, namedtuple

import numpy as np
import pytest

from bench.core.errors import BenchError, UsageError
from bench.data import archive as archives
from bench.data import download as downloads
from bench.data.connection import Limits
from bench.data.download import Checksums, RemoteFile, download, part_of

NAME = "set.zip"

QUICK = Limits(connect=5.0, silence=0.4, answer=0.3, window=0.2, slowest=2000.0, longest=20.0)


def archive():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as bundle:
        bundle.writestr(zipfile.ZipInfo("a.bin"), np.random.default_rng(0).bytes(900_000))
    return content.getvalue()


GOOD = archive()
DAMAGED = GOOD[:5000] + b"?" + GOOD[5001:]
SIZE, FOREVER = len(GOOD), 10**9


def head(status="200 OK", **fields):
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in fields.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def whole(content=GOOD, **fields):
    def answer(send, asked):
        begin = int(asked) if asked else 0
        at = {"Content_Range": f"bytes {begin}-{len(content) - 1}/{len(content)}"} if begin else {}
        send(head("206 Partial" if begin else "200 OK", Content_Length=len(content) - begin, **at, **fields))
        send(content[begin:])

    return answer


def then(*pieces, times=FOREVER, pause=0.0):
    """Send the pieces, the last of them again and again; ranges are ignored."""

    def answer(send, asked):
        for piece in pieces[:-1]:
            send(piece)
        for _ in range(times):
            send(pieces[-1])
            time.sleep(pause)

    return answer


def elsewhere(send, asked):
    """Give another part than the one that is asked for."""
    begin = int(asked or 0)
    send(
        head("206 Partial", Content_Length=10, Content_Range=f"bytes {begin + 5}-{begin + 14}/{len(GOOD)}") + GOOD[:10]
    )


ZEROS = bytes(1 << 16)
BOMB = gzip.compress(bytes(50_000_000), 9)

BAD = {
    "endless": (then(head(), ZEROS), "more than 990,118 bytes came from it, 900,108 were published"),
    "endless-and-declared": (then(head(Content_Length=10**15), ZEROS), "it has 1,000,000,000,000,000 bytes, 900,108"),
    "endless-in-chunks": (
        then(head(Transfer_Encoding="chunked"), b"10000\r\n" + ZEROS + b"\r\n"), "more than 990,118 bytes"),
    "endless-trailers": (
        then(head(Transfer_Encoding="chunked") + b"0\r\n", b"a: b\r\n" * 5000), "more than 990,118 bytes"),
    "a-byte-now-and-then": (then(head(Content_Length=len(GOOD)), b"P", pause=0.02), "too slow: .* bytes a second"),
    "a-few-bytes-a-connection": (then(head(Content_Length=len(GOOD)) + b"PK", b"", times=1), "the connection failed"),
    "half-each-time": (
        then(head(Content_Length=len(GOOD)), bytes(len(GOOD) // 2), times=1), "it can only send all again"),
    "silence": (then(b"", pause=0.05), r"the connection failed \(no answer in 0.3 s\)"),
    "silence-in-the-body": (then(head(Content_Length=len(GOOD)) + GOOD[:9], b"", pause=0.05), "the connection failed"),
    "endless-headers": (then(b"HTTP/1.1 200 OK\r\n", b"a: " + b"b" * 997 + b"\r\n"), "headers of its answer don't end"),
    "creeping-headers": (then(b"HTTP/1.1 200 OK\r\n", b"a", pause=0.02), "headers of its answer don't end"),
    "endless-continue": (then(b"HTTP/1.1 100 Continue\r\n\r\n" * 99), "headers of its answer don't end"),
    "redirect-with-a-body": (then(head("302 Found", Location="/x"), ZEROS), "headers of its answer don't end"),
    "redirects-in-a-circle": (
        then(head("302 Found", Location="/x", Content_Length=0, Connection="close"), b"", times=1), "redirects"),
    "gzip-bomb": (then(head(Content_Encoding="gzip", Content_Length=len(BOMB)), BOMB, times=1), "packed .gzip."),
    "gzip-of-the-file": (whole(gzip.compress(GOOD, 1), Content_Encoding="gzip"), "packed .gzip."),
    "gzip-in-transfer": (whole(gzip.compress(GOOD, 1), Transfer_Encoding="gzip"), "packed .gzip."),
    "packed-bomb-as-the-file": (whole(BOMB), "cut short"),
    "length-too-short": (then(head(Content_Length=1000), GOOD, times=1), "cut short"),
    "length-a-little-too-long": (then(head(Content_Length=len(GOOD) + 9000), GOOD, times=1), "can only send all again"),
    "length-of-words": (then(head(Content_Length="many"), GOOD, times=1), "declares a length of 'many'"),
    "length-below-zero": (then(head(Content_Length=-5), GOOD, times=1), "declares a length of '-5'"),
    "two-lengths": (then(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", b"x"), "the connection"),
    "another-part": (elsewhere, "another part of the file"),
    "nothing": (then(head("204 No Content"), b"", times=1), "the server answered 204"),
    "no-http": (then(b"SSH-2.0-OpenSSH_9.6\r\n", b"x", times=1), "the connection failed"),
    "damaged": (whole(DAMAGED), "sent a damaged file"),
}  # fmt: skip


class Server:
    """One behaviour at one port; each connection is answered once."""

    def __init__(self, answer):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port, self.answer, self.open = self.socket.getsockname()[1], answer, True
        threading.Thread(target=self.serve, daemon=True).start()

    def url(self):
        return f"http://127.0.0.1:{self.port}/{NAME}"

    def serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.one, args=(connection,), daemon=True).start()

    def one(self, connection):
        def send(piece):
            if not self.open:
                raise ConnectionAbortedError
            connection.sendall(piece)

        with connection:
            try:
                request = connection.recv(1 << 16).decode("latin-1")
                asked = request.partition("Range: bytes=")[2].partition("-")[0]
                self.answer(send, asked)
            except OSError:  # the client has had enough
                pass

    def close(self):
        if self.open:
            self.open = False
            self.socket.shutdown(socket.SHUT_RDWR)
            self.socket.close()


@pytest.fixture
def serve():
    servers = []

    def start(answer):
        servers.append(Server(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def read(monkeypatch):
    """Count the bytes that are read from sockets, by the other side's port."""
    counts, receive = Counter(), socket.socket.recv_into

    def counted(self, *options):
        got = receive(self, *options)
        counts[self.getpeername()[1]] += got
        return got

    monkeypatch.setattr(socket.socket, "recv_into", counted)
    return counts


@pytest.fixture
def fetch(tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "PAUSES", (0.0,))
    checksums = Checksums(tmp_path / "checksums.json", "set")

    def run(*servers, size=SIZE, limits=QUICK):
        source = RemoteFile(NAME, tuple(server.url() for server in servers), size)
        return download(source, tmp_path / "store", checksums, examine=archives.test, limits=limits)

    return run


def half(folder, server):
    """Leave the first half of the file as what this server has sent; return where."""
    part = part_of(folder / "store" / NAME, server.url())
    part.parent.mkdir(exist_ok=True)
    part.write_bytes(GOOD[:500_000])
    return part


@pytest.mark.parametrize("name", BAD)
def test_the_next_address_is_asked(name, serve, fetch, read, tmp_path, capsys):
    answer, reason = BAD[name]
    bad, good = serve(answer), serve(whole())
    begin = time.monotonic()
    assert fetch(bad, good).read_bytes() == GOOD
    assert read[bad.port] <= 1.2 * len(GOOD) and time.monotonic() - begin < 15
    assert re.search(f"{bad.url()}: .*{reason}.*; asking the next address", capsys.readouterr().err)
    assert json.loads((tmp_path / "checksums.json").read_text())["set"][NAME]["bytes"] == len(GOOD)


def test_all_bad_ones_together_end_and_say_what_they_did(serve, fetch, read, tmp_path):
    names = ["endless", "endless-headers", "half-each-time", "gzip-bomb", "packed-bomb-as-the-file", "nothing"]
    servers = [serve(BAD[name][0]) for name in names]
    with pytest.raises(BenchError) as caught:
        fetch(*servers)
    for name, line in zip(names, str(caught.value).splitlines()[1:], strict=True):
        assert re.search(BAD[name][1], line)
    assert max(read.values()) <= 1.2 * len(GOOD) and not (tmp_path / "store" / NAME).exists()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("endless", "more than a file of unknown size may have"),
        ("endless-and-declared", "it has 1,000,000,000,000,000"),
    ],
)
@pytest.mark.parametrize("bound", ["most", "disk"])
def test_a_file_of_unknown_size_ends_too(name, reason, bound, serve, fetch, read, monkeypatch, capsys):
    """Before the disk is full, which would end everything."""
    if bound == "most":
        monkeypatch.setattr(downloads, "UNPUBLISHED", 1_000_000)
    else:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: namedtuple("Usage", "free")(2_200_000))
    bad = serve(BAD[name][0])
    assert fetch(bad, serve(whole()), size=None).read_bytes() == GOOD
    assert read[bad.port] <= 1_200_000 and reason in capsys.readouterr().err


def test_an_address_with_a_larger_file_than_has_room_is_passed_over(serve, fetch, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: namedtuple("Usage", "free")(2_050_000))
    larger = serve(then(head(Content_Length=980_000), ZEROS))
    with pytest.raises(UsageError, match=r"are needed to download and unpack set\.zip"):
        fetch(larger)
    assert fetch(larger, serve(whole())).read_bytes() == GOOD


def test_an_address_that_cannot_be_reached_is_named_at_each_try(serve, fetch, capsys):
    gone = serve(whole())
    gone.close()
    assert fetch(gone, serve(whole())).read_bytes() == GOOD
    told = f"set.zip: {gone.url()}: the connection failed (Connection refused); trying again in 0 s"
    assert told in capsys.readouterr().err.splitlines()


def test_a_slow_address_is_gone_on_with_by_the_next_call(serve, fetch):
    asked = []

    def answer(send, begin):
        asked.append(begin)
        if begin:
            return whole()(send, begin)
        send(head(Content_Length=len(GOOD)) + GOOD[:500_000])
        return then(b"x", pause=0.02)(send, begin)

    server = serve(answer)
    with pytest.raises(BenchError, match="too slow"):
        fetch(server)
    assert fetch(server).read_bytes() == GOOD and len(asked) == 2 and int(asked[1]) > 400_000


def test_headers_without_an_end_leave_what_had_arrived(serve, fetch, tmp_path):
    server = serve(BAD["endless-headers"][0])
    part = half(tmp_path, server)
    with pytest.raises(BenchError, match="headers of its answer don't end"):
        fetch(server)
    assert part.read_bytes() == GOOD[:500_000]


def test_what_one_address_has_sent_is_not_lost_to_another(serve, fetch, tmp_path):
    """Each goes on with its own part, and no part is left when the file is whole."""
    asked = []

    def broken(send, begin):
        asked.append(begin)
        send(head("206 Partial", Content_Range=f"bytes {begin}-{SIZE - 1}/{SIZE}") + GOOD[int(begin) :][:1000])

    one, other = serve(BAD["nothing"][0]), serve(broken)
    parts = [half(tmp_path, one), half(tmp_path, other), tmp_path / "store" / f"{NAME}.part"]
    parts[2].write_bytes(b"from a version before")
    with pytest.raises(BenchError, match="couldn't be downloaded"):
        fetch(one, other)
    assert parts[0].read_bytes() == GOOD[:500_000] and parts[2].exists()
    assert parts[1].read_bytes() == GOOD[: 500_000 + 1000 * len(asked)] and asked[:2] == ["500000", "501000"]
    assert fetch(one, serve(whole())).read_bytes() == GOOD
    assert not list((tmp_path / "store").glob("*.part*"))


def test_parts_of_other_addresses_give_way_where_the_disk_is_small(serve, fetch, tmp_path, monkeypatch):
    other = half(tmp_path, serve(BAD["nothing"][0]))
    usage = namedtuple("Usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1_600_000 if other.exists() else 2_100_000))
    assert fetch(serve(whole())).read_bytes() == GOOD and not other.exists()


def test_a_damaged_file_is_told_where_no_address_has_a_better_one(serve, fetch, tmp_path):
    with pytest.raises(
        UsageError, match=r"(?s)entry 'a\.bin' at byte 0 is damaged .*- http.*: the server answered 204"
    ):
        fetch(serve(BAD["damaged"][0]), serve(BAD["nothing"][0]))
    assert not (tmp_path / "checksums.json").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [("9" * 20, "expected a JSON object"), ("[]", "expected a JSON object"), ('{"set": []}', "set: expected an object"),
     ('{"set": {"set.zip": 5}}', "set, set.zip: expected bytes"), ("[" * 100_000, "nested too deeply"),
     ('{"set": {"set.zip": {"bytes": "1", "sha256": "0"}}}', "set, set.zip: expected bytes"), ("9" * 5000, "digits"),
     ('{"set": {"set.zip": {"bytes": 1, "sha256": ["0"]}}}', "set, set.zip: expected bytes"), ("\0", "not valid JSON"),
     ("", "not valid JSON"), ('{"a": \ud83d}'.encode("utf-8", "replace"), "not valid JSON"), (b"\xff", "not UTF-8")],
)  # fmt: skip
def test_a_damaged_checksum_file_is_told(content, said, serve, fetch, tmp_path):
    content = content.encode() if isinstance(content, str) else content
    (tmp_path / "checksums.json").write_bytes(content)
    with pytest.raises(UsageError, match=rf"checksums\.json: .*{said}.*Restore it from git"):
        fetch(serve(whole()))
    assert (tmp_path / "checksums.json").read_bytes() == content


def test_an_address_has_so_much_time_in_all(serve, fetch):
    server = serve(then(head(Content_Length=SIZE), GOOD[:1000], pause=0.01))
    with pytest.raises(BenchError, match=r"set\.zip: it took longer than 0\.2 s"):
        fetch(server, limits=QUICK._replace(longest=0.2))


def test_records_of_other_sets_are_left_as_they_are(serve, fetch, tmp_path):
    (tmp_path / "checksums.json").write_text('{"other": [1]}')
    fetch(serve(whole()))
    assert json.loads((tmp_path / "checksums.json").read_text())["other"] == [1]


@pytest.mark.parametrize(
    "state", ["[]", "{", '{"mark": ["x"]}', '{"mark": "a\\r\\nb"}', '{"origin": 5}', "\0" * 100_000]
)
def test_a_damaged_note_of_a_part_does_no_harm(state, serve, fetch, tmp_path):
    server = serve(whole())
    part = half(tmp_path, server)
    part.with_name(f"{part.name}.json").write_text(state)
    assert fetch(server).read_bytes() == GOOD


def test_what_is_no_file_in_its_place_is_told(serve, fetch, tmp_path):
    (tmp_path / "store").mkdir()
    os.mkfifo(tmp_path / "store" / NAME)
    with pytest.raises(UsageError, match=r"set\.zip: this is a named pipe; expected a file"):
        fetch(serve(whole()))
