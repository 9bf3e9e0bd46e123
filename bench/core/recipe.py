"""Training recipes: those of the methods' publications, and what a run is trained with here."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from bench.core.errors import UsageError
from bench.core.optimisation import Stage2
from bench.core.patching import Augmentation, Patches
from bench.core.section import Section

if TYPE_CHECKING:
    from bench.core.method import MethodCard

Kind = Literal["common", "published"]
"""Which recipe a run is trained with: the profile's `stage2` and `patches` for every method, or its publication's."""


Initialisation = Literal["", "framework", "glorot", "he", "normal", "truncated-normal"]
"""Which public code's way of drawing initial weights, see `bench.nn.initialisation`; "": ours, as the layers do."""


class Users(Section):
    """What users of a public code got when they trained with it, beside the published score, both in words."""

    got: str
    published: str


class Recipe(Section):
    """The published training of one method, a literal on its card. What isn't known is left out.

    loss           : in a phrase; `published_losses` of the class, or else L1 on T and the perceptual sum.
    lr, betas      : Adam's; publications that don't name betas mean Adam's own.
    patch, stride  : edge of a square patch, and distance of the grid they are cut on, in pixels.
    per_scene      : patches of each scene in an epoch, cut anywhere in it; 0: on the grid.
    augment        : symmetries that patches are turned by; none: as the profile says.
    epochs, steps  : length, one of the two; an epoch has every patch once.
    decay          : factor of the rate after every `decay_every` of `decay_unit` (or shares of the length), down to
                     `min_lr`; none: constant.
    cosine         : the rate falls as half a cosine to `min_lr`, set once an epoch.
    clip, clip_by  : largest norm of a gradient, or largest of its values.
    initialisation : of the weights, in networks with the published head; those with a head of ours start as ours do.
    options        : what the network is built with where its variant doesn't say otherwise.
    best_epoch     : published scores are those of the epoch that was best on the test set; ours are the last step's.
    users          : what others got who trained with the public code.
    differs        : what of the published training isn't repeated here, and what of ours isn't published.
    section        : "stage2" where that section of the parameter file holds the training; these figures then are only
                     what its defaults were taken from.
    """

    loss: str = ""
    lr: float | None = Field(default=None, gt=0)
    betas: tuple[float, float] = (0.9, 0.999)
    batch: int | None = Field(default=None, gt=0)
    patch: int | None = Field(default=None, gt=0, multiple_of=8)
    stride: int | None = Field(default=None, gt=0)
    per_scene: int = Field(default=0, ge=0)
    augment: Augmentation | None = None
    epochs: int | None = Field(default=None, gt=0)
    steps: int | None = Field(default=None, gt=0)
    decay: float | None = Field(default=None, gt=0, lt=1)
    decay_every: float | None = Field(default=None, gt=0)
    decay_unit: Literal["epochs", "steps", "length"] = "epochs"
    min_lr: float = Field(default=0.0, ge=0)
    cosine: bool = False
    clip: float | None = Field(default=None, gt=0)
    clip_by: Literal["norm", "value"] = "norm"
    weight_perceptual: float = Field(default=0.0, ge=0)
    initialisation: Initialisation = ""
    options: Mapping[str, Any] = Field(default_factory=dict)
    best_epoch: bool = False
    users: Users | None = None
    differs: str = ""
    section: Literal["", "stage2"] = ""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.epochs is not None and self.steps is not None:
            raise ValueError("its length is in epochs or in steps, not both")
        if (self.decay is None) != (self.decay_every is None):
            raise ValueError("decay and decay_every belong together")
        if self.decay is not None and self.cosine:
            raise ValueError("its rate decays or follows a cosine, not both")
        return self


class Caps(Section):
    """Bounds of published recipes and of what variants say in `stage2`, for profiles that only rehearse; none: none."""

    steps: int | None = Field(default=None, gt=0)
    batch: int | None = Field(default=None, gt=0)
    patch: int | None = Field(default=None, gt=0, multiple_of=8)
    stride: int | None = Field(default=None, gt=0)


def published(card: "MethodCard") -> Recipe | None:
    """Return the recipe on a method's card; None for a card without: its method trains under `stage2` either way.

    A key or value that no recipe has raises UsageError.
    """
    if not card.recipe:
        return None
    try:
        return Recipe.model_validate(card.recipe)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "recipe"
        raise UsageError(f"method {card.name!r}, recipe on its card, {where}: {first['msg']}.") from error


def patches(recipe: Recipe | None, base: Patches, caps: Caps) -> Patches:
    """Return how the patches of a recipe are cut; what it doesn't tell is the profile's (`base`)."""
    if recipe is None or recipe.section:
        return base
    size, stride = recipe.patch or base.size, recipe.stride or base.stride
    return base.model_copy(
        update={
            "size": _least(size, caps.patch), "stride": _least(stride, caps.stride), "per_scene": recipe.per_scene,
            "augment": base.augment if recipe.augment is None else recipe.augment,
        }
    )  # fmt: skip


def settings(
    recipe: Recipe | None, base: Stage2, caps: Caps, count: int, changes: Mapping[str, Any] | None = None
) -> Stage2:
    """Return what a recipe trains with; what it doesn't tell, and how often is logged and saved, is the profile's.

    count   : patches of an epoch. A decay per epochs becomes one per steps.
    changes : what a variant's own `stage2` says; it goes before the recipe.

    `caps` bound what a recipe or a variant says, not the profile's own `stage2`; the interval of a decay shrinks as the
    training does. Values that no training has, alone or together, raise pydantic's ValidationError.
    """
    changes = changes or {}
    told = {} if recipe is None or recipe.section else _told(recipe, base, count, changes)
    if not told and not changes:
        return base
    full = Stage2.model_validate({**base.model_dump(), **told, **changes})
    said = {**told, **changes}
    steps = _least(full.steps, caps.steps if "steps" in said else None)
    batch = _least(full.batch, caps.batch if "batch" in said else None)
    bounded: dict[str, Any] = {"steps": steps, "batch": batch, "accumulate": math.gcd(batch, full.accumulate)}
    if full.schedule in ("decay", "cosine"):
        bounded["decay_every"] = max(round(full.decay_every * steps / full.steps), 1)
    return full.model_copy(update=bounded)


def _told(recipe: Recipe, base: Stage2, count: int, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of `Stage2` that a recipe decides, uncapped; shares are of the length that is trained."""
    batch = recipe.batch or base.batch
    epoch = max(count // batch, 1)
    steps = recipe.steps or (recipe.epochs * epoch if recipe.epochs else base.steps)
    length = Stage2(steps=changes["steps"]).steps if "steps" in changes else steps
    told = {
        "steps": steps, "batch": batch, "betas": recipe.betas, "clip": recipe.clip, "clip_by": recipe.clip_by,
        "ema": None, "schedule": "constant", "weight_perceptual": recipe.weight_perceptual, "lr": recipe.lr or base.lr,
    }  # fmt: skip
    if recipe.decay is not None and recipe.decay_every is not None:
        every = round(recipe.decay_every * {"epochs": epoch, "steps": 1, "length": length}[recipe.decay_unit])
        told |= {"schedule": "decay", "decay": recipe.decay, "decay_every": max(every, 1), "min_lr": recipe.min_lr}
    elif recipe.cosine:
        told |= {"schedule": "cosine", "decay_every": epoch, "min_lr": recipe.min_lr}
    return told


def _least(value: int, cap: int | None) -> int:
    return value if cap is None else min(value, cap)
