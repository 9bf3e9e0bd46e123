"""What the trainings and evaluations of a profile consist of: settings, learners, frames, patches and scenes."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from torch import nn

from bench.core.optimisation import Optimisation, Stage2
from bench.core.params import Params
from bench.core.registry import datasets
from bench.core.runs import Run
from bench.io.container import list_scenes, read_scene
from bench.nn.vgg import VggFeatures
from bench.stages import layout
from bench.stages.scoring.evaluate import SPLITS
from bench.stages.training import codebook, networks, train
from bench.train.learner import Learner
from bench.train.patches import grid

FRAMES = {"kalantari": (1000, 1500), "tursun": (682, 1024)}
"""Height and width of real sets, as their readers in datasets/ state them."""

UNKNOWN = FRAMES["kalantari"]
"""Taken for the frames of a set that isn't prepared yet and of which no size is known."""


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


def run_settings(params: Params, run: Run) -> Stage2:
    """Return what a run is trained with; the patches of its epochs are counted where that decides its length."""
    count = 1 if params.published(run) is None else patch_count(params, run)
    return params.stage2_of(run, count)


def known_frame(params: Params, dataset: str) -> tuple[int, int] | None:
    """Height and width of a set's frames: of its prepared scenes, or as it will be simulated, or as is known of it."""
    for split in datasets[dataset].splits:
        folder = layout.scenes(params, dataset, split)
        if folder.exists() and (paths := list_scenes(folder)):
            height, width = read_scene(paths[0]).frames.shape[1:3]
            return height, width
    if datasets[dataset].fetch == "simulate" and params.simulate is not None:
        return params.simulate.height, params.simulate.width
    return FRAMES.get(dataset)


def frame(params: Params, dataset: str) -> tuple[int, int]:
    """Height and width of a set's frames, `UNKNOWN` where nothing is known of it."""
    return known_frame(params, dataset) or UNKNOWN


def patch_count(params: Params, run: Run) -> int:
    """Return how many patches an epoch of a run has: of the prepared scenes, or as many as the set should give."""
    cut, card = params.patches_of(run), datasets[run.trainset]
    folder = layout.scenes(params, run.trainset, "train")
    if folder.exists() and (paths := list_scenes(folder)):
        sizes = [read_scene(path).frames.shape[1:3] for path in paths]
    elif card.fetch == "simulate" and params.simulate is not None:
        sizes = [frame(params, run.trainset)] * (params.simulate.train_views * len(params.simulate.train))
    else:
        sizes = [frame(params, run.trainset)] * card.expected.get("train", 1)
    if cut.per_scene:
        return cut.per_scene * len(sizes)
    return sum(len(grid(height, width, cut.size, cut.stride)) for height, width in sizes)


def scenes(params: Params, dataset: str) -> int:
    """Return how many scenes of a set are predicted: its published number, or as many as are simulated."""
    card = datasets[dataset]
    if card.fetch == "simulate" and params.simulate is not None:
        views = params.simulate.test_views * len(params.simulate.test)
        stress = dataset == "stress"  # takes each view again and again
        return views * len(params.simulate.stress.takes()) if stress else views + params.simulate.no_truth_scenes
    return sum(card.expected.get(split, 0) for split, role in card.splits.items() if role in SPLITS)
