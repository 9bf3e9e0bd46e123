"""The same work on many items, in this process or in several.

Not joblib: its workers (1.6.0, tried) go on when their parent is killed, and Ctrl-C cuts them off within a
step, where ours finish it and keep what is done.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from multiprocessing.synchronize import Event
from typing import Any, TypeVar

from bench.core.errors import BenchError
from bench.core.progress import track

Item = TypeVar("Item")
Result = TypeVar("Result")

WORTHWHILE = 15.0
"""Seconds of remaining work from which on more processes pay: each needs some to import torch."""

_stop: Event | None = None
"""In a worker: set when the user has interrupted the command."""


def cores() -> int:
    """Return how many CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _nothing() -> None:
    pass


def spread(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int,
    label: str,
    begin: Callable[[], None] = _nothing,
) -> list[Result]:
    """Return `work` of every item, in their order, computed by up to `workers` processes.

    The first items are done in this process, and others start once the rest would take long. `work` must be picklable
    and should call `interrupted` between its steps; `begin` is called once in each new process. An error in a worker is
    raised here; a worker that was killed is a BenchError.
    """
    results: dict[int, Result] = {}
    for index, result in track(_each(work, items, workers, begin), len(items), label):
        results[index] = result
    return [results[index] for index in range(len(items))]


def interrupted() -> None:
    """Raise KeyboardInterrupt in a worker whose parent was interrupted."""
    if _stop is not None and _stop.is_set():
        raise KeyboardInterrupt


def _each(
    work: Callable[[Item], Result], items: Sequence[Item], workers: int, begin: Callable[[], None]
) -> Iterator[tuple[int, Result]]:
    for index, item in enumerate(items):
        start = time.monotonic()
        yield index, work(item)
        left = len(items) - index - 1
        if workers > 1 and left > 1 and (time.monotonic() - start) * left > WORTHWHILE:
            yield from _shared(work, items[index + 1 :], index + 1, min(workers, left), begin)
            return


def _shared(
    work: Callable[[Item], Result], items: Sequence[Item], first: int, workers: int, begin: Callable[[], None]
) -> Iterator[tuple[int, Result]]:
    # Spawned, not forked: a fork of a process that has used torch's threads can hang.
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(stop, begin)) as pool:
        waiting = {pool.submit(work, item): index for index, item in enumerate(items, first)}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BrokenProcessPool as error:
            raise BenchError(
                "a process was killed, perhaps for lack of memory; what it had finished is kept. "
                "Run the command again with fewer processes."
            ) from error
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _begin(stop: Any, begin: Callable[[], None]) -> None:
    global _stop
    _stop = stop
    # Ctrl-C reaches every process of the terminal: the parent decides, and workers finish their step.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    begin()


def _end_with_parent() -> None:
    # A parent that was killed can't tell its workers; without this they would wait for work for ever.
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
