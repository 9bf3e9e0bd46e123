"""Silence for C libraries that report on the terminal what they also raise as an error."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO

_turn = threading.Lock()


@contextmanager
def silenced() -> Iterator[None]:
    """Drop what is printed to stdout by Python code and to stderr by anyone, C code included.

    File descriptor 2 belongs to the whole process: other threads are silenced too, and one thread waits for another.
    Keep what is done inside short.
    """
    with _turn, redirect_stdout(StringIO()), _without_stderr():
        yield


@contextmanager
def _without_stderr() -> Iterator[None]:
    if sys.stderr is not None:
        sys.stderr.flush()  # what was said before must not be dropped
    try:
        kept = os.dup(2)
    except OSError:  # the process was started without stderr
        yield
        return
    try:
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
