"""Learning rates as functions of the step alone, so that nothing has to be saved for resuming."""

import math

WARM_UP = 0.1
"""Share of a one-cycle run in which the rate rises."""


def rate(schedule: str, peak: float, step: int, steps: int) -> float:
    """Return the rate of step 0..steps-1.

    "constant" is `peak`; "one-cycle" rises linearly from peak / 25 over the first tenth and falls as a cosine to 0.
    """
    if schedule == "constant":
        return peak
    position = (step + 1) / steps
    if position <= WARM_UP:
        return peak * (0.04 + 0.96 * position / WARM_UP)
    return peak * 0.5 * (1 + math.cos(math.pi * (position - WARM_UP) / (1 - WARM_UP)))
