"""Inspect a codebook (its codes and their use) or a network with one (what its parts contribute)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.core import layout
from bench.core.errors import UsageError, unknown_name
from bench.core.params import Params
from bench.core.scene import IMAGE_KINDS, Scene
from bench.core.seeding import derive
from bench.io.files import to_npz, write_bytes_atomic, write_json_atomic
from bench.metrics import codebook as use
from bench.metrics import overlap
from bench.metrics.combination import by_zone
from bench.metrics.usage import histogram, used_share
from bench.metrics.zones import cell_zones
from bench.stages.inspection.disturbance import inspect_network
from bench.stages.training import codebook, environment, networks
from bench.stages.training.observation import Look, held_out, look, tensors
from methods.olc.codebook import segment
from methods.olc.vqgan import VQGAN

ATLAS_CELLS = 4
"""A code is decoded as a square of so many equal vectors a side: the centre is free of the border's effect."""


def run(params: Params, name: str) -> None:
    """Inspect codebook `name`, or where it is "network-<run>" the network of that run, which has a codebook."""
    device = environment.start(params)
    if name.startswith("network-") and (run := name.removeprefix("network-")) in params.runs_with_codebook:
        facts = inspect_network(params, run, device)
        write_json_atomic(layout.inspection(params, name), facts)
        print("\n".join(f"{fact}: {value}" for fact, value in facts.items()))
    elif name in params.codebook_runs:
        facts, arrays = inspect_codebook(params, name, device)
        write_bytes_atomic(layout.inspection(params, name).with_suffix(".npz"), to_npz(arrays))
        write_json_atomic(layout.inspection(params, name), facts)
        print(f"{facts['codebook']}: {facts['images']} images, {facts['vectors']} vectors of each kind")
        for label, found in facts["kinds"].items():
            shown = {fact: found[fact] for fact in ("used", "perplexity", "quantisation_error", "psnr-mu", "psnr-l")}
            print(f"{label}: " + ", ".join(f"{fact} {value:.4g}" for fact, value in shown.items()))
        for zone, found in facts["zones"]["zones"].items():
            shares = ", ".join(f"Q{i + 1} {share:.1%}" for i, share in enumerate(found.get("quarters", ())))
            print(f"H in {zone}: {found['vectors']} vectors" + (f", {shares}" if shares else ""))
    else:
        raise unknown_name("inspection", name, params.inspections)


def inspect_codebook(params: Params, name: str, device: torch.device) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return what codebook `name` does with the held-out images: statistics, and arrays (histograms, codes, atlas)."""
    vqgan = codebook.build(params, name).eval()
    networks.fill(params, vqgan, layout.codebook(params, name), f"codebook {name}")
    entry = params.codebook_runs[name]
    vqgan = vqgan.to(device)
    scenes = held_out(params, entry.trainset)
    if not scenes:
        raise UsageError(f"{entry.trainset} has no test scene with truth, so codebook {name} can't be inspected on it.")
    facts, arrays = examine(vqgan, scenes, derive(0, "inspect", name))
    facts |= {"codebook": name, "segments": entry.segments, "seed": entry.seed, "images": len(scenes)}
    return facts, arrays


def examine(vqgan: VQGAN, scenes: Sequence[Scene], seed: int) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return facts and arrays of a VQGAN that is shown every kind of image; `seed` is that of the chance levels.

    Facts are JSON values; arrays: histograms (4, K) int64, codes (K, n_z) float32, atlas (K, 16, 16, 3) float32.
    """
    size = vqgan.codebook.size
    looks: list[list[Look]] = [[] for _ in IMAGE_KINDS]
    zones = []
    for scene in scenes:  # one at a time: whole scenes are large
        frames, truth = tensors(scene)
        zones.append(cell_zones(frames[0, scene.reference, :3].permute(1, 2, 0).numpy()))
        for kind, of_kind in enumerate(looks):
            of_kind.append(look(vqgan, frames, truth, kind))
    histograms = np.stack([histogram(_indices(of_kind), size) for of_kind in looks])
    facts: dict[str, Any] = {
        "codes": size,
        "mean_square_norm": use.mean_square_norm(vqgan.codebook.weight.detach().cpu().numpy()),
        "vectors": int(histograms[3].sum()),
        "kinds": {label: _kind(vqgan, looks[kind], kind) for kind, label in enumerate(IMAGE_KINDS)},
        "quarters": [
            {"used": used_share(part), "hits": float(part.sum() / histograms[3].sum())}
            for part in use.quarters(histograms[3])
        ],
        "overlap": _overlap(looks, histograms),
        "zones": by_zone(
            zones, {label: [one.indices for one in looks[k]] for k, label in enumerate(IMAGE_KINDS)}, size, seed
        ),
    }
    return facts, {
        "histograms": histograms,
        "codes": vqgan.codebook.weight.detach().cpu().numpy(),
        "atlas": _atlas(vqgan),
    }


def _indices(looks: Sequence[Look]) -> NDArray[np.int64]:
    return np.concatenate([one.indices.ravel() for one in looks])


def _kind(vqgan: VQGAN, looks: Sequence[Look], kind: int) -> dict[str, Any]:
    """Return the statistics of one image kind over the held-out images."""
    size = vqgan.codebook.size
    found = use.statistics(_indices(looks), size, np.concatenate([one.errors.ravel() for one in looks]))
    part = segment(kind, size, vqgan.codebook.layout)
    return {
        "used": found.used, "perplexity": found.perplexity, "samples": found.samples,
        "quantisation_error": found.quantisation_error, "quarters": list(found.quarter_shares),
        "quarters_used": list(found.quarter_used), "quarters_error": list(found.quarter_errors),
        "allowed": part.stop - part.start,
        "psnr-mu": float(np.mean([one.psnr_mu for one in looks])),
        "psnr-l": float(np.mean([one.psnr_l for one in looks])),
    }  # fmt: skip


def _overlap(looks: Sequence[Sequence[Look]], histograms: NDArray[np.int64]) -> dict[str, Any]:
    """Return 4x4 matrices: what the kinds have in common in their use of the codebook."""
    indices = np.stack([_indices(of_kind) for of_kind in looks])
    return {
        "kinds": list(IMAGE_KINDS),
        "jaccard": overlap.jaccard(histograms).tolist(),
        "shared": overlap.shared_mass(histograms).tolist(),
        "same": overlap.same_choice(indices).tolist(),
        "same_by_chance": overlap.same_by_chance(histograms).tolist(),
    }


@torch.no_grad()
def _atlas(vqgan: VQGAN) -> NDArray[np.float32]:
    """Decode every code alone: the centre of a flat patch of it, (K, 16, 16, 3) float32 linear radiance."""
    codes = vqgan.codebook.weight[:, :, None, None].expand(-1, -1, ATLAS_CELLS, ATLAS_CELLS)
    decoded = torch.cat([vqgan.decoder(part) for part in torch.split(codes, 64)])
    edge = ATLAS_CELLS * 8
    centre: NDArray[np.float32] = (
        decoded[..., edge // 4 : -edge // 4, edge // 4 : -edge // 4].permute(0, 2, 3, 1).contiguous().cpu().numpy()
    )
    return centre
