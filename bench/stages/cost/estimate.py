"""Estimate: operations, memory and hours of a profile's trainings and evaluations on GPUs, before they start."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import Any, NamedTuple

from bench.core.params import Params
from bench.stages.cost import counts, gpus, workload
from bench.stages.cost.cost import Cost
from bench.stages.cost.gpus import GPUS, Gpu
from bench.stages.cost.workload import Work

EFFICIENCY = 0.35
"""Share of the arithmetic peak that well-fed convolutions reach; the usual good case."""

BANDWIDTH = {False: 0.27, True: 0.4}
"""Share of the memory's bandwidth that counted bytes reach, eager and compiled.

A convolution reads its input more than once, a norm passes over it twice, sampling scatters; a compiler fuses what the
count keeps apart. The one step that was timed (reports/lab/speed.json, an H200) lies between the bounds that follow in
all three ways: fp32 552 ms in 479 to 684, bf16 170 in 142 to 174, bf16 compiled 108 in 96 to 128.
"""

LAUNCH = 7e-6
"""Seconds that the CPU takes to launch an operator, as timed beside that step."""

FUSED = 2
"""Launches of a compiled step for each of its products: itself, and one kernel of all that follows it; a guess."""


class Way(NamedTuple):
    """How a training's step is computed: in which precision, and whether compiled."""

    precision: str
    compiled: bool


WAYS: Mapping[str, Way] = {"fp32": Way("fp32", False), "bf16": Way("bf16", True)}
"""The ways that an overview compares, by name: as plain as can be, and what `precision` and `compile` give at best."""

CARDS = ("h100", "a100", "3090ti")
"""The GPUs that an overview compares."""


class Bounds(NamedTuple):
    """Least and most of a time."""

    lower: float
    upper: float

    def times(self, factor: float) -> "Bounds":
        """Return both, multiplied."""
        return Bounds(factor * self.lower, factor * self.upper)

    def said(self) -> str:
        """Return both, such as "1.2-3.4", or one where both read alike."""
        lower, upper = (f"{value:,.0f}" if value >= 10 else f"{value:.2g}" for value in self)
        return lower if lower == upper else f"{lower}-{upper}"


def total(parts: Iterable[Bounds]) -> Bounds:
    """Return the sum of times."""
    every = list(parts)
    return Bounds(sum(part.lower for part in every), sum(part.upper for part in every))


@dataclass(frozen=True)
class Item:
    """Stages of the pipeline that cost the same, on one GPU.

    stage   : "codebook", "train" or "evaluate".
    names   : their keys in the parameter file.
    cost    : of one step; of one scene, where `stage` is "evaluate".
    batch   : samples in a step.
    steps   : steps, or scenes.
    compute : hours of one of them at `EFFICIENCY` of the peak.
    traffic : hours of one of them at `BANDWIDTH` of the memory's.
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
        """Hours of all of them, if arithmetic and traffic never overlap and every kernel is launched by the CPU."""
        return len(self.names) * max(self.compute + self.traffic, self.launch)

    @property
    def hours(self) -> Bounds:
        """Both bounds for all of them."""
        return Bounds(self.lower, self.upper)

    @property
    def seconds(self) -> Bounds:
        """Both bounds for one step, or scene."""
        return self.hours.times(3600 / len(self.names) / self.steps)


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


@dataclass(frozen=True)
class Overview:
    """The cost of a profile on the GPUs of `CARDS`, trained in the ways of `WAYS`.

    items : (GPU, way) -> the profile's stages; the same stages in the same order for all of them.
    """

    profile: str
    items: Mapping[tuple[str, str], tuple[Item, ...]]

    def stages(self) -> tuple[str, ...]:
        """The stages that it has, in the order of the pipeline."""
        return tuple(dict.fromkeys(item.stage for item in next(iter(self.items.values()))))

    def hours(self, card: str, way: str, stage: str | None = None) -> Bounds:
        """Return the hours of a stage, or of all, one after another on one GPU."""
        return total(item.hours for item in self.items[card, way] if stage in (None, item.stage))

    def memory(self, way: str) -> float:
        """Return the bytes of the largest step, on any GPU."""
        steps = [item.cost.memory for item in self.items[CARDS[0], way] if item.stage != "evaluate"]
        return max(steps, default=0.0)

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON values: seconds of a step or scene, hours of all of an item's stages."""
        rows = []
        for index, item in enumerate(self.items[CARDS[0], "fp32"]):
            each = {key: found[index] for key, found in self.items.items()}
            rows.append({
                "stage": item.stage, "names": item.names, "batch": item.batch, "steps": item.steps,
                "memory": {way: each[CARDS[0], way].cost.memory for way in WAYS},
                **{
                    name: {card: {way: getattr(each[card, way], name)._asdict() for way in WAYS} for card in CARDS}
                    for name in ("seconds", "hours")
                },
            })  # fmt: skip
        return {"profile": self.profile, "items": rows}


def run(params: Params, gpu: str, timed: bool = False) -> Estimate:
    """Price the profile on `gpu`, trained in its own precision.

    timed : time some steps of both stages on this machine's GPU; UsageError without one.
    """
    chosen = gpus.find(gpu)
    found = items(params, chosen)
    notes = list(_assumptions(params, chosen, found))
    measured: dict[int, float] = {}
    if timed:
        from bench.stages.cost.calibration import calibrate  # imports torch, which an estimate does without

        measured, note = calibrate(params, found)
        notes.append(note)
    return Estimate(params.profile, chosen, params.precision, tuple(found), measured, tuple(notes))


def overview(params: Params) -> Overview:
    """Price the profile on the GPUs and in the ways that are compared."""
    works = workload.works(params)
    costs = counts.find(params, works, [way.precision for way in WAYS.values()])
    found = {
        (card, name): tuple(_item(work, costs, GPUS[card], way) for work in works)
        for card in CARDS
        for name, way in WAYS.items()
    }
    return Overview(params.profile, found)


def items(params: Params, gpu: Gpu) -> list[Item]:
    """Return what the profile's stages cost on a GPU; equal ones are one item, in the order of the pipeline."""
    works = workload.works(params)
    costs = counts.find(params, works, (params.precision,))
    return [_item(work, costs, gpu, Way(params.precision, work.compiled)) for work in works]


def trainings(params: Params, names: Collection[str]) -> dict[str, tuple[Item, Way]]:
    """Return those of the trainings `names` that the profile has, "codebook-<name>" or a run, without hours.

    And how a GPU computes them.
    """
    every = chain(workload.codebooks(params), workload.trainings(params))
    wanted = {key: work for work in every if (key := workload.checkpoint(work)) in names}
    costs = counts.find(params, wanted.values(), (params.precision,))
    return {
        key: (_unpriced(work, costs, params.precision), Way(params.precision, work.compiled))
        for key, work in wanted.items()
    }


def _item(work: Work, costs: Mapping[str, Cost], gpu: Gpu, way: Way) -> Item:
    if work.stage == "evaluate":
        way = Way("fp32", False)
    return priced(_unpriced(work, costs, way.precision), gpu, way)


def _unpriced(work: Work, costs: Mapping[str, Cost], precision: str) -> Item:
    return Item(work.stage, work.names, costs[work.key(precision)], work.batch, work.steps)


def priced(item: Item, gpu: Gpu, way: Way) -> Item:
    """Return the item with its hours on a GPU, in a precision that the GPU's peaks name."""
    hours, cost = item.steps / 3600, item.cost
    launches = FUSED * cost.products if way.compiled else cost.operators
    return replace(
        item,
        compute=hours * cost.flops / (EFFICIENCY * gpu.tflops[way.precision] * 1e12),
        traffic=hours * cost.traffic / (BANDWIDTH[way.compiled] * gpu.bandwidth * 1e9),
        launch=hours * min(launches, cost.operators) * LAUNCH,
    )


def _assumptions(params: Params, gpu: Gpu, found: Sequence[Item]) -> Iterator[str]:
    """Yield the sentences without which the numbers would mislead."""
    peak = gpu.tflops[params.precision]
    yield (
        f"{gpu.label}, by its data sheet: {peak:g} TFLOP/s dense in {params.precision}, {gpu.bandwidth / 1000:g} TB/s, "
        f"{gpu.memory:g} GB."
    )
    yield (
        f"compute: FLOPs at {EFFICIENCY:.0%} of that peak. traffic: bytes of all operators at {BANDWIDTH[False]:.0%} "
        f"of the bandwidth, compiled {BANDWIDTH[True]:.0%}. launch: {LAUNCH * 1e6:g} us for each operator, compiled "
        f"for {FUSED} kernels a product. All three for one of the stages; shares are from one step on an H200."
    )
    yield "frozen M: with the VGG-16 of the perceptual loss, where there is one."
    yield from remarks(params)
    if large := [item.names[0] for item in found if item.cost.memory > gpu.memory * 1e9]:
        yield f"Doesn't fit the memory: {', '.join(large)}. Raise `accumulate`, or predict with `tile`."


def remarks(params: Params) -> Iterator[str]:
    """Yield what is to be said of every estimate of the profile."""
    yield (
        "lower: the larger of compute and traffic, as in CUDA graphs. upper: their sum, or launches where these "
        "take longer. Both for all stages of the row, one after another. Not in it: data loading, metrics, start."
    )
    tested = {evaluation.dataset for evaluation in params.evaluations.values()}
    if unsure := sorted(name for name in tested if workload.known_frame(params, name) is None):
        height, width = workload.UNKNOWN
        yield f"Frames of {', '.join(unsure)}: taken as {width}x{height} until the set is prepared."
