"""A protocol: everything that decides a score besides the two images. A number without its protocol is a bug."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    create_model,
    model_serializer,
    model_validator,
)

from bench.core.errors import UsageError, unknown_name
from bench.core.reading import read_yaml, shown
from bench.core.registry import metrics, sections
from bench.core.scene import Scene
from bench.core.section import faults
from bench.metrics.masks import Mask, moving, reference_saturated
from bench.metrics.settings import MaskRule, MetricName, ProtocolSection, Region, Values

if TYPE_CHECKING:
    from bench.metrics.functional.images import Image
    from bench.metrics.scorer import Scorer

LIBRARIES = ("torch", "numpy", "scipy")
"""Libraries whose arithmetic stands behind the numbers."""

LAST = ("masks", "notes")
"""Fields that are shown after the metrics' own sections."""

Own = TypeVar("Own", bound=ProtocolSection)


class Protocol(ProtocolSection):
    """One protocol, as its YAML file states it: what is compared, and the sections that metrics own.

    A section of a metric's file is an attribute too (`protocol.psnr`), None where the file says that it has none. It is
    there if the file writes it or one of the metrics uses it.
    """

    model_config = ConfigDict(extra="allow")

    schema_version: Literal[1] = Field(description="of the file's layout")
    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", description="equal to the file's name")
    version: int = Field(ge=1, description="grows with every change that moves a number")
    title: str = Field(description="one line for lists")
    source: str = Field(description="whose habit this is")
    metrics: tuple[MetricName, ...] = Field(min_length=1, description="what `evaluate` returns")
    region: Region = Region()
    values: Values = Values()
    masks: MaskRule = MaskRule()
    notes: tuple[str, ...] = Field(default=(), description="what else a reader should know")

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Return a metric's own section."""

    @model_validator(mode="before")
    @classmethod
    def _own_sections(cls, content: Any) -> Any:
        """Have each section that isn't common validated by the class of the metric's file that owns it."""
        if not isinstance(content, Mapping):
            return content
        own = {name: value for name, value in content.items() if name not in cls.model_fields}
        fields: dict[str, Any] = {name: (sections[name].load() | None, ...) for name in own if name in sections}
        found = create_model("Sections", __config__=ConfigDict(extra="forbid"), **fields).model_validate(own)
        return {**content, **dict(found)}

    @model_validator(mode="after")
    def _complete(self) -> Self:
        own = self.__pydantic_extra__
        assert own is not None  # extra="allow" makes it a dictionary
        for card in (metrics[name] for name in self.metrics):
            for part in card.sections:
                if part not in own and not sections[part].required:
                    own[part] = sections[part].load()()
                if own.get(part) is None:
                    raise ValueError(f"{card.name} needs the section {part}")
        for name in self.masks.metrics:
            if name not in self.metrics and "metrics" in self.masks.model_fields_set:  # not by default
                raise ValueError(f"masks.metrics: {name} isn't among the protocol's metrics; add or remove it")
            if not metrics[name].local:
                raise ValueError(f"{name} has no value inside a mask")
        return self

    @model_serializer(mode="wrap")
    def _in_order(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = handler(self)
        return {name: content.pop(name) for name in [*content] if name not in LAST} | content

    @property
    def id(self) -> str:
        """Name and version, such as "whole-float@1": what score rows carry."""
        return f"{self.name}@{self.version}"

    def section(self, model: type[Own]) -> Own:
        """Return the section that is an instance of `model`; a protocol without it raises UsageError."""
        card = model.card  # type: ignore[attr-defined]
        found = (self.__pydantic_extra__ or {}).get(card.name)
        if found is None:
            raise UsageError(f"protocol {self.id} has no section {card.name}.")
        own: Own = found
        return own

    def only(self, names: Sequence[str]) -> Self:
        """Return the protocol with these of its metrics, on the whole picture alone; itself where none is named.

        Numbers stay the same. A metric that it doesn't have raises UsageError.
        """
        if not names:
            return self
        for name in names:
            if name not in self.metrics:
                raise unknown_name(f"metric of protocol {self.name}", name, self.metrics)
        whole = self.masks.model_copy(update={"metrics": ()})
        return self.model_copy(update={"metrics": tuple(names), "masks": whole})

    def evaluate(self, pred: "Image", truth: "Image", *, trusted: bool = False) -> dict[str, float]:
        """Score a prediction against the truth, both (H, W, 3) floats: linear relative radiance, the truth up to 1.

        trusted : take the values as they are, whatever range or encoding they look like.

        Returns metric name -> value; dB for PSNR (+inf for identical images unless `psnr.identical` says otherwise), at
        most 1 for SSIM, at most 100 for HDR-VDP-2. Integers, NaN, infinity, unequal shapes or an image too small for a
        metric raise UsageError; so does, unless `trusted`, what `bench score` calls bad (see `checks.need_sound`). So
        does a protocol that needs the frames (`values.composite`): `evaluate_scene` has them.
        Where `mu.negative` is "nan", values below -1/mu give NaN, as public code does.
        """
        return self._scorer(pred, truth, trusted).scores(self)

    @staticmethod
    def _scorer(pred: "Image", truth: "Image", trusted: bool, scene: Scene | None = None) -> "Scorer":
        from bench.metrics.checks import need_sound
        from bench.metrics.functional.images import need_floats
        from bench.metrics.scorer import Scorer  # torch: only once something is scored

        need_floats(pred, "prediction")
        need_floats(truth, "truth")
        scorer = Scorer(pred, truth, scene)
        if not trusted:
            need_sound(*(image.cpu().numpy() for image in scorer.images))
        return scorer

    def evaluate_scene(self, pred: "Image", scene: Scene, *, trusted: bool = False) -> dict[str, float]:
        """Score a prediction (H, W, 3) of one scene, whole and inside its masks.

        Adds "<metric>@saturated", "<metric>@moving" and, where the scene knows it, "<metric>@uncovered" for the
        metrics listed under `masks`; NaN where a mask is empty. A scene without truth, or a prediction that `evaluate`
        refuses, raises UsageError.
        """
        if scene.radiance is None:
            raise UsageError(f"scene {scene.id!r} has no truth, so nothing can be scored on it.")
        try:
            return self._scorer(pred, scene.radiance, trusted, scene).scores(self, self.areas(scene))
        except UsageError as error:
            raise UsageError(f"scene {scene.id!r}: {error}") from error

    def areas(self, scene: Scene) -> dict[str, Mask]:
        """Return the masks of a scene by name, (H, W) bool each.

        Two are what the thresholds of this protocol find in the frames; "uncovered" is there where the scene knows it.
        """
        ldr = scene.ldr
        found = {
            "saturated": reference_saturated(ldr[scene.reference], self.masks.bright),
            "moving": moving(ldr, scene.linear, scene.times, scene.reference, self.masks),
        }
        return found if scene.uncovered is None else {**found, "uncovered": scene.uncovered}

    def describe(self) -> str:
        """Every setting with its meaning, one a line, then the versions of the libraries that compute the numbers."""
        rows = list(_rows(self))
        width = max(len(key) for key, _, _ in rows)
        lines = [f"{key:<{width}}  {value}" + (f"  ({meaning})" if meaning else "") for key, value, meaning in rows]
        libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
        return "\n".join([f"{self.id}: {self.title}", "", *lines, "", f"computed with {libraries}"])


def _rows(part: BaseModel, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield dotted key, value and meaning of every setting, at any depth; an absent section is a row itself."""
    for name, value in sorted(part, key=lambda item: item[0] in LAST):
        if isinstance(value, BaseModel):
            yield from _rows(value, f"{prefix}{name}.")
        else:
            info = type(part).model_fields.get(name)
            meaning = info.description if info else "None: not part of this protocol"
            yield prefix + name, _shown(value), meaning or ""


def _shown(value: object) -> str:
    """Lists with blanks between their items, sentences with semicolons."""
    if not isinstance(value, tuple):
        return str(value)
    items = [str(item) for item in value]
    return ("; " if any(" " in item for item in items) else " ").join(items) or "-"


def load(path: Path) -> Protocol:
    """Read a protocol file; a missing file, bad YAML, an unknown key or a bad value raises UsageError."""
    try:
        content = read_yaml(path)
    except UsageError as error:
        raise UsageError(f"protocol file {error}") from error
    with said(f"protocol file {shown(path.name)}"):
        protocol = Protocol.model_validate(content)
    if protocol.name != path.stem:
        raise UsageError(f"protocol file {path.name} calls itself {protocol.name!r}; name and file must agree.")
    return protocol


@contextmanager
def said(where: str) -> Iterator[None]:
    """Turn the faults that a model finds into one UsageError that begins with `where`."""
    try:
        yield
    except ValidationError as error:
        raise UsageError(f"{where}: {faults(error)}") from error
