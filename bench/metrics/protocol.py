"""A protocol: everything that decides a score besides the two images. A number without its protocol is a bug."""

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError

from bench.core.errors import UsageError
from bench.core.scene import Scene
from bench.metrics.masks import Mask, moving, reference_saturated
from bench.metrics.settings import Hdrvdp2, MaskRule, MetricName, Mu, Psnr, Pu21, Region, Section, Ssim, Values

if TYPE_CHECKING:
    from torch import Tensor

    from bench.metrics.fidelity import Image

LIBRARIES = ("torch", "numpy", "scipy")
"""Libraries whose arithmetic stands behind the numbers."""


class Protocol(Section):
    """One protocol, as its YAML file states it."""

    schema_version: Literal[1] = Field(description="of the file's layout")
    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", description="equal to the file's name")
    version: int = Field(ge=1, description="grows with every change that moves a number")
    title: str = Field(description="one line for lists")
    source: str = Field(description="whose habit this is")
    metrics: tuple[MetricName, ...] = Field(min_length=1, description="what `evaluate` returns")
    region: Region = Region()
    values: Values = Values()
    mu: Mu = Mu()
    psnr: Psnr = Psnr()
    ssim: Ssim = Ssim()
    pu21: Pu21 | None = Field(default=None, description="None: not part of this protocol")
    hdrvdp2: Hdrvdp2 | None = Field(default=None, description="None: not part of this protocol")
    masks: MaskRule = MaskRule()

    @property
    def id(self) -> str:
        """Name and version, such as "whole-float@1": what score rows carry."""
        return f"{self.name}@{self.version}"

    def evaluate(self, pred: "Image", truth: "Image") -> dict[str, float]:
        """Score a prediction against the truth, both (H, W, 3) linear relative radiance.

        Returns metric name -> value; dB for PSNR (+inf for identical images), at most 1 for SSIM.
        NaN, infinity or unequal shapes raise UsageError. Values below 0 count as 0 in the mu domain.
        """
        return self._scores(pred, truth, {})

    def evaluate_scene(self, pred: "Image", scene: Scene) -> dict[str, float]:
        """Score a prediction (H, W, 3) of one scene, whole and inside the masks that its frames give.

        Adds "<metric>@saturated" and "<metric>@moving" for the metrics listed under `masks`; NaN where a mask is
        empty. A scene without truth, or a prediction of another shape, raises UsageError.
        """
        if scene.radiance is None:
            raise UsageError(f"scene {scene.id!r} has no truth, so nothing can be scored on it.")
        ldr = scene.ldr
        masks = {
            "saturated": reference_saturated(ldr[scene.reference], self.masks.bright),
            "moving": moving(ldr, scene.linear, scene.times, scene.reference, self.masks),
        }
        try:
            return self._scores(pred, scene.radiance, masks)
        except UsageError as error:
            raise UsageError(f"scene {scene.id!r}: {error}") from error

    def _scores(self, pred: "Image", truth: "Image", masks: Mapping[str, Mask]) -> dict[str, float]:
        from bench.metrics import fidelity  # torch: only once something is scored

        linear = self._prepare(pred, "prediction"), self._prepare(truth, "truth")
        domains = {"l": linear, "mu": tuple(fidelity.encode_mu(values, mu=self.mu.constant) for values in linear)}
        scores: dict[str, float] = {}
        for name in self.metrics:
            kind, domain = name.split("-")
            x, y = domains[domain]
            average = self._psnr(x, y) if kind == "psnr" else self._ssim(x, y)
            scores[name] = average(None)
            if name in self.masks.metrics:
                scores |= {f"{name}@{mask}": average(self._cropped(area)) for mask, area in masks.items()}
        return scores

    def _psnr(self, x: "Tensor", y: "Tensor") -> Callable[[Mask | None], float]:
        from bench.metrics.fidelity import decibels, pool, square_error_map

        values = square_error_map(x, y)
        return lambda mask: decibels(pool(values, mask), self.psnr.peak)

    def _ssim(self, x: "Tensor", y: "Tensor") -> Callable[[Mask | None], float]:
        from bench.metrics.fidelity import pool, ssim_map

        window, area = self.ssim.window, self.ssim.area
        values = ssim_map(x, y, peak=self.ssim.peak, window=window, area=area)
        return lambda mask: pool(values, mask, window.border(area))

    def _prepare(self, image: "Image", role: str) -> "Tensor":
        from bench.metrics.fidelity import to_tensor

        tensor = self._cropped(to_tensor(image, role)).float()
        if self.values.clip == role:
            tensor = tensor.clamp(0, 1)
        return to_tensor(tensor, role)

    def _cropped(self, image: Any) -> Any:
        border = self.region.crop
        rows, columns = image.shape[:2]
        if min(rows, columns) <= 2 * border:
            raise UsageError(f"protocol {self.id} crops {border} px on every side of {rows}x{columns}: none are left.")
        return image[border : rows - border, border : columns - border]

    def describe(self) -> str:
        """Every setting with its meaning, one a line, then the versions of the libraries that compute the numbers."""
        rows = list(_settings(self))
        width = max(len(key) for key, _, _ in rows)
        lines = [f"{self.id}: {self.title}", ""]
        lines += [f"{key:<{width}}  {value}" + (f"  ({note})" if note else "") for key, value, note in rows]
        lines += ["", "psnr-pu, ssim-pu: needs the PU21 metric, not in this version"]
        lines += ["hdrvdp2: needs the HDR-VDP-2 metric, not in this version", ""]
        return "\n".join([*lines, "computed with " + ", ".join(f"{name} {version(name)}" for name in LIBRARIES)])


def _settings(section: BaseModel, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield dotted key, value and meaning of every field that isn't a section itself."""
    for name, info in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from _settings(value, f"{prefix}{name}.")
        else:
            shown = " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
            yield prefix + name, shown, info.description or ""


def load(path: Path) -> Protocol:
    """Read a protocol file; a missing file, bad YAML, an unknown key or a bad value raises UsageError."""
    try:
        protocol = Protocol.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"protocol file {str(path)!r} can't be read: {error.strerror}.") from error
    except yaml.YAMLError as error:
        raise UsageError(f"protocol file {path.name} is not valid YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, e['loc'])) or 'file'}: {_sentence(e)}" for e in error.errors()[:5]]
        raise UsageError(f"protocol file {path.name}: " + "; ".join(faults)) from error
    if protocol.name != path.stem:
        raise UsageError(f"protocol file {path.name} calls itself {protocol.name!r}; name and file must agree.")
    return protocol


def _sentence(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "no such setting; check its spelling"
    if error["type"] == "missing":
        return "missing"
    return f"{str(error['msg']).removeprefix('Value error, ')}, not {error['input']!r}"
