"""Recipes: what each run of a profile is trained with, and the learner that trains it so."""

from torch import nn

from bench.core import recipe
from bench.core.optimisation import Stage2
from bench.core.params import Params
from bench.core.patching import Patches
from bench.core.recipe import Kind, Recipe
from bench.core.registry import methods
from bench.core.runs import Run
from bench.nn.losses import Fidelity
from bench.nn.vgg import VggFeatures
from bench.train.learner import HdrLearner, Learner


def kind(params: Params, run: Run) -> Kind:
    """Return which recipe a run is trained with: its own choice, else the profile's."""
    return run.recipe or params.recipe


def published(params: Params, run: Run) -> Recipe | None:
    """Return the published recipe that a run is trained with; None: the profile's `stage2` and `patches`."""
    if kind(params, run) == "common":
        return None
    return recipe.published(methods[params.variants[run.variant].method])


def patches(params: Params, run: Run) -> Patches:
    """Return how the patches of a run are cut."""
    return recipe.patches(published(params, run), params.patches, params.caps)


def settings(params: Params, run: Run, count: int) -> Stage2:
    """Return steps, batch, rate and the other settings of a run, whose epochs have `count` patches."""
    return recipe.settings(published(params, run), params.stage2, params.caps, count)


def learner(params: Params, run: Run, network: nn.Module, chosen: Stage2, features: VggFeatures | None) -> Learner:
    """Return what the training loop trains: `network`, first, under the settings `chosen`.

    A network that has its own learner, such as a GAN's with a discriminator, brings it under its published recipe only;
    so does one with `published_losses`. `features` is the perceptual backbone, or None. UsageError for patches smaller
    than the `least_patch` of a network with a learner.
    """
    as_published = published(params, run) is not None
    own = getattr(network, "learner", None)
    if as_published and own is not None:
        discriminator = "its published recipe's discriminator"
        patches(params, run).need(getattr(network, "least_patch", 0), f"variant {run.variant!r}", discriminator)
        made: Learner = own(chosen, Fidelity(features, chosen.weight_perceptual))
        return made
    return HdrLearner(network, chosen, features, as_published=as_published)
