"""From light to bands: what both images look like behind the eye's optics, its receptors and the visual cortex."""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ..errors import UsageError
from ..hdrvdp2 import pyramid
from ..hdrvdp2.masking import Band
from ..hdrvdp2.optics import Lattice
from ..hdrvdp2.pyramid import Bank, Filters
from ..hdrvdp2.strips import strips
from ..hdrvdp2.vision import BRIGHTEST, DIMMEST, visibly_changed
from . import optics, receptors
from .csf import Observer
from .display import sensed, visible
from .smoothing import smoothed
from .taps import BAND, HIGH_PASS, LOW_PASS, SHRINK
from .tasks import VisualTask

BANKS = {
    "sp0Filters": Bank(Filters((LOW_PASS, HIGH_PASS)), Filters((BAND, SHRINK)), len(SHRINK)),
    "sp3Filters": pyramid.SP3,
}
"""Without orientation, and with four; named as the reference's option."""

BLIND, DAZZLED = 1e-8, 1e10
"""cd/m2 that the receptors' signals are clamped to."""

NIGHT = 1e-6
"""cd/m2: the least that the eye adapts to."""

ADAPTATION = 10**-0.781367
"""Degrees: standard deviation of the area that the eye adapts to."""


@dataclass(frozen=True)
class Conditions:
    """Viewing conditions; see `hdrvdp3`. `dtype` is that of the bands, and of everything after them."""

    encoding: str
    pixels_per_degree: float
    display: str | None
    age: float
    mtf: str
    surround: float | Literal["mean"] | None
    task: VisualTask
    dtype: torch.dtype

    @property
    def observer(self) -> Observer:
        """Whose contrast sensitivity it is."""
        return Observer(self.mtf, self.age, self.task.do_aesl)

    @property
    def bank(self) -> Bank:
        """Filters of the pyramid."""
        return BANKS[self.task.steerpyr_filter]

    @property
    def smallest(self) -> int:
        """Rows and columns that an image must have: those of the high pass."""
        return 2 * self.bank.first.radius + 1


class Responses(NamedTuple):
    """Input of the bands and the masking; planes are (H, W), the first two float64.

    difference, reference : receptor responses, in units of just noticeable differences.
    logs                  : log10 of the luminance that the eye adapts to, mean of both images, cd/m2.
    changed               : 1 where the light of the images differs visibly, else 0.
    """

    difference: Tensor
    reference: Tensor
    logs: Tensor
    changed: Tensor


def surroundings(reference: list[Tensor], viewing: Conditions) -> list[Tensor | None]:
    """Return the light around each channel of both images, without dimension; None for their mirror image.

    reference : its channels (H, W) in the encoding's own colours. Without a geometric mean it raises UsageError.
    """
    if viewing.surround is None:
        return [None] * len(reference)
    if viewing.surround != "mean":
        return [plane.new_tensor(viewing.surround) for plane in reference]
    return [_geometric_mean(plane) for plane in reference]


def _geometric_mean(plane: Tensor) -> Tensor:
    if not bool((plane >= 0).all()):
        raise UsageError(
            "the reference has negative light or NaN, so there is no geometric mean for the surround to take."
        )
    return plane.log().mean().exp() if bool(plane.all()) else plane.new_zeros(())


def seen(test: list[Tensor], reference: list[Tensor], surround: list[Tensor | None], viewing: Conditions) -> Responses:
    """Pass the primaries' light of two images, channels (H, W) float64, through optics and receptors."""
    adapted, joint = zip(*(_received(visible(light), surround, viewing) for light in (test, reference)), strict=True)
    logs = ((adapted[0] + adapted[1]) / 2).clamp(DIMMEST, BRIGHTEST).log10()
    changed = visibly_changed(test, reference)
    return Responses(joint[0] - joint[1], joint[1], logs.to(viewing.dtype), changed.to(viewing.dtype))


def _received(light: list[Tensor], surround: list[Tensor | None], viewing: Conditions) -> tuple[Tensor, Tensor]:
    """Return the adapting luminance and the joint receptor response, (H, W) float64."""
    height, width = light[0].shape
    device, ppd, task = light[0].device, viewing.pixels_per_degree, viewing.task
    if viewing.mtf != "none":
        quadrant = optics.transfer(Lattice(height, width, ppd, device), viewing.mtf, viewing.age)
        light = [optics.blurred(plane, around, quadrant) for plane, around in zip(light, surround, strict=True)]
    weights = light[0].new_tensor(sensed(viewing.encoding, viewing.display, viewing.age, task.do_aod)).mT
    parts = list(strips(height, width, device))
    signals = [
        torch.tensordot(weights, torch.stack([plane[part] for plane in light]), 1).clamp(BLIND, DAZZLED)
        for part in parts
    ]
    logs = torch.cat([(rows[0] + rows[1]).clamp(min=NIGHT).log() for rows in signals])
    logs = smoothed(logs, ADAPTATION * ppd, "repeated")
    factor = receptors.pupil_factor(logs.mean().exp(), height * width / ppd**2, viewing.age) if task.do_slum else 1.0
    correction = task.base_sensitivity_correction + task.sensitivity_correction
    cone, of_rod = receptors.tables(correction, task.rod_sensitivity, logs.dtype, device)
    response = []
    for rows in signals:
        long, middle, rod = (rows * factor).log10()
        response.append(cone(long) + cone(middle) + of_rod(rod))
    return logs.exp(), torch.cat(response)


def bands(view: Responses, viewing: Conditions) -> list[Band]:
    """Split what is seen into bands, fine to coarse; the mean of the last, the base band, is taken off each image."""
    most = max(0, math.ceil(math.log2(viewing.pixels_per_degree)) - 2)
    split = [pyramid.split(plane, viewing.bank, most) for plane in (view.difference, view.reference)]
    for parts in split:
        parts[-1] = parts[-1] - parts[-1].mean()
        # Not before: the receptors' responses are thousands of times as large as the differences that count.
        parts[:] = [part.to(viewing.dtype) for part in parts]
    return [
        Band(difference, reference, viewing.pixels_per_degree / 2**number, number)
        for number, (difference, reference) in enumerate(zip(*split, strict=True), start=1)
    ]
