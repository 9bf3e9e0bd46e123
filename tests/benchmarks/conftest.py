"""What speed tests share: they assert ratios between two functions of one run, never seconds."""

import time

import pytest
import torch


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


@pytest.fixture
def race():
    """Return the best seconds of two functions. They alternate, and the best counts: a busy machine slows both."""

    def run(first, second, rounds):
        pairs = [(_seconds(first), _seconds(second)) for _ in range(rounds)]
        return tuple(min(column) for column in zip(*pairs, strict=True))

    return run
