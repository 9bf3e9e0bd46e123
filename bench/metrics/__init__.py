"""Metrics, and the protocols that fix how they are applied. Nothing here opens an image file.

Every registered metric can be imported from here, such as `psnr_mu(pred, truth)`, and takes images (H, W, 3), (3, H, W)
or (B, 3, H, W); see `bench.metrics.scorer.score`. `hdrvdp2` and `hdrvdp3` are the packages that hold the functions with
all arguments, and can be called like the others. Classes such as `PsnrMu` take the mean over many images; see
`bench.metrics.functional.running`.
"""

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

PACKAGES = ("hdrvdp2", "hdrvdp3")
"""Metrics that are packages, and callable; see `bench.metrics.functional.parent`."""


def __getattr__(name: str) -> Any:
    """Return metric `name`, with "_" for "-", as a function of prediction and truth, or the class of that name."""
    from bench.core.registry import metrics

    metric = name.replace("_", "-")
    if metric in metrics:
        return import_module(f"{__name__}.{metric}") if metric in PACKAGES else partial(measured, metric)
    if name[:1].isupper():
        from bench.metrics.functional import running

        if issubclass(found := getattr(running, name, object), running.RunningMetric):
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def measured(metric: str, pred: Any, truth: Any, **options: Any) -> "Tensor":
    """Return the metric of that name; images and options as in `bench.metrics.scorer.score`."""
    from bench.core.registry import metrics
    from bench.metrics.scorer import score

    return score(metrics[metric], pred, truth, **options)
