"""What the training loop asks of whatever it trains."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from torch import Tensor, nn


class Learner(Protocol):
    """What the loop trains. A phase is one optimiser step; most learners have one, adversarial ones two.

    In each step the loop calls `prepare` once with this process's share of the batch, then for each phase `losses` on
    each of the parts that the share is split into, one after another (`accumulate`), and `updated`.
    `samples` says which positions of the whole batch, over all processes, the tensors hold.
    """

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """What a phase updates, by the phase's name, in the order of the phases; the first is what training makes."""

    @property
    def lrs(self) -> Mapping[str, float]:
        """Peak learning rate of each phase."""

    def prepare(
        self, frames: Tensor, truth: Tensor, step: int, samples: slice
    ) -> Sequence[tuple[nn.Parameter, Tensor]]:
        """See this process's share before the phases; frames (B, N, 6, H, W), truth (B, 3, H, W).

        Returns the parameters that it overwrote, each with a bool mask of the rows: what the optimiser remembers of
        these rows is forgotten.
        """

    def losses(self, phase: str, frames: Tensor, truth: Tensor, step: int, samples: slice) -> dict[str, Tensor]:
        """Return the weighted loss terms of a phase, means over the samples; none: the phase is left out."""

    def updated(self, phase: str) -> None:
        """Hear that the optimiser has just changed what this phase trains; the gradients are still there."""

    def observe(self, step: int) -> dict[str, float]:
        """Return measurements that join the learning curve after `step` steps."""

    def state(self) -> dict[str, Tensor]:
        """Return what a checkpoint must hold besides networks and optimisers; equal in all processes."""

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state` returned."""

    def compile(self, mode: str) -> None:
        """Compile what is worth it, in a mode of torch.compile; called before training on CUDA where asked for."""
