"""Import weights: an authors' checkpoint, converted to this project's names and conventions, with a card."""

import os
import re
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.core import layout
from bench.core.errors import UsageError, unknown_name
from bench.core.method import MethodCard
from bench.core.params import Params
from bench.core.reading import need_name, need_regular, read_json, shown
from bench.core.registry import methods
from bench.nn import checkpoints
from bench.nn.published import Misnamed
from bench.stages.training import outputs
from bench.train.loop import trainable

OURS = {
    "channels": "[LDR, linear]", "colours": "RGB", "divisor": "full range of the stored type", "output": "linear, 1 is "
    "what the shortest frame saturates at",
}  # fmt: skip
"""Conventions of every network here once its weights are converted."""


MOST = 100
"""Ways to understand a file that are tried; a checkpoint of a GAN with averages and wrappers has some twenty."""


AVERAGED = re.compile(r"(?<![a-z])ema(?![a-z])", re.IGNORECASE)
"""In the names of what holds the running averages of weights (`params_ema`), with which authors predict."""


Fitting = tuple[checkpoints.Reading, Mapping[str, torch.Tensor]]
"""A way to understand a file that fits the network, and the values that the network then has."""


def run(
    params: Params, method: str, file: Path, preset: str = "published", name: str = "", force: bool = False
) -> None:
    """Write weights/<name>.safetensors and its card, and print what to put into the parameter file.

    file  : .safetensors, .npz, what torch.save wrote, or whatever the method's `read_published` takes.
    name  : of the result, "": the method's.
    force : replace other weights of this name.
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
    if not any(bool(value.any()) for value in network.parameters()):
        raise UsageError(f"{shown(file)}: every weight is 0; such a network was never trained, or not saved.")
    described = _describe(card, network, file, preset, len(state))
    if not force:
        _need_free(target, described["source_sha256"])
    outputs.write_weights(target, network, described)
    print(f"{target}: {card.label}, preset {preset}, {trainable([network]):,} parameters from {shown(file.name)}")
    print(_entries(card, preset, target))


def _need_free(target: Path, source: str) -> None:
    """Raise UsageError for a name that weights from another file have, here or on a disk that ignores capitals.

    source : sha256 of the file that the new weights are from.
    """
    for path in (path for path in target.parent.glob("*.json") if path.stem.lower() == target.stem.lower()):
        if path.stem != target.stem or read_json(path).get("source_sha256") != source:
            raise UsageError(
                f"{shown(path.with_suffix('.safetensors'))} holds weights of another file; give these another --name, "
                "or replace them with --force."
            )


def _fill(card: MethodCard, network: nn.Module, file: Path) -> Mapping[str, Any]:
    """Fill the network in the first way to understand the file that fits it strictly; return what it was filled from.

    A file that only the method's class knows is read by its `read_published`. UsageError if several weights in the
    file fit and differ, unless one of them are averages of the others.
    """
    own = getattr(card.load(), "read_published", None)
    if own is not None and checkpoints.TENSORFLOW.fullmatch(file.name):
        state: Mapping[str, Any] = own(file)
        card.load_published(network, state)
        return state
    tried: list[tuple[str, Misnamed]] = []
    fitting: list[Fitting] = []
    try:
        for reading in islice(checkpoints.readings(file), MOST):
            try:
                card.load_published(network, reading.state)
            except Misnamed as error:
                tried.append((reading.how or "as it stands", error))
                continue
            except (UsageError, RuntimeError, ValueError, TypeError, LookupError) as error:  # of odd tensors
                if fitting:
                    continue
                if isinstance(error, UsageError):
                    raise
                said = shown(" ".join(str(error).split()))
                raise UsageError(f"the file's entries can't become this network's ({said}).") from error
            values = {name: value.clone() for name, value in network.state_dict().items()}
            if not any(all(torch.equal(value, one[name]) for name, value in values.items()) for _, one in fitting):
                fitting.append((reading, values))
    except UsageError as error:
        raise UsageError(f"{card.label}: {error}") from error
    if fitting:
        reading, meant = _chosen(file, fitting)
        network.load_state_dict(meant)
        return reading.state
    nearest = min((error for _, error in tried), key=lambda error: error.wrong)  # there is one way at least
    ways = "; ".join(how for how, _ in tried[:5]) + (" and more" if len(tried) > 5 else "")
    raise UsageError(f"{nearest}{f' Tried: {ways}.' if len(tried) > 1 else ''}") from nearest


def _chosen(file: Path, fitting: Sequence[Fitting]) -> Fitting:
    """Return which of several different weights in a file is meant, and say so; UsageError if nobody knows."""
    averaged = [one for one in fitting if AVERAGED.search(one[0].how)]
    hows = [reading.how or "as it stands" for reading, _ in fitting]
    if len(fitting) > 1 and len(averaged) != 1:
        raise UsageError(
            f"{shown(file.name)} holds {len(fitting)} different weights that fit: {'; '.join(hows[:5])}. Nobody knows "
            "which are meant: save those alone, with torch.save, and import that file."
        )
    chosen = (averaged if len(fitting) > 1 else fitting)[0]
    others = "; ".join(how for how, one in zip(hows, fitting, strict=True) if one is not chosen)
    if how := chosen[0].how:
        print(
            f"{shown(file.name)}: the weights {how}{f', their running averages; left out: {others}' if others else ''}"
        )
    return chosen


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
