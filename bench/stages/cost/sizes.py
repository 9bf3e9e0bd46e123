"""Parameters and multiply-adds of Table 1's networks, as this profile has them and as published."""

from torch import nn

from bench.core import layout
from bench.core.method import MethodCard
from bench.core.params import Params
from bench.core.progress import track
from bench.core.registry import methods
from bench.io.files import write_json_atomic
from bench.stages.cost import counting
from bench.stages.cost.cost import padded
from bench.stages.training import networks
from bench.train.loop import trainable

INPUTS = {"macs_256": (256, 256), "macs_full": (1000, 1500)}
"""Height and width of the frames that multiply-adds are counted for; padded to the method's multiple."""

Size = dict[str, int]


def run(params: Params) -> None:
    """Write work/<profile>/sizes.json: variant -> "measured" and "published" -> parameters, frozen, multiply-adds.

    Networks are counted on the real graph without computing anything. A part that runs before a network, such as
    optical flow, isn't counted.
    """
    rows = dict.fromkeys(params.rows(1).values())
    names = [name for name in rows if methods[params.variants[name].method].trains]
    sizes = {name: of_variant(params, name) for name in track(names, len(names), "sizes")}
    write_json_atomic(layout.sizes(params), sizes)


def of_variant(params: Params, name: str) -> dict[str, Size]:
    """Count a variant's network, and the same with the method's published preset and head."""
    variant = params.variants[name]
    first = next((run for run in params.runs.values() if run.variant == name), None)  # it says which codebook
    card, options = methods[variant.method], networks.options(params, variant, first)
    published = options | ({"head": card.heads[0]} if card.heads else {})
    return {
        "measured": count(card, card.build(variant.preset, **options)),
        "published": count(card, card.build("published", **published)),
    }


def count(card: MethodCard, network: nn.Module) -> Size:
    """Count one network: trained and frozen parameters, and multiply-adds of one prediction for both `INPUTS`."""
    trained = trainable([network])
    every = sum(p.numel() for p in network.parameters())
    macs = {}
    for name, size in INPUTS.items():
        height, width = padded(size, card.multiple)
        macs[name] = counting.multiply_adds(network, height=height, width=width)
    return {"parameters": trained, "parameters_frozen": every - trained, **macs}
