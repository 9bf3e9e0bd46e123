"""Losses that several methods share."""

import torch.nn.functional as F
from torch import Tensor, nn

from bench.color.transfer import mu_law
from bench.nn.vgg import VggFeatures


class Fidelity(nn.Module):
    """L1 in the mu-law domain, plus the L1 of VGG-16 features where a backbone is given."""

    def __init__(
        self, features: VggFeatures | None, weight_perceptual: float, weight_reconstruction: float = 1.0
    ) -> None:
        """Take the weights of both terms; a weight of zero or no backbone drops the perceptual term."""
        super().__init__()
        self.features = features if weight_perceptual > 0 else None
        self.weight_perceptual, self.weight_reconstruction = weight_perceptual, weight_reconstruction

    def forward(self, prediction: Tensor, truth: Tensor) -> dict[str, Tensor]:
        """Compare linear radiance (B, 3, H, W); returns weighted terms by name, in float32.

        The truth is in [0, 1]. Of a prediction without upper bound, such as ReLU's, T isn't clamped at 1: what is
        above 1 would have no gradient there, and so nothing that brings it back.
        """
        encoded, target = mu_law(prediction.float()), mu_law(truth.float())
        terms = {"reconstruction": self.weight_reconstruction * F.l1_loss(encoded, target)}
        if self.features is not None:
            terms["perceptual"] = self.weight_perceptual * self.features.distance(encoded, target)
        return terms
