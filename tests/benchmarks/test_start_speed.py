"""The command line answers at once: `list methods` reads the cards of all methods without running one."""

import resource
import subprocess
import sys

import pytest

from bench.core.registry import ROOT

pytestmark = pytest.mark.benchmark(group="start")

LIMIT = 0.5
"""Seconds; of the processor's time, which other work on the machine doesn't lengthen as it does the clock's."""


def spent():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def listed():
    before = spent()
    command = [sys.executable, "-m", "bench", "list", "methods"]
    subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=True)
    return spent() - before


def test_listing_methods_takes_less_than_half_a_second(benchmark):
    first, second, third = benchmark.pedantic(lambda: [listed() for _ in range(3)], rounds=1, iterations=1)
    assert min(first, second, third) < LIMIT
