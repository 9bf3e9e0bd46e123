"""The server of the rehearsal: whole files and parts, so that a download that was cut off goes on."""

import json
import socket
import struct
import time
import urllib.error
import urllib.request

import pytest

from bench.core.errors import UsageError
from bench.data.download import Checksums, RemoteFile, download, part_of
from bench.stages.tools.archive_server import served, span

CONTENT = bytes(range(256)) * 40
SIZE = len(CONTENT)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def address(tmp_path):
    folder, port = tmp_path / "served", free_port()
    folder.mkdir()
    (folder / "x.bin").write_bytes(CONTENT)
    with served(folder, port):
        yield f"http://127.0.0.1:{port}/x.bin"


def ask(address, method="GET", **headers):
    request = urllib.request.Request(address, headers={k.replace("_", "-"): v for k, v in headers.items()})
    request.method = method
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.status, answer.headers, answer.read()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-", (0, 100)), ("bytes=90-", (90, 100)), ("bytes=5-9", (5, 10)), ("bytes=5-5", (5, 6)),
        ("bytes=95-500", (95, 100)), ("bytes=-5", (95, 100)), ("bytes=-500", (0, 100)),
        ("bytes=100-", (100, 100)), ("bytes=200-300", (100, 100)), ("bytes=-0", (100, 100)),
        ("bytes=9-5", None), ("bytes=-", None), ("bytes=0-1,5-6", None), ("lines=0-1", None), ("bytes=a-b", None),
    ],
)  # fmt: skip
def test_ranges_mean_what_http_says(header, expected):
    assert span(header, 100) == expected


def test_the_whole_file_is_served_and_says_that_parts_are(address):
    status, headers, body = ask(address)
    assert (status, body, headers["Accept-Ranges"]) == (200, CONTENT, "bytes")


def test_head_tells_the_length_and_sends_nothing(address):
    status, headers, body = ask(address, "HEAD")
    assert (status, body, headers["Content-Length"], headers["Accept-Ranges"]) == (200, b"", str(SIZE), "bytes")


@pytest.mark.parametrize(("header", "begin", "end"), [("100-199", 100, 200), ("10000-", 10000, SIZE), ("-7", -7, SIZE)])
def test_a_part_is_served(address, header, begin, end):
    status, headers, body = ask(address, Range=f"bytes={header}")
    assert (status, body, headers["Content-Length"]) == (206, CONTENT[begin:end], str(len(CONTENT[begin:end])))
    assert headers["Content-Range"] == f"bytes {begin % SIZE}-{end - 1}/{SIZE}"


def test_a_part_beyond_the_end_is_refused(address):
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(address, Range=f"bytes={SIZE}-")
    with refused.value as answer:
        assert (answer.code, answer.headers["Content-Range"]) == (416, f"bytes */{SIZE}")


def test_a_part_of_a_file_that_has_changed_is_the_whole_file(address):
    mark = ask(address)[1]["Last-Modified"]
    assert ask(address, Range="bytes=10-", If_Range=mark)[0] == 206
    assert ask(address, Range="bytes=10-", If_Range="Mon, 01 Jan 2001 00:00:00 GMT")[::2] == (200, CONTENT)


def test_a_download_that_was_cut_off_goes_on(address, tmp_path):
    folder = tmp_path / "downloads"
    folder.mkdir()
    # What had arrived is told apart from the served bytes: it is kept only if the rest alone is asked for.
    half, mark = SIZE // 2, ask(address)[1]["Last-Modified"]
    part = part_of(folder / "x.bin", address)
    part.write_bytes(b"\xaa" * half)
    part.with_name(f"{part.name}.json").write_text(json.dumps({"mark": mark}))
    path = download(RemoteFile("x.bin", (address,)), folder, Checksums(tmp_path / "sums.json", "set"), unpacked=False)
    assert path.read_bytes() == b"\xaa" * half + CONTENT[half:]


def test_a_client_that_hangs_up_leaves_no_traceback(tmp_path, capfd):
    port = free_port()
    (tmp_path / "large.bin").write_bytes(bytes(20_000_000))
    with served(tmp_path, port):
        with socket.create_connection(("127.0.0.1", port)) as client:
            # Closed by a reset, as when the process is killed: lingering for 0 seconds.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sendall(b"GET /large.bin HTTP/1.0\r\n\r\n")
            client.recv(100)
        time.sleep(0.2)
        assert ask(f"http://127.0.0.1:{port}/large.bin", "HEAD")[0] == 200
    assert capfd.readouterr().err == ""


def test_a_taken_port_ends_in_a_sentence(address, tmp_path):
    port = int(address.split(":")[2].split("/")[0])
    with pytest.raises(UsageError, match=f"port {port} of this machine is taken"), served(tmp_path, port):
        pass
