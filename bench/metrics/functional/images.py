"""Images as metrics take them: one form for arrays and tensors, the checks, and means over masks."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import UsageError

Array = NDArray[Any]
"""Any array; its shape, dtype and unit stand in the docstring that uses it."""

Image = Array | Tensor
"""(H, W, 3) real numbers, RGB; the unit and range are the caller's. Where a metric says so, also (H, W): luminance."""

SHAPES = {3: "(height, width, 3)", 2: "(height, width)"}


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread, and afterwards as many as before.

    For sums, and for work on strips of rows: they are too small to share, and on a busy machine threads that wait for
    each other at each operation take up to fifty times as long. Scoring has other cores do other scenes.

    >>> with one_thread():
    ...     torch.get_num_threads()
    1
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def to_floating(image: Image, role: str = "image", dims: tuple[int, ...] = (3,), *, gradient: bool = False) -> Tensor:
    """Return the image on its own device as float32 if it is float32, else as float64, NaN and infinity included.

    dims     : allowed numbers of dimensions, 3 for (H, W, 3) and 2 for (H, W); another shape raises UsageError.
    gradient : keep what a gradient needs.
    The result may share memory with the image: it must not be changed in place.

    >>> to_floating(np.zeros((2, 4, 3), np.float16)).dtype
    torch.float64
    """
    tensor = need_plain(image, role) if isinstance(image, Tensor) else from_array(image, role)
    tensor = tensor if gradient else tensor.detach()
    if tensor.is_complex():
        raise UsageError(f"the {role} holds {tensor.dtype}; expected real numbers.")
    tensor = tensor if tensor.dtype == torch.float32 else tensor.to(torch.float64)
    if tensor.ndim not in dims or (tensor.ndim == 3 and tensor.shape[-1] != 3):
        expected = " or ".join(SHAPES[count] for count in dims)
        raise UsageError(f"the {role} has shape {tuple(tensor.shape)}; expected {expected}.{_shape_hint(tensor)}")
    if 0 in tensor.shape:
        raise UsageError(f"the {role} has shape {tuple(tensor.shape)}: it has no pixels.")
    return tensor


def need_plain(image: Tensor, role: str = "image") -> Tensor:
    """Return a tensor as it is, with what a gradient needs; UsageError for one without values, or that isn't dense.

    >>> need_plain(torch.zeros(2)) is not None
    True
    """
    if image.is_meta:
        raise UsageError(f"the {role} is a meta tensor, without values; expected a plain tensor.")
    if image.is_nested or image.is_quantized or image.layout != torch.strided:
        raise UsageError(
            f"the {role} is a sparse, nested or quantised tensor; expected a plain one: call to_dense() or "
            "dequantize()."
        )
    return image


def _shape_hint(tensor: Tensor) -> str:
    """Tell what to do with an image of a shape that metrics don't take, "" where it isn't clear."""
    if tensor.ndim == 4 and tensor.shape[-1] == 1 and tensor.shape[-2] == 3:
        return " Leave the last axis out: take [..., 0]."
    if tensor.ndim == 4:
        return " This looks like a batch: give one image at a time, or a metric (images, 3, height, width)."
    if tensor.ndim == 3 and tensor.shape[0] == 3:
        return " This looks like (channels, height, width): transpose it by (1, 2, 0)."
    if tensor.ndim == 3 and tensor.shape[-1] == 4:
        return " Leave the alpha channel out."
    return ""


def from_array(image: Array, role: str = "image") -> Tensor:
    """Return an array (or nested lists) of real numbers as a tensor, float32 if it is float32, else float64.

    Other things, such as complex numbers, text, objects or masked arrays, raise UsageError.

    >>> from_array(np.ones(2, np.float32)), from_array([1, 2])
    (tensor([1., 1.]), tensor([1., 2.], dtype=torch.float64))
    """
    if np.ma.is_masked(image):
        raise UsageError(
            f"the {role} is a masked array, and its mask isn't taken into account; expected a plain array: fill what "
            "is masked, or take .data."
        )
    try:
        array = np.asarray(image)
    except Exception as error:  # lists of unequal length, and of things that are no numbers
        raise UsageError(
            f"the {role} can't become an array; expected an array or lists of numbers, rows of equal length."
        ) from error
    if array.dtype.kind not in "fiub":
        raise UsageError(f"the {role} holds {array.dtype}; expected real numbers.")
    usable = array.flags.writeable and array.flags.c_contiguous and array.dtype in (np.float32, np.float64)
    if not usable:  # torch takes neither read-only memory maps, negative strides nor foreign byte orders
        single = array.dtype.newbyteorder("=") == np.float32
        array = np.array(array, dtype=np.float32 if single else np.float64, order="C")
    return torch.from_numpy(array)


@one_thread()
def refuse_non_finite(tensor: Tensor, role: str, *, rounded: bool = False) -> Tensor:
    """Return a tensor of any shape as it is; NaN or infinity in it raises UsageError.

    rounded : whether it was finite before it was made float32.

    >>> refuse_non_finite(torch.ones(2), "truth")
    tensor([1., 1.])
    """
    if math.isfinite(
        float(tensor.detach().sum())
    ):  # ten times as fast as looking at each value, and never true with one
        return tensor
    if bad := int((~torch.isfinite(tensor)).sum()):
        if rounded:
            raise UsageError(
                f"the {role} holds {bad} values beyond 3.4e38, which float32 can't hold; divide both images by the "
                "same number."
            )
        raise UsageError(f"the {role} holds {bad} values that are NaN or infinite; only finite images can be scored.")
    return tensor


def pair(
    pred: Image, truth: Image, dims: tuple[int, ...] = (3,), *, finite: bool = True, gradient: bool = False
) -> tuple[Tensor, Tensor]:
    """Both images on the prediction's device in one precision: float32 if both are, else float64.

    finite   : refuse NaN and infinity here; False if the caller does.
    gradient : keep what a gradient needs.
    Errors of `to_floating`; unequal shapes raise UsageError.

    >>> x, y = pair(np.zeros((8, 9, 3), np.float32), torch.zeros(8, 9, 3, dtype=torch.float64))
    >>> x.dtype, y.dtype
    (torch.float64, torch.float64)
    """
    first = to_floating(pred, "prediction", dims, gradient=gradient)
    second = to_floating(truth, "truth", dims, gradient=gradient).to(first.device)
    if first.shape != second.shape:
        raise UsageError(
            f"the prediction has shape {tuple(first.shape)}, the truth {tuple(second.shape)}; they must be equal."
        )
    if finite:
        refuse_non_finite(first, "prediction")
        refuse_non_finite(second, "truth")
    common = torch.promote_types(first.dtype, second.dtype)
    return first.to(common), second.to(common)


def separated(image: Image, role: str = "image") -> tuple[list[Image], bool]:
    """Return the images (H, W, 3) of an image, (H, W, 3) or (3, H, W), or of a batch (B, 3, H, W), and which it is.

    A last axis of 3 is the channels: (3, 8, 3) has 3 rows. A batch without an image raises UsageError; what
    isn't an image, `pair` refuses.

    >>> images, batch = separated(torch.zeros(2, 3, 8, 9))
    >>> len(images), tuple(images[0].shape), batch
    (2, (8, 9, 3), True)
    """
    tensor = need_plain(image, role) if isinstance(image, Tensor) else from_array(image, role)
    if tensor.ndim == 3 and tensor.shape[-1] != 3 and tensor.shape[0] == 3:
        return [tensor.permute(1, 2, 0)], False
    if tensor.ndim != 4 or tensor.shape[1] != 3:
        return [tensor], False
    if not len(tensor):
        raise UsageError(f"the {role} is a batch without an image; expected one at least.")
    return list(tensor.permute(0, 2, 3, 1)), True


def couples(pred: Image, truth: Image) -> tuple[list[tuple[Image, Image]], bool]:
    """Return the pairs (H, W, 3) of two images or of two batches of as many, and whether they are batches.

    >>> pairs, batch = couples(torch.zeros(3, 8, 9), np.zeros((8, 9, 3)))
    >>> len(pairs), batch
    (1, False)
    """
    (ours, batch), (theirs, other) = separated(pred, "prediction"), separated(truth, "truth")
    if batch != other or len(ours) != len(theirs):
        raise UsageError(
            f"the prediction is {_counted(ours, batch)}, the truth {_counted(theirs, other)}; they must be equal."
        )
    return list(zip(ours, theirs, strict=True)), batch


def _counted(images: list[Image], batch: bool) -> str:
    return f"a batch of {len(images)}" if batch else "a single image"


def wants_gradient(*images: Image) -> bool:
    """Tell whether torch follows what is computed of these images.

    >>> wants_gradient(torch.zeros(2, requires_grad=True)), wants_gradient(torch.zeros(2))
    (True, False)
    """
    return torch.is_grad_enabled() and any(isinstance(image, Tensor) and image.requires_grad for image in images)


def need_floats(image: Any, role: str) -> None:
    """Raise UsageError for an array or tensor of integers or booleans, such as the code values of an 8-bit picture.

    role : "prediction" or "truth", for the message.

    >>> need_floats(np.zeros((2, 2, 3)), "truth")
    """
    try:
        kind = str(image.dtype if hasattr(image, "dtype") else np.asarray(image).dtype).removeprefix("torch.")
    except Exception:  # of lists of unequal length, for example, which have a sentence of their own
        return
    if kind.startswith(("int", "uint", "bool", "qint", "quint")):
        raise UsageError(
            f"the {role} holds {kind}, as pictures do whose code values are gamma-encoded; expected floats: linear "
            "radiance on the scale on which the truth's peak is 1."
        )


def check_peak(peak: float) -> None:
    """Raise UsageError unless the peak value is positive and finite.

    >>> check_peak(255.0)
    """
    if not 0 < peak < math.inf:
        raise UsageError(f"the peak value is {peak}; expected a positive number.")


def planes(image: Tensor) -> Tensor:
    """View (H, W, 3) as (3, H, W) and (H, W) as (1, H, W).

    >>> tuple(planes(torch.zeros(8, 9, 3)).shape), tuple(planes(torch.zeros(8, 9)).shape)
    ((3, 8, 9), (1, 8, 9))
    """
    return image.permute(2, 0, 1) if image.ndim == 3 else image[None]


def by_rows(function: Callable[[Tensor], Tensor], image: Tensor, step: int = 16) -> Tensor:
    """Apply a function of single pixels to (H, W, ...), a few rows at a time: on a CPU they stay in the cache.

    The result has H rows, the shape of the function's result and its dtype.

    >>> by_rows(lambda rows: rows.sum(-1), torch.ones(2, 2, 3))
    tensor([[3., 3.],
            [3., 3.]])
    """
    if image.device.type != "cpu":
        return function(image)
    pixel = function(image[:1, :1])
    result = pixel.new_empty(*image.shape[:2], *pixel.shape[2:])
    with one_thread():
        for row in range(0, len(image), step):
            result[row : row + step] = function(image[row : row + step])
    return result


@one_thread()
def pool(values: Tensor, mask: Image | None = None, border: int = 0) -> float:
    """Average a map in float64 over the pixels that a mask (H, W), bool, selects; NaN if it selects none.

    values : (H - 2 border, W - 2 border): the map of an image whose border has no values.

    >>> pool(torch.tensor([[1.0, 3.0]])), pool(torch.tensor([[1.0, 3.0]]), torch.tensor([[False, True]]))
    (2.0, 3.0)
    """
    if mask is None:
        return float(values.mean(dtype=torch.float64))
    chosen = torch.as_tensor(np.array(mask) if isinstance(mask, np.ndarray) else mask, device=values.device)
    rows, columns = values.shape
    if chosen.dtype != torch.bool or chosen.shape != (rows + 2 * border, columns + 2 * border):
        raise UsageError(
            f"the mask is {chosen.dtype} of shape {tuple(chosen.shape)}; "
            f"expected torch.bool of shape {(rows + 2 * border, columns + 2 * border)}."
        )
    selected = values[chosen[border : border + rows, border : border + columns]]
    return float(selected.mean(dtype=torch.float64)) if selected.numel() else math.nan
