"""Association of two labels of the same places: contingency tables, and their chance level."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.core.errors import UsageError
from bench.core.scene import Array

Counts = NDArray[np.int64]
"""(R, C): places with row label r and column label c."""


def contingency(rows: Array, columns: Array, shape: tuple[int, int]) -> Counts:
    """Count pairs of labels: (R, C) int64; rows and columns are integers of one shape in [0, R) and [0, C).

    A negative label leaves its place out; a label beyond the table or unequal shapes raise UsageError.
    """
    if rows.shape != columns.shape:
        raise UsageError(f"row labels have shape {rows.shape}, column labels {columns.shape}; expected one shape.")
    counted = (rows >= 0) & (columns >= 0)
    pairs = (rows[counted], columns[counted])
    if any(labels.size and labels.max() >= limit for labels, limit in zip(pairs, shape, strict=True)):
        raise UsageError(f"labels go beyond a table of {shape[0]} rows and {shape[1]} columns.")
    flat = np.bincount(pairs[0].astype(np.int64) * shape[1] + pairs[1], minlength=shape[0] * shape[1])
    return flat.reshape(shape).astype(np.int64)


def expected(table: Array) -> NDArray[np.float64]:
    """Counts (R, C) under independence with the same sums of rows and columns; a table without counts gives zeros."""
    product: NDArray[np.float64] = np.outer(table.sum(1), table.sum(0)).astype(np.float64)
    return product / max(int(table.sum()), 1)


def mutual_information(table: Array) -> float:
    """Mutual information of row and column label in bits: 0 if independent, log2 of the labels at most.

    It is that of the counts as they are: even independent labels have about (R - 1)(C - 1) / (2 n ln 2) bits.
    """
    filled = table > 0
    share = table[filled] / max(int(table.sum()), 1)
    return max(0.0, float(np.sum(share * np.log2(table[filled] / expected(table)[filled]))))


def cramers_v(table: Array) -> float:
    """Cramer's V, without bias correction: 0 if independent, 1 if one label determines the other.

    Rows and columns without counts are left out; a table with fewer than two of either has no association, 0.
    """
    kept = table[table.sum(1) > 0][:, table.sum(0) > 0]
    if min(kept.shape) < 2:
        return 0.0
    independent = expected(kept)
    chi_square = float(np.sum((kept - independent) ** 2 / independent))
    return min(1.0, float(np.sqrt(chi_square / (int(kept.sum()) * (min(kept.shape) - 1)))))


def shifted_tables(
    rows: Sequence[Array], columns: Sequence[Array], shape: tuple[int, int], repeats: int, seed: int
) -> NDArray[np.int64]:
    """Contingency tables (repeats, R, C) of label maps after each image's row labels were shifted around.

    rows, columns : one (h, w) map of labels for each image.

    Each repeat rolls every image's map of row labels by an offset of its own, never by none where there is room. This
    keeps how labels cluster in space and what each image holds, and breaks only their being at the same place: the
    chance level to compare with, since neighbouring places are no independent samples.
    """
    stream = np.random.default_rng(seed)
    tables = np.zeros((repeats, *shape), np.int64)
    for table in tables:
        for first, second in zip(rows, columns, strict=True):
            width = first.shape[1]
            offset = int(stream.integers(min(1, first.size - 1), first.size))
            table += contingency(np.roll(first, (offset // width, offset % width), (0, 1)), second, shape)
    return tables
