"""Speed and memory of HDR-VDP-2: the ratio to a plain float64 NumPy program, and the share of each stage.

`pytest tests/benchmarks/test_hdrvdp2_speed.py --benchmark-enable -s` prints the split of a 1500x1000 pair.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.metrics.hdrvdp2 import hdrvdp2
from bench.metrics.hdrvdp2.metric import _pair, _viewing
from bench.metrics.hdrvdp2.pooling import pooled, visibility
from bench.metrics.hdrvdp2.vision import bands, seen
from tests.metrics.hdrvdp2.oracle import oracle

from .pairs import smooth

ROOT = Path(__file__).resolve().parents[2]
SRGB = {"color_encoding": "sRGB-display", "pixels_per_degree": 26.7627}

# The kernel's own high-water mark of the program: `ru_maxrss` also counts what the parent had before it was started.
MEMORY = """
import re
from pathlib import Path
import numpy as np
from bench.metrics.hdrvdp2 import hdrvdp2
stream = np.random.default_rng(0)
truth = stream.random((1000, 1500, 3), dtype=np.float32)
peaks = []
for _ in range(3):
    test = truth * (1 + 0.05 * stream.standard_normal(truth.shape, dtype=np.float32))
    hdrvdp2(test, truth, color_encoding="sRGB-display", pixels_per_degree=26.7627, maps=False)
    peaks.append(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
print(*peaks)
"""


@pytest.mark.timed
@pytest.mark.usefixtures("one_thread")
def test_many_times_as_fast_as_a_plain_program(race, ratio):
    """Both on one thread and with maps; the plain program is NumPy and SciPy in float64."""
    test, truth = smooth(300, 450)
    slow = [image.astype(np.float64) for image in (test, truth)]
    expected = oracle(*slow, "sRGB-display", SRGB["pixels_per_degree"])
    assert hdrvdp2(test, truth, **SRGB).q == pytest.approx(expected["q"], abs=1e-4)
    ours, plain = race(
        lambda: hdrvdp2(test, truth, **SRGB),
        lambda: oracle(*slow, "sRGB-display", SRGB["pixels_per_degree"]),
        rounds=2,
    )
    print(f"\n300x450, one thread: {ours:.3f} s, plain float64 NumPy {plain:.2f} s: {plain / ours:.0f} times as fast")
    ratio(plain / ours)
    assert plain > 5 * ours


def stages(test, truth):
    """Seconds of each stage of a pair with maps."""
    viewing = _viewing("sRGB-display", SRGB["pixels_per_degree"], 1e-5, None, "fast")
    clock, seconds = time.perf_counter(), {}

    def lap(name):
        nonlocal clock
        seconds[name], clock = time.perf_counter() - clock, time.perf_counter()

    with torch.no_grad():
        pair = _pair(test, truth, viewing)
        lap("display model")
        view = seen(*pair, viewing)
        lap("optics and receptors, float64")
        split = bands(view, viewing)
        lap("pyramid")
        found = pooled(split, view, maps=True)
        lap("masking and pooling")
        visibility(found.bands)
        lap("maps")
    return seconds


@pytest.mark.benchmark(group="metrics")
def test_hdrvdp2_of_a_full_size_pair(benchmark):
    test, truth = smooth(*((1000, 1500) if benchmark.enabled else (250, 375)))
    result = benchmark(hdrvdp2, test, truth, **SRGB, maps=False)
    split = stages(test, truth)
    benchmark.extra_info.update(split)
    total = sum(split.values())
    print(f"\n{truth.shape[0]}x{truth.shape[1]} with maps, {torch.get_num_threads()} threads: {total:.2f} s")
    for name, seconds in split.items():
        print(f"  {name:32} {seconds:5.2f} s  {seconds / total:4.0%}")
    assert result.q == pytest.approx(hdrvdp2(test, truth, **SRGB, maps=False, precision="double").q, abs=1e-4)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory of a process from /proc")
def test_memory_of_full_size_pairs_stays_below_a_gigabyte():
    """Peak resident memory of a whole process, in which 230 MB are torch; it doesn't grow with the number of pairs."""
    # With a fixed threshold, freed planes go back to the system at once and the peak tells what is really needed; by
    # default the C library keeps some, which adds 0.2 to 0.3 GB that differ from run to run.
    env = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "1048576"}
    env.pop("MALLOC_TRIM_THRESHOLD_", None)
    line = [sys.executable, "-c", MEMORY]
    done = subprocess.run(line, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    peaks = [int(kilobytes) / 1e6 for kilobytes in done.stdout.split()]
    print(f"\npeak resident memory after each of 3 pairs, GB: {peaks}")
    assert peaks[-1] < 1.0
    assert peaks[-1] < peaks[1] + 0.03  # a pair kept each time would add 0.036 GB
