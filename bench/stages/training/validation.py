"""An HDR network on validation scenes, at intervals of its training: what recipes are chosen on.

Apart from `bench.stages.training.observation`, which looks at VQGANs: their code would have all networks trained anew.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from bench.color.transfer import mu_law
from bench.core import layout
from bench.core.errors import UsageError
from bench.core.method import MethodCard
from bench.core.optimisation import HELD_OUT
from bench.core.params import VALIDATION, Params
from bench.nn.frames import scene_input
from bench.nn.tiling import predict
from bench.stages.training import inputs


def validation(params: Params, dataset: str) -> list[str]:
    """Return the prepared splits of a dataset that recipes are chosen on: one, or none."""
    splits = [split for split, role in params.splits(dataset).items() if role == VALIDATION]
    return [split for split in splits if layout.scenes(params, dataset, split).exists()]


def network_observer(
    params: Params, dataset: str, network: nn.Module, card: MethodCard, registration: str, every: int
) -> Callable[[], dict[str, float]]:
    """Return what measures an HDR network on all validation scenes of a dataset; nothing if it isn't observed.

    PSNR-mu is the mean over scenes, in dB, of whole pictures as the network makes them, in its evaluation mode. It
    steers nothing: no step, learning rate or stop depends on it. A dataset without such scenes raises UsageError.
    """
    if not every:
        return dict
    splits = validation(params, dataset)
    if not splits:
        raise UsageError(
            f"networks are to be measured every {every} steps, but {dataset} has no scenes for validation. "
            f"Set stage2.observe_every to 0, or datasets.{dataset}.hold_out to how many training scenes it may take."
        )
    scenes = inputs.read_aligned(params, dataset, splits[0], registration)
    inputs.need_bracket("a network", scenes)
    images = [(scene_input(scene), torch.from_numpy(np.array(scene.radiance)).permute(2, 0, 1)) for scene in scenes]

    @torch.no_grad()
    def measured() -> dict[str, float]:
        was_training = network.training
        network.eval()
        device = next(network.parameters()).device
        found = []
        for frames, truth in images:
            made = predict(network, frames.to(device), multiple=card.multiple)[0]
            found.append(psnr(mu_law(made.clamp(0, 1).double()), mu_law(truth.to(device).double())))
        network.train(was_training)
        return {f"{HELD_OUT}psnr-mu": float(np.mean(found))}

    return measured


def psnr(made: Tensor, wanted: Tensor) -> float:
    """Return the PSNR in dB, with peak 1, of two tensors of one shape: for curves; scores are `bench.metrics`'."""
    return float(-10 * torch.log10((made - wanted).square().mean()))
