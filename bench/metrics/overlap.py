"""Overlap of image kinds in their use of one codebook.

Everywhere a histogram is (K,) counts of the codes that one kind's vectors chose, and a set of kinds is (N, K).
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from bench.core.errors import UsageError
from bench.core.scene import Array

Matrix = NDArray[np.float64]
"""(N, N), symmetric, with values in [0, 1]: kinds against kinds."""


def jaccard(histograms: Array) -> Matrix:
    """Codes that both kinds use, over codes that either uses: 1 for equal sets of used codes, 0 for sets apart."""
    used = (_shares(histograms) > 0).astype(np.float64)
    both = used @ used.T
    single = used.sum(1)
    matrix: Matrix = both / (single[:, None] + single[None, :] - both)
    return matrix


def shared_mass(histograms: Array) -> Matrix:
    """Histogram intersection: sum over codes of the smaller of both kinds' shares; 1 for equal distributions."""
    share = _shares(histograms)
    matrix: Matrix = np.minimum(share[:, None], share[None, :]).sum(-1)
    return matrix


def same_choice(indices: Array) -> Matrix:
    """Share of positions at which two kinds chose the same code; indices (N, M), one row a kind, M >= 1 positions."""
    if indices.ndim != 2 or indices.size == 0:
        raise UsageError(f"indices have shape {indices.shape}; expected (kinds, positions) with one position or more.")
    matrix: Matrix = (indices[:, None] == indices[None, :]).mean(-1)
    return matrix


def same_by_chance(histograms: Array) -> Matrix:
    """Share of positions at which kinds would agree if their choices were independent: sum over codes of p times q."""
    share = _shares(histograms)
    matrix: Matrix = share @ share.T
    return matrix


def sharers(names: Sequence[str]) -> list[str]:
    """Name all sets of kinds, the empty one first: "none", "L1", "L2", ..., "L1+L2", ..."""
    sets = [chosen for size in range(len(names) + 1) for chosen in combinations(names, size)]
    return ["+".join(chosen) or "none" for chosen in sets]


def mass_by_sharers(counts: Array, others: Mapping[str, Array]) -> dict[str, float]:
    """Split counts (K,) by which of the `others` (name -> (K,) counts) use the same code too.

    Returns, for every set of names of `sharers`, the share of the counts on codes that exactly these others use;
    the shares sum to 1. Counts without a hit raise UsageError.
    """
    if counts.sum() <= 0:
        raise UsageError("no vector chose any code; there is no mass to split.")
    sets = np.array(["+".join(name for name in others if others[name][code] > 0) for code in range(len(counts))])
    return {
        name: float(counts[sets == ("" if name == "none" else name)].sum() / counts.sum())
        for name in sharers(list(others))
    }


def _shares(histograms: Array) -> Matrix:
    totals = histograms.sum(-1, keepdims=True)
    if histograms.ndim != 2 or not (totals > 0).all():
        raise UsageError(f"histograms of shape {histograms.shape}; expected (kinds, codes), each kind with a hit.")
    shares: Matrix = histograms / totals
    return shares
