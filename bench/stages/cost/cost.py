"""The cost of one training step, or of one prediction, as plain numbers: what is counted once and kept."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """What one training step, or one prediction, costs.

    phases            : name and FLOPs of each optimiser step in it; of the one forward pass of a prediction.
    traffic           : bytes read and written.
    operators         : how many were run, views apart: each is a launch, or more, on a GPU.
    saved             : bytes kept for the backward pass, at the phase that keeps most.
    trainable, frozen : numbers of parameters.
    products          : convolutions and matrix products among the operators, which a compiler can't fuse.
    """

    phases: tuple[tuple[str, float], ...]
    traffic: float
    operators: int
    saved: float
    trainable: int
    frozen: int
    products: int = 0

    @property
    def flops(self) -> float:
        """FLOPs of all phases."""
        return sum(flops for _, flops in self.phases)

    @property
    def memory(self) -> float:
        """Bytes: parameters in fp32, gradients and Adam's two moments of what is trained, and what is kept."""
        return 4.0 * (self.trainable + self.frozen) + 12.0 * self.trainable + self.saved


def padded(size: tuple[int, int], multiple: int) -> tuple[int, int]:
    """Return height and width rounded up to a multiple, as a network pads its frames."""
    height, width = (math.ceil(edge / multiple) * multiple for edge in size)
    return height, width
