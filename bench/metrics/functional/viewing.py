"""Viewing geometry: how large a pixel looks."""

import math
from collections.abc import Sequence

from ..errors import UsageError


def pixels_per_degree(diagonal: float, resolution: Sequence[int], distance: float) -> float:
    """Return the pixels that one degree of visual angle covers on a display with square pixels.

    diagonal   : of the display, in inches.
    resolution : (width, height) of the display, in pixels.
    distance   : of the eye, in metres.
    A value that isn't positive raises UsageError.

    >>> round(pixels_per_degree(24, (1500, 1000), 0.5), 4)  # a 24 inch display of 1500x1000 pixels seen from 0.5 m
    26.7627
    """
    width, height = resolution
    if not (min(diagonal, width, height, distance) > 0 and math.isfinite(diagonal + width + height + distance)):
        raise UsageError(
            f"a display of {diagonal} in and {width}x{height} pixels at {distance} m; expected positive numbers."
        )
    ratio = width / height
    height_mm = math.sqrt((diagonal * 25.4) ** 2 / (1 + ratio**2))
    return height / math.degrees(2 * math.atan(0.5 * height_mm / (1000 * distance)))
