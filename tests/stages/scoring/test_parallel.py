"""Work shared between processes gives the same bytes as work done here, and ends cleanly."""

import os
import threading

import numpy as np
import pytest
import torch

from bench.core import parallel
from bench.core.errors import BenchError, UsageError
from bench.core.parallel import interrupted
from bench.metrics.functional.images import one_thread
from bench.stages.scoring.scoring import spread


def where(item):
    """Who did an item, on how many threads; picklable, as work must be."""
    return item, os.getpid(), torch.get_num_threads()


def mean(seed):
    """A sum whose rounding depends on how many threads share it."""
    values = torch.from_numpy(np.random.default_rng(seed).random(1_000_000, np.float32))
    return float(values.sum()).hex()


def refuse(item):
    if item == 2:
        raise UsageError("the third item is bad.")
    return item


def die(item):
    if item == 2:
        os._exit(9)
    return item


@pytest.fixture
def shared(monkeypatch):
    """Let other processes start after the first item."""
    monkeypatch.setattr(parallel, "WORTHWHILE", -1.0)


def test_a_little_work_stays_in_this_process():
    results = spread(where, range(4), 4, "work")
    assert results == [(item, os.getpid(), 1) for item in range(4)]


def test_much_work_is_shared_and_keeps_its_order(shared):
    results = spread(where, range(6), 2, "work")
    assert [item for item, _, _ in results] == list(range(6))
    assert results[0][1] == os.getpid()
    assert os.getpid() not in {process for _, process, _ in results[1:]}
    assert {threads for _, _, threads in results} == {1}


def test_numbers_are_the_same_bytes_whoever_computes_them(shared):
    together = spread(mean, range(4), 2, "work")
    torch.set_num_threads(2)
    assert spread(mean, range(4), 1, "work") == together


def test_the_threads_are_given_back():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with pytest.raises(ZeroDivisionError), one_thread():
            assert torch.get_num_threads() == 1
            raise ZeroDivisionError
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_is_raised_here(shared, workers):
    with pytest.raises(UsageError, match="the third item is bad"):
        spread(refuse, range(5), workers, "work")


def test_a_killed_worker_is_said(shared):
    with pytest.raises(BenchError, match="was killed"):
        spread(die, range(5), 2, "work")


def test_an_interrupted_worker_stops_between_its_steps(monkeypatch):
    interrupted()
    stop = threading.Event()
    monkeypatch.setattr(parallel, "_stop", stop)
    interrupted()
    stop.set()
    with pytest.raises(KeyboardInterrupt):
        interrupted()


def test_no_item_is_no_work():
    assert spread(where, [], 2, "work") == []
