"""Networks of the profile's runs: built from their variant, filled from their files."""

from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from bench.core.errors import unknown_name
from bench.core.params import Params, Run
from bench.core.registry import methods
from bench.stages import layout


def find_run(params: Params, name: str) -> Run:
    """Return the run called `name`, or raise UsageError with near names."""
    if name not in params.runs:
        raise unknown_name("run", name, params.runs)
    return params.runs[name]


def build(params: Params, run: Run) -> nn.Module:
    """Build a run's network with the profile's head; its weights are not set."""
    variant = params.variants[run.variant]
    card, options = methods[variant.method], dict(variant.options)
    if card.heads:
        options.setdefault("head", params.head)
    if run.codebook is not None:
        book = params.codebooks[run.codebook]
        options["vqgan"] = {
            "codes": book.codes, "segments": book.segments, "encoder_domain": params.stage1.encoder_domain,
        }  # fmt: skip
    return card.build(variant.preset, **options)


def read(params: Params, name: str) -> nn.Module:
    """Build the network of run `name` and load its trained weights, in evaluation mode."""
    run = find_run(params, name)
    network = build(params, run)
    network.load_state_dict(load_file(layout.need(layout.weights(params, name), f"train {name}")))
    return network.eval()


def load_prior(params: Params, run: Run, network: Any) -> None:
    """Load the frozen VQGAN of a run that needs a codebook."""
    if run.codebook is not None:
        path = layout.need(layout.codebook(params, run.codebook), f"codebook {run.codebook}")
        network.vqgan.load_state_dict(load_file(path))


@torch.no_grad()
def multiply_adds(network: nn.Module, edge: int = 64) -> int:
    """Count multiply-adds of convolutions and matrix products for one pixel, on an input of `edge` x `edge`."""
    from torch.utils.flop_counter import FlopCounterMode

    device = next(network.parameters()).device
    counter = FlopCounterMode(display=False)
    with counter:
        network(torch.zeros(1, 3, 6, edge, edge, device=device))
    return int(counter.get_total_flops() // 2 // edge**2)
