"""A training that is killed goes on from its last checkpoint, and ends as if nothing had happened."""

import os
import signal
import time

import pytest
import torch

from bench.core import layout
from tests import forked
from tests.stages.conftest import with_code

STEPS, EVERY = 16, 4
PATIENCE = 90
"""Seconds to wait for the first checkpoint on a busy machine."""

MARK = 12345.0
"""Written into a checkpoint's learning curve: what goes on from it shows the mark, what starts afresh doesn't."""


@pytest.fixture
def long(site):
    """The workshop with trainings that last long enough to be killed."""
    steps = {"steps": STEPS, "log_every": EVERY, "checkpoint_every": EVERY}
    return site.change(stage1=steps, stage2=steps)


def name(site, verb):
    return site.codebook if verb == "codebook" else site.plain


def outs(site, verb):
    """Weights, card and curve."""
    if verb == "codebook":
        path = layout.codebook(site.params, site.codebook)
        return [path, path.with_suffix(".json"), path.with_suffix(".csv")]
    path = layout.weights(site.params, site.plain)
    return [path, path.with_suffix(".json"), layout.curve(site.params, site.plain)]


def checkpoints(site):
    return sorted((site.folder / "runs").rglob("last.pt"))


def kill_at_first_checkpoint(process, site):
    """Send SIGKILL to a process and its children when a checkpoint appears; return the checkpoint."""
    end = time.monotonic() + PATIENCE
    while not checkpoints(site) and process.returncode is None and time.monotonic() < end:
        time.sleep(0.005)
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)
    done = process.wait()
    assert done.returncode == -signal.SIGKILL, done
    (path,) = checkpoints(site)
    return path


def mark(path):
    """Write the mark into the curve's first row; return the steps done."""
    saved = torch.load(path, weights_only=True)
    row = saved["state"]["curve"][0]
    row[next(key for key in row if key != "step")] = MARK
    torch.save(saved, path)
    return saved["state"]["step"]


def marked(curve):
    return f"{MARK:g}" in curve.splitlines()[1].split(",")


@pytest.mark.parametrize("verb", ["train", "codebook"])
def test_a_killed_training_goes_on_and_ends_as_an_uninterrupted_one(long, environment, verb):
    """The codebook by its own command, the network by `dvc repro`, which deletes a stage's outs before it runs it."""
    results = weights, card, curve = outs(long, verb)
    long.run(verb, name(long, verb))
    whole = [path.read_bytes() for path in results]

    line, folder = ["-m", "bench", verb, name(long, verb)], with_code(long).folder
    if verb == "train":
        assert forked.run(["-m", "dvc", "init", "--no-scm", "--quiet"], folder, environment).returncode == 0
        line = ["-m", "dvc", "repro", "--quiet", "--single-item", "--force", f"train@{long.plain}"]
    else:
        for path in results:
            path.unlink()
    checkpoint = kill_at_first_checkpoint(forked.Forked(line, folder, environment), long)
    assert not [path for path in results if path.exists()]
    assert EVERY <= mark(checkpoint) < STEPS

    again = forked.run(line, folder, environment)
    assert again.returncode == 0, again.stderr
    assert [weights.read_bytes(), card.read_bytes()] == whole[:2]
    assert marked(curve.read_text(encoding="utf-8"))
    resumed, before = curve.read_text(encoding="utf-8").splitlines(), whole[2].decode().splitlines()
    assert [line for number, line in enumerate(resumed) if number != 1] == [
        line for number, line in enumerate(before) if number != 1
    ]
    assert not checkpoints(long)


def test_a_checkpoint_of_other_parameters_is_left_alone(long, environment):
    weights, _, curve = outs(long, "train")
    training = forked.Forked(["-m", "bench", "train", long.plain], with_code(long).folder, environment)
    checkpoint = kill_at_first_checkpoint(training, long)
    mark(checkpoint)
    before = checkpoint.read_bytes()
    changed = long.change(stage2={"lr": 0.002})
    changed.run("train", changed.plain)
    assert not marked(curve.read_text(encoding="utf-8"))
    assert checkpoint.read_bytes() == before
    resumed = weights.read_bytes()
    weights.unlink()
    checkpoint.unlink()
    changed.run("train", changed.plain)
    assert weights.read_bytes() == resumed
