"""Calibrate: time some steps of a training on random data, so that hours on this machine needn't be guessed."""

import time
from collections.abc import Sequence

import torch
from torch import nn

from bench.core.optimisation import Optimisation
from bench.stages.training import training
from bench.train.failure import Guard
from bench.train.learner import Learner
from bench.train.loop import channels_last
from bench.train.parallel import ALONE
from bench.train.step import TrainStep, make_optimisers

WARM_UP = 5
"""Steps before the clock starts: kernels are chosen and compiled in them."""


def seconds_per_step(
    learner: Learner,
    tools: Sequence[nn.Module],
    settings: Optimisation,
    *,
    size: int,
    device: torch.device,
    precision: str,
    steps: int = 20,
) -> float:
    """Return the seconds that a step takes with the training loop's own stepper, patches of `size` at hand.

    The steps are the training's last, so that all parts of the loss have joined. Cutting patches isn't in it.
    """
    for module in (*learner.networks.values(), *tools):
        training.to_device(module, device)
    guard = Guard(device)
    optimisers = make_optimisers(learner, settings, guard, device)
    if settings.compile and device.type == "cuda":
        learner.compile(settings.compile_mode)
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16" and device.type == "cuda")
    step = TrainStep(learner, settings, optimisers, ALONE, guard, None, autocast, waits=device.type != "cuda")
    frames = channels_last(torch.rand(settings.batch, 3, 6, size, size, device=device))
    truth = torch.rand(settings.batch, 3, size, size, device=device)
    start = 0.0
    for index in range(WARM_UP + steps):
        if index == WARM_UP:
            wait(device)
            start = time.monotonic()
        step(frames, truth, max(settings.steps - WARM_UP - steps + index, 0))
    wait(device)
    return (time.monotonic() - start) / steps


def wait(device: torch.device) -> None:
    """Wait until a GPU has done all that was launched; on a CPU nothing is ever pending."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
