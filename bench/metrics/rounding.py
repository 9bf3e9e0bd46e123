"""Linear values as a file format would store them, computed without a file."""

import torch
from torch import Tensor

SMALLEST_RGBE = 1e-32
"""A pixel whose largest channel lies below is written as black."""


def rgbe(values: Tensor) -> Tensor:
    """Round linear RGB (..., 3) as a Radiance .hdr file does: one exponent for three 8-bit mantissas, cut off.

    The largest channel keeps 7 to 8 bits, the others fewer; negative values become 0. dtype and device are kept.
    Equal to what OpenCV writes and reads back, bit for bit, for values of at least 0.
    """
    largest = values.amax(-1, keepdim=True)
    step = torch.ldexp(torch.ones_like(largest), torch.frexp(largest).exponent - 8)
    rounded = torch.floor(values.clamp(min=0) / step) * step
    return torch.where(largest < SMALLEST_RGBE, torch.zeros_like(rounded), rounded)


def png16(values: Tensor) -> Tensor:
    """Round linear values, any shape, to 16 bits of their own maximum, as the NTIRE 2021 challenge stores images.

    Negative values become 0; an image without positive values becomes black. dtype and device are kept.
    """
    positive = values.clamp(min=0)
    largest = positive.max().to(torch.float64)
    if largest == 0:
        return positive
    codes = torch.round(positive.to(torch.float64) * (65535 / largest))
    return (codes * (largest / 65535)).to(values.dtype)
