"""What the trainings and evaluations of a profile consist of: what decides their cost, frames, patches and scenes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bench.core import layout
from bench.core.optimisation import Optimisation, Stage2
from bench.core.params import Params
from bench.core.registry import code_of, datasets, methods
from bench.core.runs import Run, head
from bench.io.container import list_scenes, read_scene
from bench.stages.cost.cost import padded
from bench.train.patches import grid

FRAMES = {"kalantari": (1000, 1500), "tursun": (682, 1024)}
"""Height and width of real sets, as their readers in datasets/ state them."""

UNKNOWN = FRAMES["kalantari"]
"""Taken for the frames of a set that isn't prepared yet and of which no size is known."""


INDIFFERENT = {
    "steps", "lr", "lr_discriminator", "betas", "schedule", "decay", "decay_every", "min_lr", "clip", "clip_by", "ema",
    "compile", "checkpoint_every", "log_every", "workers", "observe_every", "images", "init", "quantise_from",
    "restart_every", "restart_below", "lazy_codebook", "adversarial_from", "beta",
}  # fmt: skip
"""Settings of a training that a step's cost doesn't depend on; any other may."""


@dataclass(frozen=True)
class Work:
    """Stages of the pipeline that cost the same: trainings, or predictions of a test set's scenes.

    stage  : "codebook", "train" or "evaluate".
    names  : their keys in the parameter file.
    batch  : samples in a step.
    steps  : steps, or scenes.
    told   : all that decides what a step or a prediction costs, as JSON values.
    code   : file or folder of the method.
    compiled : whether its parameters have it compiled on CUDA.
    """

    stage: str
    names: tuple[str, ...]
    batch: int
    steps: int
    told: Mapping[str, Any]
    code: str
    compiled: bool = False

    @property
    def name(self) -> str:
        """The first of them."""
        return self.names[0]

    def key(self, precision: str) -> str:
        """Return what is counted, as text; TF32 moves and computes what fp32 does, and predictions are made in fp32."""
        counted = "bf16" if precision == "bf16" and self.stage != "evaluate" else "fp32"
        return " ".join(
            f"{name}={value}" for name, value in {"stage": self.stage, **self.told, "precision": counted}.items()
        )


def works(params: Params) -> list[Work]:
    """Return what the profile's pipeline computes on a GPU, in its order; what costs the same is one."""
    found: dict[tuple[Any, ...], list[Work]] = {}
    for work in (*codebooks(params), *trainings(params), *_evaluations(params)):
        found.setdefault((work.key(params.precision), work.steps, work.compiled), []).append(work)
    return [replace(group[0], names=tuple(work.name for work in group)) for group in found.values()]


def codebooks(params: Params) -> Iterator[Work]:
    """Yield every training of a codebook.

    It is taken to be trained on HDR images, which search all of its codes; others of OLC search half of them.
    """
    for name, run in params.codebook_runs.items():
        settings = params.stage1_of(name)
        told = {"method": "olc", "preset": params.preset, "codes": run.codes}
        told |= _training(params, settings, params.patches.size)
        code = code_of(methods["olc"].module)
        compiled = _compiled(settings, params.patches.size)
        yield Work("codebook", (name,), settings.batch, settings.steps, told, code, compiled)


def trainings(params: Params) -> Iterator[Work]:
    """Yield every training of a network."""
    for name, run in params.runs.items():
        settings = run_settings(params, run)
        losses = "common" if params.published(run) is None else "published"
        told = {**_network(params, run), "losses": losses}
        size = params.patches_of(run).size
        told |= _training(params, settings, size)
        yield Work("train", (name,), settings.batch, settings.steps, told, run.code, _compiled(settings, size))


def _compiled(settings: Optimisation, size: int) -> bool:
    """Tell whether a GPU would compile the step of a training on patches of this edge."""
    return settings.compile_mode(settings.batch // settings.accumulate * size**2) is not None


def _evaluations(params: Params) -> Iterator[Work]:
    """Yield the evaluations of networks trained here; a method without a network costs no GPU time."""
    for name, evaluation in params.evaluations.items():
        if (run := params.runs.get(evaluation.run)) is not None:
            multiple = methods[params.variants[run.variant].method].multiple
            size = padded(frame(params, evaluation.dataset), multiple)
            told = {**_network(params, run), "size": list(size)}
            yield Work("evaluate", (name,), 1, scenes(params, evaluation.dataset), told, run.code)


def checkpoint(work: Work) -> str:
    """Return the name of the folder in `runs` of a training, which its timings lie in."""
    return f"codebook-{work.name}" if work.stage == "codebook" else work.name


def _network(params: Params, run: Run) -> dict[str, Any]:
    """Return what a run's network is built from; segments of a codebook cost alike, however long they are."""
    variant, recipe = params.variants[run.variant], params.published(run)
    options = {**(recipe.options if recipe else {}), **variant.options}
    told: dict[str, Any] = {"method": variant.method, "preset": variant.preset, "options": options}
    told["head"] = head(params, variant)
    if run.codebook is not None:
        settings = params.stage1_of(run.codebook)
        book = {"network": settings.network, "encoder_domain": settings.encoder_domain}
        told["codebook"] = {"codes": params.codebook_runs[run.codebook].codes, **book}
    return told


def _training(params: Params, settings: Optimisation, size: int) -> dict[str, Any]:
    """Return what of a training's settings decides a step's cost; of a loss's weight, that there is one."""
    left = settings.model_dump(exclude=INDIFFERENT)
    left = {name: value > 0 if name.startswith("weight_") else value for name, value in left.items()}
    if "weight_perceptual" in left:
        left["weight_perceptual"] &= params.perceptual.backbone != "none"
    return {"size": size, **left}


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


def pixels(params: Params, dataset: str) -> int:
    """Return how many pixels a frame of a set has."""
    height, width = frame(params, dataset)
    return height * width


def scenes(params: Params, dataset: str, *, every: bool = False) -> int:
    """Return how many scenes of a set are predicted: its published number, or as many as are simulated.

    every : those of the other splits, too.
    """
    card, simulated = datasets[dataset], params.simulate
    if card.fetch == "simulate" and simulated is not None:
        views = simulated.test_views * len(simulated.test)
        if dataset == "stress":  # takes each view again and again
            return views * len(simulated.stress.takes())
        return views + simulated.no_truth_scenes + every * simulated.train_views * len(simulated.train)
    roles = ("test", "no-truth", "train", "validation") if every else ("test", "no-truth")
    return sum(card.expected.get(split, 0) for split, role in card.splits.items() if role in roles)
