"""Scoring from the outside: how much memory it takes, and how it ends when the user interrupts it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[3]

MEMORY = """
import resource, sys
from pathlib import Path
import numpy as np
from bench.core.registry import protocols
from bench.stages.scoring.scoring import Rules, Task, score_all
folder = Path(sys.argv[1])
protocol = protocols["whole-float"].model_copy(update={"metrics": ("psnr-l", "ssim-l")})
rules = Rules((), (protocol,), folder / "cache", examined=True)
np.save(folder / "truth.npy", np.random.default_rng(0).random((200, 300, 3), np.float32))
def score(*numbers):
    tasks = [Task(str(number), folder / f"{number}.npy", folder / "truth.npy") for number in numbers]
    for task, number in zip(tasks, numbers):
        np.save(task.prediction, np.full((200, 300, 3), 0.1 + number / 100, np.float32))
    score_all(tasks, rules, workers=1, label="score")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(-score(*range(3)) + score(*range(3, 18)))
"""


def test_memory_does_not_grow_with_the_number_of_scenes(tmp_path, environment):
    """A picture is 0.7 MB here and its float64 form twice that: 15 that were kept would add 10 MB at the least."""
    # Without a threshold that grows, freed pictures go back to the system at once, and the peak tells what is kept.
    env = {**environment, "MALLOC_MMAP_THRESHOLD_": "65536"}
    line = [sys.executable, "-c", MEMORY, str(tmp_path)]
    answer = subprocess.run(line, cwd=ROOT, env=env, capture_output=True, text=True, timeout=100, check=False)
    assert answer.returncode == 0, answer.stderr
    assert float(answer.stdout) < 4


# A process started in the background may inherit that Ctrl-C is ignored; one at a terminal doesn't.
SLOW = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
import sys
from pathlib import Path
from bench.core.registry import protocols
from bench.core import parallel
from bench.stages.scoring.scoring import Rules, Task, score_all
if __name__ == "__main__":
    parallel.WORTHWHILE = -1.0
    folder = Path(sys.argv[1])
    tasks = [Task(str(i), folder / f"{i}.npy", folder / "truth.npy") for i in range(40)]
    score_all(tasks, Rules((), (protocols["whole-float"],), folder / "cache"), workers=2, label="score")
"""


def test_ctrl_c_ends_all_processes_and_keeps_what_is_done(tmp_path, environment, textured):
    for index in range(40):
        np.save(tmp_path / f"{index}.npy", textured(index, 200, 300))
    np.save(tmp_path / "truth.npy", textured(99, 200, 300))
    (tmp_path / "slow.py").write_text(SLOW)
    line, env = [sys.executable, str(tmp_path / "slow.py"), str(tmp_path)], {**environment, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(line, env=env, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        end = time.monotonic() + 60
        while len(list(tmp_path.rglob("cache/*/*.json"))) < 4 and process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does it
        said = process.stderr.read()  # ends when every process has closed it
    assert process.returncode == -signal.SIGINT or "KeyboardInterrupt" in said
    kept = list(tmp_path.rglob("cache/*/*.json"))
    assert 4 <= len(kept) < 40
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".part")]
