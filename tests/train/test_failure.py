"""Values that aren't finite are noticed once, on the device, and stop all updates; a pause keeps the state."""

import os
import signal
import time

import pytest
import torch
from torch import nn

from bench.core.errors import TrainingFailed, TrainingPaused, UsageError
from bench.train.checkpoint import Checkpoint
from bench.train.failure import Guard, NotFinite, read_dump
from bench.train.loop import RunOptions, StopSignal, channels_last, to_inputs
from bench.train.metering import Meter
from bench.train.optimiser import EMA, forget_moments
from bench.train.patches import PatchStream
from methods.olc.codebook import Codebook, segment
from methods.olc.restarts import Restarts
from tests.train.tiny import stage2

CPU = torch.device("cpu")


def test_the_guard_keeps_the_first_failure():
    guard, one = Guard(CPU), torch.ones(())
    guard.look("a", 3, ["x", "y"], torch.tensor([1.0, 2.0]), one)
    guard.check()
    guard.look("a", 4, ["x", "y"], torch.tensor([1.0, torch.nan]), one)
    guard.look("a", 5, ["x", "y"], torch.tensor([torch.inf, 2.0]), one)
    guard.look("b", 5, ["z"], torch.tensor([torch.inf]), one)
    with pytest.raises(NotFinite, match="loss term 'y' is nan at step 4") as caught:
        guard.check()
    assert (caught.value.step, caught.value.phase) == (4, "a")


def test_a_failure_before_a_term_joins_is_not_forgotten():
    guard, one = Guard(CPU), torch.ones(())
    guard.look("a", 3, ["x"], torch.tensor([torch.nan]), one)
    guard.look("a", 4, ["x", "y"], torch.tensor([torch.inf, 2.0]), one)
    guard.look("a", 5, ["x"], torch.tensor([1.0]), one)
    with pytest.raises(NotFinite, match="loss term 'x' is nan at step 3") as caught:
        guard.check()
    assert (caught.value.step, caught.value.phase) == (3, "a")


def test_a_fused_optimiser_changes_nothing_once_the_guard_has_failed():
    """CUDA relies on it between two checks; the CPU has the same fused Adam."""
    weight, guard = nn.Parameter(torch.ones(3)), Guard(CPU)
    optimiser = torch.optim.Adam([weight], lr=0.1, fused=True)
    optimiser.found_inf = guard.failed
    seen = []
    for step, value in enumerate([1.0, torch.nan, 1.0]):
        weight.grad = torch.full((3,), value)
        guard.look("a", step, ["x"], torch.ones(1), weight.grad.norm())
        optimiser.step()
        seen.append(weight.detach().clone())
    assert not torch.equal(seen[0], torch.ones(3))
    assert torch.equal(seen[1], seen[0]) and torch.equal(seen[2], seen[0])


def test_a_failed_step_is_dumped_with_the_whole_batch(tiny_scene, tmp_path, monkeypatch):
    cut = PatchStream.cut

    def poisoned(self, number, out):
        cut(self, number, out)
        if number == 9:  # of step 2, batch 4
            out.truth[0, 0, 0] = torch.nan

    monkeypatch.setattr(PatchStream, "cut", poisoned)
    with pytest.raises(TrainingFailed, match=r"term 'reconstruction' is nan at step 2\..*bench replay .*step-2\.pt"):
        stage2(tiny_scene, tmp_path, accumulate=2)
    found = read_dump(tmp_path / "failed-step-2.pt")
    assert (found["step"], found["phase"], found["processes"]) == (2, "network", 1)
    assert found["batch"]["frames"].shape == (4, 3, 32, 32, 3) and found["batch"]["frames"].dtype == torch.uint16
    assert [bool(truth.isfinite().all()) for truth in found["batch"]["truth"]] == [True, False, True, True]
    assert all(value.isfinite().all() for value in found["networks"]["network"].values())


def test_other_files_are_not_replayed(tmp_path):
    with pytest.raises(UsageError, match="doesn't exist"):
        read_dump(tmp_path / "failed-step-1.pt")
    Checkpoint(tmp_path).save({"step": 1})
    with pytest.raises(UsageError, match="isn't the dump of a failed step"):
        read_dump(tmp_path / "last.pt")


def test_a_training_whose_time_is_up_goes_on_to_the_same_bits(tiny_scene, tmp_path, monkeypatch):
    import tests.train.tiny as tiny

    whole, curve = stage2(tiny_scene, tmp_path / "whole", steps=3)
    fit = tiny.fit
    late = RunOptions(deadline=time.monotonic(), again="python -m bench train x")
    monkeypatch.setattr(tiny, "fit", lambda *given, **words: fit(*given, **words, options=late))
    with pytest.raises(TrainingPaused, match=r"after step 1 of 3, because its time is up.*: python -m bench train x"):
        stage2(tiny_scene, tmp_path / "cut", steps=3)
    monkeypatch.setattr(tiny, "fit", fit)
    resumed, other = stage2(tiny_scene, tmp_path / "cut", steps=3)
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items()) and curve == other
    assert TrainingPaused.exit_code not in (0, 1, 2, 130)


def test_sigterm_is_heard_and_the_handler_put_back():
    before = signal.getsignal(signal.SIGTERM)
    with StopSignal(None) as stop:
        assert not stop.due()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.due() and "SIGTERM" in stop.reason()
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_average_by_hand():
    layer = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        ema = EMA(layer, 0.5)
        layer.weight.fill_(3.0)
        ema.update(0)  # decay (1 + 0) / (10 + 0)
        assert float(ema.values["weight"]) == pytest.approx(0.1 * 1 + 0.9 * 3)
        ema.update(1000)  # decay 0.5
        assert float(ema.values["weight"]) == pytest.approx(0.5 * 2.8 + 0.5 * 3)
        layer.weight.fill_(7.0)
        ema.forget(layer.weight, torch.tensor([True]))
        ema.apply()
    assert float(layer.weight.detach()) == 7.0


def test_the_moments_of_rows_are_forgotten():
    weight = nn.Parameter(torch.ones(2, 3))
    optimiser = torch.optim.Adam([weight])
    forget_moments(optimiser, weight, torch.tensor([True, False]))  # nothing remembered yet
    weight.grad = torch.ones(2, 3)
    optimiser.step()
    forget_moments(optimiser, weight, torch.tensor([True, False]))
    state = optimiser.state[weight]
    for name in ("exp_avg", "exp_avg_sq"):
        assert not state[name][0].any() and state[name][1].all()


def test_dead_codes_are_refilled_by_kinds_that_may_use_them():
    book = Codebook(16, 2, "olc")
    restarts, features = Restarts(book, 2, 1, 0), torch.full((2, 2, 2, 2), 5.0)
    restarts.count(torch.tensor([[[0, 15]]]))
    restarts.add_up(lambda tensor: tensor)
    before = book.weight.detach().clone()
    restarts.mark_dead(1)
    assert restarts.refill(1, torch.tensor([3, 3]), lambda: features) is None  # not due yet
    restarts.mark_dead(2)
    filled = restarts.refill(2, torch.tensor([0, 0]), lambda: features)  # L1: quarters 0 and 1
    allowed = torch.zeros(16, dtype=torch.bool)
    allowed[segment(0, 16, "olc")] = True
    allowed[0] = False  # hit
    assert torch.equal(filled, allowed)
    assert (book.weight[filled] == 5).all() and torch.equal(book.weight[~filled], before[~filled])
    saved = {name: value.clone() for name, value in restarts.state().items()}
    resumed = Restarts(book, 2, 1, 0)
    resumed.load_state(saved)
    late = resumed.refill(3, torch.tensor([2, 2]), lambda: features + 1)  # L3: quarters 2 and 3, all but code 15
    assert late.nonzero().flatten().tolist() == list(range(8, 15))
    assert resumed.refill(4, torch.tensor([3, 3]), lambda: features) is None  # nobody waits any more


def test_codes_are_refilled_from_the_images_of_a_batch_that_may_use_them():
    book = Codebook(16, 2, "olc")
    restarts = Restarts(book, 1, 1, 0)
    restarts.mark_dead(1)
    images = torch.stack([torch.full((2, 2, 2), 1.0), torch.full((2, 2, 2), 3.0)])
    filled = restarts.refill(1, torch.tensor([0, 2]), lambda: images)  # L1 and L3
    assert filled.all()
    assert (book.weight[:8] == 1).all() and (book.weight[8:] == 3).all()


def test_slices_of_channels_last_frames_are_channels_last():
    frames = torch.rand(2, 3, 6, 4, 5)
    made = channels_last(frames)
    assert torch.equal(made, frames)
    assert all(made[:, i].is_contiguous(memory_format=torch.channels_last) for i in range(3))


def test_a_batch_on_the_device_is_what_networks_take(tiny_scene):
    batch = PatchStream([tiny_scene], size=16, stride=8, augment=False, seed=0).__getitems__([0, 1])
    frames, truth = to_inputs([torch.from_numpy(part) for part in batch], CPU)
    assert frames.shape == (2, 3, 6, 16, 16) and truth.shape == (2, 3, 16, 16) and truth.is_contiguous()


def test_operations_are_counted_for_each_kind_of_step():
    layer, meter = nn.Linear(4, 5, bias=False), Meter(CPU, peak=1e12)
    for terms, rows in ((["a"], 2), (["a"], 2), (["a", "b"], 3), (["a", "b"], 3)):
        with meter.step():
            layer(torch.rand(rows, 4)).sum().backward()
        meter.see(terms)
    # Forward and the weight's gradient, 2 x 4 x 5 operations a row each; the third step counts as the second did,
    # the change of its terms is seen after it.
    assert meter.flops == 80 * (2 + 2 + 2 + 3)
    timing = meter.read(4, 8, 1)
    assert timing["steps"] == 4 and timing["mfu"] is not None and timing["peak_memory_mb"] > 10
