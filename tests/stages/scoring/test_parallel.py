"""Scores computed by several processes are the same bytes as those computed here, each on one thread."""

import os

import numpy as np
import pytest
import torch

from bench.core import parallel
from bench.metrics.functional.images import one_thread
from bench.stages.scoring.scoring import spread


def where(item):
    """Who did an item, on how many threads; picklable, as work must be."""
    return item, os.getpid(), torch.get_num_threads()


def mean(seed):
    """A sum whose rounding depends on how many threads share it."""
    values = torch.from_numpy(np.random.default_rng(seed).random(1_000_000, np.float32))
    return float(values.sum()).hex()


def both(item):
    return where(item), mean(item)


@pytest.fixture(scope="module")
def together():
    """Work that two other processes share after the first item: where each was done, and its number."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parallel, "WORTHWHILE", -1.0)
        places, numbers = zip(*spread(both, range(6), 2, "work"), strict=True)
    return places, numbers


def test_a_little_work_stays_in_this_process():
    results = spread(where, range(4), 4, "work")
    assert results == [(item, os.getpid(), 1) for item in range(4)]


def test_much_work_is_shared_and_keeps_its_order(together):
    results, _ = together
    assert [item for item, _, _ in results] == list(range(6))
    assert results[0][1] == os.getpid()
    assert os.getpid() not in {process for _, process, _ in results[1:]}
    assert {threads for _, _, threads in results} == {1}


def test_numbers_are_the_same_bytes_whoever_computes_them(together):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert spread(mean, range(6), 1, "work") == list(together[1])
    finally:
        torch.set_num_threads(before)


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
