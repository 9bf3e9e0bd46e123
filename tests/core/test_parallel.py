"""Work shared between processes keeps its order, tells what went wrong, and ends cleanly.

Other processes import this file: it needs no torch, which would be most of their time.
"""

import os
import threading

import pytest

from bench.core import parallel
from bench.core.errors import BenchError, UsageError
from bench.core.parallel import interrupted, spread


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
    assert spread(refuse, [], 2, "work") == []
