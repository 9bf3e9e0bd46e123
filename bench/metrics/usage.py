"""Counts of chosen codes, for both the training of a codebook and its inspection.

Kept apart from everything else that is measured, since trainings depend on it.
"""

import numpy as np
from numpy.typing import NDArray

from bench.core.errors import UsageError
from bench.core.scene import Array


def histogram(indices: Array, size: int) -> NDArray[np.int64]:
    """Count how often each of `size` codes was chosen: (size,) int64.

    indices : integers of any shape in [0, size); other types, values or no index at all raise UsageError.
    """
    if not np.issubdtype(indices.dtype, np.integer) or indices.size == 0:
        raise UsageError(f"code indices are {indices.dtype} of shape {indices.shape}; expected at least one integer.")
    if indices.min() < 0 or indices.max() >= size:
        raise UsageError(f"code indices run from {indices.min()} to {indices.max()}, in a codebook of {size} codes.")
    return np.bincount(indices.reshape(-1), minlength=size).astype(np.int64)


def used_share(counts: Array) -> float:
    """Share of codes with a count above 0, in [0, 1]; counts (K,)."""
    return float(np.count_nonzero(counts) / len(counts))


def perplexity(counts: Array) -> float:
    """exp(-sum p log p) of counts (K,) with a positive sum: 1 if one code takes all, K if all are equally used."""
    share = counts[counts > 0] / counts.sum()
    return float(np.exp(-(share * np.log(share)).sum()))
