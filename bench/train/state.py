"""Where a training stands, and its way to a checkpoint and back."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from bench.core import progress
from bench.core.optimisation import Optimisation
from bench.train.averaging import EMA
from bench.train.checkpoint import Checkpoint
from bench.train.learner import Learner


@dataclass
class TrainState:
    """Steps done, the curve so far, and each term's sum (on the device, float64) and count since its last row."""

    step: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    sums: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def record(self, terms: Mapping[str, Tensor]) -> None:
        """Add the terms of a step, without waiting for the device."""
        for name, term in terms.items():
            value = term.detach().double()
            self.sums[name] = self.sums[name] + value if name in self.sums else value
            self.counts[name] = self.counts.get(name, 0) + 1

    def advance(self, settings: Optimisation) -> bool:
        """Count a step; returns whether it ended a row of the curve."""
        self.step += 1
        ended = self.step % settings.log_every == 0 or self.step == settings.steps
        if ended:
            means = {name: float(total) / self.counts[name] for name, total in self.sums.items()}
            self.curve.append({"step": float(self.step)} | means)
            self.sums, self.counts = {}, {}
        return ended


def save(
    checkpoint: Checkpoint,
    standing: TrainState,
    learner: Learner,
    optimisers: Mapping[str, torch.optim.Adam],
    ema: EMA | None,
) -> None:
    """Write everything that decides the rest of the training; the patches are a function of the step."""
    checkpoint.save(
        {
            "state": {
                "step": standing.step,
                "curve": standing.curve,
                "sums": {name: float(total) for name, total in standing.sums.items()},
                "counts": standing.counts,
            },
            "networks": {name: network.state_dict() for name, network in learner.networks.items()},
            "optimisers": {name: optimiser.state_dict() for name, optimiser in optimisers.items()},
            "learner": learner.state(),
            "average": ema.values if ema else {},
            "random": [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [])],
        }
    )


def restore(
    checkpoint: Checkpoint,
    learner: Learner,
    optimisers: Mapping[str, torch.optim.Adam],
    ema: EMA | None,
    device: torch.device,
    label: str,
) -> TrainState:
    """Go back to the last checkpoint, or to the start if there is none."""
    saved: dict[str, Any] | None = checkpoint.load()
    if saved is None:
        return TrainState()
    for name, network in learner.networks.items():
        network.load_state_dict(saved["networks"][name])
        optimisers[name].load_state_dict(saved["optimisers"][name])
    learner.load_state({name: value.to(device) for name, value in saved["learner"].items()})
    if ema:
        ema.load(saved["average"])
    torch.set_rng_state(saved["random"][0])
    if device.type == "cuda" and len(saved["random"]) == 1 + torch.cuda.device_count():
        torch.cuda.set_rng_state_all(saved["random"][1:])
    state = saved["state"]
    sums = {name: torch.tensor(total, dtype=torch.float64, device=device) for name, total in state["sums"].items()}
    standing = TrainState(state["step"], state["curve"], sums, state["counts"])
    if not progress.quiet:
        print(f"{label}: goes on after step {standing.step}", file=sys.stderr, flush=True)
    return standing
