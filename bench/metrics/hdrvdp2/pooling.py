"""From normalised differences to numbers: the quality correlate Q, and the maps of visibility."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from . import csf, pyramid
from .masking import Band, differences, for_map
from .resize import resized
from .vision import Seen

FLOOR = 1e-12
"""Added to pooled errors before the logarithm; Q counts from its logarithm."""

FREQUENCIES = (0.1172, 0.2344, 0.4688, 0.9375, 1.875, 3.75, 7.5, 15.0, 30.0, 60.0)
WEIGHTS = (0.0, 0.0, 0.0003, 0.0003, 0.0398, 0.2690, 0.2142, 0.2832, 0.2832, 0.0)
"""Weight in Q by a band's centre frequency in cycles per degree, linear in between, constant outside."""


OLDER_FREQUENCIES, OLDER_WEIGHTS = FREQUENCIES[1:8], (0.0002, *WEIGHTS[2:8])
"""The same of release 2.2.0, which ends at 15 cycles per degree."""

STEEPNESS, MIDDLE = 3.455, -0.8886
"""Of release 2.2.0's logistic function."""


class Pooled(NamedTuple):
    """Q as float64 without dimension, and for the maps the differences of each band (empty without maps)."""

    q: Tensor
    bands: list[Tensor]


def pooled(bands: list[Band], view: Seen, maps: bool) -> Pooled:
    """Compare the bands of both images.

    Q = 100 - sum of w (ln(e + 1e-12) - ln 1e-12) over bands and orientations, e = root of the summed squares of D where
    the images differ, divided by the number of values.
    """
    masks = [band.mutual_mask() for band in bands]
    q = view.test_mean.new_tensor(100.0)
    kept = []
    for band in bands:
        weight = float(np.interp(band.frequency, FREQUENCIES, WEIGHTS))
        if weight == 0 and not maps:
            continue
        energy, strips = _energy(band, masks, view, maps)
        if maps:
            kept.append(torch.cat(strips, dim=1))
        errors = _root(energy) / band.reference[0].numel()
        q = q - weight * ((errors + FLOOR).log() - math.log(FLOOR)).sum()
    return Pooled(q, kept)


def older_mos(bands: list[Band], view: Seen) -> Tensor:
    """Compare the bands of both images as release 2.2.0 did: Q_MOS, 0 to 100, float64 without dimension.

    Q_MOS = 100 / (1 + exp(3.455 (Q + 0.8886))), Q the sum of w ln(e + 1e-12) over bands and orientations divided by
    their number, with e as in `pooled`. Its authors took it back as unreliable.
    """
    masks = [band.mutual_mask() for band in bands]
    q = view.test_mean.new_tensor(0.0)
    for band in bands:
        weight = float(np.interp(band.frequency, OLDER_FREQUENCIES, OLDER_WEIGHTS))
        errors = _root(_energy(band, masks, view, False)[0]) / band.reference[0].numel()
        q = q + weight * (errors + FLOOR).log().sum()
    mean = q / sum(len(band.reference) for band in bands)
    return 100 * torch.sigmoid(-STEEPNESS * (mean - MIDDLE))


def _energy(band: Band, masks: list[Tensor], view: Seen, maps: bool) -> tuple[Tensor, list[Tensor]]:
    """Return the sum of squares of each orientation (float64), and with maps the strips of their map values."""
    shape = (band.reference.shape[-2], band.reference.shape[-1])
    changed = resized(view.changed, shape)
    logs = resized(view.logs, shape).clamp(csf.LOWEST, csf.HIGHEST) if band.number < len(masks) else None
    energy = view.test_mean.new_zeros(len(band.reference))
    kept = []
    for rows, strip in differences(band, masks, logs):
        energy = energy + (strip * changed[rows]).double().square().sum((1, 2))
        if maps:
            kept.append(for_map(strip, band.scale))
    return energy, kept


def _root(energy: Tensor) -> Tensor:
    # The slope of the root is infinite at 0, where equal images lie; it counts as 0 there.
    return torch.where(energy > 0, torch.where(energy > 0, energy, 1.0).sqrt(), 0.0)


class VisibilityMaps(NamedTuple):
    """Visibility of the differences: (H, W) each."""

    probability: Tensor
    contrast: Tensor


def visibility(differences: list[Tensor]) -> VisibilityMaps:
    """Put the bands' differences together to the threshold-normalised contrast and the probability of detection.

    The pooling makes the maximum of the contrast about equal to the sum over the image.
    """
    signal = pyramid.join(differences).abs()
    contrast = signal * (signal.sum() / (signal.max() + FLOOR))
    return VisibilityMaps(1 - 0.5**contrast, contrast)
