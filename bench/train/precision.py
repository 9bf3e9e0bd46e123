"""Number formats of training steps on CUDA: bfloat16 under autocast, TensorFloat-32 in products, or float32 alone."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """Return the context that losses are computed in; it changes something for "bf16" on CUDA alone."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16" and device.type == "cuda")


@contextmanager
def products(precision: str) -> Iterator[None]:
    """Within, for "tf32", CUDA rounds the factors of convolutions and matrix products to ten bits after the point.

    Whole steps run in it, backward pass included, and nothing else: what is measured between steps is float32.
    """
    if precision != "tf32":
        yield
        return
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    try:
        matmul.allow_tf32 = cudnn.allow_tf32 = True
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before
