"""Downloads that go on where they were cut off, are checked, and appear under their final name whole or not at all.

An address that lies, doesn't end, creeps or packs what it sends is left for the next one; at most a tenth more is read
from it than the file is known to have.
"""

import hashlib
import json
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from bench.core import progress
from bench.core.errors import BenchError, DiskFull, UsageError
from bench.core.reading import need_regular, read_json, shown
from bench.data import archive as archives
from bench.data.connection import Limits, Ration, Refused, TooMuch, endless_headers, reason, session
from bench.io.files import FULL, write_json_atomic
from bench.io.lock import alone

Examine = Callable[[Path], object]
"""Raises BenchError for a damaged file: what was never recorded is examined before its sum becomes the record."""

WAITING = "{} is being written by {{holder}}; waiting for it."

CHUNK = 1 << 14
"""Bytes of a piece; at most that much is lost when a connection breaks."""

PAUSES = (1.0, 4.0, 15.0, 60.0)
"""Seconds before each retry; the count starts again whenever enough has arrived."""

LIMITS = Limits()

SLACK = 1.1
"""Bytes that an address may send for each published one: authors have replaced files by others of nearly their size."""

UNPUBLISHED = 50_000_000_000
"""Bytes of a file whose size isn't published; the largest set has 20 GB."""

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
        """Return the record of a file, None if it was never downloaded; UsageError for a damaged one."""
        entry = self._group(self._all()).get(name)
        if entry is None:
            return None
        size, found = (entry.get("bytes"), entry.get("sha256")) if isinstance(entry, dict) else (None, None)
        sound = type(size) is int and size >= 0 and isinstance(found, str) and re.fullmatch("[0-9a-f]{64}", found)
        if not sound:
            raise self._damaged(f"{self.group}, {name}: expected bytes, a number, and sha256, 64 hexadecimal digits")
        return {"bytes": size, "sha256": found}

    def put(self, name: str, size: int, sha256: str) -> None:
        """Record a file."""
        with alone(self.path.with_name(f".{self.path.name}.lock"), WAITING.format(self.path.name)):
            content = self._all()
            content[self.group] = {**self._group(content), name: {"bytes": size, "sha256": sha256}}
            try:
                write_json_atomic(self.path, content)
            except ValueError as error:  # NaN, infinity or half a character in records that were there before
                raise self._damaged("holds numbers or characters that can't be written again") from error

    def _group(self, content: dict[str, Any]) -> dict[str, Any]:
        group = content.get(self.group, {})
        if not isinstance(group, dict):
            raise self._damaged(f"{self.group}: expected an object of files")
        return group

    def _all(self) -> dict[str, Any]:
        if not self.path.exists():
            return {}
        try:
            return read_json(self.path)
        except UsageError as error:
            raise UsageError(f"{error} Restore it from git.") from error

    def _damaged(self, said: str) -> UsageError:
        return UsageError(f"{shown(self.path)}: {shown(said)}. Restore it from git.")


def download(
    source: RemoteFile,
    folder: Path,
    checksums: Checksums,
    *,
    unpacked: bool = True,
    examine: Examine | None = None,
    limits: Limits = LIMITS,
) -> Path:
    """Return the file `source` in `folder`, downloaded if it isn't there, and of the recorded sha256.

    A file that was never recorded is examined by `examine` and recorded; where it is damaged the next address is asked.
    unpacked : whether as much space again is needed to unpack it.
    BenchError, with what each address answered, if none gave the file; what arrived is kept and the next call goes on.
    UsageError, if an address gave a file that `examine` refuses and no other a better one, or if there is no room.
    """
    path = folder / source.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with alone(folder / f".{source.name}.lock", WAITING.format(source.name)):
            if path.exists():
                verify(source, path, checksums, examine)
            else:
                _from_any(source, path, checksums, unpacked, examine, limits)
    except OSError as error:
        if error.errno in FULL:
            raise DiskFull(
                f"{folder}: the disk is full; what has arrived of {source.name} is kept. Free some space, or set "
                "downloads.folder to another disk, and run the same command again."
            ) from error
        raise UsageError(
            f"{error.filename or folder}: can't be written ({error.strerror}); set downloads.folder to another place."
        ) from error
    return path


def verify(source: RemoteFile, path: Path, checksums: Checksums, examine: Examine | None = None) -> str:
    """Return the sha256 of a downloaded file; UsageError if it isn't the recorded one. The first sound one is recorded.

    What `examine` raises for a file that was never recorded is passed on, and nothing is recorded.
    """
    import pooch

    need_regular(path)
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


def _from_any(
    source: RemoteFile, path: Path, checksums: Checksums, unpacked: bool, examine: Examine | None, limits: Limits
) -> None:
    record = checksums.get(source.name)
    wanted, size = _wanted(source, checksums), source.bytes if record is None else record["bytes"]
    # The archive, its files, and a fifth to spare.
    room = 2.2 if unpacked else 1.0
    answers, no_room, damage = [], False, ""
    for number, url in enumerate(source.urls, 1):
        named = shown(re.sub("//[^/@]*@", "//", url))  # without a password
        try:
            arriving = Resumable(path, url, named, wanted, size, record is not None, room, limits)
            arriving.receive()
            arriving.part.replace(path)
            if record is None and examine is not None:
                examine(path)
        except DiskFull:
            raise
        except Refused as error:
            answers.append(f"- {named}: {error}")
            no_room |= isinstance(error, _NoRoom)
        except UsageError as error:
            # Recorded, its sum would refuse the good file ever after. It stays until another address gives a better.
            damage = damage or str(error)
            answers.append(f"- {named}: sent a damaged file")
        else:
            verify(source, path, checksums)
            _drop(path, but=())
            return
        if number < len(source.urls):
            _say(f"{source.name}: {answers[-1].removeprefix('- ')}; asking the next address")
    said = "\n".join([f"{source.name} couldn't be downloaded.", *answers])
    if damage:
        raise UsageError(damage if len(answers) == 1 else f"{damage}\n{said}")
    raise UsageError(said) if no_room else BenchError(said)


class _Again(Exception):
    """A failure that may be gone in a moment, with the reason."""


class _NoRoom(Refused):
    """An address whose file, as it says, has no room on this disk; another may send a smaller one."""


def part_of(path: Path, url: str) -> Path:
    """Return where the bytes of `path` are kept that this address has sent, until they are all there."""
    origin = hashlib.sha256(url.encode(errors="replace")).hexdigest()[:8]
    return path.with_name(f"{path.name}.{origin}.part")


def _drop(path: Path, but: Sequence[Path]) -> None:
    """Delete what other addresses have sent of a file, and the notes of these parts."""
    for left in path.parent.iterdir():
        if re.fullmatch(re.escape(path.name) + r"(\.[0-9a-f]{8})?\.part(\.json)?", left.name) and left not in but:
            left.unlink(missing_ok=True)


class Resumable:
    """The download of `path` from one address to `part`, which outlives failures and kills.

    Each address has a part of its own: what one has sent isn't continued with another's bytes, nor lost to them.

    named    : the address for messages.
    wanted   : sha256 of the file or its beginning, None if it isn't known.
    size     : bytes of the file as published or recorded, None if they aren't known.
    recorded : whether `size` is exact, from an earlier download.
    room     : bytes of free disk that each byte of the file needs.
    """

    def __init__(
        self,
        path: Path,
        url: str,
        named: str,
        wanted: str | None = None,
        size: int | None = None,
        recorded: bool = False,
        room: float = 1.0,
        limits: Limits = LIMITS,
    ) -> None:
        """Remember where to collect."""
        self.path, self.url, self.named, self.wanted, self.room = path, url, named, wanted, room
        self.size, self.recorded, self.limits, self.ration = size, recorded, limits, Ration(limits)
        self.most = UNPUBLISHED if size is None else int(SLACK * size)
        self.part = part_of(path, url)
        self.state = path.with_name(f"{self.part.name}.json")

    def receive(self) -> None:
        """Complete `part`; `Refused` with a sentence if the address doesn't give the file."""
        if self._have() > self.most:
            self._forget()
        most, failures = self._have(), 0
        enough = CHUNK if self.size is None else min(1 << 20, self.size // 100)
        try:
            while True:
                try:
                    self._ask()
                    break
                except _Again as error:
                    failures = 0 if self._have() > most + enough else failures + 1
                    most = max(most, self._have())
                    if failures > len(PAUSES):
                        raise Refused(
                            f"{error}; {self._have()} bytes are kept, run the command again to go on"
                        ) from error
                    pause = PAUSES[max(failures - 1, 0)]
                    _say(f"{self.path.name}: {self.named}: {error}; trying again in {pause:.0f} s")
                    time.sleep(pause)
            self._check()
        except TooMuch:
            self._forget()
            raise
        self.state.unlink(missing_ok=True)

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _state(self) -> dict[str, Any]:
        """Return the mark that tells the file of `part` from a later one of its address."""
        try:
            state = read_json(self.state, 1 << 16) if self.state.exists() else {}
        except UsageError:  # cut short by a kill
            return {}
        return {
            key: value
            for key, value in state.items()
            if isinstance(value, str) and value.isascii() and value.isprintable()
        }

    def _ask(self) -> None:
        import requests

        # Without compression in transit, or lengths and ranges would count other bytes than the file's.
        headers = {"Accept-Encoding": "identity"}
        if have := self._have():
            headers["Range"] = f"bytes={have}-"
            if (mark := self._state().get("mark")) is not None:
                headers["If-Range"] = mark
        times = (self.limits.connect, self.limits.silence)
        self.ration.connection()
        try:
            with (
                session(self.ration) as made,
                made.get(self.url, stream=True, timeout=times, headers=headers) as answer,
            ):
                self._take(answer)
        except requests.RequestException as error:
            if endless_headers(error):
                raise Refused("the headers of its answer don't end") from error
            said = f"the connection failed ({shown(reason(error))})"
            passing = isinstance(error, requests.ConnectionError | requests.Timeout)
            passing |= isinstance(error, requests.exceptions.ChunkedEncodingError)
            if passing and "CERTIFICATE_VERIFY_FAILED" not in said:
                raise _Again(said) from error
            raise Refused(said) from error

    def _take(self, answer: Any) -> None:
        have, status = self._have(), answer.status_code
        if status == 416 and have:
            if answer.headers.get("Content-Range") == f"bytes */{have}":
                return  # all of it is here: an earlier call ended just before it could say so
            self.part.unlink()
            raise _Again("the server has a shorter file than what is here; starting anew")
        if status >= 500 or status == 429:
            raise _Again(f"the server answered {status}")
        if status not in (200, 206):
            raise Refused(f"the server answered {status} {shown(answer.reason)}")
        for field in ("Content-Encoding", "Transfer-Encoding"):
            packed = answer.headers.get(field, "").strip().lower()
            if packed not in ("", "identity", "chunked"):
                raise Refused(f"sends the file packed ({shown(packed)}), though it was asked not to")
        begin, total = _span(answer, have)
        if total is not None and total > (self.size if self.recorded and self.size is not None else self.most):
            raise Refused(self._too_much(f"it has {total:,} bytes"))
        if not begin and self.ration.bodies and self.ration.bodies + (total or 0) > self.most:
            raise Refused("its connection broke, and it can only send all again; run the command again for that")
        self._need_room(begin, total)
        marks = [answer.headers.get("ETag", "W/"), answer.headers.get("Last-Modified")]
        strong = [mark for mark in marks if mark is not None and not mark.startswith("W/")]
        state = {"mark": strong[0] if strong else None}
        most = self.most if self.size is not None or total is not None else min(self.most, self._fits(begin))
        self.ration.body(most, self._too_much(f"more than {most:,} bytes came from it"))
        pieces = _refuse_page(answer)  # before the part is opened: a login page must not wipe it out
        with self.part.open("ab" if begin else "wb") as file:
            self.state.write_text(json.dumps(state), encoding="utf-8")
            for piece in _shown(pieces, begin, total, self.path.name):
                file.write(piece)
        if total is not None and self._have() != total:
            raise _Again(f"the connection ended after {self._have()} of {total} bytes")

    def _too_much(self, said: str) -> str:
        if self.size is None:
            return f"{said}, more than a file of unknown size may have"
        if self.recorded:
            return (
                f"sent another file than the recorded one: {said}, {self.size:,} were recorded. If the authors have "
                "published a new version, remove the entry from the checksums file"
            )
        return f"{said}, {self.size:,} were published"

    def _fits(self, begin: int) -> int:
        """Return how many bytes of a file there is room for, where `begin` of them are on the disk already."""
        return int((shutil.disk_usage(self.part.parent).free + begin) / self.room)

    def _need_room(self, begin: int, total: int | None) -> None:
        expected = self.size if total is None else total
        if expected is None or expected <= self._fits(begin):
            return
        _drop(self.path, but=(self.part, self.state))
        if expected > self._fits(begin):
            free = shutil.disk_usage(self.part.parent).free
            raise _NoRoom(
                f"{self.part.parent}: {(self.room * expected - begin) / 1e9:.2f} GB are needed to download and unpack "
                f"{self.path.name}, {free / 1e9:.2f} GB are free. Free some space, or set downloads.folder to another "
                "disk"
            )

    def _check(self) -> None:
        import pooch

        if self.path.suffix == ".zip":
            try:
                archives.need_directory(self.part)
            except UsageError as error:
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


def _span(answer: Any, have: int) -> tuple[int, int | None]:
    """Return at which byte an answer begins and how many bytes the file has, None if it isn't said."""
    length = answer.headers.get("Content-Length")
    if length is not None and not re.fullmatch("[0-9]{1,18}", length.strip()):
        raise Refused(f"declares a length of {shown(repr(length))}")
    counted = None if length is None else int(length)
    if answer.status_code == 200:
        return 0, counted
    found = re.fullmatch("bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\\*)", answer.headers.get("Content-Range", ""))
    if found is None or not have or int(found[1]) != have:
        raise Refused("sent another part of the file than was asked for")
    if found[3] != "*":
        return have, int(found[3])
    return have, None if counted is None else have + counted


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

    for file in files:
        need_regular(file)
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
