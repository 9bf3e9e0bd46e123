"""Images and numbers as HDR-VDP takes them: the checks, and the precision."""

import warnings
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..errors import UsageError
from ..functional.images import Array, from_array, need_plain

Image = Array | Tensor
"""(H, W) or (H, W, 3) real numbers, in the unit of the colour encoding."""


class Expected(NamedTuple):
    """Images that a `release` takes with a colour encoding: the channels, and the fewest pixels a side."""

    release: str
    encoding: str
    channels: int
    smallest: int


def number(name: str, value: Any) -> float:
    """Return the value of an argument as a float; what isn't a number raises UsageError."""
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name} is {value!r}; expected a number.") from error


def exactly(image: Image) -> torch.autocast:
    """Keep `torch.autocast` out: in half precision Q would be another number."""
    device = image.device.type if isinstance(image, Tensor) else "cpu"
    return torch.autocast(device, enabled=False)


def tensors(test: Image, reference: Image, expected: Expected) -> tuple[Tensor, Tensor]:
    """Return both images as tensors on the test image's device; what can't be compared raises UsageError."""
    first, second = _tensor(test, "test", expected), _tensor(reference, "reference", expected)
    if first.shape != second.shape:
        sizes = [f"{image.shape[0]}x{image.shape[1]}" for image in (first, second)]
        raise UsageError(f"the test image has {sizes[0]} pixels, the reference {sizes[1]}; they must be equal.")
    return first, second.to(first.device)


def _tensor(image: Image, role: str, expected: Expected) -> Tensor:
    name = f"{role} image"
    tensor = need_plain(image, name) if isinstance(image, Tensor) else from_array(image, name)
    single = expected.channels == 1
    if tensor.ndim != (2 if single else 3) or (not single and tensor.shape[-1] != 3):
        wanted = "(height, width)" if single else "(height, width, 3)"
        raise UsageError(f"the {role} image has shape {tuple(tensor.shape)}; {expected.encoding} needs {wanted}.")
    if min(tensor.shape[:2]) < expected.smallest:
        raise UsageError(
            f"the {role} image has {tensor.shape[0]}x{tensor.shape[1]} pixels; {expected.release} splits images into "
            f"bands and needs {expected.smallest} a side at least."
        )
    if tensor.is_complex():
        raise UsageError(f"the {role} image holds {tensor.dtype}; expected real numbers.")
    return tensor


def channels(image: Tensor, role: str, release: str, stacklevel: int) -> list[Tensor]:
    """Return the channels (H, W) of an image as float64; NaN among them gives a warning at `stacklevel`."""
    planes = [image] if image.ndim == 2 else list(image.unbind(-1))
    planes = [plane.double().contiguous() for plane in planes]
    nans = sum(int(plane.detach().isnan().sum()) for plane in planes)
    if nans:
        said = f"the {role} image holds {nans} NaN of {image.numel()} values; {release} takes them for black"
        warnings.warn(f"{said}: Q says nothing of these pixels.", stacklevel=stacklevel + 1)
    return planes
