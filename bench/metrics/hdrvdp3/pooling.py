"""From differences of bands to numbers: the quality correlate Q, and the maps of visibility."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..hdrvdp2 import pyramid
from ..hdrvdp2.csf import HIGHEST, LOWEST
from ..hdrvdp2.masking import Band
from ..hdrvdp2.pooling import Pooled
from ..hdrvdp2.resize import resized
from . import csf
from .masking import excesses, mutual_mask
from .smoothing import smoothed
from .vision import Conditions, Responses

EXPONENT = 0.8
"""Of the mean of a band's differences."""

ROBUST = 0.25
"""Degrees: standard deviation of the area that the largest probability is a mean of."""


def pooled(bands: list[Band], view: Responses, viewing: Conditions, maps: bool) -> Pooled:
    """Compare the bands of both images: Q = 6 - ln(exp(-4) + the sum over bands of their errors, by their number)."""
    task = viewing.task
    masks = [mutual_mask(band, 10**task.masking_norm) for band in bands]
    total = torch.zeros((), dtype=torch.float64, device=view.logs.device)
    kept = []
    for band in bands:
        energy, drawn = _energy(band, masks, view, viewing, maps)
        mean = energy / band.reference[0].numel()
        total = total + (mean ** (1 / EXPONENT)).sum() / len(bands)
        if maps:
            kept.append(torch.cat(drawn, dim=1))
    return Pooled(6 - (math.exp(-4) + total).log(), kept)


def _energy(
    band: Band, masks: list[Tensor], view: Responses, viewing: Conditions, maps: bool
) -> tuple[Tensor, list[Tensor]]:
    """Return the sum of |D|^EXPONENT of each orientation (float64), and with maps the strips of their map values."""
    shape = (band.reference.shape[-2], band.reference.shape[-1])
    changed = resized(view.changed, shape).abs() ** EXPONENT
    sensitivity = _sensitivity(band, view, viewing, last=band.number == len(masks))
    p, slope = 10**viewing.task.mask_p, 10**viewing.task.psych_func_slope
    energy = torch.zeros(len(band.reference), dtype=torch.float64, device=view.logs.device)
    kept = []
    for rows, strip in excesses(band, masks, sensitivity, viewing.task):
        energy = energy + (strip.power(EXPONENT, p) * changed[rows]).sum((1, 2), dtype=torch.float64)
        if maps:
            kept.append((strip.sign * strip.power(slope / p, p) * band.scale).double())
    return energy, kept


def _sensitivity(band: Band, view: Responses, viewing: Conditions, last: bool) -> Tensor:
    """Return the contrast sensitivity of a band's pixels, (h, w); of the base band one number without dimension."""
    shape = (band.reference.shape[-2], band.reference.shape[-1])
    logs = resized(view.logs, shape).clamp(LOWEST, HIGHEST)
    if last:
        frequency = _strongest(band.difference[0].detach().double(), band.frequency)
        return csf.at(frequency, logs.mean(dtype=torch.float64), viewing.observer).to(logs.dtype)
    return csf.table(band.frequency, viewing.observer, logs.dtype, logs.device)(logs)


def _strongest(difference: Tensor, frequency: float) -> Tensor:
    """Return the frequency, but 0, that a base band's difference has most of; 0 if it has nothing.

    Of equal ones the first counts, down the columns.
    """
    magnitude = torch.fft.fft2(difference).abs()
    magnitude[0, 0] = 0
    rows, columns = (torch.fft.fftfreq(n, dtype=magnitude.dtype, device=magnitude.device) for n in difference.shape)
    rho = torch.hypot(rows[:, None], columns[None]) * (4 * frequency)
    found = magnitude.mT.flatten().argmax()
    return torch.where(magnitude.max() > 0, rho.mT.flatten()[found], 0.0)


class Detection(NamedTuple):
    """Visibility of the differences: maps (H, W), and their largest values as the task finds them (no dimension)."""

    probability: Tensor
    contrast: Tensor
    p_det: Tensor
    c_max: Tensor


def visibility(differences: list[Tensor], viewing: Conditions) -> Detection:
    """Put the bands' differences together to the contrast in units of the threshold and how probably it is detected."""
    task, ppd = viewing.task, viewing.pixels_per_degree
    contrast = pyramid.join(differences, viewing.bank).abs()
    if task.do_spatial_total_pooling:
        contrast = contrast * (contrast.sum() / (contrast.max() + 1e-12))
    missed = 0.5**contrast
    if task.do_sprob_sum:
        probability = -torch.expm1(smoothed((missed + 1e-4).log(), 10**task.si_sigma * ppd, "zero"))
    else:
        probability = 1 - missed
    if task.do_robust_pdet:
        largest = [smoothed(plane, ROBUST * ppd, "zero").max() for plane in (probability, contrast)]
    else:
        largest = [probability.max(), contrast.max()]
    return Detection(probability, contrast, largest[0], largest[1])
