"""Measure on held-out scenes how far the prediction in tiles is from that of the whole image."""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from bench.color.registration import registered
from bench.color.transfer import mu_law
from bench.core.errors import UsageError
from bench.core.method import MethodCard
from bench.core.params import Params
from bench.core.registry import methods
from bench.core.runs import registration
from bench.nn.frames import scene_input
from bench.nn.tiling import predict
from bench.stages.training import environment, inputs, networks
from methods.olc.codebook import Codebook


class Agreement(NamedTuple):
    """Differences between a prediction in tiles and the whole image's.

    codes      : share of code indices that differ; None of a method without a codebook.
    difference : largest absolute difference in the mu-law domain, outside pixels whose code differs.
    everywhere : the same, in all pixels.
    """

    codes: float | None
    difference: float
    everywhere: float


def run(params: Params, name: str, tile: int, limit: int) -> None:
    """Print the agreement on the first `limit` test scenes of the data that run `name` was trained on."""
    entry, device = networks.find_run(params, name), environment.start(params)
    variant = params.variants[entry.variant]
    card, wanted = methods[variant.method], registration(params, variant)
    if card.overlap == 0:
        raise UsageError(f"method {card.name!r} takes full frames only; there are no tiles to compare.")
    network = environment.to_device(networks.read(params, name), device)
    for scene in inputs.read_split(params, entry.trainset, "test")[:limit]:
        inputs.need_bracket(card.label, [scene])
        height, width = scene.frames.shape[1:3]
        if max(height, width) <= tile:
            raise UsageError(
                f"{scene.id}, of {width}x{height} pixels, is a single tile of {tile}; set a smaller --tile."
            )
        found = agreement(card, network, scene_input(registered(scene, wanted)).to(device), tile)
        print(f"{scene.id}, tiles of {tile}: {said(found)}")


def said(found: Agreement) -> str:
    """Return an agreement in words; codes are spoken of where there are any."""
    if found.codes is None:
        return f"largest difference in the mu-law domain {found.everywhere:.2g}"
    return (
        f"{found.codes:.3%} of the codes differ; largest difference in the mu-law domain {found.difference:.2g} "
        f"outside their pixels, {found.everywhere:.2g} everywhere"
    )


def agreement(card: MethodCard, network: nn.Module, frames: Tensor, tile: int) -> Agreement:
    """Predict frames (1, N, 6, H, W) whole and in tiles of `tile` pixels a side, and compare."""
    (whole, codes), (tiled, others) = (_predict(card, network, frames, edge) for edge in (0, tile))
    gap = (mu_law(tiled) - mu_law(whole)).abs().amax(1)[0]
    if codes is None or others is None:
        return Agreement(None, float(gap.max()), float(gap.max()))
    differ = codes != others
    pixels = -(-gap.shape[0] // card.multiple) * card.multiple // codes.shape[-2]  # along the edge of a code
    covered = F.interpolate(differ[None].float(), scale_factor=pixels)[0, 0] > 0
    same = ~covered[: gap.shape[0], : gap.shape[1]]
    outside = float(gap[same].max()) if same.any() else 0.0
    return Agreement(float(differ.float().mean()), outside, float(gap.max()))


def _predict(card: MethodCard, network: nn.Module, frames: Tensor, tile: int) -> tuple[Tensor, Tensor | None]:
    """Return radiance (1, 3, H, W) and the whole image's code indices (1, h, w), if the network looks any up."""
    found: list[Tensor] = []
    codebooks = [part for part in network.modules() if isinstance(part, Codebook)]
    hooks = [part.register_forward_hook(lambda _, __, result: found.append(result.indices)) for part in codebooks]
    try:
        radiance = predict(network, frames, multiple=card.multiple, tile=tile, overlap=card.overlap)
    finally:
        for hook in hooks:
            hook.remove()
    return radiance, found[-1] if found else None
