"""Exponential moving average of weights."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class EMA:
    """The average of a network's trainable parameters over the steps; buffers aren't averaged.

    The decay rises as (1 + step) / (10 + step) to its limit, so that a short run doesn't average its initial weights.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        """Start from the present weights."""
        self.parameters = {name: p for name, p in network.named_parameters() if p.requires_grad}
        self.decay = decay
        self.values = {name: p.detach().clone() for name, p in self.parameters.items()}

    @torch.no_grad()
    def follow(self, step: int) -> None:
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


def forget_moments(optimiser: torch.optim.Optimizer, parameter: nn.Parameter, rows: Tensor) -> None:
    """Zero Adam's moments of some rows, (R,) bool, of a parameter, without waiting for the device."""
    for name in ("exp_avg", "exp_avg_sq"):
        if name in optimiser.state.get(parameter, {}):
            optimiser.state[parameter][name].masked_fill_(_column(rows, parameter), 0)


def _column(rows: Tensor, parameter: Tensor) -> Tensor:
    return rows.view(-1, *[1] * (parameter.ndim - 1))
