"""A prediction and its ground truth as metrics see them: prepared as the protocol says, encoded when asked, once."""

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from bench.core.errors import UsageError
from bench.core.scene import Scene
from bench.metrics import rounding
from bench.metrics.functional.images import by_rows, planes
from bench.metrics.masks import Mask
from bench.metrics.settings import Composite, Region

if TYPE_CHECKING:
    from bench.metrics.protocol import Protocol

Images = tuple[Tensor, Tensor]
"""Prediction and truth in one domain, (H, W, 3) or, as luminance, (H, W)."""

T = TypeVar("T")

QUANTISERS = {"none": lambda values: values, "rgbe": rounding.rgbe, "png16": rounding.png16}


class ImagePair:
    """Prediction and truth, (H, W, 3) linear relative radiance, and what has been computed of them.

    linear : both images, float32 (float64 where a metric is called on float64 images by itself), finite.
    """

    def __init__(self, pred: Tensor, truth: Tensor) -> None:
        """Take both images as they are to be compared."""
        self.linear: Images = pred, truth
        self._kept: dict[Hashable, Any] = {}

    @classmethod
    def prepared(cls, pred: Tensor, truth: Tensor, protocol: "Protocol", scene: Scene | None = None) -> "ImagePair":
        """Compose, crop, resample, clip and quantise both images (H, W, 3) float32 as the protocol says.

        scene : whose frames a prediction is composed with; None raises UsageError under a protocol that does so.
        """
        if (rule := protocol.values.composite) is not None:
            if scene is None:
                raise UsageError(
                    f"protocol {protocol.id} composes a prediction with the reference frame, which two images don't "
                    "tell; score a data set's prepared scenes, or call evaluate_scene."
                )
            pred = _composed(pred, scene, rule)
        return cls(_prepared(pred, protocol, "prediction"), _prepared(truth, protocol, "truth"))

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return what was computed under `key` before, or compute it; metrics with equal settings share it.

        key : name and settings of what is computed; the sections of a protocol can be part of it.
        """
        if key not in self._kept:
            self._kept[key] = compute()
        found: T = self._kept[key]
        return found

    def encoded(self, key: Hashable, encode: Callable[[Tensor], Tensor]) -> Images:
        """Both images through a function of single pixels, (rows, W, 3) float64 to (rows, W, ...), kept under `key`."""

        def compute() -> Images:
            x, y = (by_rows(lambda rows: encode(rows.to(torch.float64)), image) for image in self.linear)
            return x, y

        return self.once(("encoded", key), compute)


def prepared_mask(mask: Mask, protocol: "Protocol") -> Tensor:
    """Crop a mask (H, W) like the image; where the image is resampled, the nearest pixel counts."""
    area = _cropped(torch.from_numpy(np.array(mask)), protocol)
    if protocol.region.resize == "none":
        return area
    return interpolate(area[None, None].float(), size=_size(area, protocol.region), mode="nearest-exact")[0, 0].bool()


def _prepared(image: Tensor, protocol: "Protocol", role: str) -> Tensor:
    image, values = _cropped(image, protocol), protocol.values
    if protocol.region.resize == "bilinear":
        batch = planes(image)[None].to(torch.float64)
        small = interpolate(batch, size=_size(image, protocol.region), mode="bilinear", align_corners=False)
        image = small[0].permute(1, 2, 0).to(image.dtype).contiguous()
    if values.clip in (role, "both"):
        image = image.clamp(0, values.clip_high)
    quantised: Tensor = QUANTISERS[values.quantise](image)
    return quantised


def _composed(image: Tensor, scene: Scene, rule: Composite) -> Tensor:
    """Return a prediction (H, W, 3) with the reference frame's linear values where that is well exposed."""
    at, times = scene.reference, scene.times
    red, green, blue = np.moveaxis(scene.ldr[at], -1, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    dark = (luma < rule.dark) & (times[at] < times.max())
    bright = (luma > rule.bright) & (times[at] > times.min())
    frame, predicted = (torch.from_numpy(array).to(image.device) for array in (scene.linear[at], dark | bright))
    return torch.where(predicted[..., None], image, frame.to(image.dtype))


def _cropped(image: Tensor, protocol: "Protocol") -> Tensor:
    rows, columns = image.shape[:2]
    left = image[protocol.region.window(rows, columns)]
    if 0 in left.shape[:2]:
        crop = protocol.region.crop
        said = f"{crop} px" if isinstance(crop, int) else " and ".join(map(str, crop)) + " px"
        raise UsageError(f"protocol {protocol.id} crops {said} on every side of {rows}x{columns}: none are left.")
    return left


def _size(image: Tensor, region: Region) -> list[int]:
    return [max(round(length * region.scale), 1) for length in image.shape[:2]]
