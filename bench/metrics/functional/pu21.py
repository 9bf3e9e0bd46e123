"""PU21: luminance to values in which equal steps are about equally visible (Mantiuk & Azimi, PCS 2021)."""

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from numpy.typing import NDArray

from ..errors import unknown_name

if TYPE_CHECKING:
    from torch import Tensor

Values = TypeVar("Values", NDArray[Any], "Tensor")
"""A NumPy array or a torch tensor; torch itself is never imported here."""

LOWEST, HIGHEST = 0.005, 10000.0
"""Luminance in cd/m2 that the encoding was fitted on; values outside count as the nearer end."""

PEAK = 256.0
"""Of PSNR and SSIM; about the encoding of 100 cd/m2. Encoded values may exceed it."""

RED, GREEN, BLUE = 0.212656, 0.715158, 0.072186
"""Luminance of linear BT.709 RGB."""


class Curve(NamedTuple):
    """The fitted parameters p1 ... p7 of one variant.

    >>> VARIANTS["banding_glare"].p7
    596.3148142
    """

    p1: float
    p2: float
    p3: float
    p4: float
    p5: float
    p6: float
    p7: float


VARIANTS = {
    "banding": Curve(1.070275272, 0.4088273932, 0.153224308, 0.2520326168, 1.063512885, 1.14115047, 521.4527484),
    "banding_glare": Curve(
        0.353487901, 0.3734658629, 8.277049286e-05, 0.9062562627, 0.09150303166, 0.9099517204, 596.3148142
    ),
    "peaks": Curve(1.043882782, 0.6459495343, 0.3194584211, 0.374025247, 1.114783422, 1.095360363, 384.9217577),
    "peaks_glare": Curve(
        816.885024, 1479.463946, 0.001253215609, 0.9329636822, 0.06746643971, 1.573435413, 419.6006374
    ),
}
"""Parameters by variant. `banding_glare` is the one that the authors recommend."""


def _curve(variant: str) -> Curve:
    if variant not in VARIANTS:
        raise unknown_name("variant of PU21", variant, VARIANTS)
    return VARIANTS[variant]


def pu21_encode(luminance: Values, variant: str = "banding_glare") -> Values:
    """Encode absolute luminance or RGB in cd/m2, any shape: about 0 at 0.005, 256 at 100, below 600 at 10000.

    V = max(p7 (((p1 + p2 Y^p4) / (1 + p3 Y^p4))^p5 - p6), 0), Y clamped to [0.005, 10000]. dtype and device are kept;
    the gradient is 0 outside the clamp. NaN stays NaN. An unknown variant raises UsageError.

    >>> import numpy as np
    >>> pu21_encode(np.array([0.005, 100.0, 10000.0])).round(1)
    array([  0. , 256.4, 595.4])
    """
    p = _curve(variant)
    power = luminance.clip(LOWEST, HIGHEST) ** p.p4
    encoded = p.p7 * (((p.p1 + p.p2 * power) / (1 + p.p3 * power)) ** p.p5 - p.p6)
    limited: Values = encoded.clip(min=0)
    return limited


def pu21_decode(encoded: Values, variant: str = "banding_glare") -> Values:
    """Decode PU21 values, any shape, to cd/m2: the inverse of `pu21_encode` on [0.005, 10000].

    Y = (max(v - p1, 0) / (p2 - p3 v))^(1/p4) with v = max(V/p7 + p6, 0)^(1/p5). dtype and device are kept.

    >>> import numpy as np
    >>> pu21_decode(pu21_encode(np.array([100.0]))).round(6)
    array([100.])
    """
    p = _curve(variant)
    v = (encoded / p.p7 + p.p6).clip(min=0) ** (1 / p.p5)
    decoded: Values = ((v - p.p1).clip(min=0) / (p.p2 - p.p3 * v)) ** (1 / p.p4)
    return decoded


def luminance(linear: "Tensor") -> "Tensor":
    """Luminance (H, W) of linear RGB (H, W, 3); (H, W) is luminance already.

    >>> import torch
    >>> luminance(torch.ones(1, 2, 3))
    tensor([[1., 1.]])
    """
    if linear.ndim == 2:
        return linear
    return RED * linear[..., 0] + GREEN * linear[..., 1] + BLUE * linear[..., 2]
