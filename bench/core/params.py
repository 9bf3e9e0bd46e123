"""The parameter file: parsed once into frozen models that reject unknown keys."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from bench.core import recipe as recipes
from bench.core.errors import UsageError, nearest, unknown_name
from bench.core.optimisation import Stage1, Stage2
from bench.core.patching import Patches
from bench.core.recipe import Caps, Kind, Recipe
from bench.core.registry import methods
from bench.core.section import Section, silent
from bench.core.simulation import Simulation
from bench.core.tables import Tables

Reason = Annotated[str, Field(min_length=10, max_length=100)]
"""Why something is as it is, in a few words that tables can print."""


class DatasetUse(Section):
    """How the profile uses a dataset: the code that reads it, and where its files come from."""

    code: str
    on_disk: str | None = Field(default=None, description="folder that holds the unpacked files, read in place")
    layout: str | None = Field(default=None, description="layout to expect; none: detected")
    mirror: str | None = Field(default=None, description="address of a folder that serves the official files")
    accept_licence: bool = Field(default=False, description="the licence was read and is accepted")
    waive: dict[Literal["range", "steps", "colour", "scale", "duplicates"], Reason] = Field(
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
    sha256: str | None = Field(default="397923af", description="how its sha256 must begin; torchvision names it so")


class Codebook(Section):
    """One codebook run."""

    segments: Literal["olc", "vanilla"]
    codes: int = Field(gt=0, multiple_of=4)
    trainset: str
    seed: int = Field(ge=0)
    options: Mapping[str, Any] = Field(default_factory=dict, description="differences from `stage1`")


class Variant(Section):
    """A method with a preset and differences from it."""

    method: str
    preset: str
    options: Mapping[str, Any] = Field(default_factory=dict)
    weights: str | None = Field(default=None, description="others' weights, as import-weights writes them; no training")


class Run(Section):
    """One training of one variant; `code` is what its DVC stage depends on."""

    variant: str
    trainset: str
    seed: int = Field(ge=0)
    code: str
    codebook: str | None = None
    recipe: Kind | None = Field(default=None, description="none: the profile's")


class Evaluation(Section):
    """One run on the test split of one dataset; for a variant that isn't trained here, the variant stands for its run.

    weights : what the DVC stage of a variant with others' weights depends on: those weights.
    """

    run: str
    dataset: str
    code: str
    weights: str | None = None


class Regression(Section):
    """What `bench compare` allows."""

    retrained: Mapping[str, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict,
        description="metric -> largest difference of a scene's score that a training on another machine may make",
    )


class Params(Section):
    """A profile."""

    profile: str
    root: str
    params_file: str
    threads: int = Field(default=2, gt=0, description="CPU threads: fixed, so that sums associate alike everywhere")
    protocol: str = "whole-float"
    sensitivity: Literal["all"] | tuple[str, ...] = Field(
        default="all", description="protocols that the same predictions are also scored under, to be compared"
    )
    head: Literal["published", "mu-residual"] = silent("published", "sigmoid, as the authors' earlier code")
    tile: int = silent(0, "edge of inference tiles in pixels; 0 = whole image", ge=0, multiple_of=8)
    olc_preset: str = silent("published", "widths and depths of all networks; C = 32 is printed, blocks aren't")
    precision: Literal["fp32", "bf16"] = Field(default="fp32", description="autocast on CUDA; the CPU runs fp32")
    downloads: Downloads = Downloads()
    simulate: Simulation | None = None
    datasets: Mapping[str, DatasetUse]
    recipe: Kind = Field(default="common", description="`stage2` for every method, or each method's published recipe")
    caps: Caps = Field(default=Caps(), description="bounds of published recipes, for a rehearsal")
    patches: Patches
    perceptual: Perceptual
    stage1: Stage1
    stage2: Stage2
    codebooks: Mapping[str, Codebook]
    variants: Mapping[str, Variant]
    plain_runs: Mapping[str, Run]
    vq_runs: Mapping[str, Run]
    classic_evaluations: Mapping[str, Evaluation]
    imported_evaluations: Mapping[str, Evaluation] = Field(default_factory=dict)
    plain_evaluations: Mapping[str, Evaluation]
    vq_evaluations: Mapping[str, Evaluation]
    tables: Tables = Tables()
    regression: Regression = Regression()

    @property
    def runs(self) -> dict[str, Run]:
        """All trainings of HDR networks by run id."""
        return {**self.plain_runs, **self.vq_runs}

    @property
    def evaluations(self) -> dict[str, Evaluation]:
        """All evaluations by key `<run>--<dataset>`."""
        untrained = {**self.classic_evaluations, **self.imported_evaluations}
        return {**untrained, **self.plain_evaluations, **self.vq_evaluations}

    @property
    def imported(self) -> dict[str, str]:
        """Key of the first evaluation of each variant with others' weights, by the variant."""
        return {cell.run: key for key, cell in reversed(list(self.imported_evaluations.items()))}

    def stage1_of(self, codebook: str) -> Stage1:
        """Return the settings that codebook `codebook` is trained with: `stage1` and the run's differences."""
        return Stage1.model_validate({**self.stage1.model_dump(), **self.codebooks[codebook].options})

    def kind_of(self, run: Run) -> Kind:
        """Return which recipe a run is trained with: its own choice, else the profile's."""
        return run.recipe or self.recipe

    def published(self, run: Run) -> Recipe | None:
        """Return the published recipe that a run is trained with; None: the profile's `stage2` and `patches`."""
        return None if self.kind_of(run) == "common" else recipes.published(methods[self.variants[run.variant].method])

    def patches_of(self, run: Run) -> Patches:
        """Return how the patches of a run are cut."""
        return recipes.patches(self.published(run), self.patches, self.caps)

    def stage2_of(self, run: Run, count: int) -> Stage2:
        """Return steps, batch, learning rate and the like of a run, whose epochs have `count` patches."""
        return recipes.settings(self.published(run), self.stage2, self.caps, count)

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

    @property
    def work(self) -> Path:
        """Folder of cached outputs."""
        return Path("work") / self.profile

    @property
    def reports(self) -> Path:
        """Folder of outputs that git tracks."""
        return Path("reports") / self.profile

    @model_validator(mode="after")
    def _cross_check(self) -> "Params":
        for key, codebook in self.codebooks.items():
            _expect(f"codebooks.{key}.trainset", codebook.trainset, self.datasets)
            try:
                self.stage1_of(key)
            except ValidationError as error:
                raise ValueError(_sentences(error, f"codebooks.{key}.options.")) from error
        for key, run in self.runs.items():
            _expect(f"runs.{key}.variant", run.variant, self.variants)
            _expect(f"runs.{key}.trainset", run.trainset, self.datasets)
            if self.variants[run.variant].weights is not None:
                raise ValueError(f"run {key!r}: its variant has others' weights and isn't trained here")
            if key != (wanted := f"{run.variant}--{run.trainset}--s{run.seed}"):
                raise ValueError(f"run {key!r} should be called {wanted!r} after its fields")
        for key, run in self.vq_runs.items():
            _expect(f"vq_runs.{key}.codebook", run.codebook or "", self.codebooks)
        for key, cell in self.evaluations.items():
            _expect(f"evaluations.{key}.dataset", cell.dataset, self.datasets)
            _expect(f"evaluations.{key}.run", cell.run, {**self.runs, **self.variants})
            own = self.variants[cell.run].weights if cell.run in self.variants else None
            if own != cell.weights or (own is not None) != (key in self.imported_evaluations):
                raise ValueError(
                    f"evaluations.{key}: a variant with others' weights stands under imported_evaluations, which name "
                    "the same `weights`; no other variant does"
                )
        for where, variant in self.tables.named():
            _expect(f"tables.{where}", variant, self.variants)
        return self


def _sentences(error: ValidationError, prefix: str = "") -> str:
    return "; ".join(f"{prefix}{_place(e)}: {_sentence(e)}" for e in error.errors()[:5])


def _place(error: Any) -> str:
    return ".".join(map(str, error["loc"])) or "file"


def _expect(where: str, name: str, known: Mapping[str, Any]) -> None:
    if name not in known:
        raise ValueError(f"{where}: {unknown_name('entry', name, known)}")


def _others(path: Path) -> str:
    """Say which parameter files there are below the current folder, the nearest to `path` first."""
    found = [str(file) for pattern in ("params.yaml", "profiles/*/params.yaml") for file in Path().glob(pattern)]
    return nearest(str(path), found) if found else "There is none here; run from the project's root."


def load(path: Path) -> Params:
    """Read a parameter file; a missing file, bad YAML, an unknown key or a bad value raises UsageError."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"parameter file {str(path)!r} not found. {_others(path)}") from error
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UsageError(f"parameter file {str(path)!r} can't be read ({reason}); name a YAML file.") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"{path}: {_sentences(error)}") from error


def _sentence(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "unknown key; remove it or check its spelling"
    return str(error["msg"]).removeprefix("Value error, ")
