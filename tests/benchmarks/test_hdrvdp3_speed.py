"""Speed of HDR-VDP-3: the ratio to a plain float64 NumPy program, and the share of each stage.

`pytest tests/benchmarks/test_hdrvdp3_speed.py --benchmark-enable -s` prints the split of a 1500x1000 pair.
"""

import time

import numpy as np
import pytest
import torch

from bench.metrics.hdrvdp3 import hdrvdp3
from bench.metrics.hdrvdp3.metric import _seen, _viewing
from bench.metrics.hdrvdp3.pooling import pooled, visibility
from bench.metrics.hdrvdp3.vision import bands
from tests.metrics.hdrvdp3.oracle import oracle

from .pairs import smooth

LINEAR = {"encoding": "rgb-bt.709", "pixels_per_degree": 30}


@pytest.mark.timed
@pytest.mark.usefixtures("one_thread")
def test_many_times_as_fast_as_a_plain_program(race, ratio):
    """Both on one thread and with maps; the plain program is NumPy and SciPy in float64."""
    test, truth = (4000.0 * image for image in smooth(300, 450))
    slow = [image.astype(np.float64) for image in (test, truth)]
    expected = oracle(*slow, "rgb-bt.709", 30)
    assert abs(hdrvdp3(test, truth, **LINEAR).Q - expected["Q"]) <= 1e-5
    ours, plain = race(lambda: hdrvdp3(test, truth, **LINEAR), lambda: oracle(*slow, "rgb-bt.709", 30), rounds=2)
    print(f"\n300x450, one thread: {ours:.3f} s, plain float64 NumPy {plain:.2f} s: {plain / ours:.0f} times as fast")
    ratio(plain / ours)
    assert plain > 3 * ours


def stages(test, truth):
    """Processor seconds of each stage of a pair with maps."""
    viewing = _viewing("rgb-bt.709", 30, "quality", None, 24, "none", "hdrvdp", None, "fast")
    clock, seconds = time.process_time(), {}

    def lap(name):
        nonlocal clock
        seconds[name], clock = time.process_time() - clock, time.process_time()

    with torch.no_grad():
        view = _seen(test, truth, viewing)
        lap("display, optics and receptors, float64")
        split = bands(view, viewing)
        lap("pyramid, float64")
        found = pooled(split, view, viewing, maps=True)
        lap("masking and pooling")
        visibility(found.bands, viewing)
        lap("maps")
    return seconds


@pytest.mark.benchmark(group="metrics")
def test_hdrvdp3_of_a_full_size_pair(benchmark):
    test, truth = (4000 * image for image in smooth(*((1000, 1500) if benchmark.enabled else (250, 375))))
    result = benchmark(hdrvdp3, test, truth, **LINEAR, maps=False)
    split = stages(test, truth)
    benchmark.extra_info.update(split)
    total = sum(split.values())
    print(f"\n{truth.shape[0]}x{truth.shape[1]} with maps, {torch.get_num_threads()} threads: {total:.2f} CPU s")
    for name, seconds in split.items():
        print(f"  {name:40} {seconds:5.2f} s  {seconds / total:4.0%}")
    assert abs(result.Q - hdrvdp3(test, truth, **LINEAR, maps=False, precision="double").Q) <= 1e-5
