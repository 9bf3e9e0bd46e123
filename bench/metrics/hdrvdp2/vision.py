"""From light to bands: what both images look like behind the eye's optics, its receptors and the visual cortex."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import UsageError
from . import csf, display, optics, pyramid, receptors
from .masking import Band
from .strips import strips

VISIBLE = 1e-3
"""Relative difference of any channel from which on a pixel counts as changed."""

DIMMEST, BRIGHTEST = 1e-5, 1e5
"""cd/m2 that the adapting luminance is clamped to."""


@dataclass(frozen=True)
class Viewing:
    """Viewing conditions; see `hdrvdp2`. `dtype` is that of everything after the receptors."""

    color_encoding: str
    pixels_per_degree: float
    surround: float
    rgb_display: str | None
    dtype: torch.dtype


class Seen(NamedTuple):
    """Input of the bands and the masking; planes are (H, W).

    difference, reference : receptor responses, in units of just noticeable differences, mean 0.
    logs                  : log10 of the luminance that the eye adapts to, mean of both images, cd/m2.
    test_mean, reference_mean : mean adapting luminance of each image, cd/m2, float64 without dimension.
    changed               : 1 where the light of the images differs visibly, else 0.
    """

    difference: Tensor
    reference: Tensor
    logs: Tensor
    test_mean: Tensor
    reference_mean: Tensor
    changed: Tensor


def seen(test: list[Tensor], reference: list[Tensor], viewing: Viewing) -> Seen:
    """Pass the light of two images, lists of channels (H, W) in cd/m2, float64, through optics and receptors."""
    surround = [_surround(plane, viewing.surround) for plane in reference]
    changed = visibly_changed(test, reference)
    adapted, joint = zip(*(_received(light, surround, viewing) for light in (test, reference)), strict=True)
    both = ((adapted[0] + adapted[1]) / 2).clamp(DIMMEST, BRIGHTEST).log10()
    difference, known, logs, mask = (x.to(viewing.dtype) for x in (joint[0] - joint[1], joint[1], both, changed))
    return Seen(difference, known, logs, adapted[0].mean(), adapted[1].mean(), mask)


def visibly_changed(test: list[Tensor], reference: list[Tensor]) -> Tensor:
    """Tell pixels (H, W) of which a channel of light differs by more than VISIBLE of the reference."""
    # As in the original program: a reference of 0 gives infinity, which is changed, or 0/0, which isn't; where the
    # reference is negative, nothing counts as changed.
    channels = zip(test, reference, strict=True)
    ratios = ((one.detach() - two).abs_().div_(two) > VISIBLE for one, two in channels)
    return reduce(torch.logical_or, ratios)


def _surround(plane: Tensor, surround: float) -> Tensor:
    if surround != -1:
        return plane.new_tensor(surround)
    if bool((plane < 0).any()):
        raise UsageError("the reference has negative light, so there is no geometric mean for the surround to take.")
    return plane.log().mean().exp()


def _received(light: list[Tensor], surround: list[Tensor], viewing: Viewing) -> tuple[Tensor, Tensor]:
    """Return the adapting luminance and the joint receptor response, (H, W) float64."""
    height, width = light[0].shape
    transfer = optics.transfer(optics.Lattice(height, width, viewing.pixels_per_degree, light[0].device))
    channels = zip(light, surround, strict=True)
    spectra = [optics.filtered_rows(plane - around, transfer) for plane, around in channels]
    matrix = display.spectral_matrix(viewing.color_encoding, viewing.rgb_display)
    adapted, joint = [], []
    for part in strips(height, width, light[0].device):
        rows = [optics.blurred(s[part], around, width) for s, around in zip(spectra, surround, strict=True)]
        long, middle, rod = (_mixed(rows, weights) for weights in zip(*matrix, strict=True))
        adapted.append(long + middle)
        joint.append(receptors.response(long, middle, rod))
    response = torch.cat(joint)
    return torch.cat(adapted), response - response.mean()


def _mixed(rows: list[Tensor], weights: Sequence[float]) -> Tensor:
    first, *rest = (plane * weight for plane, weight in zip(rows, weights, strict=True))
    return sum(rest, first)


def bands(view: Seen, viewing: Viewing) -> list[Band]:
    """Split what is seen into bands, fine to coarse; the last, the base band, is filtered with the sensitivity."""
    parts = list(zip(pyramid.split(view.difference), pyramid.split(view.reference), strict=True))
    frequencies = [viewing.pixels_per_degree / 2 ** (index + 1) for index in range(len(parts))]
    parts[-1] = _base(*parts[-1], view, frequencies[-1])
    return [
        Band(difference, reference, frequency, number)
        for number, ((difference, reference), frequency) in enumerate(zip(parts, frequencies, strict=True), start=1)
    ]


def _base(difference: Tensor, reference: Tensor, view: Seen, frequency: float) -> tuple[Tensor, Tensor]:
    plane = reference[0].double()
    around = plane.mean()
    lattice = optics.Lattice(plane.shape[0], plane.shape[1], frequency * 2 * 2**0.5, plane.device)
    rho = lattice.frequencies()
    filtered = []
    for image, luminance in ((plane + difference[0].double(), view.test_mean), (plane, view.reference_mean)):
        response = lattice.unfold(csf.on_lattice(rho, luminance.log10()))
        spectra = optics.filtered_rows(image - around, response)
        filtered.append(optics.cut(spectra, lattice.width).to(view.reference.dtype))
    return (filtered[0] - filtered[1])[None], filtered[1][None]
