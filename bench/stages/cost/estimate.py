"""Estimate: operations, memory and hours of a profile's trainings and evaluations on a GPU, before they start."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain
from typing import Any

import torch

from bench.core.params import Params
from bench.core.progress import track
from bench.core.registry import methods
from bench.core.runs import Run
from bench.stages.cost import counting, gpus, workload
from bench.stages.cost.counting import Cost
from bench.stages.cost.gpus import Gpu
from bench.stages.cost.step import counted, seconds_per_step
from bench.stages.training import environment, networks

EFFICIENCY = 0.35
"""Share of the arithmetic peak that well-fed convolutions reach; the usual good case."""

LAUNCH = 6e-6
"""Seconds that the CPU takes to launch an operator; a guess in the middle of the usual 4 to 10 microseconds."""

NOTHING_TIMED = "Nothing was timed: this machine has no CUDA GPU."


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
        """The longest bound: "compute", "memory", or "launches" where operators are too small for the GPU."""
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


@dataclass(frozen=True)
class Estimate:
    """The cost of a profile on a GPU.

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
            | {"memory": item.cost.memory, "binds": item.binds, "lower": item.lower, "upper": item.upper}
            | {"measured": self.measured.get(index)}
            for index, item in enumerate(self.items)
        ]
        return asdict(self) | {"gpu": self.gpu._asdict(), "items": rows}


def run(params: Params, gpu: str | None = None) -> Estimate:
    """Price the profile on `gpu`, by default this machine's if its peaks are known, else an H100.

    Where this machine has a GPU, some steps of both stages are timed on it.
    """
    here = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    chosen = gpus.find(gpu) if gpu is not None else gpus.recognise(here) or gpus.find(gpus.DEFAULT)
    found = items(params, chosen)
    measured, note = _calibrate(params, found, environment.start(params)) if here else ({}, NOTHING_TIMED)
    notes = (*_assumptions(params, chosen, found), note)
    return Estimate(params.profile, chosen, params.precision, tuple(found), measured, notes)


def items(params: Params, gpu: Gpu) -> list[Item]:
    """Return what the profile's stages cost on a GPU; equal ones are one item, in the order of the pipeline."""
    groups: dict[tuple[Any, ...], list[Item]] = {}
    trainings = _trainings(params, "codebook", params.codebook_runs), _trainings(params, "train", params.runs)
    every = chain(*trainings, _evaluations(params))
    predicted = sum(evaluation.run in params.runs for evaluation in params.evaluations.values())
    for item in track(every, len(params.codebook_runs) + len(params.runs) + predicted, "estimate"):
        groups.setdefault((item.stage, item.cost, item.batch, item.steps), []).append(item)
    merged = [replace(group[0], names=tuple(item.names[0] for item in group)) for group in groups.values()]
    return [priced(item, gpu, params.precision if item.stage != "evaluate" else "fp32") for item in merged]


def trainings(params: Params, names: Collection[str]) -> dict[str, Item]:
    """Return without hours those of the trainings `names` that the profile has: "codebook-<name>", or a run."""
    codebooks = [name for name in params.codebook_runs if f"codebook-{name}" in names]
    found = {f"codebook-{item.names[0]}": item for item in _trainings(params, "codebook", codebooks)}
    runs = [name for name in params.runs if name in names]
    return found | {item.names[0]: item for item in _trainings(params, "train", runs)}


def priced(item: Item, gpu: Gpu, precision: str) -> Item:
    """Return the item with its hours on a GPU, in a precision that the GPU's peaks name."""
    hours = item.steps / 3600
    return replace(
        item,
        compute=hours * item.cost.flops / (EFFICIENCY * gpu.tflops[precision] * 1e12),
        traffic=hours * item.cost.traffic / (gpu.bandwidth * 1e9),
        launch=hours * item.cost.operators * LAUNCH,
    )


def _trainings(params: Params, stage: str, names: Iterable[str]) -> Iterator[Item]:
    known: dict[str, Cost] = {}  # counting takes seconds to minutes: once for equal ones
    for name in names:
        setup = workload.setup(params, stage, name)
        if stage == "codebook":
            settings = setup.settings.model_dump(exclude={"images", "init", "restart_every"})
            key = f"{params.codebook_runs[name].codes} {settings}"
        else:
            key = f"{_architecture(params, params.runs[name])} {params.kind_of(params.runs[name])}"
        if key not in known:
            known[key] = counted(setup, params.precision)
        yield Item(stage, (name,), known[key], setup.settings.batch, setup.settings.steps)


def _evaluations(params: Params) -> Iterator[Item]:
    """Yield the evaluations of networks trained here; a method without a network costs no GPU time."""
    known: dict[tuple[Any, ...], Cost] = {}
    for name, evaluation in params.evaluations.items():
        if (run := params.runs.get(evaluation.run)) is None:
            continue
        multiple = methods[params.variants[run.variant].method].multiple
        size = counting.padded(workload.frame(params, evaluation.dataset), multiple)
        key = (_architecture(params, run), size)
        if key not in known:
            known[key] = counting.prediction(partial(networks.build, params, run), height=size[0], width=size[1])
        yield Item("evaluate", (name,), known[key], 1, workload.scenes(params, evaluation.dataset))


def _architecture(params: Params, run: Run) -> str:
    """Return as text what decides a run's costs: its variant, and size and settings of its codebook."""
    variant = params.variants[run.variant]
    codes = params.codebook_runs[run.codebook].codes if run.codebook else None
    network = params.stage1_of(run.codebook).network if run.codebook else None
    return f"{variant.method} {variant.preset} {variant.options} {codes} {network}"


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
            seconds = seconds_per_step(workload.setup(params, stage, item.names[0]), device, params.precision)
        except torch.cuda.OutOfMemoryError:
            said.append(f"{item.names[0]} doesn't fit its memory")
            continue
        factor = seconds * item.steps * len(item.names) / 3600 / item.upper
        measured |= {index: factor * found[index].upper for index in own}
        said.append(f"{item.names[0]} takes {seconds:.4f} s a step")
    timed = f"Timed on {environment.device_name(device)}: {', '.join(said) or 'nothing'}"
    return measured, f"{timed}. Other rows of measured: upper times what these took over theirs."


def _assumptions(params: Params, gpu: Gpu, found: Iterable[Item]) -> Iterator[str]:
    """Yield the sentences without which the numbers would mislead."""
    peak = gpu.tflops[params.precision]
    yield (
        f"{gpu.label}, by its data sheet: {peak:g} TFLOP/s dense in {params.precision}, {gpu.bandwidth / 1000:g} TB/s, "
        f"{gpu.memory:g} GB."
    )
    yield (
        f"compute: FLOPs at {EFFICIENCY:.0%} of that peak. traffic: bytes of all operators, unfused, at full "
        f"bandwidth. launch: {LAUNCH * 1e6:g} us for each operator, a guess. All three for one of the stages."
    )
    yield (
        "lower: the larger of compute and traffic, as in CUDA graphs. upper: their sum, or launches where these "
        "take longer. Both for all stages of the row, one after another. Not in it: data loading, metrics, start."
    )
    yield "frozen M: with the VGG-16 of the perceptual loss, where there is one."
    tested = {evaluation.dataset for evaluation in params.evaluations.values()}
    if unsure := sorted(name for name in tested if workload.known_frame(params, name) is None):
        height, width = workload.UNKNOWN
        yield f"Frames of {', '.join(unsure)}: taken as {width}x{height} until the set is prepared."
    if large := [item.names[0] for item in found if item.cost.memory > gpu.memory * 1e9]:
        yield f"Doesn't fit the memory: {', '.join(large)}. Raise `accumulate`, or predict with `tile`."
