"""What a profile's trainings and predictions are made of, to be counted or timed: settings, learners, networks."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from torch import nn

from bench.core.optimisation import Optimisation
from bench.core.params import Params
from bench.nn.vgg import VggFeatures
from bench.stages.cost import counting
from bench.stages.cost.cost import Cost
from bench.stages.cost.workload import Work, run_settings
from bench.stages.training import codebook, networks, train
from bench.train.learner import Learner

Built = tuple[Learner, list[nn.Module]]
"""A learner, and the networks that are only its tools, such as the perceptual backbone."""


class Setup(NamedTuple):
    """A training: its settings, the edge of its patches in pixels, and what builds its learner."""

    settings: Optimisation
    size: int
    build: Callable[[], Built]


def setup(params: Params, stage: str, name: str) -> Setup:
    """Return how the codebook ("codebook") or run ("train") called `name` is trained.

    A codebook is taken to be trained on HDR images, which search all of its codes; others of OLC search half of them. A
    run's prior is as it is before it is loaded.
    """
    if stage == "codebook":
        first = params.stage1_of(name)
        on_hdr = partial(codebook.learner, _hdr_only(params, name), name)
        return Setup(first, params.patches.size, partial(_built, params, first.weight_perceptual, on_hdr))
    run = params.runs[name]
    settings = run_settings(params, run)

    def learner(features: VggFeatures | None) -> Learner:
        return train.learner_of(params, run, networks.build(params, run), settings, features)

    size = params.patches_of(run).size
    return Setup(settings, size, partial(_built, params, settings.weight_perceptual, learner))


def _hdr_only(params: Params, name: str) -> Params:
    name = params.codebook_runs[name].codebook
    settings = params.codebooks[name]
    changed = settings.model_copy(update={"options": {**settings.options, "images": "hdr"}})
    return params.model_copy(update={"codebooks": {**params.codebooks, name: changed}})


def _built(params: Params, weight: float, learner: Callable[[VggFeatures | None], Learner]) -> Built:
    # The perceptual backbone costs the same whatever its weights are.
    features = VggFeatures(None) if params.perceptual.backbone != "none" and weight > 0 else None
    return learner(features), [features] if features else []


def counted(setup: Setup, precision: str) -> Cost:
    """Count one step at the end of a training, when all parts of the loss have joined."""
    settings = setup.settings
    return counting.training_step(
        setup.build, batch=settings.batch, size=setup.size, step=settings.steps - 1, precision=precision,
        parts=settings.accumulate,
    )  # fmt: skip


def count(params: Params, work: Work, precision: str) -> Cost:
    """Count a step, or a prediction, of the profile's; nothing is computed."""
    if work.stage != "evaluate":
        return counted(setup(params, work.stage, work.name), precision)
    run = params.runs[params.evaluations[work.name].run]
    height, width = work.told["size"]
    return counting.prediction(partial(networks.build, params, run), height=height, width=width)
