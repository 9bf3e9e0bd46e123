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
    libraries = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [library.allow_tf32 for library in libraries]
    try:
        for library in libraries:
            library.allow_tf32 = True
        yield
    finally:
        for library, allowed in zip(libraries, before, strict=True):
            library.allow_tf32 = allowed
