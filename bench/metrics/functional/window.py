"""The window of SSIM's local statistics, and the ways in which public code applies it."""

import math
from typing import Literal, NamedTuple, Protocol

SsimArea = Literal["valid", "replicate"]
SsimChannels = Literal["separate", "volume"]
WindowKind = Literal["gaussian", "uniform"]


class SeparableWindow(Protocol):
    """Any window that is the outer product of one normalised row with itself; hashable.

    >>> window: SeparableWindow = WindowSettings(kind="uniform", size=3)
    >>> window.taps()[0] == 1 / 3
    True
    """

    @property
    def size(self) -> int:
        """Rows and columns, odd."""

    @property
    def sample_covariance(self) -> bool:
        """Whether variances are taken times n/(n-1), n = size^2."""

    def taps(self) -> list[float]:
        """Weights of one row, `size` many, with sum 1."""

    def __hash__(self) -> int:
        """Filters are kept by their window."""


class WindowSettings(NamedTuple):
    """A window: its shape, rows and columns (odd), sigma in pixels, and whether variances are times n/(n-1).

    >>> [round(weight, 3) for weight in WindowSettings(size=3, sigma=1.0).taps()]
    [0.274, 0.452, 0.274]
    """

    kind: WindowKind = "gaussian"
    size: int = 11
    sigma: float = 1.5
    sample_covariance: bool = False

    def taps(self) -> list[float]:
        """Weights of one row, size many, with sum 1."""
        radius = self.size // 2
        weights = [
            math.exp(-0.5 * (x / self.sigma) ** 2) if self.kind == "gaussian" else 1.0
            for x in range(-radius, radius + 1)
        ]
        return [weight / math.fsum(weights) for weight in weights]


def border(window: SeparableWindow, area: SsimArea) -> int:
    """Width in pixels of the border of an image that holds no window centre.

    >>> border(WindowSettings(size=11), "valid"), border(WindowSettings(size=11), "replicate")
    (5, 0)
    """
    return window.size // 2 if area == "valid" else 0
