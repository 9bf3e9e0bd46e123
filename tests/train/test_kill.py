"""SIGKILL at ten random moments over both stages, with every option on: the last bit is that of an undisturbed run.

Run as a program: python tests/train/test_kill.py SCENE FOLDER. It trains undisturbed, then in child processes that
kill themselves at a random one of all the moments at which PyTorch is asked for something or a file is made to last;
each child goes on from what the ones before left.
"""

import json
import os
import random
import signal
import sys
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from bench.io.container import write_scene
from tests import forked
from tests.train.tiny import EVERY_OPTION, prepare, stage1, stage2

ROOT = Path(__file__).resolve().parents[2]
STAGES = {
    "stage 1": (stage1, {**EVERY_OPTION, "steps": 10, "log_every": 2, "checkpoint_every": 2}),
    "stage 2": (
        stage2,
        {
            "log_every": 1,
            "checkpoint_every": 1,
            "ema": 0.9,
            "accumulate": 2,
            "clip": 1.0,
            "schedule": "one-cycle",
            "steps": 6,
        },
    ),
}
KILLS = {"stage 1": 6, "stage 2": 4}


class Moments(TorchDispatchMode):
    """Counts what PyTorch is asked for, and kills this process at moment `last`."""

    def __init__(self, last=-1):
        super().__init__()
        self.count, self.last = 0, last

    def pass_by(self):
        self.count += 1
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.pass_by()
        return func(*args, **(kwargs or {}))


def run(stage, scene, folder, last=-1):
    """Train one stage; returns weights, curve, and how many moments there were."""
    train, options = STAGES[stage]
    moments, fsync = Moments(last), os.fsync

    def lasting(file):
        moments.pass_by()
        fsync(file)

    os.fsync = lasting
    try:
        with moments:
            return *train(scene, folder, **options), moments.count
    finally:
        os.fsync = fsync


def child(work):
    """Do the work in a process of its own; returns how that ended."""
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def chain(stage, scene, folder, draw):
    """Kill and resume until the drawn number of kills is reached, then end; returns what the test asserts."""
    weights, curve, total = run(stage, scene, folder / "whole")
    ends, steps = [], []
    for _ in range(KILLS[stage]):
        # A third of a run's moments: many children get past a checkpoint, and the chain hardly ends before its kills.
        moment = draw.randrange(1, total // 3)
        ends.append(child(lambda at=moment: run(stage, scene, folder / "killed", at)))
        last = folder / "killed" / "last.pt"
        steps.append(torch.load(last, weights_only=True)["state"]["step"] if last.exists() else 0)
    resumed, other, _ = run(stage, scene, folder / "killed")
    differ = [name for name, value in weights.items() if not torch.equal(value, resumed[name])]
    return {"ends": ends, "steps": steps, "differ": differ, "curves": [curve, other]}


@pytest.fixture(scope="module")
def chains(tiny_scene, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kill")
    write_scene(folder / "scene", tiny_scene)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    answer = forked.run([__file__, str(folder / "scene"), str(folder)], ROOT, environment)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


@pytest.mark.parametrize("stage", STAGES)
def test_killed_at_random_moments_and_resumed_equals_undisturbed(chains, stage):
    found = chains[stage]
    died = [end for end in found["ends"] if end == -signal.SIGKILL]
    assert len(died) == KILLS[stage]
    assert found["differ"] == []
    assert found["curves"][0] == found["curves"][1]
    assert found["steps"] == sorted(found["steps"]) and found["steps"][-1] > 0


if __name__ == "__main__":
    given, place, stream = prepare(Path(sys.argv[1])), Path(sys.argv[2]), random.Random(5)
    print(json.dumps({stage: chain(stage, given, place / stage.replace(" ", ""), stream) for stage in STAGES}))
