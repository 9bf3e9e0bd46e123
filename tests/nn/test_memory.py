"""Memory of predictions on the CPU, in a process of its own: the budget of 6 GB for 1000x1500 at C = 32, scaled."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MEASURE = """
import torch
from pathlib import Path
from bench.core.registry import methods
from bench.nn.tiling import predict

def peak():
    return next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith("VmHWM"))

torch.set_num_threads(1)
card = methods["olc"]
network = card.build("published", channels=8, deform_groups=2, vqgan={"codes": 64, "segments": "olc"})
network = network.eval().to(memory_format=torch.channels_last)
frames = torch.rand(1, 3, 6, 256, 384)
predict(network, frames[..., :64, :64], multiple=8)
before = peak()
for tile, overlap in ((128, 16), (0, 96)):  # the smaller first: a peak stays
    predict(network, frames, multiple=card.multiple, tile=tile, overlap=overlap)
    print((peak() - before) * 1024)
"""
MAP = 256 * 384 * 8 * 4
"""Bytes of a map of C channels at full size."""


def used() -> list[float]:
    """Return the peaks of a prediction in tiles and of a whole one above what libraries and network take, in maps."""
    # Fixed, so that freed maps go back to the system as they do at full size.
    environment = {"PATH": "", "OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}
    command = [sys.executable, "-c", MEASURE]
    answer = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=True)
    return [int(number) / MAP for number in answer.stdout.split()]


def test_a_whole_image_stays_within_the_budget_and_tiles_need_less():
    # 6 GB are 31 maps of 1000x1504 at C = 32; libraries and network take half a gigabyte of it, 3 maps.
    tiled, whole = used()
    assert whole < 28
    assert tiled < 0.9 * whole
