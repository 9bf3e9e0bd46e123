"""Use of a codebook: counts, shares, perplexity and quantisation error of nearest-code indices.

All shares hold for the indices at hand: with few samples many codes go unused, so the sample size goes with them.
"""

from dataclasses import dataclass

import numpy as np

from bench.core.errors import UsageError
from bench.core.scene import Array
from bench.metrics.usage import histogram, perplexity, used_share

QUARTERS = 4
"""The overlapped codebook is made of four quarters of K/4 codes; its three segments are pairs of neighbours (eq. 4)."""


@dataclass(frozen=True)
class CodebookStatistics:
    """Use of a codebook by one set of feature vectors.

    size               : K, codes in the codebook.
    samples            : indices counted.
    used               : share of the K codes that at least one of the samples chose, in [0, 1].
    perplexity         : exp(entropy), between 1 and K: as many equally used codes would be as varied.
    quarter_shares     : share of the samples that chose a code of each quarter; sums to 1.
    quarter_used       : share of each quarter's codes that at least one sample chose.
    quantisation_error : mean squared difference of a vector's component and its code's, None if not measured.
    quarter_errors     : the same for the samples that chose each quarter, None for a quarter that none chose.
    """

    size: int
    samples: int
    used: float
    perplexity: float
    quarter_shares: tuple[float, ...]
    quarter_used: tuple[float, ...]
    quantisation_error: float | None = None
    quarter_errors: tuple[float | None, ...] = (None,) * QUARTERS

    def __str__(self) -> str:
        """One line that never states use without its sample size."""
        return f"{self.used:.1%} of {self.size} codes used by {self.samples} samples, perplexity {self.perplexity:.1f}"


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


def mean_square_norm(codes: Array) -> float:
    """Mean of |code|^2 over the codes (K, D): the weight of a loss on a codebook's vectors acts in proportion to it."""
    return float(np.mean(np.sum(codes.astype(np.float64) ** 2, axis=1)))


def statistics(indices: Array, size: int, errors: Array | None = None) -> CodebookStatistics:
    """Summarise the indices (any shape, integers in [0, size)) that vectors chose in a codebook of `size` codes.

    errors : each vector's mean squared difference from its code, in the shape of `indices`, else UsageError.
    """
    counts = histogram(indices, size)
    parts = quarters(counts)
    if errors is not None and errors.shape != indices.shape:
        raise UsageError(f"{errors.shape} errors for {indices.shape} indices; expected one error for each index.")
    return CodebookStatistics(
        size=size,
        samples=int(indices.size),
        used=used_share(counts),
        perplexity=perplexity(counts),
        quarter_shares=tuple(float(part.sum() / indices.size) for part in parts),
        quarter_used=tuple(used_share(part) for part in parts),
        quantisation_error=None if errors is None else float(np.mean(errors, dtype=np.float64)),
        quarter_errors=(None,) * QUARTERS if errors is None else _quarter_errors(indices, size, errors),
    )


def _quarter_errors(indices: Array, size: int, errors: Array) -> tuple[float | None, ...]:
    quarter = indices.reshape(-1) // (size // QUARTERS)
    counts = np.bincount(quarter, minlength=QUARTERS)
    sums = np.bincount(quarter, weights=errors.reshape(-1).astype(np.float64), minlength=QUARTERS)
    return tuple(float(total / count) if count else None for total, count in zip(sums, counts, strict=True))
