"""Work that one process at a time does."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.core import progress


@contextmanager
def alone(path: Path, sentence: str) -> Iterator[None]:
    """Hold the lock file `path` for the `with` block; where another process does, say `sentence` and wait for it.

    The lock goes with the process, however that ends; the file stays, empty.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not progress.quiet:
                print(sentence, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
