"""The interface between the training loop and what it trains, and the learner of every HDR network."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from bench.core.optimisation import Stage2
from bench.nn.losses import Fidelity
from bench.nn.vgg import VggFeatures


class Learner(Protocol):
    """Networks in training. A phase is one optimiser step; most learners have one, adversarial ones two.

    In each step the loop calls `prepare` once with this process's share of the batch, then for each phase `losses` on
    each of the parts that the share is split into, one after another (`accumulate`), and `updated`.
    `samples` says which positions of the whole batch, over all processes, the tensors hold.
    """

    networks: Mapping[str, nn.Module]
    """The network of each phase, in the order of the phases; the first is what training makes."""

    def prepare(
        self, frames: Tensor, truth: Tensor, step: int, samples: slice
    ) -> Sequence[tuple[nn.Parameter, Tensor]]:
        """See this process's share before the phases; frames (B, N, 6, H, W), truth (B, 3, H, W).

        Returns the parameters that it overwrote, each with a bool mask of the rows: what the optimiser remembers of
        these rows is forgotten.
        """
        return []

    def losses(self, phase: str, frames: Tensor, truth: Tensor, step: int, samples: slice) -> dict[str, Tensor]:
        """Return the weighted loss terms of a phase, means over the samples; none: the phase is left out."""

    def updated(self, phase: str) -> None:
        """Called after `phase`'s optimiser step; gradients are still populated."""
        return

    def observe(self, step: int) -> dict[str, float]:
        """Return measurements that join the learning curve after `step` steps."""
        return {}

    def state(self) -> dict[str, Tensor]:
        """Return what a checkpoint must hold besides networks and optimisers; equal in all processes."""
        return {}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state` returned."""
        return

    def compile(self, mode: str) -> None:
        """Compile what is worth it, in a mode of torch.compile, for one size; called before training on CUDA."""


class HdrLearner(Learner):
    """One network, one phase, the losses the network asks for; all state is in the network."""

    def __init__(
        self,
        network: nn.Module,
        settings: Stage2,
        features: VggFeatures | None,
        *,
        as_published: bool = False,
        held_out: Callable[[], dict[str, float]] = dict,
    ) -> None:
        """`features` is the perceptual backbone, or None.

        as_published : take the network's `published_losses`, where it has them, in place of its `losses`.
        held_out     : measures the network on held-out images, every `observe_every` steps.
        """
        self.held_out = held_out
        self.network = network
        self.networks = {"network": network}
        self.fidelity = Fidelity(features, settings.weight_perceptual)
        self.weights: Mapping[str, float] = {"mapping": settings.weight_mapping}
        self.name = "published_losses" if as_published and hasattr(network, "published_losses") else "losses"

    def losses(self, phase: str, frames: Tensor, truth: Tensor, step: int, samples: slice) -> dict[str, Tensor]:
        """Return the weighted terms of frames (B, N, 6, H, W) and truth (B, 3, H, W)."""
        terms: dict[str, Tensor] = getattr(self.network, self.name)(frames, truth, self.fidelity, self.weights)
        return terms

    def observe(self, step: int) -> dict[str, float]:
        """Measure the network on held-out images."""
        return self.held_out()

    def compile(self, mode: str) -> None:
        """Compile what the losses call: the network's `trace` or `images` where it has one, else its `forward`."""
        for name in ("trace", "images"):  # which `forward` calls too
            if hasattr(self.network, name):
                self.network.__dict__[name] = torch.compile(getattr(self.network, name), mode=mode, dynamic=False)
                return
        self.network.compile(mode=mode, dynamic=False)
