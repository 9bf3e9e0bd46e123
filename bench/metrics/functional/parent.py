"""The package above this one: `bench.metrics` knows protocols by their names, `hdr_metrics` as mappings."""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


def measured_above(metric: str, pred: Any, truth: Any, **options: Any) -> Any:
    """Return a metric's value as the package above this one measures it: by its `measured`.

    >>> image = [[[0.5, 0.5, 0.5]]]
    >>> measured_above("psnr-l", image, image)
    tensor(inf, dtype=torch.float64)
    """
    return import_module(__name__.rsplit(".", 2)[0]).measured(metric, pred, truth, **options)


class MetricPackage(ModuleType):
    """A package that is called like the metric it is named after.

    A metric's function and its package can't both be an attribute of the package above: Python sets the attribute to
    the package as soon as anything imports it. So the package itself is the function.

    >>> callable(MetricPackage("hdrvdp2"))
    True
    """

    def __call__(self, pred: Any, truth: Any, **options: Any) -> Any:
        """Return the metric as `measured` does: images in any layout, `protocol` for the rest."""
        return measured_above(self.__name__.rpartition(".")[2], pred, truth, **options)


def make_callable(package: str) -> None:
    """Make an imported package callable; see `MetricPackage`.

    >>> sys.modules["example"] = ModuleType("example")
    >>> make_callable("example")
    >>> callable(sys.modules.pop("example"))
    True
    """
    sys.modules[package].__class__ = MetricPackage
