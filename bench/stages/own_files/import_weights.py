"""Import weights: an authors' checkpoint, converted to this project's names and conventions, with a card."""

import os
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.core.errors import UsageError, unknown_name
from bench.core.method import MethodCard
from bench.core.params import Params
from bench.core.reading import need_name, need_regular, shown
from bench.core.registry import methods
from bench.nn import checkpoints
from bench.nn.published import Misnamed
from bench.stages import layout
from bench.stages.training import outputs
from bench.train.loop import trainable

OURS = {
    "channels": "[LDR, linear]", "colours": "RGB", "divisor": "full range of the stored type", "output": "linear, 1 is "
    "what the shortest frame saturates at",
}  # fmt: skip
"""Conventions of every network here once its weights are converted."""


MOST = 100
"""Ways to understand a file that are tried; a checkpoint of a GAN with averages and wrappers has some twenty."""


def run(params: Params, method: str, file: Path, preset: str = "published", name: str = "") -> None:
    """Write weights/<name>.safetensors and its card, and print what to put into the parameter file.

    file : .safetensors, .npz, what torch.save wrote, or whatever the method's `read_published` takes.
    name : of the result, "": the method's.
    UsageError for weights of another network, and for files that can't be read without running what they hold.
    """
    if method not in methods:
        raise unknown_name("method", method, methods)
    card, target = methods[method], layout.foreign(need_name(name, "--name") if name else method)
    if not os.path.lexists(file):
        raise UsageError(f"{shown(file)}: no such file; name the checkpoint that the authors of {card.label} released.")
    need_regular(file, checkpoints.LARGEST)
    network = card.build(preset, **({"head": card.heads[0]} if card.heads else {}))
    state = _fill(card, network, file)
    settle = getattr(network, "settle", None)  # a spectral norm whose iteration goes on while it predicts
    if settle is not None:
        settle()
    outputs.write_weights(target, network, _describe(card, network, file, preset, len(state)))
    print(f"{target}: {card.label}, preset {preset}, {trainable([network]):,} parameters from {shown(file.name)}")
    print(_entries(card, preset, target))


def _fill(card: MethodCard, network: nn.Module, file: Path) -> Mapping[str, Any]:
    """Fill the network in the first way to understand the file that fits it strictly; return what it was filled from.

    A file that only the method's class knows is read by its `read_published`.
    """
    own = getattr(card.load(), "read_published", None)
    if own is not None and checkpoints.TENSORFLOW.fullmatch(file.name):
        state: Mapping[str, Any] = own(file)
        card.load_published(network, state)
        return state
    tried: list[tuple[str, Misnamed]] = []
    try:
        for reading in islice(checkpoints.readings(file), MOST):
            try:
                card.load_published(network, reading.state)
            except Misnamed as error:
                tried.append((reading.how or "as it stands", error))
                continue
            except (RuntimeError, ValueError, TypeError, LookupError) as error:  # of an adapter, over odd tensors
                said = shown(" ".join(str(error).split()))
                raise UsageError(f"the file's entries can't become this network's ({said}).") from error
            if reading.how:
                print(f"{shown(file.name)}: the weights {reading.how}")
            return reading.state
    except UsageError as error:
        raise UsageError(f"{card.label}: {error}") from error
    nearest = min((error for _, error in tried), key=lambda error: error.wrong)  # there is one way at least
    ways = "; ".join(how for how, _ in tried[:5]) + (" and more" if len(tried) > 5 else "")
    raise UsageError(f"{nearest}{f' Tried: {ways}.' if len(tried) > 1 else ''}") from nearest


def _describe(card: MethodCard, network: nn.Module, file: Path, preset: str, entries: int) -> dict[str, Any]:
    return {
        "method": card.name,
        "label": card.label,
        "preset": preset,
        "options": {},
        "head": card.heads[0] if card.heads else None,
        "kind": "third-party weights",
        "source": file.name,
        "source_sha256": outputs.file_digest(file),
        "source_bytes": file.stat().st_size,
        "source_entries": entries,
        "conventions": {"theirs": dict(card.conventions), "ours": OURS, "padding": f"multiples of {card.multiple}"},
        "tiles": f"overlap {card.overlap}" if card.overlap else "full frame only",
        "parameters": trainable([network]),
        "settled": hasattr(network, "settle"),
        "finite": all(bool(torch.isfinite(value).all()) for value in network.state_dict().values()),
    }


def _entries(card: MethodCard, preset: str, target: Path) -> str:
    variant = f"{target.stem}-authors"
    return "\n".join(
        (
            "For a row measured with them, put into the parameter file:",
            "variants:",
            f"  {variant}: {{method: {card.name}, preset: {preset}, weights: {target}}}",
            "tables:",
            f"  \"1\": {{rows: [{{'{card.label}, authors'' weights': {variant}}}]}}",
        )
    )
