"""Evaluation of 15 and of 150 scenes: the processor's time grows with their number, the memory doesn't.

Each is measured in a process of its own, around the evaluate stage, after one scene that loads what it needs. Time is
that of the processor on one thread, which other work on the machine disturbs less than it disturbs a clock.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.core.scene import GAMMA, Scene
from bench.io.container import write_scene

ROOT = Path(__file__).resolve().parents[2]
EDGE, FEW, MANY = 128, 15, 150
ROUNDS = 3
FRAMES, BYTES = 3, EDGE * EDGE * 3 * (3 * 2 + 4 + 4)
"""Bytes of a scene: three frames of 16 bits, truth and prediction of 32."""

CELL = "triangle-merge--panoramas"
PARAMS = """
profile: scale
threads: 1
protocol: hdr-transformer
sensitivity: []
datasets: {panoramas: {}}
patches: {size: 32, stride: 32}
perceptual: {backbone: none}
stage1: {steps: 2}
stage2: {steps: 2}
evaluate: [panoramas]
variants: {triangle-merge: {method: triangle-merge}}
"""

MEASURE = """
import json, resource, shutil, sys, time
from pathlib import Path
from bench.core.params import load
from bench.stages.scoring.evaluate import run
params, cell, rounds = load(Path("params.yaml")), sys.argv[1], int(sys.argv[2])
run(params, cell, limit=1)
seconds, memory = 0.0, []
for _ in range(rounds):
    shutil.rmtree(params.work / "score_cache")
    before = time.process_time()
    run(params, cell)
    seconds += time.process_time() - before
    memory.append(1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print("measured:", json.dumps([seconds, memory[0]]))
"""


def bracket(number):
    """A bracket of noise in radiance from 0.001 to 1, of the scene's number alone."""
    rng = np.random.default_rng(number)
    radiance = (10 ** rng.uniform(-3, 0, (EDGE, EDGE, 3))).astype(np.float32)
    times = np.array([1.0, 4.0, 16.0])
    frames = [np.round(65535 * np.clip(time * radiance, 0, 1) ** (1 / GAMMA)).astype(np.uint16) for time in times]
    return Scene(f"{number:03d}", np.stack(frames), times, FRAMES // 2, radiance)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """A folder with all scenes, prepared."""
    folder = tmp_path_factory.mktemp("scenes")
    for number in range(MANY):
        scene = bracket(number)
        write_scene(folder / scene.id, scene)
    return folder


def measure(scenes, folder, count):
    """Evaluate the first `count` scenes in a new process; return the seconds of `MANY` and the peak memory in bytes.

    Few scenes are evaluated so often that the work is as much: a busy machine then disturbs both alike. The peak is
    that of the first time.
    """
    split = folder / "work/scale/scenes/panoramas/test"
    split.mkdir(parents=True)
    for path in sorted(scenes.iterdir())[:count]:
        (split / path.name).symlink_to(path)
    (folder / "params.yaml").write_text(PARAMS, encoding="utf-8")
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    line = [sys.executable, "-c", MEASURE, CELL, str(MANY // count)]
    answer = subprocess.run(line, cwd=folder, env=variables, capture_output=True, text=True, timeout=1200, check=False)
    assert answer.returncode == 0, answer.stderr
    rows = (folder / f"work/scale/scores/{CELL}.csv").read_text(encoding="utf-8").splitlines()
    assert len({row.split(",")[6] for row in rows[1:]}) == count
    seconds, memory = json.loads(answer.stdout.rpartition("measured:")[2])
    return seconds, memory


@pytest.mark.timed
def test_time_grows_with_the_scenes_and_memory_does_not(scenes, tmp_path, ratio):
    tries = [
        [measure(scenes, tmp_path / f"{number}-{count}", count) for count in (FEW, MANY)] for number in range(ROUNDS)
    ]
    # What else a machine does only adds to either: of one run each, 150 scenes took 0.82 to 1.0 of 10 times 15.
    few, many = (min(column) for column in zip(*tries, strict=True))
    slower, growth = many[0] / few[0], many[1] - few[1]
    times = MANY // FEW
    shown = [f"{seconds:.2f} s, {memory / 1e6:.0f} MB" for seconds, memory in (few, many)]
    said = f"{times} x {FEW} scenes: {shown[0]}; {MANY}: {shown[1]}"
    print(f"{said}; time per scene x{slower:.3f}, memory +{growth / 1e6:.1f} MB of {(MANY - FEW) * BYTES / 1e6:.0f} MB")
    ratio(1 / slower)
    assert abs(slower - 1) <= 0.15, said
    assert growth < (MANY - FEW) * BYTES / 4, said
