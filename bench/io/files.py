"""Files that appear under their final name whole or not at all."""

import errno
import io
import json
import os
import re
import shutil
import socket
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.errors import BenchError, DiskFull, UsageError

if TYPE_CHECKING:  # writing text doesn't import NumPy
    from bench.core.scene import Array

NEARLY_NOTHING = 1 << 20
"""Bytes; a write that fails without an error number while less is free failed because the disk is full."""

FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors of a full disk, or of a used up quota."""

HEAD = 200
"""Bytes of a file's name that its temporary name begins with: the whole must fit into the 255 of file systems."""

TEMPORARY = re.compile(
    r"\.(?P<head>.*)\.(?P<host>[0-9a-f]{8})-(?P<process>[0-9]{1,10})-[0-9]+\.(?P<ending>part|old)", re.DOTALL
)
"""Temporary names: a beginning of the final one, the machine, the process and the how manieth of it."""

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip entry can carry; the present one would make archives of equal content differ."""


_numbers = count()
_next_look: dict[Path, float] = {}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; on success it takes the final name, on any failure it is removed.

    The temporary name may become a file or a folder. A folder replaces an existing folder. Missing parent folders are
    made. What processes of this machine that were killed have left in the folder is removed, but a folder that one had
    set aside and not yet replaced comes back. A full disk becomes DiskFull, any other OSError (a missing permission)
    BenchError, with one sentence.
    """
    path = Path(path)
    part = _temporary(path, "part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear_killed(path.parent)
        _remove(part)  # of a killed process that had this one's id, as the first ones of containers do
        yield part
        if part.is_dir() and path.exists():
            _swap(part, path)
        else:
            part.replace(path)
    except OSError as error:
        # NumPy and OpenEXR report a short write without an error number.
        full = error.errno in FULL or (error.errno is None and _free(path.parent) < NEARLY_NOTHING)
        _remove(part)  # before the free space is told
        if full:
            raise DiskFull(
                f"{path}: could not be written ({error.strerror or error}): the disk is full, "
                f"{_free(path.parent) / 1e6:.1f} MB are free. Nothing half-written was left under this name; "
                "free some space, then run the command again."
            ) from error
        todo = "check free space and permissions of its folder, then run the command again"
        if isinstance(error, FileNotFoundError):
            todo = "something was removed meanwhile: see whether another process works there, then run this one again"
        elif error.errno == errno.ENAMETOOLONG:
            todo = "choose a shorter name"
        raise BenchError(
            f"{path}: could not be written ({error.strerror or error}). Nothing was left under this name by this "
            f"attempt; {todo}."
        ) from error
    finally:
        _remove(part)


def _temporary(path: Path, ending: str) -> Path:
    # The process keeps two that write the same scene from sharing one temporary file, the number two threads of one.
    head = path.name.encode(errors="replace")[:HEAD].decode(errors="ignore")
    return path.with_name(f".{head}.{_host()}-{os.getpid()}-{next(_numbers)}.{ending}")


def _host() -> str:
    """Return a sign of what numbers the processes: a machine, or a container, which may have a name like another's."""
    spaces = ""
    with suppress(OSError):  # only Linux has them
        spaces = str(Path("/proc/self/ns/pid").readlink())
    return sha256(f"{socket.gethostname()}{spaces}".encode()).hexdigest()[:8]


def _clear_killed(folder: Path) -> None:
    """Remove the temporary files and folders of processes of this machine that have ended; others' can't be judged.

    What such a process had set aside (`_swap`) takes its name back where nothing has it.
    """
    begin = time.monotonic()
    if begin < _next_look.get(folder, 0.0):
        return
    host = _host()
    gone: list[Path] = []
    aside: list[tuple[Path, Path]] = []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = TEMPORARY.fullmatch(entry.name) if entry.name[0] == "." else None
            if found and found["host"] == host and not _alive(int(found["process"])):
                path = Path(entry.path)
                if found["ending"] == "part":
                    gone.append(path)
                elif not _is_cut(found["head"]):  # whose it is isn't known otherwise: it stays
                    aside.append((path, path.with_name(found["head"])))
    for old, final in aside:
        if os.path.lexists(final):
            gone.append(old)
        else:
            with suppress(OSError):  # another process was faster
                old.rename(final)
    for path in gone:
        _remove(path)
    end = time.monotonic()
    _next_look[folder] = end + 50 * (end - begin)  # a fiftieth of the time, for folders of many thousand files


def _is_cut(head: str) -> bool:
    """Tell whether the name that a temporary one begins with may lack its end, cut within a character even."""
    return len(head.encode(errors="replace")) > HEAD - 4


def _alive(process: int) -> bool:
    if os.name != "posix":  # where signal 0 isn't a question
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's
        return True
    return True


def _swap(part: Path, path: Path) -> None:
    # Renaming can't replace a folder that holds files: the old one steps aside first.
    old = _temporary(path, "old")
    path.rename(old)
    try:
        part.rename(path)
    except OSError:
        old.rename(path)
        raise
    _remove(old)


def _free(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):  # nothing was written: a file stands where the folder should be, or all is read-only
            path.unlink(missing_ok=True)


def write_text_atomic(path: Path, text: str) -> None:
    """Write UTF-8 text with its line ends as they are; OSError (disk full, no permission) becomes BenchError."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_bytes_atomic(path: Path, content: bytes) -> None:
    """Write bytes; OSError becomes BenchError."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_json_atomic(path: Path, content: Any) -> None:
    """Write JSON with sorted keys, two spaces of indent and a final newline, so that diffs are readable.

    NaN and infinity aren't JSON and raise ValueError: write None (null) for a missing value. OSError becomes
    BenchError.
    """
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_text_atomic(path, text + "\n")


def to_npz(arrays: "Mapping[str, Array]") -> bytes:
    """Return an uncompressed .npz archive of the arrays, readable by `numpy.load`; equal arrays give equal bytes."""
    import numpy as np

    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            entry = io.BytesIO()
            np.lib.format.write_array(entry, np.asarray(arrays[name]), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", EPOCH), entry.getvalue())
    return content.getvalue()


def check_destination(option: str, path: Path, folder: bool = False) -> None:
    """Raise UsageError, which names the option, unless a file (or a folder) can be written at `path`.

    To be asked before time is spent on what shall be written. Nothing is left behind.
    """
    try:
        if folder and path.exists() and not path.is_dir():
            raise UsageError(f"{option} {path} is an existing file; expected the name of a folder.")
        if not folder and path.exists() and not path.is_file():
            kind = "folder" if path.is_dir() else "device"
            raise UsageError(f"{option} {path} is an existing {kind}; expected the name of a file.")
        there = next(parent for parent in (path if folder else path.parent, *path.parents) if parent.exists())
        if not there.is_dir():
            raise UsageError(f"{option} {path} can't be made: {there} is a file and no folder.")
        with tempfile.TemporaryFile(dir=there):  # permission bits don't tell for administrators and read-only disks
            pass
    except OSError as error:
        raise UsageError(f"{option} {path} can't be written ({error.strerror}); choose another place.") from error
