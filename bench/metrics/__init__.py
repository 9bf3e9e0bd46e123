"""Metrics, and the protocols that fix how they are applied. Nothing here opens an image file.

Every registered metric can be imported from here and called on images (H, W, 3), such as `psnr_mu(pred, truth)`; see
`bench.metrics.scorer.score`. Only `hdrvdp2` is the package of that name, which holds the function with all arguments.
"""

from collections.abc import Callable
from functools import partial


def __getattr__(name: str) -> Callable[..., float]:
    """Return metric `name`, with "_" for "-", as a function of prediction and truth."""
    from bench.core.registry import metrics

    metric = name.replace("_", "-")
    if metric not in metrics or metric == "hdrvdp2":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from bench.metrics.scorer import score

    return partial(score, metrics[metric])
