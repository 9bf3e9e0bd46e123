"""Files that one process at a time holds: a checkout's launch, a worker's clone."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple


class Holder(NamedTuple):
    """Who holds a lock."""

    host: str
    process: int

    def __str__(self) -> str:
        """Return the words of an error message."""
        return f"process {self.process} on {self.host}"


class Held(Exception):
    """The lock is another's; `holder` is who, or None if it hasn't written that yet."""

    def __init__(self, path: Path, holder: Holder | None) -> None:
        """Take the lock's file and who holds it."""
        super().__init__(f"{path} is held by {holder or 'another process'}")
        self.holder = holder


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold the lock for the `with` block; Held if another process does.

    The lock goes with the process, however that ends, so that none is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            host, _, process = file.read().strip().rpartition(" ")
            raise Held(path, Holder(host, int(process)) if host else None) from error
        file.truncate(0)
        file.write(f"{socket.gethostname()} {os.getpid()}\n")
        file.flush()
        yield
