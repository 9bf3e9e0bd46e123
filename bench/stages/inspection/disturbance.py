"""Disturb the parts of a trained network, one at a time, and measure how its results change."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.core import layout
from bench.core.params import Params
from bench.core.runs import registration
from bench.core.seeding import derive
from bench.metrics import psnr_mu
from bench.metrics.usage import histogram, perplexity
from bench.stages.training import networks
from bench.stages.training.observation import held_out, tensors
from methods.olc.network import OLCNet


@torch.no_grad()
def inspect_network(params: Params, run: str, device: torch.device) -> dict[str, Any]:
    """Return as JSON values what the network of `run` gives on the test scenes, intact and with a part disturbed."""
    network = networks.read(params, run).to(device)
    assert isinstance(network, OLCNet) and network.vqgan is not None
    entry = params.runs_with_codebook[run]
    scenes = held_out(params, entry.trainset, registration=registration(params, params.variants[entry.variant]))
    images = [(frames.to(device), truth.to(device)) for frames, truth in map(tensors, scenes)]
    intact = [network.trace(frames) for frames, _ in images]
    indices = np.concatenate([p.indices.cpu().numpy().reshape(-1) for p in intact if p.indices is not None])
    encoded = np.concatenate(
        [network.vqgan.codebook(network.vqgan.encode(truth)).indices.cpu().numpy().reshape(-1) for _, truth in images]
    )
    size = network.vqgan.codebook.size
    curve = layout.need(params, layout.curve(params, run), f"train {run}").read_text(encoding="utf-8").splitlines()
    column = curve[0].split(",").index("mapping")
    return {
        "run": run,
        "codes": size,
        "vectors": int(indices.size),
        "psnr-mu": _mean_psnr([p.radiance for p in intact], images),
        "psnr-mu-permuted-features": _mean_psnr(_permuted_features(network, images), images),
        "fsm-permuted-change": _permuted_frames(network, images, [p.radiance for p in intact]),
        "mapping-loss-first": float(curve[1].split(",")[column]),
        "mapping-loss-last": float(curve[-1].split(",")[column]),
        "prediction-perplexity": perplexity(histogram(indices, size)),
        "hdr-perplexity": perplexity(histogram(encoded, size)),
    }


def _mean_psnr(radiances: list[Tensor], images: list[tuple[Tensor, Tensor]]) -> float:
    """Return the mean PSNR-mu in dB over images padded to multiples of 8."""
    pairs = zip(radiances, images, strict=True)
    return float(np.mean([float(psnr_mu(r[0].cpu(), truth[0].cpu())) for r, (_, truth) in pairs]))


def _permuted_features(network: OLCNet, images: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """Predict with F_vq shuffled over space: the values stay, their places change."""
    stream = torch.Generator().manual_seed(derive(0, "permuted features"))

    def shuffle(maps: list[Tensor]) -> list[Tensor]:
        shuffled = []
        for features in maps:
            flat = features.flatten(2)
            order = torch.randperm(flat.shape[-1], generator=stream).to(flat.device)
            shuffled.append(flat[..., order].view_as(features))
        return shuffled

    network.probe = shuffle
    radiances = [network(frames) for frames, _ in images]
    network.probe = list
    return radiances


def _permuted_frames(network: OLCNet, images: list[tuple[Tensor, Tensor]], intact: list[Tensor]) -> float:
    """Return the largest change of the radiance when every FSM gives each frame the weight of the next."""
    modules = [module for module in network.modules() if hasattr(module, "order")]
    for module in modules:
        module.order = [1, 2, 0]  # type: ignore[assignment]
    changed = [network(frames) for frames, _ in images]
    for module in modules:
        module.order = [0, 1, 2]  # type: ignore[assignment]
    return max(float((a - b).abs().max()) for a, b in zip(changed, intact, strict=True))
