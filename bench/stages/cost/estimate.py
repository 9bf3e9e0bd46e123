"""Estimate: operations, memory and hours of every stage of a profile, before anything is trained."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from bench.core.optimisation import Optimisation
from bench.core.params import Params
from bench.core.registry import datasets
from bench.stages import layout
from bench.stages.cost import gpus, pricing
from bench.stages.cost.calibrate import seconds_per_step
from bench.stages.cost.gpus import Gpu
from bench.stages.cost.pricing import EFFICIENCY, FRAMES, LAUNCH, UNKNOWN, Item
from bench.stages.training import environment, recipes

NOTHING_TIMED = "Nothing was timed: this machine has no CUDA GPU."


@dataclass(frozen=True)
class Estimate:
    """What a profile costs on a GPU.

    measured : hours of all stages of an item by the item's index, from steps that were timed on a GPU of this machine.
    notes    : sentences without which the numbers would mislead.
    """

    profile: str
    gpu: Gpu
    precision: str
    items: tuple[Item, ...]
    measured: dict[int, float]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        rows = [
            asdict(item)
            | {
                "memory": item.cost.memory,
                "binds": item.binds,
                "lower": item.lower,
                "upper": item.upper,
                "measured": self.measured.get(index),
            }
            for index, item in enumerate(self.items)
        ]
        return asdict(self) | {"gpu": self.gpu._asdict(), "items": rows}


def run(params: Params, gpu: str | None = None) -> Estimate:
    """Price the profile on `gpu`, by default this machine's if its peaks are known, else an H100.

    Where this machine has a GPU, some steps of both stages are timed on it.
    """
    here = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    chosen = gpus.find(gpu) if gpu is not None else gpus.recognise(here) or gpus.find(gpus.DEFAULT)
    found = pricing.items(params, chosen)
    measured, notes = _calibrate(params, found, environment.start(params)) if here else ({}, NOTHING_TIMED)
    return Estimate(
        params.profile, chosen, params.precision, tuple(found), measured, (*_assumptions(params, chosen, found), notes)
    )


def _calibrate(params: Params, found: Sequence[Item], device: torch.device) -> tuple[dict[int, float], str]:
    """Time the dearest item of both stages on `device`; scale the upper bounds of the others by what it took."""
    measured: dict[int, float] = {}
    said = []
    for stage in ("codebook", "train"):
        own = [index for index, item in enumerate(found) if item.stage == stage]
        if not own:
            continue
        item = found[max(own, key=lambda index: found[index].cost.flops)]
        try:
            seconds = _time(params, item, device)
        except torch.cuda.OutOfMemoryError:
            said.append(f"{item.names[0]} doesn't fit its memory")
            continue
        factor = seconds * item.steps * len(item.names) / 3600 / item.upper
        measured |= {index: factor * found[index].upper for index in own}
        said.append(f"{item.names[0]} takes {seconds:.4f} s a step")
    timed = f"Timed on {environment.device_name(device)}: {', '.join(said) or 'nothing'}"
    return measured, f"{timed}. Other rows of measured h: upper h times what these took over theirs."


def _time(params: Params, item: Item, device: torch.device) -> float:
    name, codebook = item.names[0], item.stage == "codebook"
    if codebook:
        settings: Optimisation = params.stage1_of(name)
        built, size = pricing.codebook_learner(params, name), params.patches.size
    else:
        run = params.runs[name]
        settings, size = pricing.run_settings(params, run), recipes.patches(params, run).size
        built = pricing.run_learner(params, run)
    return seconds_per_step(*built, settings, size=size, device=device, precision=params.precision)


def _assumptions(params: Params, gpu: Gpu, found: Iterable[Item]) -> Iterator[str]:
    """Yield the sentences without which the numbers would mislead."""
    peak = gpu.tflops[params.precision]
    yield (
        f"{gpu.label}, by its data sheet: {peak:g} TFLOP/s dense in {params.precision}, {gpu.bandwidth / 1000:g} TB/s, "
        f"{gpu.memory:g} GB."
    )
    yield (
        f"compute h: FLOPs at {EFFICIENCY:.0%} of that peak. traffic h: bytes of all operators, unfused, at full "
        f"bandwidth. launch h: {LAUNCH * 1e6:g} us for each operator, a guess. All three for one of the stages."
    )
    yield (
        "lower h: the larger of compute and traffic, as in CUDA graphs. upper h: their sum, or launches where these "
        "take longer. Both for all stages of the row, one after another. Not in it: data loading, metrics, start."
    )
    yield "frozen M: with the VGG-16 of the perceptual loss, where there is one."
    unsure = sorted({cell.dataset for cell in params.evaluations.values() if _guessed(params, cell.dataset)})
    if unsure:
        yield f"Frames of {', '.join(unsure)}: taken as {UNKNOWN[1]}x{UNKNOWN[0]} until the set is prepared."
    small = [item.names[0] for item in found if item.cost.memory > gpu.memory * 1e9]
    if small:
        yield f"Doesn't fit the memory: {', '.join(small)}. Raise `accumulate`, or predict with `tile`."


def _guessed(params: Params, dataset: str) -> bool:
    simulated = datasets[dataset].fetch == "simulate"
    prepared = any(layout.scenes(params, dataset, split).exists() for split in datasets[dataset].splits)
    return not (simulated or prepared or dataset in FRAMES)
