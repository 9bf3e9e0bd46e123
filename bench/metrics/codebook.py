"""How a codebook is used: counts, shares, perplexity and quantisation error of nearest-code indices.

All shares hold for the indices at hand: with few samples many codes go unused, so the sample size goes with them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.core.errors import UsageError
from bench.core.scene import Array

QUARTERS = 4
"""The overlapped codebook is made of four quarters of K/4 codes; its three segments are pairs of neighbours (eq. 4)."""


@dataclass(frozen=True)
class CodebookStatistics:
    """Use of a codebook by one set of feature vectors.

    size               : K, codes in the book.
    samples            : indices counted.
    used               : share of the K codes that at least one of the samples chose, in [0, 1].
    perplexity         : exp(entropy), between 1 and K: as many equally used codes would be as varied.
    quarter_shares     : share of the samples that chose a code of each quarter; sums to 1.
    quarter_used       : share of each quarter's codes that at least one sample chose.
    quantisation_error : mean squared difference of a vector's component and its code's, None if not measured.
    """

    size: int
    samples: int
    used: float
    perplexity: float
    quarter_shares: tuple[float, ...]
    quarter_used: tuple[float, ...]
    quantisation_error: float | None = None

    def __str__(self) -> str:
        """One line that never states use without its sample size."""
        return f"{self.used:.1%} of {self.size} codes used by {self.samples} samples, perplexity {self.perplexity:.1f}"


def histogram(indices: Array, size: int) -> NDArray[np.int64]:
    """Count how often each of `size` codes was chosen: (size,) int64.

    indices : integers of any shape in [0, size); other types, values or no index at all raise UsageError.
    """
    if not np.issubdtype(indices.dtype, np.integer) or indices.size == 0:
        raise UsageError(f"code indices are {indices.dtype} of shape {indices.shape}; expected at least one integer.")
    if indices.min() < 0 or indices.max() >= size:
        raise UsageError(f"code indices run from {indices.min()} to {indices.max()}, in a book of {size} codes.")
    return np.bincount(indices.reshape(-1), minlength=size).astype(np.int64)


def used_share(counts: Array) -> float:
    """Share of codes with a count above 0, in [0, 1]; counts (K,)."""
    return float(np.count_nonzero(counts) / len(counts))


def perplexity(counts: Array) -> float:
    """exp(-sum p log p) of counts (K,) with a positive sum: 1 if one code takes all, K if all are equally used."""
    share = counts[counts > 0] / counts.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def quarters(counts: Array) -> Array:
    """Split counts (K,) into (4, K/4), one row per quarter; K must be a multiple of 4, else UsageError."""
    if len(counts) % QUARTERS:
        raise UsageError(f"a codebook of {len(counts)} codes has no quarters; the size must be a multiple of 4.")
    return counts.reshape(QUARTERS, -1)


def quantisation_error(vectors: Array, codes: Array, indices: Array) -> float:
    """Mean squared difference, over vectors and components, of vectors (M, D) and their codes, rows of (K, D).

    indices : (M,) integers in [0, K). Unequal lengths or dimensions raise UsageError.
    """
    if vectors.ndim != 2 or codes.ndim != 2 or vectors.shape != (indices.size, codes.shape[1]):
        raise UsageError(
            f"vectors {vectors.shape}, codes {codes.shape}, {indices.size} indices; expected (M, D), (K, D) and M."
        )
    histogram(indices, len(codes))
    difference = vectors.astype(np.float64) - codes.astype(np.float64)[indices.reshape(-1)]
    return float(np.mean(difference**2))


def statistics(indices: Array, size: int, quantisation_error: float | None = None) -> CodebookStatistics:
    """Summarise the indices (any shape, integers in [0, size)) that some vectors chose in a book of `size` codes."""
    counts = histogram(indices, size)
    parts = quarters(counts)
    return CodebookStatistics(
        size=size,
        samples=int(indices.size),
        used=used_share(counts),
        perplexity=perplexity(counts),
        quarter_shares=tuple(float(part.sum() / indices.size) for part in parts),
        quarter_used=tuple(used_share(part) for part in parts),
        quantisation_error=quantisation_error,
    )
