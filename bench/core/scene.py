"""A scene: the exposures of one bracket and, where it is known, the radiance behind them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.core.errors import UsageError

Array = NDArray[Any]
"""Any array; its shape, dtype and unit stand in the docstring that uses it."""

Radiance = NDArray[np.float32]
"""(H, W, 3) linear RGB, relative: 1 is the largest radiance that the short exposure holds."""

GAMMA = 2.2
"""Exponent of the power law that relates stored frames and linear values (Kalantari 2017)."""

LONGEST = 1e12
"""Times the shortest exposure; forty stops are twice what any sensor tells apart."""

IMAGE_KINDS = ("L1", "L2", "L3", "H")
"""Kinds of images, in the order of the paper's eta = 1..4: short, mid and long frame, HDR."""


@dataclass(frozen=True)
class Scene:
    """One bracket, ordered from the short exposure to the long one.

    id        : unique inside its dataset and split.
    frames    : (N, H, W, 3) uint8 or uint16, RGB, gamma-encoded, the full range of the dtype is [0, 1].
    times     : (N,) float64, relative exposure times 2^(EV - min EV): the shortest is 1.
    reference : index of the frame that the result is aligned to (the middle one).
    radiance  : (H, W, 3) float32 in [0, 1], the truth at the reference's moment, or None.
    uncovered : (H, W) bool, pixels of the reference frame whose surface at least one other frame doesn't show, because
                something hides it there or it lies outside; None where nobody knows. Frames that are registered show
                no more of it, so it stays right for them.
    """

    id: str
    frames: Array
    times: NDArray[np.float64]
    reference: int
    radiance: Radiance | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    uncovered: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        """Refuse arrays that break the contract above."""
        if self.frames.dtype not in (np.uint8, np.uint16) or self.frames.ndim != 4 or self.frames.shape[-1] != 3:
            raise UsageError(
                f"scene {self.id!r}: frames are {self.frames.dtype} of shape {self.frames.shape}; "
                "expected uint8 or uint16 of shape (N, H, W, 3)."
            )
        known = len(self.times) == len(self.frames) and np.isclose(self.times.min(), 1.0)
        if not known or not self.times.max() <= LONGEST:
            raise UsageError(
                f"scene {self.id!r}: exposure times {self.times.tolist()} for {len(self.frames)} frames; "
                f"expected one per frame, the shortest equal to 1, the longest at most {LONGEST:.0e}."
            )
        area = self.uncovered
        if area is not None and (area.dtype != np.bool_ or area.shape != self.frames.shape[1:3]):
            raise UsageError(
                f"scene {self.id!r}: the uncovered pixels are {area.dtype} of shape {area.shape}; "
                f"expected bool of shape {self.frames.shape[1:3]}, as the frames have it."
            )

    @property
    def ldr(self) -> NDArray[np.float32]:
        """(N, H, W, 3) float32 in [0, 1], gamma-encoded: frames divided by the full range of their dtype."""
        return self.frames.astype(np.float32) / np.float32(np.iinfo(self.frames.dtype).max)

    @property
    def linear(self) -> NDArray[np.float32]:
        """(N, H, W, 3) float32 relative radiance in [0, 1/t_i]: ldr^2.2 / t_i."""
        return (self.ldr**GAMMA / self.times.astype(np.float32)[:, None, None, None]).astype(np.float32)
