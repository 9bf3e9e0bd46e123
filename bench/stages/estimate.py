"""Estimate: operations, memory and hours of every stage of a profile, before anything is trained."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch

from bench.core.params import Params
from bench.core.registry import datasets
from bench.stages import gpus, layout, pricing
from bench.stages.gpus import Gpu
from bench.stages.pricing import EFFICIENCY, FRAMES, LAUNCH, UNKNOWN, Item


@dataclass(frozen=True)
class Estimate:
    """What a profile costs on a GPU.

    measured : hours of all stages of an item by the index of the item, where they were timed on a GPU of this machine.
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
    here = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    local = gpus.recognise(here) if here else None
    chosen = gpus.find(gpu) if gpu is not None else local or gpus.find(gpus.DEFAULT)
    found = pricing.items(params, chosen)
    notes = (*_assumptions(params, chosen, found), "Nothing was timed: this machine has no CUDA GPU.")
    return Estimate(params.profile, chosen, params.precision, tuple(found), {}, notes)


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
