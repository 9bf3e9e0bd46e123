"""A method turns the exposures of a scene into radiance."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from bench.core.errors import UsageError, unknown_name
from bench.core.reading import shown

if TYPE_CHECKING:  # listing methods imports neither torch nor NumPy
    from torch import nn

    from bench.core.scene import Radiance, Scene

T = TypeVar("T")


HeadName = Literal["published", "mu-residual", "rule-residual"]


@dataclass(frozen=True)
class MethodCard:
    """Facts about a method, known without running it. Every field but `options` is a literal in the method's file.

    label    : the name in tables.
    cites    : the publication.
    trains   : a network with weights (`build`), else plain code (`predict`).
    requires : what must be trained before it, such as "codebook".
    heads    : output heads it offers, the published one first.
    without_heads : option of the class -> its values with which there is the published head alone.
    registers : how its networks' frames are brought to the reference, a key of
               `bench.color.registration.REGISTRATIONS`; "": as they are, or as the profile's `register` says.
    presets  : options of the class by name; of a network "published" is the full size, "smoke" the smallest.
    multiple : height and width of the input are padded by reflection to multiples of this.
    overlap  : pixels that a tile sees beyond its own on every side where an image is too large for one pass: as far as
               the network looks, statistics of the whole image apart (bench/nn/statistics.py); 0 means full frame only.
    recipe   : the published training settings (`bench.core.recipe.Recipe`).
    after_paper : younger than the paper's tables: an optional row below them.
    conventions : what the authors' weights expect and `load_published` or `net` converts, for the card of imported
               weights: "channels", "colours", "divisor", "output", "tiles" and the like, each in a phrase.
    tuned    : of a method without training, which data its settings were chosen on, in a phrase that tables print.
    unavailable : why nobody can run it, "" for what can: such a card only tells what a row of printed numbers is.
    options  : what the class takes -> its kind, which the registry reads from the source: a type, Any or, of an option
               that is itself a dictionary, the kinds of its entries; None where that doesn't say.
    """

    name: str
    label: str
    cites: str
    trains: bool
    module: str
    attribute: str
    requires: tuple[str, ...] = ()
    heads: tuple[HeadName, ...] = ()
    without_heads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    registers: str = ""
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    multiple: int = 1
    overlap: int = 0
    recipe: Mapping[str, Any] = field(default_factory=dict)
    after_paper: bool = False
    conventions: Mapping[str, str] = field(default_factory=dict)
    tuned: str = ""
    unavailable: str = ""
    options: Mapping[str, Any] | None = field(default=None, compare=False)

    def load(self) -> Any:
        """Import the method's module and return the class that carries the card."""
        return getattr(importlib.import_module(self.module), self.attribute)

    def need_code(self) -> None:
        """Raise UsageError with the reason if nobody can run this method."""
        if self.unavailable:
            raise UsageError(f"{self.label} can't be run: {self.unavailable}. Its row holds printed numbers only.")

    def check_options(self, options: Mapping[str, Any], where: str = "") -> None:
        """Raise UsageError for an option that the class doesn't take, or of another kind: true or "3" where it has 3.

        The method itself isn't imported for it.
        """
        from pydantic import ConfigDict, TypeAdapter, ValidationError, create_model

        from bench.core.section import faults

        if self.options is None:
            return
        strict = ConfigDict(strict=True, extra="forbid")
        for name, value in options.items():
            if name not in self.options:
                raise unknown_name(f"option of {self.name}{where}", name, self.options)
            kind = self.options[name]
            if isinstance(kind, Mapping):
                entries: dict[str, Any] = {key: (one, None) for key, one in kind.items()}
                kind = create_model(name, __config__=strict, **entries) | None
            try:
                TypeAdapter(kind, config=strict).validate_python(value)
            except ValidationError as error:
                raise UsageError(f"{self.name}{where}, option {faults(error, name)}.") from error

    def build(self, preset: str = "published", **options: Any) -> "nn.Module":
        """Build the network: the preset's options, then `options` over them.

        The result maps frames (B, N, 6, H, W), channels [LDR RGB, linear RGB], short to long, t_short = 1,
        to linear radiance (B, 3, H, W) of the input's size.
        """
        self.need_code()
        if not self.trains:
            raise UsageError(f"method {self.name!r} has no network to build; call predict(scene).")
        network: nn.Module = self._construct(preset, options)
        return network

    def predict(self, scene: "Scene", preset: str = "", **options: Any) -> "Radiance":
        """Run a method without training on one scene; (H, W, 3) float32, relative radiance.

        preset, options : arguments of its class: the preset's, then `options` over them. "" leaves its defaults, and a
                          method without presets takes any name, such as "none".
        """
        self.need_code()
        if self.trains:
            raise UsageError(f"method {self.name!r} needs trained weights; train it, then evaluate.")
        radiance: Radiance = self._construct(preset if self.presets else "", options).predict(scene)
        return radiance

    def _construct(self, preset: str, options: Mapping[str, Any]) -> Any:
        if preset not in self.presets and (preset or self.trains):
            raise unknown_name(f"preset of {self.name}", preset, self.presets)
        self.check_options(options)
        try:
            return self.load()(**{**self.presets.get(preset, {}), **options})
        except TypeError as error:
            raise UsageError(f"method {self.name!r}, preset {preset!r}: {error}.") from error
        except (ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, ValueError) as error:
            if not options:
                raise  # a fault of the class
            given = ", ".join(f"{name} {value!r}" for name, value in options.items())
            said = shown(" ".join(str(error).split()) or type(error).__name__)
            raise UsageError(
                f"method {self.name!r}, preset {preset!r}, can't be built with {shown(given)}: {said}."
            ) from error

    def load_published(self, network: "nn.Module", state: Mapping[str, Any]) -> None:
        """Fill `network` with weights under the authors' parameter names (strict).

        UsageError for names, shapes or values that aren't theirs, and for a network with a head of ours.
        """
        self.need_code()
        loader = getattr(self.load(), "load_published", None)
        if loader is None:
            raise UsageError(f"method {self.name!r} has no adapter for published weights.")
        heads = [getattr(network, "head", None), *(getattr(part, "kind", None) for part in network.modules())]
        for head in self.heads[1:]:
            if head in heads:
                raise UsageError(
                    f"{self.label}: published weights need the published head, and this network has the head {head!r}; "
                    f"build it with head={self.heads[0]!r}."
                )
        loader(network, state)


def method(name: str, *, label: str, cites: str, trains: bool, **card: Any) -> Callable[[type[T]], type[T]]:
    """Register the decorated class as method `name`; arguments are literals, the fields of `MethodCard`.

    The registry reads them from the source, so that listing methods runs none of them.
    """

    def mark(target: type[T]) -> type[T]:
        target.card = MethodCard(  # type: ignore[attr-defined]
            name, label, cites, trains, target.__module__, target.__name__, **card
        )
        return target

    return mark
