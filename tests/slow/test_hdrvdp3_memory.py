"""Memory that HDR-VDP-3 takes for pairs of full size: half a minute, so only asked for by name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# The kernel's own high-water mark of the program: `ru_maxrss` also counts what the parent had before it was started.
MEMORY = """
import re
from pathlib import Path
import numpy as np
from bench.metrics.hdrvdp3 import hdrvdp3
stream = np.random.default_rng(0)
truth = 4000 * stream.random((1000, 1500, 3), dtype=np.float32)
peaks = []
for _ in range(3):
    test = truth * (1 + 0.05 * stream.standard_normal(truth.shape, dtype=np.float32))
    hdrvdp3(test, truth, encoding="rgb-bt.709", pixels_per_degree=30)
    peaks.append(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
print(*peaks)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory of a process from /proc")
def test_memory_of_full_size_pairs_stays_below_one_and_a_half_gigabytes():
    """Peak resident memory of a whole process, in which 230 MB are torch; it doesn't grow with the number of pairs."""
    # With a fixed threshold, freed planes go back to the system at once and the peak tells what is really needed.
    env = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "1048576"}
    line = [sys.executable, "-c", MEMORY]
    done = subprocess.run(line, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    peaks = [int(kilobytes) / 1e6 for kilobytes in done.stdout.split()]
    print(f"\npeak resident memory after each of 3 pairs with maps, GB: {peaks}")
    assert peaks[-1] < 1.5
    assert peaks[-1] < peaks[1] + 0.05
