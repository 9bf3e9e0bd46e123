"""Adam for each phase of a training, and the average of its weights over the steps."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from bench.core.optimisation import Optimisation
from bench.train.failure import Guard
from bench.train.learner import Learner

Optimisers = dict[str, torch.optim.Adam]


def make_optimisers(learner: Learner, settings: Optimisation, guard: Guard, device: torch.device) -> Optimisers:
    """Make a fused Adam for each phase; the loop sets its learning rate in every step.

    On CUDA it obeys the guard: once a step has failed, no weight changes any more.
    """
    optimisers = {}
    for phase, network in learner.networks.items():
        parameters = [p for p in network.parameters() if p.requires_grad]
        # Fused: one pass over a parameter, where the plain loop takes a dozen.
        optimisers[phase] = torch.optim.Adam(parameters, betas=settings.betas, fused=True)
        if device.type == "cuda":
            optimisers[phase].found_inf = guard.failed  # type: ignore[attr-defined]  # read by step, as GradScaler's
    return optimisers


def trained(optimisers: Optimisers) -> dict[str, list[nn.Parameter]]:
    """Return the parameters of each phase."""
    return {name: optimiser.param_groups[0]["params"] for name, optimiser in optimisers.items()}


def only(parameters: Mapping[str, Iterable[nn.Parameter]], *phases: str) -> None:
    """Let gradients reach the parameters of these phases and no others; what is frozen stays frozen."""
    for name, own in parameters.items():
        for parameter in own:
            parameter.requires_grad_(name in phases)


def forget_moments(optimiser: torch.optim.Optimizer, parameter: nn.Parameter, rows: Tensor) -> None:
    """Zero Adam's moments of some rows, (R,) bool, of a parameter, without waiting for the device."""
    for name in ("exp_avg", "exp_avg_sq"):
        if name in optimiser.state.get(parameter, {}):
            optimiser.state[parameter][name].masked_fill_(_column(rows, parameter), 0)


class EMA:
    """Exponential moving average of a network's trainable parameters over the steps; buffers aren't averaged.

    The decay rises as (1 + step) / (10 + step) to its limit, so that a short run doesn't average its initial weights.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        """Start from the present weights."""
        self.parameters = {name: p for name, p in network.named_parameters() if p.requires_grad}
        self.decay = decay
        self.values = {name: p.detach().clone() for name, p in self.parameters.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights that step 0, 1, ... ended with."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        for name, parameter in self.parameters.items():
            self.values[name].lerp_(parameter, share)

    @torch.no_grad()
    def forget(self, parameter: nn.Parameter, rows: Tensor) -> None:
        """Start afresh from the present values of some rows, (R,) bool, that something else than a step has set."""
        for name, own in self.parameters.items():
            if own is parameter:
                self.values[name].copy_(torch.where(_column(rows, parameter), parameter, self.values[name]))

    @torch.no_grad()
    def apply(self) -> None:
        """Put the average into the network."""
        for name, parameter in self.parameters.items():
            parameter.copy_(self.values[name])

    def load(self, values: Mapping[str, Tensor]) -> None:
        """Take saved values back."""
        for name, value in values.items():
            self.values[name].copy_(value)


def _column(rows: Tensor, parameter: Tensor) -> Tensor:
    return rows.view(-1, *[1] * (parameter.ndim - 1))
