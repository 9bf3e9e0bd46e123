"""The learner of every HDR network."""

from collections.abc import Mapping

from torch import Tensor, nn

from bench.core.optimisation import Stage2
from bench.nn.losses import Fidelity
from bench.nn.vgg import VggFeatures


class HdrLearner:
    """One network, one phase, the losses the network asks for."""

    def __init__(self, network: nn.Module, settings: Stage2, features: VggFeatures | None) -> None:
        """`features` is the perceptual backbone, or None."""
        self.network = network
        self.networks = {"network": network}
        self.rates = {"network": settings.rate}
        self.fidelity = Fidelity(features, settings.weight_perceptual)
        self.weights: Mapping[str, float] = {"mapping": settings.weight_mapping}

    def losses(self, phase: str, frames: Tensor, truth: Tensor, step: int) -> dict[str, Tensor]:
        """Weighted terms of frames (B, N, 6, H, W) and truth (B, 3, H, W)."""
        terms: dict[str, Tensor] = self.network.losses(frames, truth, self.fidelity, self.weights)  # type: ignore[operator]
        return terms

    def updated(self, phase: str) -> None:
        """Nothing follows a step."""
