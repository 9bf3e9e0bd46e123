"""How a picture lies on another one of its scene: turned, shifted, with its channels exchanged, or not at all."""

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from bench.color.transfer import mu_law
from bench.core.scene import Array

AGREES = 0.9
"""Correlation from which on two pictures count as views of the same."""

LIKELY, LEFT = 0.7, 0.5
"""Correlation that a picture must reach once it is turned, or with another scene, to be called so; and the share of its
distance from 1 that may be left of it.

Half a scene may be symmetric: the demo's predictions correlate with their truths by 0.62 and more, and turned they are
1.9 times as far from 1 and more.
"""

COARSE = 256
"""Rows and columns at most of what is compared when it is turned."""

SMALL = 32
"""Rows and columns of what tells scenes apart."""

REACH = 32
"""Rows and columns by which a picture may be shifted to be found so; of a small one an eighth of its edge."""

WINDOW = 512
"""Rows and columns at most, from the middle, in which a shift is looked for."""

SHIFTED = 0.8
"""Share that a shift undone may leave of the error of a picture's edges before it is told.

Of the demo's 340 predictions none lies better on its truth when it is shifted; shifted by 1 to 16 pixels, 333 to 339
of them leave less than this.
"""

COLOURED = 0.06
"""Misfit of the ratios of channels, as a median sum of natural logarithms, below which they are right enough."""

EXCHANGED = 2.0
"""Factor by which that misfit must shrink with channels exchanged before they are called so."""

ORDERS: Mapping[tuple[int, ...], str] = {
    (2, 1, 0): "red and blue", (1, 0, 2): "red and green", (0, 2, 1): "green and blue",
    (1, 2, 0): "all three channels (stored as BRG)", (2, 0, 1): "all three channels (stored as GBR)",
}  # fmt: skip
"""Where red, green and blue stand -> which channels are exchanged then."""

TURNS: Mapping[str, Callable[[Array], Array]] = {
    "upside down": lambda image: image[::-1],
    "mirrored, left for right": lambda image: image[:, ::-1],
    "turned by half": lambda image: image[::-1, ::-1],
}
"""How a picture may be turned -> what undoes it."""

QUARTERS: Mapping[str, Callable[[Array], Array]] = {
    "turned by a quarter, clockwise": np.rot90,
    "turned by a quarter, counterclockwise": lambda image: np.rot90(image, -1),
    "transposed, rows for columns": lambda image: image.swapaxes(0, 1),
    "transposed and turned by half": lambda image: image[::-1, ::-1].swapaxes(0, 1),
}
"""The same of square pictures alone: others show it by their size."""


def correlation(one: Array, other: Array) -> float:
    """Correlation, in [-1, 1], of two pictures (H, W, 3) of linear radiance after the mu-law; 0 for a flat one."""
    return _correlation(_tones(one), _tones(other))


def _tones(image: Array) -> Array:
    """Return the mean of the channels of a picture (H, W, 3) after the mu-law: (H, W), and 0 for NaN.

    In double precision: three values near the largest float are more than one.
    """
    return mu_law(np.nan_to_num(image).mean(axis=-1, dtype=np.float64))


def _correlation(x: Array, y: Array) -> float:
    if np.ptp(x) == 0 or np.ptp(y) == 0:  # rounding alone would correlate
        return 0.0
    x, y = x - x.mean(), y - y.mean()
    norm = math.sqrt(float((x * x).sum() * (y * y).sum()))
    return float((x * y).sum()) / norm if norm > 0 else 0.0


def look(image: Array) -> Array:
    """Shrink a picture (H, W, 3) of linear radiance, finite, to what tells scenes apart: (32, 32) after the mu-law."""
    grey = np.asarray(_grey(image), np.float64)
    for axis, size in enumerate(grey.shape):
        starts = np.arange(SMALL) * size // SMALL
        lengths = np.maximum(np.diff(starts, append=size), 1)  # of fewer rows than that, some count again
        grey = np.add.reduceat(grey, starts, axis) / np.expand_dims(lengths, 1 - axis)
    return grey


def _grey(image: Array) -> Array:
    """Return the mean of the channels of a finite picture (H, W, 3), in [0, 1], after the mu-law: (H, W) float32."""
    with np.errstate(over="ignore"):  # three values near the largest float are more than one: 1, as all above
        return mu_law(np.clip(image.mean(axis=-1, dtype=np.float32), 0, 1))


def alike(one: Array, other: Array) -> bool:
    """Tell whether two pictures, as `look` gives them, show the same."""
    return _correlation(one, other) >= AGREES


def stranger(picture: Array, own: Array, others: Mapping[str, Array]) -> str:
    """Name the scene that a picture obviously shows instead of its own, "" if there is none; all as `look` gives."""
    fits = {name: _correlation(picture, other) for name, other in others.items()}
    best = max(fits, key=lambda name: fits[name], default="")
    return best if best and _better(fits[best], _correlation(picture, own)) else ""


def _better(found: float, straight: float) -> bool:
    return found >= LIKELY and 1 - found < LEFT * (1 - straight)


def turned(picture: Array, other: Array) -> str:
    """Say how `picture` is turned against `other`, both (H, W, 3) linear; "" where that isn't obvious."""
    some = np.s_[:: -(-other.shape[0] // COARSE), :: -(-other.shape[1] // COARSE)]
    turns = TURNS if other.shape[0] != other.shape[1] else {**TURNS, **QUARTERS}
    tones = _tones(other[some])
    fits = {name: _correlation(_tones(turn(picture)[some]), tones) for name, turn in turns.items()}
    best = max(fits, key=lambda name: fits[name])
    return best if _better(fits[best], _correlation(_tones(picture[some]), tones)) else ""


def shift(picture: Array, other: Array) -> tuple[int, int]:
    """Return by how many rows down and columns right `picture` lies off `other`; (0, 0) if that isn't obvious.

    Both (H, W, 3) linear, finite. Compared are edges after the mu-law, which scale and exposure hardly change.
    """
    rows, columns = (min(size, WINDOW) for size in other.shape[:2])
    top, left = ((size - kept) // 2 for size, kept in zip(other.shape, (rows, columns), strict=False))
    reach = min(REACH, min(rows, columns) // 8)
    if reach < 1:
        return 0, 0
    ours, theirs = (_edges(image[top : top + rows, left : left + columns]) for image in (picture, other))
    # NumPy's transform, of lengths without large factors: SciPy's takes longer to import than it saves.
    size = [-(-(edge + reach) // 32) * 32 for edge in theirs.shape]
    found = np.fft.ifft2(np.fft.fft2(ours, size) * np.conj(np.fft.fft2(theirs, size))).real
    near = np.roll(found, (reach, reach), (0, 1))[: 2 * reach + 1, : 2 * reach + 1]
    down, right = (int(at) - reach for at in np.unravel_index(int(near.argmax()), near.shape))
    inner = theirs[reach:-reach, reach:-reach]
    errors = [
        float((np.abs(ours[reach + y :, reach + x :][: inner.shape[0], : inner.shape[1]] - inner) ** 2).sum())
        for y, x in ((0, 0), (down, right))
    ]
    return (down, right) if errors[1] < SHIFTED * errors[0] else (0, 0)


def direction(by: tuple[int, int]) -> str:
    """Return a shift other than (0, 0) in words."""
    down, right = by
    rows = f"{abs(down)} row(s) {'down' if down > 0 else 'up'}" if down else ""
    columns = f"{abs(right)} column(s) to the {'right' if right > 0 else 'left'}" if right else ""
    return " and ".join(filter(None, (rows, columns)))


def order(values: Array, true: Array) -> tuple[int, ...]:
    """Return where red, green and blue stand in `values`: (0, 1, 2) unless channels are obviously exchanged.

    values, true : (n, 3) linear, above 0, of the same well-exposed pixels; of any scale.

    Compared are ratios of channels. That they fit exchanged isn't enough, as they would after a cast of colour too:
    they must also vary the other way round.
    """
    ours, theirs = (_ratios(np.asarray(samples, np.float64)) for samples in (values, true))
    straight, plain = (0, 1, 2), _apart(ours, theirs)
    if plain <= COLOURED:
        return straight
    best = min(ORDERS, key=lambda places: _apart(ours[:, places], theirs))
    if EXCHANGED * _apart(ours[:, best], theirs) >= plain:
        return straight
    ours, theirs = (ratios - np.median(ratios, axis=0) for ratios in (ours, theirs))
    return best if _apart(ours[:, best], theirs) < _apart(ours, theirs) else straight


def _ratios(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    logarithms = np.log(samples)
    return np.asarray(logarithms - logarithms.mean(axis=1, keepdims=True))


def _apart(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    return float(np.median(np.abs(ours - theirs).sum(axis=1)))


def _edges(image: Array) -> NDArray[np.complex64]:
    """Differences to the next row and the next column, as real and imaginary parts: (H - 1, W - 1)."""
    grey = _grey(image)
    edges: NDArray[np.complex64] = np.diff(grey, axis=0)[:, :-1] + np.complex64(1j) * np.diff(grey, axis=1)[:-1]
    return edges
