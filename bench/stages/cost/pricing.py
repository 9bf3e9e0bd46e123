"""What the stages of a profile cost: operations, memory and bounds of the hours on a GPU."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any

from torch import nn

from bench.core.optimisation import Optimisation, Stage2
from bench.core.params import Params
from bench.core.progress import track
from bench.core.registry import datasets, methods
from bench.core.runs import Evaluation, Run
from bench.io.container import list_scenes, read_scene
from bench.nn.vgg import VggFeatures
from bench.stages import layout
from bench.stages.cost import cost
from bench.stages.cost.cost import Cost
from bench.stages.cost.gpus import Gpu
from bench.stages.scoring.evaluate import SPLITS
from bench.stages.training import codebook, networks, recipes
from bench.train.learner import Learner
from bench.train.patches import grid

Built = tuple[Learner, list[nn.Module]]
"""A learner, and the networks that are only its tools."""

EFFICIENCY = 0.35
"""Share of the arithmetic peak that well-fed convolutions reach; the usual good case."""

LAUNCH = 6e-6
"""Seconds that the CPU takes to launch an operator; a guess in the middle of the usual 4 to 10 microseconds."""

FRAMES = {"kalantari": (1000, 1500), "tursun": (682, 1024)}
"""Height and width of real sets, as their readers in datasets/ state them."""

UNKNOWN = FRAMES["kalantari"]
"""Frames of a set that isn't prepared yet and of which no size is known."""


@dataclass(frozen=True)
class Item:
    """Stages of the pipeline that cost the same.

    stage   : "codebook", "train" or "evaluate".
    names   : their keys in the parameter file.
    cost    : of one step; of one scene, where `stage` is "evaluate".
    batch   : samples in a step.
    steps   : steps, or scenes.
    compute : hours of one of them at `EFFICIENCY` of the peak.
    traffic : hours of one of them at the memory's full bandwidth.
    launch  : hours that the CPU takes to launch the operators of one of them, one after another.
    """

    stage: str
    names: tuple[str, ...]
    cost: Cost
    batch: int
    steps: int
    compute: float = 0.0
    traffic: float = 0.0
    launch: float = 0.0

    @property
    def binds(self) -> str:
        """What takes longest: "compute", "memory", or "launches" where operators are too small for the GPU."""
        if self.launch > self.compute + self.traffic:
            return "launches"
        return "compute" if self.compute >= self.traffic else "memory"

    @property
    def lower(self) -> float:
        """Hours of all of them, if arithmetic and traffic overlap and nothing waits for launches (CUDA graphs)."""
        return len(self.names) * max(self.compute, self.traffic)

    @property
    def upper(self) -> float:
        """Hours of all of them, if arithmetic and traffic never overlap and every operator is launched by the CPU."""
        return len(self.names) * max(self.compute + self.traffic, self.launch)


def items(params: Params, gpu: Gpu) -> list[Item]:
    """Return what the profile's stages cost on a GPU; equal ones are one item, in the order of the pipeline."""
    groups: dict[tuple[Any, ...], list[Item]] = {}
    every = chain(_codebooks(params), _trainings(params), _evaluations(params))
    for item in track(every, len(params.codebook_runs) + len(params.runs) + len(_networks(params)), "estimate"):
        groups.setdefault((item.stage, item.cost, item.batch, item.steps), []).append(item)
    merged = [replace(group[0], names=tuple(item.names[0] for item in group)) for group in groups.values()]
    return [priced(item, gpu, params.precision if item.stage != "evaluate" else "fp32") for item in merged]


def trainings(params: Params, gpu: Gpu | None) -> dict[str, Item]:
    """Return what each training costs, codebooks under "codebook-<name>", others under their run's name.

    Without a GPU the hours stay 0.
    """
    found = {f"codebook-{item.names[0]}": item for item in _codebooks(params)}
    found |= {item.names[0]: item for item in _trainings(params)}
    return {name: priced(item, gpu, params.precision) if gpu else item for name, item in found.items()}


def priced(item: Item, gpu: Gpu, precision: str) -> Item:
    """Return the item with its hours on a GPU, in a precision that the GPU's peaks name."""
    hours = item.steps / 3600
    return replace(
        item,
        compute=hours * item.cost.flops / (EFFICIENCY * gpu.tflops[precision] * 1e12),
        traffic=hours * item.cost.traffic / (gpu.bandwidth * 1e9),
        launch=hours * item.cost.operators * LAUNCH,
    )


def codebook_learner(params: Params, name: str) -> Built:
    """Build the learner of codebook `name`; its images are HDR, which search the whole book."""
    features = _backbone(params, params.stage1_of(name).weight_perceptual)
    return codebook._learner(_hdr_only(params, name), name, features), [features] if features else []


def run_learner(params: Params, run: Run) -> Built:
    """Build the learner of an HDR network, its prior as it is before it is loaded."""
    settings = run_settings(params, run)
    features = _backbone(params, settings.weight_perceptual)
    made = recipes.learner(params, run, networks.build(params, run), settings, features)
    return made, [features] if features else []


def run_settings(params: Params, run: Run) -> Stage2:
    """Return what a run is trained with; the patches of its epochs are counted where that decides its length."""
    count = 1 if recipes.published(params, run) is None else patch_count(params, run)
    return recipes.settings(params, run, count)


def codebook_cost(params: Params, name: str) -> Cost:
    """Count one step of codebook `name`, at the end of its training, when all parts of the loss have joined.

    The kind of image is HDR; other kinds of OLC search half of the book.
    """
    settings, build = params.stage1_of(name), partial(codebook_learner, params, name)
    return _count(params, settings, params.patches.size, build)


def run_cost(params: Params, run: Run) -> Cost:
    """Count one step of the training of an HDR network."""
    size, build = recipes.patches(params, run).size, partial(run_learner, params, run)
    return _count(params, run_settings(params, run), size, build)


def _count(params: Params, settings: Optimisation, size: int, build: Callable[[], Built]) -> Cost:
    return cost.training_step(
        build,
        batch=settings.batch,
        size=size,
        step=settings.steps - 1,
        precision=params.precision,
        parts=settings.accumulate,
    )


def _backbone(params: Params, weight: float) -> VggFeatures | None:
    """Build the perceptual backbone, if it is used; it costs the same whatever its weights are."""
    return VggFeatures(None) if params.perceptual.backbone != "none" and weight > 0 else None


def _hdr_only(params: Params, name: str) -> Params:
    codebook = params.codebook_runs[name].codebook
    spec = params.codebooks[codebook]
    changed = spec.model_copy(update={"options": {**spec.options, "images": "hdr"}})
    return params.model_copy(update={"codebooks": {**params.codebooks, codebook: changed}})


def _codebooks(params: Params) -> Iterator[Item]:
    known: dict[str, Cost] = {}
    for name, book in params.codebook_runs.items():
        settings = params.stage1_of(name)
        key = f"{book.codes} {settings.model_dump(exclude={'images', 'init', 'restart_every'})}"
        if key not in known:
            known[key] = codebook_cost(params, name)
        yield Item("codebook", (name,), known[key], settings.batch, settings.steps)


def _trainings(params: Params) -> Iterator[Item]:
    known: dict[str, Cost] = {}
    for name, run in params.runs.items():
        key, settings = f"{_architecture(params, run)} {recipes.kind(params, run)}", run_settings(params, run)
        if key not in known:
            known[key] = run_cost(params, run)
        yield Item("train", (name,), known[key], settings.batch, settings.steps)


def _evaluations(params: Params) -> Iterator[Item]:
    known: dict[tuple[Any, ...], Cost] = {}
    for name, cell in _networks(params).items():
        run = params.runs[cell.run]
        size = _padded(frame(params, cell.dataset), methods[params.variants[run.variant].method].multiple)
        key = (_architecture(params, run), size)
        if key not in known:
            known[key] = cost.prediction(partial(networks.build, params, run), height=size[0], width=size[1])
        yield Item("evaluate", (name,), known[key], 1, scenes(params, cell.dataset))


def _networks(params: Params) -> dict[str, Evaluation]:
    """Return the evaluations of networks trained here; a method without a network costs no GPU time."""
    return {name: cell for name, cell in params.evaluations.items() if cell.run in params.runs}


def _architecture(params: Params, run: Run) -> str:
    """What decides a run's costs, as text: its variant, and size and settings of its codebook."""
    variant = params.variants[run.variant]
    book = params.codebook_runs[run.codebook].codes if run.codebook else None
    network = params.stage1_of(run.codebook).network if run.codebook else None
    return f"{variant.method} {variant.preset} {variant.options} {book} {network}"


def frame(params: Params, dataset: str) -> tuple[int, int]:
    """Height and width of a set's frames: of its prepared scenes, or as it will be simulated, or as is known of it."""
    for split in datasets[dataset].splits:
        folder = layout.scenes(params, dataset, split)
        if folder.exists() and (paths := list_scenes(folder)):
            height, width = read_scene(paths[0]).codes.shape[1:3]
            return height, width
    if datasets[dataset].fetch == "simulate" and params.simulate is not None:
        return params.simulate.height, params.simulate.width
    return FRAMES.get(dataset, UNKNOWN)


def patch_count(params: Params, run: Run) -> int:
    """Return how many patches an epoch of a run has: of the prepared scenes, or as many as the set should give."""
    cut, card = recipes.patches(params, run), datasets[run.trainset]
    folder = layout.scenes(params, run.trainset, "train")
    if folder.exists() and (paths := list_scenes(folder)):
        sizes = [read_scene(path).codes.shape[1:3] for path in paths]
    elif card.fetch == "simulate" and params.simulate is not None:
        sizes = [frame(params, run.trainset)] * (params.simulate.train_views * len(params.simulate.train))
    else:
        sizes = [frame(params, run.trainset)] * card.expected.get("train", 1)
    return sum(len(grid(height, width, cut.size, cut.stride)) for height, width in sizes)


def scenes(params: Params, dataset: str) -> int:
    """Return how many scenes of a set are predicted: its published number, or as many as are simulated."""
    card = datasets[dataset]
    if card.fetch == "simulate" and params.simulate is not None:
        return params.simulate.test_views * len(params.simulate.test) + params.simulate.no_truth_scenes
    return sum(card.expected.get(split, 0) for split, role in card.splits.items() if role in SPLITS)


def _padded(size: tuple[int, int], multiple: int) -> tuple[int, int]:
    height, width = (math.ceil(edge / multiple) * multiple for edge in size)
    return height, width
