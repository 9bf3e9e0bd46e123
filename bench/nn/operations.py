"""What PyTorch's counter of operations lacks: the fused attention that runs on the CPU."""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, flop_registry

_ATEN = torch.ops.aten

ATTENTION: dict[Any, Callable[..., int]] = {
    _ATEN._scaled_dot_product_flash_attention_for_cpu: flop_registry[_ATEN._scaled_dot_product_flash_attention],
    _ATEN._scaled_dot_product_flash_attention_for_cpu_backward: flop_registry[
        _ATEN._scaled_dot_product_flash_attention_backward
    ],
}
"""Operator to the formula of its FLOPs: that of the same operator on a GPU. The counter would leave it out."""

FORMULAS: dict[Any, Callable[..., int]] = {**flop_registry, **ATTENTION}
"""Operator to the formula of its FLOPs, two for a multiply-add."""


def counter() -> FlopCounterMode:
    """Return a counter of FLOPs that knows every operator used here; a context that prints nothing."""
    return FlopCounterMode(display=False, custom_mapping=dict(ATTENTION))
