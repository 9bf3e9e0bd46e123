"""From light to bands: what both images look like behind the eye's optics, its receptors and the visual cortex."""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ..errors import UsageError
from ..hdrvdp2 import pyramid, taps
from ..hdrvdp2.masking import Band
from ..hdrvdp2.optics import Lattice
from ..hdrvdp2.pyramid import Bank, Filters
from ..hdrvdp2.vision import BRIGHTEST, DIMMEST, visibly_changed
from . import optics, receptors
from .csf import Observer
from .display import Light, sensed
from .smoothing import smoothed
from .taps import BAND, HIGH_PASS, LOW_PASS, SHRINK
from .tasks import Task

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
class Viewing:
    """Viewing conditions; see `hdrvdp3`. `dtype` is that of everything after the receptors."""

    encoding: str
    pixels_per_degree: float
    display: str | None
    age: float
    mtf: str
    surround: float | Literal["mean"] | None
    task: Task
    dtype: torch.dtype

    @property
    def observer(self) -> Observer:
        """Whose contrast sensitivity it is."""
        return Observer(self.mtf, self.age, self.task.do_aesl)

    @property
    def bank(self) -> Bank:
        """Filters of the pyramid."""
        return BANKS[self.task.steerpyr_filter]


class Seen(NamedTuple):
    """Input of the bands and the masking; planes are (H, W).

    difference, reference : receptor responses, in units of just noticeable differences.
    logs                  : log10 of the luminance that the eye adapts to, mean of both images, cd/m2.
    changed               : 1 where the light of the images differs visibly, else 0.
    """

    difference: Tensor
    reference: Tensor
    logs: Tensor
    changed: Tensor


def seen(test: Light, reference: Light, viewing: Viewing) -> Seen:
    """Pass the light of two images through optics and receptors."""
    surround = _surrounds(reference, viewing)
    adapted, joint = zip(*(_received(x.seen(), surround, viewing) for x in (test, reference)), strict=True)
    logs = ((adapted[0] + adapted[1]) / 2).clamp(DIMMEST, BRIGHTEST).log10()
    changed = visibly_changed(test.native, reference.native)
    planes = (joint[0] - joint[1], joint[1], logs, changed)
    return Seen(*(plane.to(viewing.dtype) for plane in planes))


def _surrounds(reference: Light, viewing: Viewing) -> list[Tensor | None]:
    if viewing.surround is None:
        return [None] * len(reference.shown)
    if viewing.surround != "mean":
        return [plane.new_tensor(viewing.surround) for plane in reference.shown]
    return [_geometric_mean(plane) for plane in reference.shown]


def _geometric_mean(plane: Tensor) -> Tensor:
    if not bool((plane >= 0).all()):
        raise UsageError(
            "the reference has negative light or NaN, so there is no geometric mean for the surround to take."
        )
    if bool((plane == 0).any()):
        return plane.new_zeros(())
    return plane.log().mean().exp()


def _received(light: list[Tensor], surrounds: list[Tensor | None], viewing: Viewing) -> tuple[Tensor, Tensor]:
    """Return the adapting luminance and the joint receptor response, (H, W) float64."""
    height, width = light[0].shape
    if viewing.mtf != "none":
        lattice = Lattice(height, width, viewing.pixels_per_degree, light[0].device)
        quadrant = optics.transfer(lattice, viewing.mtf, viewing.age)
        light = [optics.blurred(x, around, quadrant) for x, around in zip(light, surrounds, strict=True)]
    task = viewing.task
    weights = sensed(viewing.encoding, viewing.display, viewing.age, task.do_aod)
    long, middle, rod = (_signal(light, [row[kind] for row in weights]) for kind in range(3))
    # The mean of logarithms is needed as well, so the mean luminance comes last.
    logs = smoothed((long + middle).clamp(min=NIGHT).log(), ADAPTATION * viewing.pixels_per_degree, "repeated")
    if task.do_slum:
        area = height * width / viewing.pixels_per_degree**2
        factor = receptors.pupil_factor(logs.mean().exp(), area, viewing.age)
        long, middle, rod = long * factor, middle * factor, rod * factor
    correction = task.base_sensitivity_correction + task.sensitivity_correction
    cone, of_rods = receptors.tables(correction, task.rod_sensitivity, long.dtype, long.device)
    return logs.exp(), cone(long.log10()) + cone(middle.log10()) + of_rods(rod.log10())


def _signal(light: list[Tensor], weights: list[float]) -> Tensor:
    first, *rest = (plane * weight for plane, weight in zip(light, weights, strict=True))
    return sum(rest, first).clamp(BLIND, DAZZLED)


def bands(view: Seen, viewing: Viewing) -> list[Band]:
    """Split what is seen into bands, fine to coarse; the mean of the last, the base band, is taken off each image."""
    most = max(0, math.ceil(math.log2(viewing.pixels_per_degree)) - 2)
    split = [pyramid.split(plane, viewing.bank, most) for plane in (view.difference, view.reference)]
    for parts in split:
        parts[-1] = parts[-1] - parts[-1].mean()
    return [
        Band(difference, reference, viewing.pixels_per_degree / 2**number, number)
        for number, (difference, reference) in enumerate(zip(*split, strict=True), start=1)
    ]
