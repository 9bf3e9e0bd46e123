"""Radiance as a picture for people to look at. Scores never pass through here."""

import numpy as np
from numpy.typing import NDArray

from bench.color.transfer import MU, mu_law
from bench.core.scene import Array


def for_display(radiance: Array, scale: float = 1.0) -> NDArray[np.uint8]:
    """Show linear radiance: mu-law (mu = 5000) of radiance / scale clipped to [0, 1], rounded to (..., 3) uint8.

    scale : the radiance shown as white, above 0. Take it from the truth and use it for every method beside it, or
            differences in brightness are hidden.
    NaN is shown as black.
    """
    x = np.clip(np.nan_to_num(np.asarray(radiance, np.float32) / scale, nan=0.0, posinf=1.0, neginf=0.0), 0, 1)
    shown: NDArray[np.uint8] = np.rint(255 * mu_law(x, MU)).astype(np.uint8)
    return shown
