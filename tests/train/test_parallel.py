"""Two processes on halves of each batch, and a batch in parts, equal one process on whole batches.

Run as a program it is one of the processes: RANK=0 WORLD_SIZE=2 ... python tests/train/test_parallel.py SCENE FOLDER

Tolerance: the same numbers are summed in another order (means of two half-batches, convolutions over fewer images), so
that gradients differ by float32's rounding. Adam divides a gradient by its own size: a single weight whose gradient
is itself about rounding noise (1e-8, Adam's epsilon) moves by up to a whole rate (1e-3) either way. Such weights are
few, and what they were moved by doesn't grow: so the root mean square difference of a tensor is compared, and must
stay below a hundredth of one step. Counts are exact. A fault of the exchange moves codes by whole features: one is
planted in `test_the_comparison_can_fail`.
"""

import os
import socket
import sys
from pathlib import Path

import pytest
import torch

from bench.core.errors import UsageError
from bench.io.container import write_scene
from bench.train.parallel import ALONE, ProcessGroup, processes
from tests import forked
from tests.train.tiny import EVERY_OPTION, dropping, prepare, stage1, stage2

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 1e-5
SIX = {"steps": 6}
PLAIN = {**SIX, "weight_adversarial": 0.0}
WHOLE = {**EVERY_OPTION, **SIX, "accumulate": 1}


def apart(one, other):
    """Root mean square difference of the weights of the tensor that differs most; counts must be equal."""
    assert one.keys() == other.keys()
    for name in ("hits", "waiting"):
        assert name not in one or torch.equal(one[name], other[name]), name
    return max(float((value.double() - other[name].double()).square().mean().sqrt()) for name, value in one.items())


@pytest.fixture(scope="module")
def scene(tiny_scene, tmp_path_factory):
    path = tmp_path_factory.mktemp("parallel") / "scene"
    write_scene(path, tiny_scene)
    return path


@pytest.fixture(scope="module")
def two(scene, tmp_path_factory):
    """Weights that two processes trained, by name; each process wrote its own."""
    folder = tmp_path_factory.mktemp("two")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    base = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    base |= {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "GLOO_SOCKET_IFNAME": "lo"}
    line = [__file__, str(scene), str(folder)]
    started = [forked.Forked(line, ROOT, {**base, "RANK": rank}) for rank in "01"]
    done = [process.wait() for process in started]
    assert [process.returncode for process in done] == [0, 0], done
    assert done[1].stderr == ""
    first, second = (torch.load(folder / f"{rank}.pt", weights_only=True) for rank in "01")
    assert first.keys() == second.keys()
    for name, weights in first.items():
        if name != "planted":
            assert apart(weights, second[name]) == 0, f"{name}: the processes' weights differ"
    return first


@pytest.fixture(scope="module")
def one(scene, tmp_path_factory):
    """Weights that one process trains on whole batches."""
    threads, folder = torch.get_num_threads(), tmp_path_factory.mktemp("one")
    read = prepare(scene)
    yield {
        "plain": stage1(read, folder / "plain", **PLAIN)[0],
        "every option": stage1(read, folder / "every", **WHOLE)[0],
        "stage 2": stage2(read, folder / "stage2", **SIX)[0],
        "stochastic depth": dropping(read, folder / "depth", **SIX)[0],
    }
    torch.set_num_threads(threads)


def trained(folder, scene, group):
    """Train everything that is compared, as one of two processes."""
    return {
        "plain": stage1(scene, folder / "plain", group, **PLAIN)[0],
        "every option": stage1(scene, folder / "every", group, **WHOLE)[0],
        "every option, parts": stage1(scene, folder / "parts", group, **WHOLE | {"accumulate": 2})[0],
        "stage 2": stage2(scene, folder / "stage2", group, **SIX)[0],
        "stochastic depth": dropping(scene, folder / "depth", group, **SIX)[0],
        # Each process draws codes from its own half of the batch, as if features weren't gathered.
        "planted": stage1(scene, folder / "planted", group, lambda tensor: tensor, **WHOLE | {"steps": 3})[0],
    }


@pytest.mark.parametrize("name", ["plain", "every option", "stage 2", "stochastic depth"])
def test_two_processes_equal_one(one, two, name):
    assert apart(one[name], two[name]) < TOLERANCE


def test_two_processes_with_parts_equal_one_without(one, two):
    """Four pieces of one image each: codes, hits, restarts, spectral norms, averages and weights."""
    assert apart(one["every option"], two["every option, parts"]) < TOLERANCE
    assert one["every option"]["hits"].sum() > 0


def test_the_comparison_can_fail(scene, two, tmp_path):
    whole = stage1(prepare(scene), tmp_path, **WHOLE | {"steps": 3})[0]
    whole["hits"], whole["waiting"] = two["planted"]["hits"], two["planted"]["waiting"]
    assert apart(whole, two["planted"]) > 100 * TOLERANCE


@pytest.mark.parametrize(
    ("train", "options"), [(stage1, PLAIN), (stage1, WHOLE), (stage2, {**SIX, "steps": 3})], ids=["plain", "every", "2"]
)
def test_accumulated_parts_equal_whole_batches(scene, tmp_path, train, options):
    read = prepare(scene)
    whole, curve = train(read, tmp_path / "whole", **options)
    parts, other = train(read, tmp_path / "parts", **options | {"accumulate": 4})
    assert apart(whole, parts) < TOLERANCE
    for row, same in zip(curve, other, strict=True):
        assert same == pytest.approx(row, rel=1e-4, abs=1e-6)


def test_a_batch_that_cannot_be_shared_is_refused(scene, tmp_path):
    with pytest.raises(UsageError, match="batch of 4 can't be shared by 3 processes in 1 parts"):
        stage2(prepare(scene), tmp_path, ProcessGroup(0, 3), **SIX)


def test_shares_of_a_batch_follow_the_ranks():
    assert [ProcessGroup(rank, 4).samples(8) for rank in range(4)] == [
        slice(0, 2),
        slice(2, 4),
        slice(4, 6),
        slice(6, 8),
    ]
    assert ALONE.samples(8) == slice(0, 8)


def test_without_torchrun_one_process_trains(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with processes() as group:
        assert group is ALONE and group.leads
        values = torch.tensor([1.0, 2.0])
        group.mean([values])
        assert torch.equal(group.gather(values), torch.tensor([1.0, 2.0])) and not group.any(False)


def test_an_incomplete_environment_is_explained(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(UsageError, match="'RANK': start several processes with `torchrun"), processes():
        pass


if __name__ == "__main__":
    target = Path(sys.argv[2])
    with processes() as ours:
        torch.save(trained(target, prepare(Path(sys.argv[1])), ours), target / f"{ours.rank}.pt")
