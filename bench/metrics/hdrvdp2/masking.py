"""Contrast masking: by how much the difference of two bands stands out from what hides it (reference, eq. of D)."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from . import csf
from .resize import resized
from .strips import strips

P = 10**0.544068
Q = 10**0.49576
K_SELF, K_ORIENTATIONS, K_BANDS = 10**0.189065, 10**0.449199, 10**1.52512
"""Exponents of difference and mask; weights of the own band, of other orientations and of neighbouring bands."""

SLOPE = 3.5 / P
"""Exponent that turns D into the difference map."""


class Band(NamedTuple):
    """One band of both images: (orientations, h, w). The difference is kept apart because it may be tiny."""

    difference: Tensor
    reference: Tensor
    frequency: float
    number: int

    @property
    def scale(self) -> float:
        """2^(number - 1), by which the reference normalises bands; numbers start at 1."""
        return float(2 ** (self.number - 1))

    def mutual_mask(self) -> Tensor:
        """3x3 means of what both images have in common, zeros beyond the edges: (orientations, h, w)."""
        common = torch.minimum((self.reference + self.difference).abs(), self.reference.abs())
        return avg_pool2d(common[None], 3, stride=1, padding=1)[0]


def neighbours(masks: Sequence[Tensor], number: int) -> Tensor | None:
    """Return the masks of the bands beside band `number` at its size, weighted and added; None if it has none.

    The base band, which is the last, doesn't mask the one before it.
    """
    own, scale = masks[number - 1], float(2 ** (number - 1))
    shape = (own.shape[-2], own.shape[-1])
    parts = []
    if number > 1:
        parts.append(resized(_oriented(masks[number - 2], own), shape).clamp(min=0) / (scale / 2))
    if number < len(masks) - 1:
        parts.append(resized(_oriented(masks[number], own), shape).clamp(min=0) / (2 * scale))
    return sum(parts[1:], parts[0]) if parts else None


def _oriented(mask: Tensor, own: Tensor) -> Tensor:
    # A band with one orientation meets the first of its neighbour's four; four meet the same one.
    return mask[: len(own)]


def differences(band: Band, masks: Sequence[Tensor], logs: Tensor | None) -> Iterator[tuple[slice, Tensor]]:
    """Yield rows of the band and their normalised difference D (orientations, rows, w), strip by strip.

    logs : (h, w) log10 of the adapting luminance in cd/m2; None for the base band, whose sensitivity is applied before.
    """
    own, beside = masks[band.number - 1], neighbours(masks, band.number)
    table = csf.table(band.frequency, own.dtype, own.device)
    for part in strips(own.shape[1], own.shape[2], own.device):
        seen = None if logs is None else table(logs[part])
        around = None if beside is None else beside[:, part]
        yield part, _normalised(band.difference[:, part], own[:, part], around, seen, band.scale)


def _normalised(difference: Tensor, own: Tensor, around: Tensor | None, seen: Tensor | None, n: float) -> Tensor:
    """D = ex / sqrt(N^2p + N_mask^2) with N = 1 / seen, multiplied through by seen^p, which can't overflow."""
    mask = K_SELF * own**Q
    if len(own) > 1:
        mask = mask + K_ORIENTATIONS * (own.sum(0) - own).clamp(min=0) ** Q
    mask = mask * n ** (1 - Q)
    if around is not None:
        mask = mask + (n * K_BANDS) * around**Q
    excess = difference.sign() * (n * (difference.abs() * (1 / n)) ** P)
    if seen is not None:
        power = seen**P
        mask, excess = mask * (seen**Q * power), excess * power
    normalised: Tensor = excess / (1 + mask * mask).sqrt()
    return normalised


def for_map(difference: Tensor, n: float) -> Tensor:
    """Return the values of D that the difference map is put together from."""
    values: Tensor = difference.sign() * n * (difference.abs() / n) ** SLOPE
    return values
