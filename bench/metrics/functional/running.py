"""Metrics over many images: update with a pair or a batch, compute the mean, over all processes too.

They are used as those of torchmetrics, which isn't needed. Under `torch.distributed` the mean is over the images of all
processes, each image counted once wherever it was scored.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, distributed

from ..errors import UsageError
from .images import Image
from .parent import measured_above


class RunningMetric:
    """The mean of a metric over images.

    metric  : its name.
    options : what the metric's function takes besides the images, such as `protocol`.

    >>> metric = PsnrMu(protocol={"mu": {"constant": 1000.0}})
    >>> for k in range(2):
    ...     metric.update(torch.full((3, 8, 9), 0.5 + 0.1 * k), torch.full((3, 8, 9), 0.4))
    >>> bool(metric.compute().isfinite())
    True
    >>> metric.reset()
    """

    metric: ClassVar[str]

    def __init__(self, **options: Any) -> None:
        """Begin without an image."""
        self.options = options
        self.reset()

    def reset(self) -> None:
        """Forget all images."""
        self._total = torch.zeros(2, dtype=torch.float64)  # sum of the values, number of images

    @torch.no_grad()
    def update(self, pred: Image, target: Image) -> None:
        """Score a pair (H, W, 3) or (3, H, W), or a batch (B, 3, H, W); values are added up in float64."""
        values: Tensor = measured_above(self.metric, pred, target, **self.options).reshape(-1)
        self._total = self._total + torch.stack([values.sum(), values.new_tensor(len(values))]).to(self._total.device)

    def compute(self) -> Tensor:
        """Return the mean over the images of all processes, float64 without dimension; UsageError without an image."""
        total = self._total.clone()
        if distributed.is_available() and distributed.is_initialized():
            if distributed.get_backend() == "nccl":  # it exchanges what lies on GPUs alone
                total = total.to(torch.device("cuda", torch.cuda.current_device()))
            distributed.all_reduce(total)
        if not total[1]:
            raise UsageError(f"{type(self).__name__} has seen no image: call update(pred, target) first.")
        return total[0] / total[1]


class PsnrL(RunningMetric):
    """Mean PSNR of linear values.

    >>> metric = PsnrL()
    >>> truth = torch.full((2, 3, 8, 9), 0.5)
    >>> metric.update(truth + 0.1, truth)
    >>> round(float(metric.compute()), 4)
    20.0
    """

    metric = "psnr-l"


class PsnrMu(RunningMetric):
    """Mean PSNR after the mu-law.

    >>> metric = PsnrMu(protocol={"psnr": {"identical": 100.0}})
    >>> metric.update(torch.ones(3, 8, 9), torch.ones(3, 8, 9))
    >>> metric.compute()
    tensor(100., dtype=torch.float64)
    """

    metric = "psnr-mu"


class PsnrPu(RunningMetric):
    """Mean PU21-PSNR.

    >>> metric = PsnrPu()
    >>> metric.update(torch.zeros(3, 8, 9), torch.zeros(3, 8, 9))
    >>> metric.compute()
    tensor(inf, dtype=torch.float64)
    """

    metric = "psnr-pu"


class SsimL(RunningMetric):
    """Mean SSIM of linear values.

    >>> metric = SsimL()
    >>> metric.update(torch.ones(3, 16, 17), torch.ones(3, 16, 17))
    >>> metric.compute()
    tensor(1., dtype=torch.float64)
    """

    metric = "ssim-l"


class SsimMu(RunningMetric):
    """Mean SSIM after the mu-law.

    >>> metric = SsimMu()
    >>> metric.update(torch.ones(3, 16, 17), torch.ones(3, 16, 17))
    >>> metric.compute()
    tensor(1., dtype=torch.float64)
    """

    metric = "ssim-mu"


class SsimPu(RunningMetric):
    """Mean PU21-SSIM.

    >>> metric = SsimPu()
    >>> metric.update(torch.ones(3, 16, 17), torch.ones(3, 16, 17))
    >>> metric.compute()
    tensor(1., dtype=torch.float64)
    """

    metric = "ssim-pu"


class HdrVdp2(RunningMetric):
    """Mean Q of HDR-VDP-2.

    >>> metric = HdrVdp2()
    >>> metric.update(torch.full((20, 20, 3), 0.5), torch.full((20, 20, 3), 0.5))
    >>> metric.compute()
    tensor(100., dtype=torch.float64)
    """

    metric = "hdrvdp2"


class HdrVdp3(RunningMetric):
    """Mean Q of HDR-VDP-3.

    >>> metric = HdrVdp3()
    >>> metric.update(torch.full((20, 20, 3), 0.5), torch.full((20, 20, 3), 0.5))
    >>> metric.compute()
    tensor(10., dtype=torch.float64)
    """

    metric = "hdrvdp3"


class HdrVdp3Jod(RunningMetric):
    """Mean Q_JOD of HDR-VDP-3.

    >>> metric = HdrVdp3Jod(protocol={"hdrvdp3": {"scale": 1000.0}})
    >>> metric.update(torch.full((20, 20, 3), 0.5), torch.full((20, 20, 3), 0.5))
    >>> metric.compute()
    tensor(10., dtype=torch.float64)
    """

    metric = "hdrvdp3-jod"
