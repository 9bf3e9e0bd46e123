"""The mu-law, in which the field compares (Kalantari 2017, eq. 6)."""

import math
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor


def mu_law(image: "Tensor", constant: float = 5000.0, negative: Literal["clamp", "nan"] = "clamp") -> "Tensor":
    """Encode linear values: T(x) = log(1 + mu x) / log(1 + mu); any shape, dtype and device kept.

    negative : "clamp" takes values below 0 as 0; "nan" is the plain logarithm, NaN below -1/mu, as in public code.

    >>> import torch
    >>> mu_law(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([0., 0., 1.])
    """
    if negative == "clamp":  # as `bench.color.transfer.mu_law`, which nothing that a wheel holds can import
        return (image.clamp(min=0) * constant).log1p() / math.log1p(constant)
    return (1 + image * constant).log() / math.log1p(constant)
