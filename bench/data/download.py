"""Downloads that go on where they were cut off, are checked, and appear under their final name whole or not at all."""

import errno
import hashlib
import json
import shutil
import sys
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from bench.core import progress
from bench.core.errors import BenchError, UsageError
from bench.io.files import write_json_atomic
from bench.io.lock import alone

Examine = Callable[[Path], object]
"""Raises BenchError for a damaged file: what was never recorded is examined before its sum becomes the record."""

FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors of a full disk, which pass as they are: the command line has a sentence for them."""

WAITING = "{} is being written by another process; waiting for it."

CHUNK = 1 << 14
"""Bytes of a piece; at most that much is lost when a connection breaks."""

TIMEOUT = (10.0, 60.0)
"""Seconds to connect, and between two pieces of an answer."""

PAUSES = (1.0, 4.0, 15.0, 60.0)
"""Seconds before each retry; the count starts again whenever something new has arrived."""

PAGE = (b"<!doctype html", b"<html", b"<head")


class RemoteFile(NamedTuple):
    """One official file: name, addresses in the order of preference, published size, sha256 or its beginning."""

    name: str
    urls: tuple[str, ...]
    bytes: int | None = None
    sha256: str | None = None


class Checksums:
    """The tracked file that says what each download was the first time: dataset -> file -> bytes and sha256."""

    def __init__(self, path: Path, group: str) -> None:
        """Keep the entries of one dataset."""
        self.path, self.group = path, group

    def get(self, name: str) -> dict[str, Any] | None:
        """Return the record of a file, None if it was never downloaded."""
        entry: dict[str, Any] | None = self._all().get(self.group, {}).get(name)
        return entry

    def put(self, name: str, size: int, sha256: str) -> None:
        """Record a file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with alone(self.path.with_name(f".{self.path.name}.lock"), WAITING.format(self.path.name)):
            content = self._all()
            content.setdefault(self.group, {})[name] = {"bytes": size, "sha256": sha256}
            write_json_atomic(self.path, content)

    def _all(self) -> dict[str, dict[str, Any]]:
        if not self.path.exists():
            return {}
        try:
            content: dict[str, dict[str, Any]] = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"{self.path}: can't be read ({error}); restore it from git.") from error
        return content


def download(
    source: RemoteFile, folder: Path, checksums: Checksums, *, unpacked: bool = True, examine: Examine | None = None
) -> Path:
    """Return the file `source` in `folder`, downloaded if it isn't there, and of the recorded sha256.

    A file that was never recorded is examined by `examine` and recorded.
    unpacked : whether as much space again is needed to unpack it.
    BenchError, with what each address answered, if none gave the file; what arrived is kept and the next call goes on.
    """
    path = folder / source.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with alone(folder / f".{source.name}.lock", WAITING.format(source.name)):
            if not path.exists():
                _from_any(source, path, _wanted(source, checksums), unpacked)
            verify(source, path, checksums, examine)
    except OSError as error:
        if error.errno in FULL:
            raise
        raise UsageError(
            f"{error.filename or folder}: can't be written ({error.strerror}); set downloads.folder to another place."
        ) from error
    return path


def verify(source: RemoteFile, path: Path, checksums: Checksums, examine: Examine | None = None) -> str:
    """Return the sha256 of a downloaded file; UsageError if it isn't the recorded one. The first sound one is recorded.

    What `examine` raises for a file that was never recorded is passed on, and nothing is recorded.
    """
    import pooch

    found, size, wanted = str(pooch.file_hash(str(path))), path.stat().st_size, _wanted(source, checksums)
    if wanted is not None and not found.startswith(wanted):
        raise UsageError(
            f"{path}: its sha256 is {found}, {wanted} was expected: it was changed after its download, or is another "
            "file. Delete it and fetch it again."
        )
    if checksums.get(source.name) is None:
        if examine is not None:
            examine(path)
        if source.bytes is not None and size != source.bytes:
            print(f"note: {source.name} has {size} bytes, {source.bytes} were published; its zip directory is whole.")
        checksums.put(source.name, size, found)
    return found


def _wanted(source: RemoteFile, checksums: Checksums) -> str | None:
    record = checksums.get(source.name)
    return source.sha256 if record is None else str(record["sha256"])


def _from_any(source: RemoteFile, path: Path, wanted: str | None, unpacked: bool) -> None:
    import pooch

    pooch.get_logger().setLevel("ERROR")
    part = path.with_name(f"{path.name}.part")
    whole = wanted if wanted is not None and len(wanted) == 64 else None
    answers = []
    for url in source.urls:
        # The archive, its files, and a fifth to spare.
        resumable = Resumable(part, wanted, 2.2 if unpacked else 1.0)
        try:
            # Pooch checks the hash of what the downloader brought and moves it to its name.
            pooch.retrieve(url, whole, path.name, path.parent, downloader=resumable)
            return
        except Refused as error:
            answers.append(f"{url}: {error}")
        except ValueError as error:
            said = " ".join(str(error).split())
            answers.append(f"{url}: sent another file than the recorded one ({said})")
    raise BenchError(f"{source.name} couldn't be downloaded.\n" + "\n".join(f"- {answer}" for answer in answers))


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

        # Without compression in transit, or lengths and ranges would count other bytes than the file's.
        headers = {"Accept-Encoding": "identity"}
        if have := self._have():
            headers["Range"] = f"bytes={have}-"
            try:
                # An ETag or a date tells the server's file from a later one of the same name.
                mark = json.loads(self.state.read_text(encoding="utf-8"))["mark"]
            except (OSError, ValueError, KeyError):
                mark = None
            if mark is not None:
                headers["If-Range"] = mark
        try:
            with requests.get(url, stream=True, timeout=TIMEOUT, headers=headers) as answer:
                self._take(answer)
        except requests.RequestException as error:
            raise _Again(f"the connection failed ({type(error).__name__})") from error

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
        need = 0 if total is None else int(self.room * total) - begin
        free = shutil.disk_usage(self.part.parent).free
        if need > free:
            raise UsageError(
                f"{self.part.parent}: {need / 1e9:.2f} GB are needed to download and unpack {self.part.stem}, "
                f"{free / 1e9:.2f} GB are free. Free some space, or set downloads.folder to another disk."
            )
        marks = [answer.headers.get("ETag", "W/"), answer.headers.get("Last-Modified")]
        strong = [mark for mark in marks if mark is not None and not mark.startswith("W/")]
        self.state.write_text(json.dumps({"mark": strong[0] if strong else None}), encoding="utf-8")
        pieces = _refuse_page(answer)  # before the part is opened: a login page must not wipe it out
        with self.part.open("ab" if goes_on else "wb") as file:
            for piece in _shown(pieces, begin, total, self.part.stem):
                file.write(piece)
        if total is not None and self._have() != total:
            raise _Again(f"the connection ended after {self._have()} of {total} bytes")

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


def _refuse_page(answer: Any) -> Iterator[bytes]:
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
    bar: Any = nullcontext()
    if sys.stderr.isatty() and not progress.quiet:
        from tqdm import tqdm

        bar = tqdm(total=total, initial=begin, desc=name, unit="B", unit_scale=True, file=sys.stderr)
    with bar as shown:
        have, start = begin, time.monotonic()
        last = start
        for piece in pieces:
            yield piece
            have += len(piece)
            now = time.monotonic()
            if shown is not None:
                shown.update(len(piece))
            elif now - last >= progress.PLAIN_EVERY:
                last, speed = now, (have - begin) / (now - start)
                left = f", {(total - have) / speed:.0f} s left" if total is not None else ""
                _say(f"{name}: {have / 1e6:.1f} of {(total or have) / 1e6:.1f} MB, {speed / 1e6:.1f} MB/s{left}")


def _say(line: str) -> None:
    if not progress.quiet:
        print(line, file=sys.stderr, flush=True)


def drive_folder(identity: str, folder: Path, tries: Sequence[float] = (0.0, 5.0, 30.0)) -> list[Path]:
    """Bring a Google Drive folder to `folder` by the optional package gdown, which goes on with what is missing.

    tries : seconds to wait before each attempt.
    Returns the files of the Drive folder. UsageError if gdown isn't installed; BenchError if Drive refuses, as it does
    after too many downloads by anyone; OSError if the disk is full.
    """
    try:
        import gdown
    except ImportError as error:
        raise UsageError("Google Drive folders need the package gdown: pip install -e '.[gdown]'.") from error
    failure = ""
    for pause in tries:
        time.sleep(pause)
        try:
            options = {"output": str(folder), "quiet": True, "use_cookies": False, "resume": True}
            if files := gdown.download_folder(id=identity, **options):
                return [Path(file) for file in files]
        except Exception as error:  # gdown raises whatever Drive's pages make of it
            if isinstance(error, OSError) and error.errno in FULL:
                raise
            failure = " ".join(str(error).split())[:200]
    raise BenchError(f"Google Drive didn't give folder {identity} ({failure or 'no reason told'}); try again in a day.")


def verify_files(
    name: str, folder: Path, files: Sequence[Path], checksums: Checksums, examine: Examine | None = None
) -> str:
    """Return one sha256 of the names and contents of the files that a Drive folder gave; the first one is recorded.

    name : what the files together are recorded under.
    UsageError if the sum isn't the recorded one; what `examine` raises for any of them is passed on before they are
    recorded.
    """
    import pooch

    lines = [f"{pooch.file_hash(str(file))}  {file.relative_to(folder).as_posix()}\n" for file in sorted(files)]
    found, record = hashlib.sha256("".join(lines).encode()).hexdigest(), checksums.get(name)
    if record is None:
        if examine is not None:
            for file in files:
                examine(file)
        checksums.put(name, sum(file.stat().st_size for file in files), found)
    elif found != record["sha256"]:
        raise UsageError(
            f"{folder}: the {len(files)} files of {name} have the sha256 {found} together, {record['sha256']} was "
            "expected: some were changed after their download, or the authors have published others. Delete the folder "
            f"and fetch it again; if they are new ones, remove {name!r} from {checksums.path}."
        )
    return found
