"""Nearest-neighbour fields: begun, carried to a finer scale, improved, and turned into a picture by votes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from bench.core.scene import Array

BAND = 64
"""Rows of patches that one task sweeps: fixed, so that the result doesn't depend on the number of threads."""

EVERYWHERE = 1 << 30
"""A search window without limit."""


@dataclass
class Field:
    """Matches of the patches of one picture in another.

    matches : (ph, pw, 2) int32, the top left corner (y, x) of each patch's match.
    cost    : (ph, pw) float32, sums of squared differences, as far as they are known.
    """

    matches: Array
    cost: Array


def rows(picture: Array) -> Array:
    """(h, w, 3) to (h, 3 w) float32 in one run of memory, as the kernels take it."""
    return np.ascontiguousarray(picture, dtype=np.float32).reshape(len(picture), -1)


def corners(shape: tuple[int, ...], patch: int) -> tuple[int, int]:
    """Count the patches of a picture along both axes."""
    return shape[0] - patch + 1, shape[1] - patch + 1


def identity(shape: tuple[int, ...], patch: int) -> Field:
    """Return the field in which every patch matches the one at its own place."""
    matches = np.ascontiguousarray(np.moveaxis(np.indices(corners(shape, patch)), 0, -1), dtype=np.int32)
    return Field(matches, np.zeros(matches.shape[:2], np.float32))


def carried(field: Field, shape: tuple[int, ...], patch: int) -> Field:
    """Return `field` at the finer scale of a picture of `shape`: displacements grow with the picture."""
    new, old = corners(shape, patch), field.matches.shape[:2]
    grids = [np.arange(n, dtype=np.float64) for n in new]
    factors = [(n + patch - 1) / (o + patch - 1) for n, o in zip(new, old, strict=True)]
    places = [np.clip(np.round((g + 0.5) / f - 0.5), 0, o - 1) for g, f, o in zip(grids, factors, old, strict=True)]
    near = field.matches[np.ix_(*(p.astype(np.int64) for p in places))]
    matches = np.empty((*new, 2), np.int32)
    for axis, (grid, place, factor) in enumerate(zip(grids, places, factors, strict=True)):
        column = (-1, 1) if axis == 0 else (1, -1)
        shift = (near[..., axis] - place.reshape(column)) * factor
        matches[..., axis] = np.clip(np.round(grid.reshape(column) + shift), 0, new[axis] - 1)
    return Field(matches, np.zeros(new, np.float32))


def tasks(
    field: Field, a: Array, b: Array, wanted: Array, patch: int, *, turn: int, window: int, random: bool, seed: int,
    fresh: bool,
) -> Iterable[Callable[[], None]]:  # fmt: skip
    """Yield the tasks of one sweep over `field`, from patches of `a` to patches of `b`; see `kernels.sweep`.

    turn : counts sweeps; even ones scan from the top left, odd ones from the bottom right, with other bands.
    """
    from methods.sen2012 import kernels

    before, count = field.matches.copy(), len(field.matches)
    inner = range(BAND // 2 if turn % 2 else BAND, count, BAND)
    bounds = [0, *inner, count]
    reach = min(window, max(b.shape[0], b.shape[1] // 3)) if random else 0

    def task(first: int, last: int) -> Callable[[], None]:
        return lambda: kernels.sweep(
            a, b, field.matches, before, field.cost, wanted, first, last, 1 - 2 * (turn % 2), patch, window, reach,
            seed, fresh,
        )  # fmt: skip

    for first, last in pairwise(bounds):
        if wanted[first:last].any():
            yield task(first, last)


def usage(field: Field, wanted: Array) -> Array:
    """(ph, pw) float32: by how many wanted patches each patch's match is used."""
    flat = field.matches[..., 0].astype(np.int64) * field.matches.shape[1] + field.matches[..., 1]
    counts = np.bincount(flat[wanted], minlength=wanted.size)
    return np.asarray(counts[flat], dtype=np.float32)


def overlapping(pixels: Array, patch: int) -> Array:
    """(h, w) bool to (ph, pw) bool: the patches that hold one of `pixels`, which are these dilated by patch x patch."""
    counts = np.zeros((pixels.shape[0] + 1, pixels.shape[1] + 1), np.int64)
    counts[1:, 1:] = pixels.cumsum(0).cumsum(1)
    inside = counts[patch:, patch:] - counts[:-patch, patch:] - counts[patch:, :-patch] + counts[:-patch, :-patch]
    return np.asarray(inside > 0)
