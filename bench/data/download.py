"""Downloads that go on where they were cut off, are checked, and appear under their final name whole or not at all."""

import errno
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.core.errors import BenchError, UsageError
from bench.data.transfer import Refused, Resumable
from bench.io.files import write_json_atomic
from bench.io.lock import alone

Judge = Callable[[Path], object]
"""Raises BenchError for a file that is damaged: what was never recorded is judged before its sum becomes the record."""

FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors of a full disk, which pass as they are: the command line has a sentence for them."""

WAITING = "{} is being written by another process; waiting for it."


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
    source: RemoteFile, folder: Path, checksums: Checksums, *, unpacked: bool = True, judge: Judge | None = None
) -> Path:
    """Return the file `source` in `folder`, downloaded if it isn't there, and of the recorded sha256.

    A file that was never recorded is judged and recorded. `unpacked`: as much space again is needed to unpack it.
    BenchError, with what each address answered, if none gave the file; what arrived is kept and the next call goes on.
    """
    path = folder / source.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with alone(folder / f".{source.name}.lock", WAITING.format(source.name)):
            if not path.exists():
                _from_any(source, path, _wanted(source, checksums), unpacked)
            verify(source, path, checksums, judge)
    except OSError as error:
        if error.errno in FULL:
            raise
        raise UsageError(
            f"{error.filename or folder}: can't be written ({error.strerror}); set downloads.folder to another place."
        ) from error
    return path


def verify(source: RemoteFile, path: Path, checksums: Checksums, judge: Judge | None = None) -> str:
    """Return the sha256 of a downloaded file; UsageError if it isn't the recorded one. The first sound one is recorded.

    What `judge` raises for a file that was never recorded is passed on, and nothing is recorded.
    """
    import pooch

    found, size, wanted = str(pooch.file_hash(str(path))), path.stat().st_size, _wanted(source, checksums)
    if wanted is not None and not found.startswith(wanted):
        raise UsageError(
            f"{path}: its sha256 is {found}, {wanted} was expected: it was changed after its download, or is another "
            "file. Delete it and fetch it again."
        )
    if checksums.get(source.name) is None:
        if judge is not None:
            judge(path)
        if source.bytes is not None and size != source.bytes:
            print(f"note: {source.name} has {size} bytes, {source.bytes} were published; its zip directory is whole.")
        checksums.put(source.name, size, found)
    return found


def _wanted(source: RemoteFile, checksums: Checksums) -> str | None:
    record = checksums.get(source.name)
    return source.sha256 if record is None else str(record["sha256"])


def _from_any(source: RemoteFile, path: Path, wanted: str | None, unpacked: bool) -> None:
    answers = []
    for url in source.urls:
        try:
            _from(url, path, wanted, unpacked)
            return
        except Refused as error:
            answers.append(f"{url}: {error}")
    raise BenchError(f"{source.name} couldn't be downloaded.\n" + "\n".join(f"- {answer}" for answer in answers))


def _from(url: str, path: Path, wanted: str | None, unpacked: bool) -> None:
    import pooch

    pooch.get_logger().setLevel("ERROR")
    part = path.with_name(f"{path.name}.part")
    whole = wanted if wanted is not None and len(wanted) == 64 else None
    try:
        # Pooch checks the hash of what the downloader brought and moves it to its name.
        pooch.retrieve(url, whole, path.name, path.parent, downloader=Resumable(part, wanted, 2.2 if unpacked else 1.0))
    except ValueError as error:
        raise Refused(f"sent another file than the recorded one ({' '.join(str(error).split())})") from error


def drive_folder(identity: str, folder: Path, tries: Sequence[float] = (0.0, 5.0, 30.0)) -> list[Path]:
    """Bring a Google Drive folder to `folder` by the optional package gdown, which goes on with what is missing.

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
    name: str, folder: Path, files: Sequence[Path], checksums: Checksums, judge: Judge | None = None
) -> str:
    """Return one sha256 of the names and contents of the files that a Drive folder gave; the first one is recorded.

    name : what the files together are recorded under. UsageError if the sum isn't the recorded one; what `judge` raises
    for any of the files is passed on before they are recorded.
    """
    import pooch

    lines = [f"{pooch.file_hash(str(file))}  {file.relative_to(folder).as_posix()}\n" for file in sorted(files)]
    found, record = hashlib.sha256("".join(lines).encode()).hexdigest(), checksums.get(name)
    if record is None:
        if judge is not None:
            for file in files:
                judge(file)
        checksums.put(name, sum(file.stat().st_size for file in files), found)
    elif found != record["sha256"]:
        raise UsageError(
            f"{folder}: the {len(files)} files of {name} have the sha256 {found} together, {record['sha256']} was "
            "expected: some were changed after their download, or the authors have published others. Delete the folder "
            f"and fetch it again; if they are new ones, remove {name!r} from {checksums.path}."
        )
    return found
