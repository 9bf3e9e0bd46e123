"""Inspect: what a codebook holds and how it is used; whether the parts of a network do their work."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.core.errors import unknown_name
from bench.core.params import Params
from bench.core.scene import Scene
from bench.core.seeding import derive
from bench.io.files import write_bytes_atomic, write_json_atomic
from bench.io.npz import to_npz
from bench.metrics import codebook as use
from bench.metrics.fidelity import psnr_linear, psnr_mu
from bench.nn.frames import scene_input
from bench.nn.tiling import pad_reflect
from bench.stages import codebook, layout, networks, training
from methods.olc.codebook import KINDS, segment
from methods.olc.network import OLCNet
from methods.olc.stage1 import image_of_kind
from methods.olc.vqgan import VQGAN

ATLAS_CELLS = 4
"""A code is decoded as a patch of as many equal vectors a side, to see it without the border's effect."""


def run(params: Params, name: str) -> None:
    """Inspect codebook `name`, or network `name` (a run with a codebook) where it starts with "network-"."""
    training.start(params)
    if name.startswith("network-") and (run := name.removeprefix("network-")) in params.vq_runs:
        facts = inspect_network(params, run)
        write_json_atomic(layout.inspection(params, name), facts)
        print("\n".join(f"{fact}: {value}" for fact, value in facts.items()))
    elif name in params.codebooks:
        _tell(inspect_codebook(params, name))
    else:
        raise unknown_name("inspection", name, [*params.codebooks, *(f"network-{run}" for run in params.vq_runs)])


def test_scenes(params: Params, dataset: str) -> list[Scene]:
    """Return the held-out scenes with truth, in the order of their names."""
    return [scene for scene in training.read_split(params, dataset, "test") if scene.radiance is not None]


def tensors(scene: Scene) -> tuple[Tensor, Tensor]:
    """Return frames (1, N, 6, H, W) and truth (1, 3, H, W) of a scene, padded to multiples of 8."""
    frames = scene_input(scene)
    truth = torch.from_numpy(np.array(scene.radiance)).permute(2, 0, 1)[None, None]
    return pad_reflect(frames, 8), pad_reflect(truth, 8)[:, 0]


@torch.no_grad()
def inspect_codebook(params: Params, name: str) -> dict[str, Any]:
    """Write statistics of each image kind and quarter (JSON; returned), and histograms, codes and atlas (NPZ)."""
    vqgan = codebook.build(params, name).eval()
    networks.fill(params, vqgan, layout.codebook(params, name), f"codebook {name}")
    entry, images = params.codebooks[name], [tensors(s) for s in test_scenes(params, params.codebooks[name].trainset)]
    kinds: dict[str, Any] = {}
    histograms: list[Any] = []
    for kind, label in enumerate(KINDS):
        statistics, counts = _use_by_kind(vqgan, images, kind)
        kinds[label], histograms = statistics, [*histograms, counts]
    quarters = [
        {"used": use.used_share(part), "hits": float(part.sum() / histograms[3].sum())}
        for part in use.quarters(histograms[3])
    ]
    facts: dict[str, Any] = {
        "codebook": name, "segments": entry.segments, "codes": entry.codes, "images": len(images),
        "vectors": int(histograms[3].sum()), "kinds": kinds, "quarters": quarters,
    }  # fmt: skip
    arrays = {
        "histograms": np.stack(histograms),
        "codes": vqgan.codebook.weight.numpy(),
        "atlas": _atlas(vqgan),
    }
    path = layout.inspection(params, name)
    write_bytes_atomic(path.with_suffix(".npz"), to_npz(arrays))
    write_json_atomic(path, facts)
    return facts


def _tell(facts: dict[str, Any]) -> None:
    """Print what was found of a codebook, one line for each image kind."""
    print(f"{facts['codebook']}: {facts['images']} images, {facts['vectors']} vectors of each kind")
    for label, found in facts["kinds"].items():
        shown = {fact: found[fact] for fact in ("used", "perplexity", "quantisation_error", "psnr-mu", "psnr-l")}
        print(f"{label}: " + ", ".join(f"{fact} {value:.4g}" for fact, value in shown.items()))


def _use_by_kind(vqgan: VQGAN, images: list[tuple[Tensor, Tensor]], kind: int) -> tuple[dict[str, Any], Any]:
    """Statistics of one image kind over the held-out images, and its counts (K,)."""
    indices, errors, mu, linear = [], [], [], []
    for frames, truth in images:
        image = image_of_kind(frames, truth, kind)
        result = vqgan(image, kind)
        indices.append(result.quantised.indices.numpy().reshape(-1))
        errors.append(float((result.features - result.quantised.codes).square().mean()))
        pair = (result.radiance[0].permute(1, 2, 0), image[0].permute(1, 2, 0))
        mu.append(psnr_mu(*pair))
        linear.append(psnr_linear(*pair))
    every, size = np.concatenate(indices), vqgan.codebook.size
    statistics = use.statistics(every, size, float(np.mean(errors)))
    part = segment(kind, size, vqgan.codebook.layout)
    facts = {
        "used": statistics.used, "perplexity": statistics.perplexity, "samples": statistics.samples,
        "quantisation_error": statistics.quantisation_error, "quarters": list(statistics.quarter_shares),
        "quarters_used": list(statistics.quarter_used), "allowed": part.stop - part.start,
        "psnr-mu": float(np.mean(mu)), "psnr-l": float(np.mean(linear)),
    }  # fmt: skip
    return facts, use.histogram(every, size)


def _atlas(vqgan: VQGAN) -> Any:
    """Decode every code alone: the centre of a flat patch of it, (K, 16, 16, 3) float32 linear radiance."""
    codes = vqgan.codebook.weight[:, :, None, None].expand(-1, -1, ATLAS_CELLS, ATLAS_CELLS)
    decoded = torch.cat([vqgan.decoder(part) for part in torch.split(codes, 64)])
    edge = ATLAS_CELLS * 8
    centre = decoded[..., edge // 4 : -edge // 4, edge // 4 : -edge // 4]
    return centre.permute(0, 2, 3, 1).contiguous().numpy()


@torch.no_grad()
def inspect_network(params: Params, run: str) -> dict[str, Any]:
    """Measure on the test scenes what happens to run `run` when one of its parts is disturbed."""
    network = networks.read(params, run)
    assert isinstance(network, OLCNet) and network.vqgan is not None
    images = [tensors(scene) for scene in test_scenes(params, params.vq_runs[run].trainset)]
    intact = [network.trace(frames) for frames, _ in images]
    indices = np.concatenate([p.indices.numpy().reshape(-1) for p in intact if p.indices is not None])
    encoded = np.concatenate(
        [network.vqgan.codebook(network.vqgan.encode(truth)).indices.numpy().reshape(-1) for _, truth in images]
    )
    size = network.vqgan.codebook.size
    mapping = _mapping_curve(params, run)
    return {
        "run": run,
        "codes": size,
        "vectors": int(indices.size),
        "psnr-mu": _mean_psnr([p.radiance for p in intact], images),
        "psnr-mu-permuted-features": _mean_psnr(_permuted_features(network, images), images),
        "fsm-permuted-change": _permuted_frames(network, images, [p.radiance for p in intact]),
        "mapping-loss-first": mapping[0],
        "mapping-loss-last": mapping[-1],
        "prediction-perplexity": use.perplexity(use.histogram(indices, size)),
        "hdr-perplexity": use.perplexity(use.histogram(encoded, size)),
    }


def _mean_psnr(radiances: list[Tensor], images: list[tuple[Tensor, Tensor]]) -> float:
    """Mean PSNR-mu in dB over images padded to multiples of 8."""
    pairs = zip(radiances, images, strict=True)
    return float(np.mean([psnr_mu(r[0].permute(1, 2, 0), truth[0].permute(1, 2, 0)) for r, (_, truth) in pairs]))


def _permuted_features(network: OLCNet, images: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """Predict with F_vq shuffled over space: its values stay, its places are wrong."""
    stream = torch.Generator().manual_seed(derive(0, "permuted features"))

    def shuffle(maps: list[Tensor]) -> list[Tensor]:
        shuffled = []
        for features in maps:
            flat = features.flatten(2)
            order = torch.randperm(flat.shape[-1], generator=stream)
            shuffled.append(flat[..., order].view_as(features))
        return shuffled

    network.probe = shuffle
    radiances = [network(frames) for frames, _ in images]
    network.probe = list
    return radiances


def _permuted_frames(network: OLCNet, images: list[tuple[Tensor, Tensor]], intact: list[Tensor]) -> float:
    """Largest change of the radiance when every FSM gives each frame the weight of the next."""
    modules = [module for module in network.modules() if hasattr(module, "order")]
    for module in modules:
        module.order = [1, 2, 0]  # type: ignore[assignment]
    changed = [network(frames) for frames, _ in images]
    for module in modules:
        module.order = [0, 1, 2]  # type: ignore[assignment]
    return max(float((a - b).abs().max()) for a, b in zip(changed, intact, strict=True))


def _mapping_curve(params: Params, run: str) -> list[float]:
    lines = layout.need(params, layout.curve(params, run), f"train {run}").read_text(encoding="utf-8").splitlines()
    column = lines[0].split(",").index("mapping")
    return [float(line.split(",")[column]) for line in lines[1:]]
