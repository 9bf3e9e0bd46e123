"""Work with torch on many items, in this process or in several; the results are the same to the bit."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from bench.core import parallel
from bench.metrics.images import one_thread

Item = TypeVar("Item")
Result = TypeVar("Result")


def spread(work: Callable[[Item], Result], items: Sequence[Item], workers: int, label: str) -> list[Result]:
    """Do what `bench.core.parallel.spread` does, on one torch thread, here as in other processes.

    Sums associate differently with another number of threads, so one is what makes a number independent of how many
    processes shared the work.
    """
    with one_thread():
        return parallel.spread(work, items, workers, label, _one_thread_for_ever)


def _one_thread_for_ever() -> None:
    torch.set_num_threads(1)
