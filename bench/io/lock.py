"""Work that one process at a time does."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from bench.core import progress
from bench.core.errors import DiskFull, UsageError
from bench.core.reading import shown
from bench.io.files import FULL


@contextmanager
def alone(path: Path, sentence: str) -> Iterator[None]:
    """Hold the lock file `path` for the `with` block; where another process does, print `sentence` and wait for it.

    sentence : `{holder}` in it becomes the process that holds the lock.

    The operating system releases the lock when the process ends, however that happens; the file stays and names the
    last holder. DiskFull, or UsageError where the file can't be made or locked.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, fallback_to_soft=False)  # a soft lock would outlive a process that is killed
        try:
            lock.acquire(blocking=False)
        except Timeout:
            if not progress.quiet:
                print(sentence.replace("{holder}", _holder(path)), flush=True)
            lock.acquire()
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise DiskFull(
                f"{shown(path)}: the disk is full; free some space and run the same command again."
            ) from error
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"{shown(path)}: this lock, which keeps two processes apart, can't be taken ({reason}); check the "
            "permissions of its folder, or work on another disk."
        ) from error
    try:
        _sign(path)
        yield
    finally:
        lock.release()


def _sign(path: Path) -> None:
    with suppress(OSError):  # a full disk: the lock holds without a name in it
        path.write_text(f"process {os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")


def _holder(path: Path) -> str:
    """Return who holds the lock, as far as it is known."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            said = file.read(200).strip()
    except OSError:
        said = ""
    return shown(said) if said else "another process"
