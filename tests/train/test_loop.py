"""The training loop: it learns, resumes to the last bit, and stops at what isn't finite.

Run as a program, it trains until it kills itself: python tests/train/test_loop.py SCENE CHECKPOINT SAMPLE
"""

import math
import os
import signal
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from bench.core.errors import TrainingFailed, UsageError
from bench.core.fingerprint import fingerprint
from bench.core.optimisation import Stage2
from bench.core.registry import methods
from bench.io.container import read_scene, write_scene
from bench.train.checkpoint import Checkpoint
from bench.train.learner import HdrLearner
from bench.train.loop import fit, seed_parameters, trainable
from bench.train.patches import PatchStream
from tests import forked
from tests.train.tiny import Interrupted, Stopped, same

ROOT = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def settings(**changes):
    values = {"steps": 10, "batch": 2, "lr": 3e-3, "schedule": "one-cycle", "clip": 1.0, "weight_perceptual": 0.0}
    # Copied, not validated: rows of the curve and checkpoints don't fall together, which must not matter.
    return Stage2(**values).model_copy(update={"checkpoint_every": 4, "log_every": 3, **changes})


def train(scene, folder, at=-1, stop=None, seed=0, **changes):
    """Train a tiny AHDRNet; returns its weights and learning curve."""
    chosen = settings(**changes)
    network = methods["ahdrnet"].build("smoke", head="mu-residual")
    seed_parameters(network, seed)
    stream = Interrupted([scene], size=24, stride=8, augment=True, seed=seed)
    stream.at, stream.stop = at, stop or stream.stop
    learner = HdrLearner(network, chosen, None)
    curve = fit(learner, stream, chosen, Checkpoint(folder), label="tiny", device=CPU)
    return network.state_dict(), curve


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def whole(tiny_scene, tmp_path_factory):
    """Weights and curve of a training that nothing interrupted."""
    torch.set_num_threads(1)
    return train(tiny_scene, tmp_path_factory.mktemp("whole"))


def test_the_loss_falls_on_one_tiny_scene(tiny_scene, tmp_path):
    _, curve = train(tiny_scene, tmp_path, steps=80, log_every=10)
    losses = [row["reconstruction"] for row in curve]
    assert [row["step"] for row in curve] == [10.0 * n for n in range(1, 9)]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("at", [9, 16, 19])
def test_interrupted_and_resumed_equals_uninterrupted(tiny_scene, tmp_path, whole, at):
    """Stopped at steps 4 (right after a checkpoint), 8 and 9; curve rows and checkpoints don't fall together."""
    with pytest.raises(Stopped):
        train(tiny_scene, tmp_path, at)
    assert (tmp_path / "last.pt").exists()
    weights, curve = train(tiny_scene, tmp_path)
    assert same(weights, whole[0]) and curve == whole[1]


def test_a_killed_process_is_resumed_to_the_same_bits(tiny_scene, tmp_path, whole):
    write_scene(tmp_path / "scene", tiny_scene)
    line = [__file__, str(tmp_path / "scene"), str(tmp_path / "run"), "13"]
    killed = forked.run(line, ROOT, {**os.environ, "PYTHONPATH": str(ROOT)})
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert torch.load(tmp_path / "run" / "last.pt", weights_only=True)["state"]["step"] == 4
    weights, curve = train(tiny_scene, tmp_path / "run")
    assert same(weights, whole[0]) and curve == whole[1]


def test_a_finished_training_resumes_after_its_last_checkpoint_only(tiny_scene, tmp_path, whole):
    train(tiny_scene, tmp_path)
    weights, _ = train(tiny_scene, tmp_path, at=2)  # samples of the first steps aren't asked for
    assert same(weights, whole[0])


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(tiny_scene, tmp_path, whole):
    weights, curve = train(tiny_scene, tmp_path / "again")
    assert same(weights, whole[0]) and curve == whole[1]
    other, _ = train(tiny_scene, tmp_path / "other", seed=1)
    assert not same(other, whole[0])


def test_the_curve_has_the_mean_of_each_term_and_a_row_for_the_rest(whole):
    assert [row["step"] for row in whole[1]] == [3, 6, 9, 10]
    assert all(set(row) == {"step", "reconstruction"} and row["reconstruction"] > 0 for row in whole[1])


class Probe:
    """A learner of one number, whose terms a test chooses; it remembers what may be trained in which phase."""

    def __init__(self, terms, phases=("network",)):
        self.networks = {phase: nn.Linear(1, 1, bias=False) for phase in phases}
        self.terms, self.seen, self.steps = terms, [], []
        for network in self.networks.values():
            nn.init.ones_(network.weight)

    def losses(self, phase, frames, truth, step, samples):
        self.seen.append(tuple(name for name, network in self.networks.items() if network.weight.requires_grad))
        return self.terms(phase, self.networks[phase].weight.sum(), step)

    def prepare(self, frames, truth, step, samples):
        return []

    def updated(self, phase):
        self.steps.append(phase)

    def state(self):
        return {}


def probe(scene, folder, learner, **changes):
    chosen = settings(**changes)
    stream = PatchStream([scene], size=8, stride=8, augment=False, seed=0)
    return fit(learner, stream, chosen, Checkpoint(folder), label="probe", device=CPU)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_names_step_and_term(tiny_scene, tmp_path, value):
    def terms(phase, weight, step):
        return {"reconstruction": weight, "mapping": weight * (value if step == 6 else 1)}

    with pytest.raises(TrainingFailed, match=rf"probe: loss term 'mapping' is {value} at step 6"):
        probe(tiny_scene, tmp_path, Probe(terms))
    kept = Checkpoint(tmp_path).load()
    assert kept["state"]["step"] == 4
    assert all(value.isfinite().all() for value in kept["networks"]["network"].values())


@pytest.mark.parametrize("clip", [None, 1.0])
def test_a_gradient_that_is_not_finite_stops_before_the_weights_are_touched(tiny_scene, tmp_path, clip):
    def terms(phase, weight, step):
        return {"root": torch.sqrt(weight - weight if step == 3 else weight)}

    learner = Probe(terms)
    with pytest.raises(TrainingFailed, match=r"probe: the gradient of root is (nan|inf) at step 3"):
        probe(tiny_scene, tmp_path, learner, clip=clip)
    assert learner.networks["network"].weight.isfinite().all()


def test_gradients_are_clipped_by_their_norm(tiny_scene, tmp_path):
    norms = []
    learner = Probe(lambda phase, weight, step: {"steep": 1000 * weight})
    learner.updated = lambda phase: norms.append(float(learner.networks["network"].weight.grad.norm()))
    probe(tiny_scene, tmp_path, learner, clip=0.5, steps=2)
    assert norms == pytest.approx([0.5, 0.5], rel=1e-4)


def test_gradients_are_clipped_value_by_value(tiny_scene, tmp_path):
    """Three values of 1000, whose norm would be brought to 0.5."""
    seen, learner = [], Probe(lambda phase, weight, step: {"steep": 1000 * weight})
    learner.networks["network"] = nn.Linear(3, 1, bias=False)
    learner.updated = lambda phase: seen.extend(learner.networks["network"].weight.grad.flatten().tolist())
    probe(tiny_scene, tmp_path, learner, clip=0.5, clip_by="value", steps=1)
    assert seen == [0.5] * 3


def test_each_phase_trains_its_own_network(tiny_scene, tmp_path):
    learner = Probe(lambda phase, weight, step: {} if phase == "b" and step < 2 else {phase: weight}, ("a", "b"))
    curve = probe(tiny_scene, tmp_path, learner, steps=4, log_every=4)
    assert learner.seen == [("a",), ("b",)] * 4
    assert learner.steps == ["a", "a", "a", "b", "a", "b"]
    # A term that joined in mid-row is averaged over the steps that had it.
    assert curve[0]["b"] == pytest.approx(1.0, abs=0.01)


def test_what_was_trainable_before_is_trainable_after(tiny_scene, tmp_path):
    learner = Probe(lambda phase, weight, step: {phase: weight}, ("a", "b"))
    learner.networks["a"].frozen = nn.Parameter(torch.ones(3), requires_grad=False)
    probe(tiny_scene, tmp_path, learner, steps=2)
    assert trainable(list(learner.networks.values())) == 2
    assert not learner.networks["a"].frozen.requires_grad


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut short"])
def test_a_damaged_checkpoint_is_named(tiny_scene, tmp_path, content):
    (tmp_path / "last.pt").write_bytes(content)
    with pytest.raises(UsageError, match=r"last\.pt is damaged \(\w+\); delete it to start afresh\.$"):
        train(tiny_scene, tmp_path)


def test_a_failed_write_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    checkpoint = Checkpoint(tmp_path)
    checkpoint.save({"step": 1})

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match="the disk is full"):
        checkpoint.save({"step": 2})
    assert checkpoint.load() == {"step": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


def test_a_finished_run_forgets_its_checkpoint_and_what_a_kill_left(tmp_path):
    checkpoint = Checkpoint(tmp_path)
    checkpoint.save({"step": 1})
    (tmp_path / ".last.pt.123.part").write_bytes(b"half")
    checkpoint.remove()
    assert checkpoint.load() is None and not any(tmp_path.iterdir())


def test_the_fingerprint_follows_settings_and_code():
    base = fingerprint("training", settings={"lr": 1})
    assert base == fingerprint("training", settings={"lr": 1})
    others = fingerprint("training", settings={"lr": 2}), fingerprint("training", "methods/olc", settings={"lr": 1})
    assert len({base, fingerprint("score", settings={"lr": 1}), *others}) == 4


def test_initial_weights_follow_the_seed_and_the_modules_name():
    def build(seed):
        network = methods["ahdrnet"].build("smoke")
        seed_parameters(network, seed)
        return network.state_dict()

    assert same(build(0), build(0))
    one, other = build(0), build(1)
    assert not torch.equal(one["entry.weight"], other["entry.weight"])
    assert not torch.equal(one["short.join.weight"], one["long.join.weight"])


def test_seeding_leaves_the_global_stream_alone():
    layer, before = nn.Linear(3, 3), torch.get_rng_state()
    seed_parameters(layer, 5)
    assert torch.equal(torch.get_rng_state(), before)


if __name__ == "__main__":
    torch.set_num_threads(1)
    train(read_scene(Path(sys.argv[1])), Path(sys.argv[2]), at=int(sys.argv[3]), stop=die)
