"""Methods that the viewer shows."""

from bench.core.params import Params
from bench.report.results.results import Results

BY = "psnr-mu"
MOST = 6
"""Variants where the parameters name none: each takes a tenth of a scene's bytes."""


def chosen(params: Params, results: Results, dataset: str) -> list[str]:
    """Return the variants of the crop figures, else the first ones, and the best by PSNR-mu on a data set."""
    found = {v: mean for (v, d), one in results.items() if d == dataset and (mean := one.values.get(BY)) is not None}
    best = [max(found, key=lambda variant: (found[variant], variant))] if found else []
    return list(dict.fromkeys([*(params.tables.crops or list(params.variants)[:MOST]), *best]))
