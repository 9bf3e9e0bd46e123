"""Weights of TensorFlow 1 networks: their variables under public names, in their shapes, to parameters of ours."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from bench.nn import published

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
    needed = {name: variable(value) for name, value in theirs.items() if not TRAINING.search(name)}
    published.fill(network, needed, names, label, ignored=f"(?:{ignored}).*")
