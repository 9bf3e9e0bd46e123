"""The parameter file: parsed once into frozen models that reject unknown keys."""

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator

from bench.core import reading
from bench.core import recipe as recipes
from bench.core import runs as derived
from bench.core.errors import CodeFault, UsageError, nearest, unknown_name
from bench.core.method import HeadName
from bench.core.optimisation import Stage1, Stage2
from bench.core.patching import Patches
from bench.core.recipe import Caps, Kind, Recipe
from bench.core.registry import datasets, methods
from bench.core.runs import CodebookRun, Evaluation, Run
from bench.core.section import Section, faults, silent
from bench.core.simulation import Simulation
from bench.core.tables import Tables

Reason = Annotated[str, Field(min_length=10, max_length=100)]
"""Why something is as it is, in a few words that tables can print."""


VALIDATION = "validation"
"""The role, and the split, of scenes that curves are measured on and recipes are chosen on."""


class DatasetUse(Section):
    """How the profile uses a dataset: where its files come from, and which refusals are overruled."""

    on_disk: str | None = Field(default=None, description="folder that holds the unpacked files, read in place")
    layout: str | None = Field(default=None, description="layout to expect; none: detected")
    mirror: str | None = Field(default=None, description="address of a folder that serves the official files")
    accept_licence: bool = Field(default=False, description="the licence was read and is accepted")
    hold_out: int = Field(
        default=0, ge=0, description="training scenes that nothing is trained on, spread evenly: for curves"
    )
    waive: dict[Literal["range", "steps", "place", "colour", "scale", "duplicates"], Reason] = Field(
        default_factory=dict, description="check -> why its refusals are overruled; tables print it"
    )


class Downloads(Section):
    """Where downloads are kept, outside the pipeline's outputs, and where their checksums are recorded."""

    folder: str = "downloads"
    checksums: str = "datasets/checksums.json"


class Perceptual(Section):
    """The VGG-16 that the perceptual losses compare features of."""

    backbone: Literal["none", "random-vgg16", "vgg16"] = silent(
        "vgg16", "VGG-16 taps relu1_2, 2_2, 3_3, 4_3; without the ImageNet file: a seeded random one, or none"
    )
    weights: str | None = Field(
        default=None, description="torchvision's vgg16-397923af.pth on this disk; none: download"
    )
    url: str = Field(default="https://download.pytorch.org/models/vgg16-397923af.pth", description="where to get it")
    sha256: str = Field(default="397923af", description="how its sha256 begins; empty: unknown")


class Codebook(Section):
    """A codebook: its size, and how K divides into segments, which is all that vanilla and olc differ in."""

    segments: Literal["olc", "vanilla"]
    codes: int = Field(gt=0, multiple_of=4)
    options: Mapping[str, Any] = Field(default_factory=dict, description="differences from `stage1`")


Seeds = Mapping[str, tuple[Annotated[int, Field(ge=0)], ...]]
"""Training set -> seeds, a training each."""

TestSets = tuple[str, ...] | Mapping[str, tuple[str, ...]]
"""Data sets to evaluate on; or training set -> data sets, where `untrained` stands for what isn't trained here."""


class Variant(Section):
    """A method with a preset and differences from it; what isn't said is the profile's."""

    method: str
    preset: str = Field(default="none", description="if it isn't stated: the profile's, of a method that trains")
    options: Mapping[str, Any] = Field(default_factory=dict)
    codebook: str | None = Field(default=None, description="a codebook that is trained first and then frozen")
    weights: str | None = Field(default=None, description="others' weights, as import-weights writes them; no training")
    recipe: Kind | None = Field(default=None, description="none: the profile's")
    stage2: Mapping[str, Any] = Field(
        default_factory=dict, description="differences from the recipe: a learning rate, say"
    )
    train: Seeds | None = Field(default=None, description="none: the profile's")
    evaluate: TestSets | None = Field(default=None, description="none: the profile's")


Bands = Mapping[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]]


class Regression(Section):
    """What `bench compare` allows."""

    retrained: Bands = Field(
        default_factory=dict,
        description="metric -> largest difference of a scene's score that a training on another machine may make",
    )
    retrained_means: Bands = Field(
        default_factory=dict,
        description="metric -> the same of a run's mean over scenes, which moves far less than a single one",
    )


class Params(Section):
    """A profile."""

    model_config = ConfigDict(populate_by_name=True)

    profile: str
    params_file: str = Field(default="params.yaml", description="where this was read, relative to the project's root")
    threads: int = Field(default=2, gt=0, description="CPU threads: fixed, so that sums associate alike everywhere")
    protocol: str = "whole-float"
    sensitivity: Literal["all"] | tuple[str, ...] = Field(
        default="all", description="protocols that the same predictions are also scored under, to be compared"
    )
    metrics: tuple[str, ...] = Field(
        default=(), description="of the protocol's, those alone, of whole pictures; none named: all, and inside masks"
    )
    keep_predictions: bool = Field(
        default=True, description="else only their scores: they take a megabyte a scene and method"
    )
    head: HeadName = silent("published", "sigmoid, as the authors' earlier code")
    # Not `register`, which pydantic's classes have as an attribute already.
    registration: Literal["none", "dis"] = Field(
        default="none",
        alias="register",
        description="what networks whose method registers nothing get: frames as taken, or moved by DIS flow",
    )
    tile: int = silent(0, "edge of inference tiles in pixels; 0 = whole image", ge=0, multiple_of=8)
    preset: str = silent("published", "widths and depths of all networks; C = 32 is printed, blocks aren't")
    precision: Literal["fp32", "tf32", "bf16"] = Field(
        default="fp32", description="of trainings on CUDA: bf16 by autocast, tf32 in products alone; the CPU runs fp32"
    )
    downloads: Downloads = Downloads()
    simulate: Simulation | None = None
    datasets: Mapping[str, DatasetUse]
    recipe: Kind = Field(default="common", description="`stage2` for every method, or each method's published recipe")
    caps: Caps = Field(default=Caps(), description="bounds of published recipes and variants' `stage2`, to rehearse")
    patches: Patches = Patches()
    perceptual: Perceptual = Perceptual()
    stage1: Stage1 = Stage1(steps=400_000)
    stage2: Stage2 = Stage2(steps=222_000)  # 100 epochs of Kalantari's 17,760 patches at batch 8
    codebooks: Mapping[str, Codebook] = Field(default_factory=dict)
    train: Seeds = Field(default_factory=dict, description="training sets and seeds of every variant that trains")
    evaluate: TestSets = Field(default=(), description="where every variant is evaluated")
    variants: Mapping[str, Variant]
    tables: Tables = Tables()
    regression: Regression = Regression()

    @cached_property
    def runs(self) -> Mapping[str, Run]:
        """All trainings of HDR networks by run id, `<variant>--<trainset>--s<seed>`."""
        return derived.runs(self)

    @cached_property
    def runs_with_codebook(self) -> Mapping[str, Run]:
        """Those that build on a frozen codebook."""
        return {name: run for name, run in self.runs.items() if run.codebook is not None}

    @property
    def inspections(self) -> list[str]:
        """Names of what is inspected: trained codebooks, and `network-<run>` of what builds on them."""
        return [*self.codebook_runs, *(f"network-{run}" for run in self.runs_with_codebook)]

    @cached_property
    def codebook_runs(self) -> Mapping[str, CodebookRun]:
        """All trainings of codebooks by id, `<codebook>--<trainset>--s<seed>`: one for each that a run is built on."""
        return derived.codebook_runs(self)

    @cached_property
    def evaluations(self) -> Mapping[str, Evaluation]:
        """All evaluations by id, `<run or variant>--<dataset>`."""
        return derived.evaluations(self)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with changes, as pydantic's, whose runs and evaluations are worked out from these."""
        copied = super().model_copy(update=update, deep=deep)
        for name in ("runs", "runs_with_codebook", "codebook_runs", "evaluations"):
            copied.__dict__.pop(name, None)
        return copied

    def stage1_of(self, name: str) -> Stage1:
        """Return the settings that a codebook, or a training of one, has: `stage1` and the codebook's differences."""
        spec = self.codebooks[self.codebook_runs[name].codebook if name not in self.codebooks else name]
        return Stage1.model_validate({**self.stage1.model_dump(), **spec.options})

    def kind_of(self, run: Run) -> Kind:
        """Return which recipe a run is trained with: its own choice, else the profile's."""
        return run.recipe or self.recipe

    def published(self, run: Run) -> Recipe | None:
        """Return the published recipe that a run is trained with; None: the profile's `stage2` and `patches`."""
        return self._recipe(self.variants[run.variant].method, self.kind_of(run))

    def _recipe(self, method: str, kind: Kind) -> Recipe | None:
        return None if kind == "common" else recipes.published(methods[method])

    def patches_of(self, run: Run) -> Patches:
        """Return how the patches of a run are cut."""
        return recipes.patches(self.published(run), self.patches, self.caps)

    def stage2_of(self, run: Run, count: int) -> Stage2:
        """Return steps, batch, learning rate and the like of a run, whose epochs have `count` patches.

        They are its recipe's, and then what its variant says in `stage2`.
        """
        own = self.variants[run.variant].stage2
        return recipes.settings(self.published(run), self.stage2, self.caps, count, own)

    def stage2_of_variant(self, variant: Variant, changes: Mapping[str, Any]) -> Stage2:
        """Return what `stage2_of` would with `changes` as the variant's own `stage2`, for epochs of one patch.

        Only the number of steps depends on what an epoch has. Values that no training has raise ValidationError.
        """
        recipe = self._recipe(variant.method, variant.recipe or self.recipe)
        return recipes.settings(recipe, self.stage2, self.caps, 1, changes)

    def rows(self, number: int) -> dict[str, str]:
        """Return label -> variant of the rows of the paper's Table `number`, {} where the profile has no such table.

        A row without a label is called as its method's card says or, where another row is called so, as its variant.
        """
        return self._labelled(number, "rows")

    def controls(self, number: int) -> dict[str, str]:
        """Return label -> variant of our rows below those of the paper's Table `number`."""
        return self._labelled(number, "controls")

    def _labelled(self, number: int, part: str) -> dict[str, str]:
        table = self.tables.paper.get(number)
        if table is None:
            return {}
        taken = [label or self._label(variant) for label, variant in (*table.rows, *table.controls)]
        return {
            label or (own if taken.count(own := self._label(variant)) == 1 else variant): variant
            for label, variant in getattr(table, part)
        }

    def _label(self, variant: str) -> str:
        method = self.variants[variant].method
        return methods[method].label if method in methods else variant

    def first_seeds(self, count: int) -> Self:
        """Return a copy in which everything that trains has no more than the first `count` of its seeds."""

        def cut(seeds: Seeds) -> Seeds:
            return {trainset: numbers[:count] for trainset, numbers in seeds.items()}

        own = {
            name: variant if variant.train is None else variant.model_copy(update={"train": cut(variant.train)})
            for name, variant in self.variants.items()
        }
        return self.model_copy(update={"train": cut(self.train), "variants": own})

    def splits(self, dataset: str) -> dict[str, str]:
        """Return split -> role of a data set: its own, and `VALIDATION` where training scenes are held out."""
        use = self.datasets.get(dataset)
        return {**datasets[dataset].splits, **({VALIDATION: VALIDATION} if use and use.hold_out else {})}

    @property
    def work(self) -> Path:
        """Folder of cached outputs."""
        return Path("work") / self.profile

    @property
    def reports(self) -> Path:
        """Folder of outputs that git tracks."""
        return Path("reports") / self.profile

    @model_validator(mode="before")
    @classmethod
    def _presets(cls, content: Any) -> Any:
        """Give variants whose preset isn't stated the profile's."""
        variants = content.get("variants") if isinstance(content, dict) else None
        if not isinstance(variants, dict):
            return content
        preset = content.get("preset", cls.model_fields["preset"].default)
        filled = {
            name: {"preset": preset, **v} if isinstance(v, dict) and _trains(v.get("method")) else v
            for name, v in variants.items()
        }
        return {**content, "variants": filled}

    @model_validator(mode="after")
    def _cross_check(self) -> "Params":
        self._need_names()
        for name in self.codebooks:
            try:
                self.stage1_of(name)
            except ValidationError as error:
                raise ValueError(faults(error, f"codebooks.{name}.options")) from error
        for name, variant in self.variants.items():
            _expect(f"variants.{name}.method", variant.method, methods)
            if variant.codebook is not None:
                _expect(f"variants.{name}.codebook", variant.codebook, self.codebooks)
        derived.check(self, _expect)
        for name, variant in self.variants.items():
            if derived.trains(variant):
                try:
                    self.stage2_of_variant(variant, variant.stage2)
                except ValidationError as error:
                    raise ValueError(faults(error, f"variants.{name}.stage2")) from error
        for where, name in self.tables.named():
            _expect(f"tables.{where}", name, self.variants)
        return self

    def _need_names(self) -> None:
        """Refuse names that can't be folders, stages and words of a shell, or that DVC would read otherwise."""
        reading.need_name(self.profile, "profile")
        for part in ("datasets", "codebooks", "variants"):
            same: dict[str, str] = {}
            for name in getattr(self, part):
                reading.need_name(name, part)
                if (other := same.setdefault(name.lower(), name)) != name:
                    raise ValueError(
                        f"{part}: {other!r} and {name!r} are one file on a disk that doesn't tell capitals from small "
                        "letters; give one of them another name"
                    )
                if "." in name:
                    raise ValueError(
                        f"{part}: {name!r}: DVC reads a dot in a name as a level of plan.yaml; take a dash instead, "
                        f"such as {name.replace('.', '-')}"
                    )


def _trains(method: Any) -> bool:
    return isinstance(method, str) and method in methods and methods[method].trains


def _expect(where: str, name: str, known: Mapping[str, Any]) -> None:
    if name not in known:
        raise ValueError(f"{where}: {unknown_name('entry', name, known)}")


def _others(path: Path) -> str:
    """Say which parameter files there are below the current folder, the nearest to `path` first."""
    found = [str(file) for pattern in ("params.yaml", "profiles/*/params.yaml") for file in Path().glob(pattern)]
    return nearest(str(path), found) if found else "There is none here; run from the project's root."


def load(path: Path) -> Params:
    """Read a parameter file; a missing file, bad YAML, an unknown key or a bad value raises UsageError."""
    content = read(path)
    content["params_file"] = _relative(path)
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"{reading.shown(path)}: {faults(error)}") from error
    except CodeFault:  # not in this file
        raise
    except UsageError as error:
        raise UsageError(f"{reading.shown(path)}: {error}") from error


def need_own_name(path: Path, name: str) -> None:
    """Refuse the name of a profile of this repository in another file: results would be written over its own."""
    for owner in (Path("profiles") / name / "params.yaml", Path("params.yaml")):
        there = reading.exists(owner)
        if there and not owner.samefile(path) and _yaml(owner).get("profile") == name:
            raise UsageError(
                f"{reading.shown(path)}: profile {reading.shown(repr(name))} is that of {owner}, whose work and "
                "reports would be written over; give this file's profile a name of its own."
            )


def read(path: Path) -> dict[str, Any]:
    """Return the content of a parameter file, laid over the file that it includes.

    Mappings are merged key by key, other values replaced; null takes away what the included file has there.
    """
    content = _yaml(path)
    base = included(path, content)
    return content if base is None else _over(_yaml(base), {k: v for k, v in content.items() if k != INCLUDE})


INCLUDE = "include"
"""Key that names another parameter file, relative to the one it stands in."""


def included(path: Path, content: Mapping[str, Any] | None = None) -> Path | None:
    """Return the parameter file that `path` includes; one that includes another itself raises UsageError."""
    name = (_yaml(path) if content is None else content).get(INCLUDE)
    if name is None:
        return None
    if not isinstance(name, str):
        raise UsageError(f"{path}: {INCLUDE}: expected the name of one parameter file, got {name!r}.")
    base = Path(os.path.normpath(path.parent / name))
    if INCLUDE in _yaml(base):
        raise UsageError(f"{path}: {INCLUDE}: {base} includes another file itself; one level is allowed.")
    return base


def _over(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _over(merged[key], value)
        elif value is None:
            merged.pop(key, None)
        else:
            merged[key] = value
    return merged


def _yaml(path: Path) -> dict[str, Any]:
    if not os.path.lexists(path):
        raise UsageError(f"parameter file {reading.shown(repr(str(path)))} not found. {_others(path)}")
    return reading.read_yaml(path)


def _relative(path: Path) -> str:
    absolute = path.resolve()
    return str(absolute.relative_to(Path.cwd())) if absolute.is_relative_to(Path.cwd()) else str(path)
