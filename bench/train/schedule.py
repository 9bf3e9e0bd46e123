"""Learning rates as functions of the step alone, so that nothing has to be saved for resuming."""

import math

from bench.core.optimisation import Optimisation

WARM_UP = 0.1
"""Share of a one-cycle run in which the learning rate rises."""


def lr_at(settings: Optimisation, peak: float, step: int) -> float:
    """Return the learning rate of step 0..steps-1.

    "constant" is `peak`; "one-cycle" rises linearly from peak / 25 over the first tenth and falls as a cosine to 0;
    "decay" is multiplied by `decay` after every `decay_every` steps and stays above `min_lr` (or above the peak,
    if that is lower).
    """
    if settings.schedule == "constant":
        return peak
    if settings.schedule == "decay":
        fallen = peak * settings.decay ** (step // settings.decay_every)
        return max(fallen, min(settings.min_lr, peak))
    position = (step + 1) / settings.steps
    if position <= WARM_UP:
        return peak * (0.04 + 0.96 * position / WARM_UP)
    return peak * 0.5 * (1 + math.cos(math.pi * (position - WARM_UP) / (1 - WARM_UP)))
