"""A protocol: everything that decides a score besides the two images. A number without its protocol is a bug."""

from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from bench.core.errors import UsageError
from bench.core.scene import Scene
from bench.metrics.masks import Mask, moving, reference_saturated
from bench.metrics.settings import MaskRule, MetricName, Mu, Psnr, Region, Section, Ssim, Tanh, Values
from bench.metrics.viewing import Hdrvdp2, Pu21

if TYPE_CHECKING:
    from bench.metrics.images import Image

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
    tanh: Tanh | None = Field(default=None, description="None: not part of this protocol")
    psnr: Psnr = Psnr()
    ssim: Ssim = Ssim()
    pu21: Pu21 | None = Field(default=None, description="None: not part of this protocol")
    hdrvdp2: Hdrvdp2 | None = Field(default=None, description="None: not part of this protocol")
    masks: MaskRule = MaskRule()
    notes: tuple[str, ...] = Field(default=(), description="what else a reader should know")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needed = {"tanh": "psnr-mu-tanh", "hdrvdp2": "hdrvdp2", "pu21": "-pu"}
        for section, part in needed.items():
            users = [name for name in self.metrics if part in name]
            if users and getattr(self, section) is None:
                raise ValueError(f"{users[0]} needs the section {section}")
        return self

    @property
    def id(self) -> str:
        """Name and version, such as "whole-float@1": what score rows carry."""
        return f"{self.name}@{self.version}"

    def evaluate(self, pred: "Image", truth: "Image") -> dict[str, float]:
        """Score a prediction against the truth, both (H, W, 3) linear relative radiance.

        Returns metric name -> value; dB for PSNR (+inf for identical images unless `psnr.identical` says otherwise), at
        most 1 for SSIM, at most 100 for HDR-VDP-2. NaN, infinity, unequal shapes or an image too small for a metric
        raise UsageError. Where `mu.negative` is "nan", values below -1/mu give NaN, as public code does.
        """
        from bench.metrics.comparison import Comparison  # torch: only once something is scored

        return Comparison(pred, truth).scores(self)

    def evaluate_scene(self, pred: "Image", scene: Scene) -> dict[str, float]:
        """Score a prediction (H, W, 3) of one scene, whole and inside the masks that its frames give.

        Adds "<metric>@saturated" and "<metric>@moving" for the metrics listed under `masks`; NaN where a mask is
        empty. A scene without truth, or a prediction of another shape, raises UsageError.
        """
        from bench.metrics.comparison import Comparison

        if scene.radiance is None:
            raise UsageError(f"scene {scene.id!r} has no truth, so nothing can be scored on it.")
        try:
            return Comparison(pred, scene.radiance).scores(self, self.areas(scene))
        except UsageError as error:
            raise UsageError(f"scene {scene.id!r}: {error}") from error

    def areas(self, scene: Scene) -> dict[str, Mask]:
        """Return the masks of a scene by name, (H, W) bool each, as the thresholds of this protocol find them."""
        ldr = scene.ldr
        return {
            "saturated": reference_saturated(ldr[scene.reference], self.masks.bright),
            "moving": moving(ldr, scene.linear, scene.times, scene.reference, self.masks),
        }

    def describe(self) -> str:
        """Every setting with its meaning, one a line, then the versions of the libraries that compute the numbers."""
        from bench.metrics.legend import rows, table

        libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
        return f"{self.id}: {self.title}\n\n{table(rows(self))}\n\ncomputed with {libraries}"


def evaluate_all(rules: Iterable[Protocol], pred: "Image", truth: "Image") -> dict[str, dict[str, float]]:
    """Score one pair under many protocols: protocol id -> what its `evaluate` returns.

    What protocols share (a region, an encoding, a metric with all its settings) is computed once. Errors as in
    `evaluate`; the first one ends the comparison.
    """
    from bench.metrics.comparison import Comparison, preparation

    rules = list(rules)
    comparison = Comparison(pred, truth)
    found = {r.id: comparison.scores(r) for r in sorted(rules, key=preparation)}
    return {rule.id: found[rule.id] for rule in rules}


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
