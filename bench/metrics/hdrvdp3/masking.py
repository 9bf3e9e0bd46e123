"""Contrast masking: by how much the difference of two bands stands out from what hides it."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from ..hdrvdp2.masking import Band, neighbours
from ..hdrvdp2.strips import strips
from .tasks import VisualTask

NEVER = -10.0
"""Exponent of 10 up to which a kind of masking is left out."""


class Excess(NamedTuple):
    """A strip of a band's difference D = s contrast^p / root(damping), for (orientations, rows, w).

    sign, contrast : of the difference; the contrast in units of the threshold without masking, >= 0.
    damping        : 1 + the square of the mask, in the same unit to the power p; None without masking.
    """

    sign: Tensor
    contrast: Tensor
    damping: Tensor | None

    def power(self, exponent: float, p: float) -> Tensor:
        """Return |D|^exponent, whose slope is finite where the images are equal if exponent p > 1."""
        raised: Tensor = self.contrast ** (exponent * p)
        return raised if self.damping is None else raised * self.damping ** (-exponent / 2)


def mutual_mask(band: Band, norm: float) -> Tensor:
    """Return 3x3 means of what both images have in common, by an exponent `norm`: (orientations, h, w)."""
    if norm == 1:
        return band.mutual_mask()
    common = torch.minimum((band.reference + band.difference).abs(), band.reference.abs())
    mean: Tensor = avg_pool2d((common**norm)[None], 3, stride=1, padding=1)[0].clamp(min=0) ** (1 / norm)
    return mean


def excesses(
    band: Band, masks: Sequence[Tensor], sensitivity: Tensor, task: VisualTask
) -> Iterator[tuple[slice, Excess]]:
    """Yield rows of the band and their difference, strip by strip.

    masks       : of all bands, as `mutual_mask` returns them, times 2^(number - 1).
    sensitivity : (h, w), or one number without dimension.
    """
    own = masks[band.number - 1]
    beside = neighbours(masks, band.number) if task.do_masking and task.mask_xn > NEVER else None
    for part in strips(own.shape[1], own.shape[2], own.device):
        s = sensitivity[part] if sensitivity.ndim else sensitivity
        around = None if beside is None else beside[:, part]
        difference = band.difference[:, part] / band.scale
        damping = _damping(own[:, part] / band.scale, around, s, task) if task.do_masking else None
        yield part, Excess(difference.sign(), difference.abs() * s, damping)


def _damping(own: Tensor, around: Tensor | None, sensitivity: Tensor, task: VisualTask) -> Tensor:
    """1 + (N_mask / N^p)^2 with N = 1 / sensitivity, which may be 0."""
    q = 10**task.mask_q
    mask = 10**task.mask_self * own**q
    if len(own) > 1:
        mask = mask + 10**task.mask_xo * (own.sum(0) - own).clamp(min=0) ** q
    if around is not None:
        mask = mask + 10**task.mask_xn * around**q
    return 1 + (mask * sensitivity ** (10**task.mask_p)) ** 2
