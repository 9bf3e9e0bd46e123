"""Work that one process at a time does."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from bench.core import progress


@contextmanager
def alone(path: Path, sentence: str) -> Iterator[None]:
    """Hold the lock file `path` for the `with` block; where another process does, print `sentence` and wait for it.

    The operating system releases the lock when the process ends, however that happens; the file stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, fallback_to_soft=False)  # a soft lock would outlive a process that is killed
    try:
        lock.acquire(blocking=False)
    except Timeout:
        if not progress.quiet:
            print(sentence, flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
