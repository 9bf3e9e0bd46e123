"""Helpers of the speed tests, which assert ratios between two functions of one run, never seconds."""

import time

import pytest


def pytest_collection_modifyitems(config, items):
    """Leave what is marked `timed` to `make benchmark`: beside other work a ratio of two times says little."""
    if not config.getoption("--benchmark-enable"):
        skip = pytest.mark.skip(reason="asserts a ratio of times: make benchmark")
        for item in items:
            if item.get_closest_marker("timed"):
                item.add_marker(skip)


@pytest.fixture
def one_thread():
    import torch  # not by tests that need no torch

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


@pytest.fixture
def ratio(request):
    """Keep how many times as fast as its reference something is: once per test, before the assertion that may fail."""

    def keep(times):
        request.node.user_properties.append(("ratio", f"{times:.3f}"))

    return keep
