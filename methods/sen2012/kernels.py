"""The two inner loops, compiled: PatchMatch (Barnes et al. 2009) and the votes of matched patches.

All that is compiled stands in this file: the compiler's cache, in `__pycache__` beside it (or the user's cache folder
where that can't be written), is renewed with the file and knows no other. Results don't depend on how many threads run.

Pictures are (h, 3 w) float32, the channels of a row side by side, so that a row of a patch is one run of memory. A
patch is named by its top left corner; a field (ph, pw, 2) int32 holds for each patch of one picture the corner of its
match in another.
"""

from typing import Any

import numpy as np
from numba import njit

from bench.core.scene import Array

_compiled: Any = njit(cache=True, nogil=True, fastmath=True, error_model="numpy")


@_compiled  # type: ignore[untyped-decorator]
def distance(a: Array, b: Array, ay: int, ax: int, by: int, bx: int, patch: int, limit: float) -> Any:
    """Sum of squared differences of two patches, float32; it may stop after a row that reaches `limit`."""
    total = np.float32(0)
    for row in range(patch):
        for column in range(3 * patch):
            difference = a[ay + row, 3 * ax + column] - b[by + row, 3 * bx + column]
            total += difference * difference
        if total >= limit:
            break
    return total


@_compiled  # type: ignore[untyped-decorator]
def drawn(state: Any) -> Any:
    """Return the next state of a 64-bit generator (Steele et al. 2014, SplitMix, used as a hash)."""
    state = (state + np.uint64(0x9E3779B97F4A7C15)) & np.uint64(0xFFFFFFFFFFFFFFFF)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


@_compiled  # type: ignore[untyped-decorator]
def better(
    a: Array, b: Array, y: int, x: int, cy: int, cx: int, my: int, mx: int, best: float, span: Any, patch: int
) -> Any:
    """Return match and distance of a patch, (my, mx, best) or the candidate (cy, cx), moved into `span`, if nearer."""
    cy, cx = min(max(cy, span[0]), span[1]), min(max(cx, span[2]), span[3])
    if cy != my or cx != mx:
        new = distance(a, b, y, x, cy, cx, patch, best)
        if new < best:
            return cy, cx, new
    return my, mx, best


@_compiled  # type: ignore[untyped-decorator]
def wandered(
    a: Array, b: Array, y: int, x: int, my: int, mx: int, best: float, span: Any, patch: int, reach: int, state: Any
) -> Any:
    """Return match and distance after random draws around the best match, within `reach`, then half of it, etc."""
    radius = reach
    while radius >= 1 and best > 0:
        state = drawn(state)
        width = np.uint64(2 * radius + 1)
        cy = my - radius + np.int64(((state >> np.uint64(32)) * width) >> np.uint64(32))
        cx = mx - radius + np.int64(((state & np.uint64(0xFFFFFFFF)) * width) >> np.uint64(32))
        my, mx, best = better(a, b, y, x, cy, cx, my, mx, best, span, patch)
        radius //= 2
    return my, mx, best


@_compiled  # type: ignore[untyped-decorator]
def sweep(
    a: Array, b: Array, field: Array, before: Array, cost: Array, wanted: Array,
    first: int, last: int, step: int, patch: int, window: int, reach: int, seed: int, fresh: bool,
) -> None:  # fmt: skip
    """Improve rows [first, last) of `field`, from patches of `a` to patches of `b`, in one scan.

    before : the field as it was, for the rows of other bands.
    cost   : (ph, pw) float32, distance of each match; computed anew first where `fresh`.
    wanted : (ph, pw) bool, patches to search for; the others stay.
    step   : 1 scans from the top left and takes over from left and above, -1 the other way round.
    window : how far a match may lie from its patch along an axis.
    reach  : radius of the first random draw, halved down to 1; 0 only propagates.
    """
    rows, columns = field.shape[:2]
    high, wide = b.shape[0] - patch, b.shape[1] // 3 - patch
    for i in range(last - first):
        y = first + i if step > 0 else last - 1 - i
        for j in range(columns):
            x = j if step > 0 else columns - 1 - j
            if not wanted[y, x]:
                continue
            span = (max(0, y - window), min(high, y + window), max(0, x - window), min(wide, x + window))
            my, mx, best = field[y, x, 0], field[y, x, 1], cost[y, x]
            if fresh:
                my, mx = min(max(my, span[0]), span[1]), min(max(mx, span[2]), span[3])
                best = distance(a, b, y, x, my, mx, patch, np.float32(np.inf))
            for way in range(2):
                ny, nx = (y, x - step) if way == 0 else (y - step, x)
                if 0 <= ny < rows and 0 <= nx < columns:
                    near = field if first <= ny < last else before
                    cy, cx = near[ny, nx, 0] + (y - ny), near[ny, nx, 1] + (x - nx)
                    my, mx, best = better(a, b, y, x, cy, cx, my, mx, best, span, patch)
            state = drawn(np.uint64(seed) ^ drawn(np.uint64(y * columns + x)))
            my, mx, best = wandered(a, b, y, x, my, mx, best, span, patch, reach, state)
            field[y, x, 0], field[y, x, 1], cost[y, x] = my, mx, best


@_compiled  # type: ignore[untyped-decorator]
def vote(source: Array, field: Array, weight: Array, backward: bool, colours: Array, total: Array) -> None:
    """Add the colours of matched patches of `source` to `colours` (h, 3 w), and their weights to `total` (h, w).

    field, weight : matches and their weight, float32 (0: no vote); of each target patch in the source, or, `backward`,
                    of each source patch in the target.
    """
    rows, columns = field.shape[:2]
    patch = (total.shape[0] if not backward else source.shape[0]) - rows + 1
    for y in range(rows):
        for x in range(columns):
            w = weight[y, x]
            if w == 0:
                continue
            ty, tx, sy, sx = y, x, field[y, x, 0], field[y, x, 1]
            if backward:
                ty, tx, sy, sx = sy, sx, ty, tx
            for row in range(patch):
                for column in range(3 * patch):
                    colours[ty + row, 3 * tx + column] += w * source[sy + row, 3 * sx + column]
                for column in range(patch):
                    total[ty + row, tx + column] += w
