"""One address to one partial file over HTTP: resumed by ranges, retried with back-off, with its progress shown."""

import json
import shutil
import sys
import time
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from typing import Any

from bench.core import progress
from bench.core.errors import UsageError

CHUNK = 1 << 14
"""Bytes of a piece; what is lost of one when a connection breaks."""

TIMEOUT = (10.0, 60.0)
"""Seconds to connect, and between two pieces of an answer."""

PAUSES = (1.0, 4.0, 15.0, 60.0)
"""Seconds before each retry; the count starts again whenever something new has arrived."""

PAGE = (b"<!doctype html", b"<html", b"<head")


class Refused(Exception):
    """An address that doesn't give the file, with the reason; another one may."""


class _Again(Exception):
    """A failure that may be gone in a moment, with the reason."""


class Resumable:
    """A downloader for pooch: it collects the file in `part`, which outlives failures and kills.

    wanted : sha256 of the file or its beginning, None if it isn't known.
    room   : bytes of free disk that each byte of the file needs.
    """

    def __init__(self, part: Path, wanted: str | None = None, room: float = 1.0) -> None:
        """Remember where to collect."""
        self.part, self.wanted, self.room = part, wanted, room
        self.state = part.with_name(f"{part.name}.json")

    def __call__(self, url: str, output_file: Any, pooch: Any, check_only: bool = False) -> None:
        """Download to `output_file`; `Refused` or UsageError (disk full) with a sentence if that can't be done."""
        most, failures = 0, 0
        while True:
            try:
                self._receive(url)
                break
            except _Again as error:
                failures = 0 if self._have() > most else failures + 1
                most = max(most, self._have())
                if failures > len(PAUSES):
                    raise Refused(f"{error}; {self._have()} bytes are kept, run the command again to go on") from error
                _say(f"{self.part.stem}: {error}; trying again")
                time.sleep(PAUSES[max(failures - 1, 0)])
        self._check()
        self.state.unlink(missing_ok=True)
        shutil.move(self.part, output_file)

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _receive(self, url: str) -> None:
        import requests

        try:
            with requests.get(url, stream=True, timeout=TIMEOUT, headers=self._headers()) as answer:
                self._take(answer)
        except requests.RequestException as error:
            raise _Again(f"the connection failed ({type(error).__name__})") from error

    def _headers(self) -> dict[str, str]:
        # Without compression in transit, or lengths and ranges would count other bytes than the file's.
        plain, have, mark = {"Accept-Encoding": "identity"}, self._have(), self._mark()
        if not have:
            return plain
        return {**plain, "Range": f"bytes={have}-", **({} if mark is None else {"If-Range": mark})}

    def _mark(self) -> str | None:
        """What tells the server's file from a later one of the same name: an ETag or a date."""
        try:
            mark: str | None = json.loads(self.state.read_text(encoding="utf-8"))["mark"]
        except (OSError, ValueError, KeyError):
            return None
        return mark

    def _take(self, answer: Any) -> None:
        have = self._have()
        if answer.status_code == 416 and have:
            if answer.headers.get("Content-Range") == f"bytes */{have}":
                return  # all of it is here: an earlier call ended just before it could say so
            self.part.unlink()
            raise _Again("the server has a shorter file than what is here; starting anew")
        if answer.status_code >= 500 or answer.status_code == 429:
            raise _Again(f"the server answered {answer.status_code}")
        if answer.status_code >= 400:
            raise Refused(f"the server answered {answer.status_code} {answer.reason}")
        goes_on = answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        begin = have if goes_on else 0
        length = answer.headers.get("Content-Length")
        total = begin + int(length) if length is not None else None
        self._refuse_full_disk(total, begin)
        marks = [answer.headers.get("ETag", "W/"), answer.headers.get("Last-Modified")]
        strong = [mark for mark in marks if mark is not None and not mark.startswith("W/")]
        self.state.write_text(json.dumps({"mark": strong[0] if strong else None}), encoding="utf-8")
        pieces = _first_checked(answer)  # before the part is opened: a login page must not wipe it out
        with self.part.open("ab" if goes_on else "wb") as file:
            for piece in _shown(pieces, begin, total, self.part.stem):
                file.write(piece)
        if total is not None and self._have() != total:
            raise _Again(f"the connection ended after {self._have()} of {total} bytes")

    def _refuse_full_disk(self, total: int | None, begin: int) -> None:
        need = 0 if total is None else int(self.room * total) - begin
        free = shutil.disk_usage(self.part.parent).free
        if need > free:
            raise UsageError(
                f"{self.part.parent}: {need / 1e9:.2f} GB are needed to download and unpack {self.part.stem}, "
                f"{free / 1e9:.2f} GB are free. Free some space, or set downloads.folder to another disk."
            )

    def _check(self) -> None:
        import pooch

        if self.part.suffixes[-2:-1] == [".zip"]:
            try:
                zipfile.ZipFile(self.part).close()
            except zipfile.BadZipFile as error:
                size = self._have()
                self._forget()
                raise Refused(f"the file ends at byte {size} without a zip's directory: it is cut short") from error
        if self.wanted is not None:
            found = str(pooch.file_hash(str(self.part)))
            if not found.startswith(self.wanted):
                self._forget()
                raise Refused(
                    f"sent another file than the recorded one: its sha256 is {found}, {self.wanted} was expected. If "
                    "the authors have published a new version, remove the entry from the checksums file"
                )

    def _forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self.state.unlink(missing_ok=True)


def _first_checked(answer: Any) -> Iterator[bytes]:
    """Return the pieces of an answer; `Refused` at once if it is a web page."""
    pieces = answer.iter_content(CHUNK)
    first = next(pieces, b"")
    if first[:64].lstrip().lower().startswith(PAGE) or "text/html" in answer.headers.get("Content-Type", ""):
        raise Refused(
            "sent a web page instead of the file, perhaps a login or a notice that too many have downloaded it; open "
            "the address in a browser and download the file by hand"
        )
    return chain([first], pieces)


def _shown(pieces: Iterable[bytes], begin: int, total: int | None, name: str) -> Iterator[bytes]:
    """Yield the pieces and show how many bytes have arrived, how fast, and the time that is left."""
    terminal = sys.stderr.isatty() and not progress.quiet
    with _bar(begin, total, name) if terminal else nullcontext() as bar:
        have, start = begin, time.monotonic()
        shown = start
        for piece in pieces:
            yield piece
            have += len(piece)
            now = time.monotonic()
            if bar is not None:
                bar.update(len(piece))
            elif now - shown >= progress.PLAIN_EVERY:
                shown, rate = now, (have - begin) / (now - start)
                left = f", {(total - have) / rate:.0f} s left" if total is not None else ""
                _say(f"{name}: {have / 1e6:.1f} of {(total or have) / 1e6:.1f} MB, {rate / 1e6:.1f} MB/s{left}")


def _bar(begin: int, total: int | None, name: str) -> Any:
    from tqdm import tqdm

    return tqdm(total=total, initial=begin, desc=name, unit="B", unit_scale=True, file=sys.stderr)


def _say(line: str) -> None:
    if not progress.quiet:
        print(line, file=sys.stderr, flush=True)
