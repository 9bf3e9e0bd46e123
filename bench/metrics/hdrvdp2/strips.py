"""Work on large planes strip by strip: on a CPU a strip stays in the cache, and its memory is used again at once."""

from collections.abc import Iterator

import torch

NUMBERS = 1 << 17
"""Numbers in a strip on a CPU."""


def strips(lines: int, length: int, device: torch.device) -> Iterator[slice]:
    """Yield slices that cut `lines` rows (or columns) of `length` numbers into strips; a GPU takes all at once."""
    step = max(1, NUMBERS // length) if device.type == "cpu" else lines
    return (slice(first, min(first + step, lines)) for first in range(0, lines, step))
