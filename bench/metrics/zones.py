"""Exposure zones of a frame, in cells as large as what one code stands for."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.core.errors import UsageError
from bench.core.scene import Array

ZONES = ("shadows", "mid", "saturated")
"""Zones in the order of their labels 0, 1, 2."""

MIXED = -1
"""Label of a cell in which no zone has enough pixels."""


class ZoneRule(NamedTuple):
    """Definition of the zones.

    dark, bright : gamma-encoded values in [0, 1]; a pixel is in the shadows if all its channels lie below `dark`,
                   saturated if any reaches `bright`, mid otherwise. The defaults are those of the masks.
    majority     : share of a cell's pixels that must agree, above 0.5; a cell without such a majority is mixed.
    cell         : edge of a cell in pixels; 8 is what one code stands for.
    """

    dark: float = 0.1
    bright: float = 0.95
    majority: float = 0.75
    cell: int = 8


def cell_zones(frame: Array, rule: ZoneRule | None = None) -> NDArray[np.int8]:
    """Zone of every cell of a frame: (H / cell, W / cell) int8, an index of ZONES or MIXED.

    frame : (H, W, 3) gamma-encoded in [0, 1], H and W multiples of the cell's edge, else UsageError.
    """
    rule = rule or ZoneRule()
    if frame.ndim != 3 or frame.shape[-1] != 3 or frame.shape[0] % rule.cell or frame.shape[1] % rule.cell:
        raise UsageError(
            f"the reference frame has shape {frame.shape}; expected (H, W, 3), both multiples of {rule.cell}."
        )
    saturated = (frame >= rule.bright).any(-1)
    shadows = (frame < rule.dark).all(-1) & ~saturated
    pixels = np.stack([shadows, ~shadows & ~saturated, saturated])
    height, width = frame.shape[0] // rule.cell, frame.shape[1] // rule.cell
    share = pixels.reshape(len(ZONES), height, rule.cell, width, rule.cell).mean((2, 4))
    return np.where(share.max(0) >= rule.majority, share.argmax(0), MIXED).astype(np.int8)
