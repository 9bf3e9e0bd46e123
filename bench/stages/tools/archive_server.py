"""A small HTTP server of one folder on this machine: whole files, and parts of them for downloads that resume."""

import io
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO

from bench.core.errors import UsageError

HOST = "127.0.0.1"


@contextmanager
def served(folder: Path, port: int) -> Iterator[None]:
    """Serve a folder on 127.0.0.1 while the context lasts; UsageError if the port is taken."""
    try:
        server = _Server((HOST, port), partial(_Files, directory=str(folder)))
    except OSError as error:
        raise UsageError(f"port {port} of this machine is taken ({error.strerror}); end what uses it.") from error
    # Every 20 ms it looks whether it shall end; by default every half second, for which the end would wait.
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def span(header: str, size: int) -> tuple[int, int] | None:
    """Return the first and one past the last byte that a Range header asks for, of a file of `size` bytes.

    Understood are `bytes=5-9`, `bytes=5-`, and `bytes=-5` for the last five. Anything else is None, which HTTP answers
    with the whole file. A range that begins at the end or later comes back empty.
    """
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", header.strip())
    if found is None or not any(found.groups()):
        return None
    first, last = found.groups()
    if not first:
        return (max(0, size - int(last)), size) if int(last) else (size, size)
    begin, end = int(first), min(int(last) + 1, size) if last else size
    return None if last and int(last) < begin else (min(begin, size), end if begin < size else size)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over clients that have hung up, as an interrupted download does."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: the download shows its progress."""

    def end_headers(self) -> None:
        """Announce that parts of files are served."""
        self.send_header("Accept-Ranges", "bytes")
        super().end_headers()

    def send_head(self) -> io.BytesIO | BinaryIO | None:
        """Answer a Range request with that part of the file, anything else as the standard library does."""
        path = Path(self.translate_path(self.path))
        if self.command != "GET" or "Range" not in self.headers or not path.is_file():
            return super().send_head()
        size, date = path.stat().st_size, self.date_time_string(int(path.stat().st_mtime))
        part = span(self.headers["Range"], size)
        if part is None or self.headers.get("If-Range", date) != date:
            return super().send_head()
        begin, end = part
        if begin >= end:
            self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self._send_fields({"Content-Range": f"bytes */{size}", "Content-Length": "0"})
            return None
        self.send_response(HTTPStatus.PARTIAL_CONTENT)
        fields = {"Content-Range": f"bytes {begin}-{end - 1}/{size}", "Content-Length": str(end - begin)}
        self._send_fields({"Content-Type": self.guess_type(str(path)), "Last-Modified": date, **fields})
        with path.open("rb") as file:
            file.seek(begin)
            return io.BytesIO(file.read(end - begin))

    def _send_fields(self, fields: dict[str, str]) -> None:
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()
