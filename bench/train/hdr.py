"""The learner of every HDR network."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from bench.core.optimisation import Stage2
from bench.nn.losses import Fidelity
from bench.nn.vgg import VggFeatures

INNER = ("trace", "images")
"""Methods that losses may call in place of a network's `forward`, which calls them too."""


class HdrLearner:
    """One network, one phase, the losses the network asks for."""

    def __init__(
        self, network: nn.Module, settings: Stage2, features: VggFeatures | None, *, as_published: bool = False
    ) -> None:
        """`features` is the perceptual backbone, or None.

        as_published : take the network's `published_losses`, where it has them, in place of its `losses`.
        """
        self.network = network
        self.networks = {"network": network}
        self.lrs = {"network": settings.lr}
        self.fidelity = Fidelity(features, settings.weight_perceptual)
        self.weights: Mapping[str, float] = {"mapping": settings.weight_mapping}
        self.name = "published_losses" if as_published and hasattr(network, "published_losses") else "losses"

    def prepare(self, frames: Tensor, truth: Tensor, step: int, samples: slice) -> list[tuple[nn.Parameter, Tensor]]:
        """Nothing precedes a step."""
        return []

    def losses(self, phase: str, frames: Tensor, truth: Tensor, step: int, samples: slice) -> dict[str, Tensor]:
        """Weighted terms of frames (B, N, 6, H, W) and truth (B, 3, H, W)."""
        terms: dict[str, Tensor] = getattr(self.network, self.name)(frames, truth, self.fidelity, self.weights)
        return terms

    def updated(self, phase: str) -> None:
        """Nothing follows a step."""

    def observe(self, step: int) -> dict[str, float]:
        """Nothing is measured on the way."""
        return {}

    def state(self) -> dict[str, Tensor]:
        """Everything is in the network."""
        return {}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Everything is in the network."""

    def compile(self, mode: str) -> None:
        """Compile what the losses call: the network's `trace` or `images` where it has one, else its `forward`."""
        inner = next((name for name in INNER if hasattr(self.network, name)), None)
        if inner is None:
            self.network.compile(mode=mode)
        else:
            self.network.__dict__[inner] = torch.compile(getattr(self.network, inner), mode=mode)
