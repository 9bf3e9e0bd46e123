"""Predict: one scene through one method, with or without weights, on whichever device there is."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from bench.core.method import MethodCard
from bench.core.scene import Radiance, Scene
from bench.nn.frames import scene_input
from bench.nn.tiling import predict
from bench.stages import training

Predictor = Callable[[Scene], Radiance]
"""A scene to (H, W, 3) float32, relative linear radiance."""


def predictor(card: MethodCard, network: nn.Module | None, device: torch.device, tile: int = 0) -> Predictor:
    """Return what turns scenes into radiance: `network` (on its way to `device`), or the card's code without weights.

    tile : edge of inference tiles in pixels; 0 takes the whole image at once.
    """
    if network is None:
        return card.predict
    placed = training.place(network, device).eval()

    def run(scene: Scene) -> Radiance:
        frames = scene_input(card.align(scene)).to(device)
        radiance = predict(placed, frames, multiple=card.multiple, tile=tile, overlap=card.overlap)
        return np.asarray(radiance[0].permute(1, 2, 0).float().cpu().numpy())

    return run
