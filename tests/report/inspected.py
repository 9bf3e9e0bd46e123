"""Two invented codebooks and a network: what `inspect` leaves of them."""

import numpy as np

from bench.core.seeding import generator
from bench.metrics.codebook import statistics
from bench.metrics.combination import by_zone
from bench.metrics.overlap import jaccard, same_by_chance, same_choice, shared_mass
from bench.metrics.usage import histogram

CODEBOOKS = {"vanilla-32--panoramas--s0": "vanilla", "olc-32--panoramas--s0": "olc"}


def codebook_arrays(name: str) -> dict[str, np.ndarray]:
    rng = generator(1, name)
    hits = rng.poisson(9, (4, 32)) * (rng.random((4, 32)) < (0.35 if name.startswith("vanilla") else 0.8))
    atlas = np.repeat(rng.random((32, 1, 1, 3)), 8, 1).repeat(8, 2) ** 3
    codes = rng.normal(size=(32, 16)).astype(np.float32)
    return {"histograms": hits.astype(np.int64), "codes": codes, "atlas": atlas.astype(np.float32)}


def codebook_report(name: str) -> dict[str, object]:
    """Return what `inspect` writes, by the functions that it uses: each kind of image draws from its segment."""
    rng, olc = generator(3, name), CODEBOOKS[name] == "olc"
    zones = [rng.integers(-1, 3, (6, 12)).astype(np.int8) for _ in range(2)]
    spans = {"L1": (0, 16), "L2": (8, 24), "L3": (16, 32), "H": (0, 32)}
    choices = {
        kind: [rng.integers(*(span if olc else (0, 32)), one.shape) for one in zones] for kind, span in spans.items()
    }
    flat = np.stack([np.concatenate([one.ravel() for one in maps]) for maps in choices.values()])
    counts = np.stack([histogram(one, 32) for one in flat])
    kinds = {}
    for kind, indices in zip(choices, flat, strict=True):
        found = statistics(indices, 32, rng.random(indices.shape))
        kinds[kind] = {
            "used": found.used, "perplexity": found.perplexity, "quantisation_error": found.quantisation_error,
            "quarters": found.quarter_shares, "quarters_used": found.quarter_used, "allowed": 32,
            "quarters_error": found.quarter_errors, "psnr-mu": 24.5, "psnr-l": 28.0,
        }  # fmt: skip
    matrices = {"jaccard": jaccard(counts), "shared": shared_mass(counts), "same": same_choice(flat)}
    return {
        "codebook": name, "segments": CODEBOOKS[name], "seed": 0, "codes": 32, "images": 2, "vectors": 144,
        "kinds": kinds,
        "quarters": [{"used": 0.5, "hits": 0.25}] * 4, "zones": by_zone(zones, choices, 32, 0),
        "overlap": {key: value.tolist() for key, value in matrices.items()}
        | {"kinds": list(kinds), "same_by_chance": same_by_chance(counts).tolist()},
    }  # fmt: skip


def network_report(run: str) -> dict[str, object]:
    return {
        "run": run, "codes": 32, "psnr-mu": 34.2, "psnr-mu-permuted-features": 33.0, "fsm-permuted-change": 0.04,
        "mapping-loss-first": 0.9, "mapping-loss-last": 0.2, "hdr-perplexity": 7.25,
    }  # fmt: skip
