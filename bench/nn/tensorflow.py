"""Weights of TensorFlow 1 networks: their variables under public names, in their shapes, to parameters of ours."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from bench.core.errors import UsageError

TRAINING = re.compile(
    r"(^|/)(Adam(_\d+)?|Momentum|RMSProp(_\d+)?|ExponentialMovingAverage|global_step|beta[12]_power(_\d+)?)$"
)
"""Variables that a saver file holds for the training alone: optimiser slots, averages and counters."""


def variable(value: Any) -> Tensor:
    """One variable as a parameter: a kernel (rows, columns, a, b) becomes (b, a, rows, columns), not flipped.

    Both layouts turn that way: convolutions (rows, columns, in, out) and transposed ones (rows, columns, out, in).
    What has one row, such as (1, out), becomes a vector; all else keeps its shape.
    """
    tensor = torch.as_tensor(value)
    if tensor.ndim == 4:
        return tensor.permute(3, 2, 0, 1).contiguous()
    return tensor[0] if tensor.ndim == 2 and len(tensor) == 1 else tensor


def fill(
    network: nn.Module, names: Mapping[str, str], state: Mapping[str, Any], *, label: str, ignored: str = r"(?!)"
) -> None:
    """Fill `network` with variables (arrays or tensors in TensorFlow's shapes), strictly.

    names   : our parameter names to theirs; entries of ours that aren't named stay as they are.
    state   : their names, with or without ":0", to values; what only training needs is left out.
    label   : what the network is called in messages.
    ignored : regular expression for the start of names that belong to other networks.

    Names that are missing or left over, and shapes of another network, raise UsageError.
    """
    theirs = {name.removesuffix(":0"): value for name, value in state.items()}
    missing = sorted(set(names.values()) - set(theirs))
    rest = sorted(set(theirs) - set(names.values()))
    extra = [name for name in rest if not (TRAINING.search(name) or re.match(ignored, name))]
    if missing or extra:
        raise UsageError(f"not {label}'s published weights: missing {missing[:5]}, left over {extra[:5]}.")
    own = network.state_dict()
    filled = {ours: variable(theirs[name]) for ours, name in names.items()}
    for ours, value in filled.items():
        if value.shape != own[ours].shape:
            raise UsageError(
                f"not {label}'s published weights for this size: {names[ours]!r} has shape "
                f"{list(torch.as_tensor(theirs[names[ours]]).shape)}, which doesn't make {list(own[ours].shape)}."
            )
    network.load_state_dict({**own, **filled})
