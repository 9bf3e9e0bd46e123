"""Progress of long work: a bar with ETA on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

PLAIN_EVERY = 15.0
"""Seconds between two plain lines."""

quiet = False
"""Set by the command line's --quiet."""


def track(items: Iterable[T], total: int, label: str, done: int = 0) -> Iterator[T]:
    """Yield the items and show on stderr how many of `total` are done and the time that is left.

    `done` counts items finished by an earlier, interrupted call.
    """
    if quiet:
        yield from items
    elif sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(items, total=total, initial=done, desc=label, file=sys.stderr)
    else:
        yield from _plain(items, total, label, done)


def _plain(items: Iterable[T], total: int, label: str, done: int) -> Iterator[T]:
    start = shown = time.monotonic()
    for count, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - shown >= PLAIN_EVERY or done + count == total:
            shown, rate = now, count / max(now - start, 1e-9)
            left = max(total - done - count, 0) / rate
            print(f"{label}: {done + count}/{total}, {rate:.2f}/s, {left:.0f} s left", file=sys.stderr, flush=True)
