"""What every reader of pictures shares: foreign libraries kept silent, and headers that ask for too much memory.

A file of a few bytes may claim a picture of gigabytes, and libraries print what they also raise, or print instead.
"""

import math
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path

from bench.core.errors import UsageError
from bench.core.reading import need_regular, shown

AT_ONCE = 900_000_000
"""Bytes that decoding any picture may take, however small its file: a flat or black one shrinks without bound. A black
picture of 60 million pixels of 16-bit RGB is still read, of which a camera's own file is large enough by `SHRUNK`."""

SHRUNK = 200
"""Larger pictures may take this many times the bytes of their file; noise and JPEG's losses shrink one by 3 to 50."""

MOST = 8 << 30
"""Bytes that no picture may exceed."""

FILE = 1 << 30
"""Bytes of a file that is read whole: sixty million pixels of 16 bits are 360 million."""

_turn = threading.RLock()


@contextmanager
def quiet() -> Iterator[None]:
    """Drop what libraries print besides what they raise: Python's stdout and warnings, and stderr of C code.

    File descriptor 2 and the filters of warnings belong to the whole process: other threads are silenced too, and one
    thread waits for another. Keep what is done inside short.
    """
    with _turn, redirect_stdout(StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
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


def first_bytes(path: Path, count: int) -> bytes:
    """Return up to `count` bytes that a regular file begins with; UsageError if it is none or can't be read."""
    try:
        with need_regular(path).open("rb") as file:
            return file.read(count)
    except OSError as error:
        raise UsageError(f"{shown(path)}: can't be read ({error.strerror}); check the path.") from error


def need_room(path: Path, *sizes: int, takes: int = 1) -> None:
    """Raise UsageError if a picture would take too much memory for its file: the product of `sizes`, in bytes.

    takes : how many times these bytes decoding takes.

    To be asked with what the header says, before pixels are decoded.
    """
    bytes_, there = math.prod(sizes), path.stat().st_size
    if bytes_ > min(max(AT_ONCE // takes, SHRUNK * there), MOST // takes):
        raise UsageError(
            f"{shown(path)}: its header asks for {bytes_ / 1e6:,.0f} MB of memory, for a file of {there / 1e6:,.3f} "
            "MB; the header is damaged, or the picture too large to be read. Copy it again, or write a smaller one."
        )
