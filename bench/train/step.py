"""One step of a training: prepare, then for each phase the losses of all parts, one mean gradient, one update."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.core.optimisation import Optimisation
from bench.train.averaging import EMA, forget_moments
from bench.train.failure import Guard
from bench.train.learner import Learner
from bench.train.parallel import Group
from bench.train.schedule import lr_at

Optimisers = dict[str, torch.optim.Adam]


@dataclass
class TrainStep:
    """What a step needs besides its batch. `waits` checks each phase at once; else the guard is asked later."""

    learner: Learner
    settings: Optimisation
    optimisers: Optimisers
    group: Group
    guard: Guard
    ema: EMA | None
    autocast: AbstractContextManager[object]
    waits: bool = True

    def __call__(self, frames: Tensor, truth: Tensor, step: int) -> dict[str, Tensor]:
        """Take step `step` (0, 1, ...) on this process's share; returns each term's mean over the whole batch."""
        samples, terms = self.group.samples(self.settings.batch), dict[str, Tensor]()
        only(trained(self.optimisers))
        with self.autocast:
            overwritten = self.learner.prepare(frames, truth, step, samples)
        for parameter, rows in overwritten:
            for optimiser in self.optimisers.values():
                forget_moments(optimiser, parameter, rows)
            if self.ema:
                self.ema.forget(parameter, rows)
        for phase in self.optimisers:
            terms |= self._phase(phase, frames, truth, step, samples.start)
        if self.ema:
            self.ema.follow(step)
        return terms

    def _phase(self, phase: str, frames: Tensor, truth: Tensor, step: int, start: int) -> dict[str, Tensor]:
        optimiser = self.optimisers[phase]
        only(trained(self.optimisers), phase)
        optimiser.zero_grad(set_to_none=True)
        terms = self._backward(phase, frames, truth, step, start)
        if not terms:
            return {}
        values, parameters = torch.stack(list(terms.values())), optimiser.param_groups[0]["params"]
        gradients = [p.grad for p in parameters if p.grad is not None]
        # The terms travel with the gradients, so that all processes see a failure of one.
        self.group.mean([*gradients, values])
        norm = nn.utils.get_total_norm(gradients)
        self.guard.look(phase, step, list(terms), values, norm)
        if self.waits:
            self.guard.check()
        if self.settings.clip is not None:
            nn.utils.clip_grads_with_norm_(parameters, self.settings.clip, norm)
        optimiser.param_groups[0]["lr"] = lr_at(self.settings, self.learner.lrs[phase], step)
        optimiser.step()
        self.learner.updated(phase)
        return dict(zip(terms, values, strict=True))

    def _backward(self, phase: str, frames: Tensor, truth: Tensor, step: int, start: int) -> dict[str, Tensor]:
        """Add up the gradients of equal parts of the share, in order; returns each term's mean over the parts."""
        parts, size, sums = self.settings.accumulate, len(frames) // self.settings.accumulate, dict[str, Tensor]()
        for part in range(parts):
            own = slice(part * size, (part + 1) * size)
            with self.autocast:
                samples = slice(start + own.start, start + own.stop)
                terms = self.learner.losses(phase, frames[own], truth[own], step, samples)
            if not terms:
                return {}
            torch.autograd.backward(torch.stack(list(terms.values())).sum() / parts)
            for name, term in terms.items():
                value = term.detach().float() / parts
                sums[name] = sums[name] + value if name in sums else value
        return sums


def make_optimisers(learner: Learner, settings: Optimisation, guard: Guard, device: torch.device) -> Optimisers:
    """Make a fused Adam for each phase: one pass over a parameter, where the plain loop takes a dozen.

    On CUDA it obeys the guard: once a step has failed, no weight changes any more.
    """
    optimisers = {}
    for phase, network in learner.networks.items():
        parameters = [p for p in network.parameters() if p.requires_grad]
        optimisers[phase] = torch.optim.Adam(parameters, lr=learner.lrs[phase], betas=settings.betas, fused=True)
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
