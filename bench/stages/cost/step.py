"""What a training step takes on this device: counted, timed with the loop's own code, and what limits it."""

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import torch

from bench.core import progress
from bench.core.errors import UsageError
from bench.core.params import Params
from bench.io.files import write_json_atomic, write_text_atomic
from bench.stages.cost import counting, workload
from bench.stages.cost.counting import Cost
from bench.stages.cost.workload import Setup
from bench.stages.training import environment, networks
from bench.train.failure import Guard
from bench.train.loop import channels_last
from bench.train.parallel import ALONE
from bench.train.step import TrainStep, make_optimisers

STEPS = 20

WARM_UP = 5
"""Steps before the clock starts: kernels are chosen and compiled in them."""

EDGE = 8192
"""Edge of the square matrices whose product measures the arithmetic ceiling."""


def counted(setup: Setup, precision: str) -> Cost:
    """Count one step at the end of a training, when all parts of the loss have joined."""
    settings = setup.settings
    return counting.training_step(
        setup.build, batch=settings.batch, size=setup.size, step=settings.steps - 1, precision=precision,
        parts=settings.accumulate,
    )  # fmt: skip


def seconds_per_step(setup: Setup, device: torch.device, precision: str, steps: int = STEPS) -> float:
    """Return the seconds that a step takes with the training loop's own code, on random patches at hand.

    The steps are the training's last, so that all parts of the loss have joined. Cutting patches isn't in it.
    """
    settings, size, build = setup
    learner, tools = build()
    for module in (*learner.networks.values(), *tools):
        environment.to_device(module, device)
    cuda, guard = device.type == "cuda", Guard(device)
    optimisers = make_optimisers(learner, settings, guard, device)
    if settings.compile and cuda:
        learner.compile(settings.compile_mode)
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16" and cuda)
    step = TrainStep(learner, settings, optimisers, ALONE, guard, None, autocast, waits=not cuda)
    frames = channels_last(torch.rand(settings.batch, 3, 6, size, size, device=device))
    truth = torch.rand(settings.batch, 3, size, size, device=device)
    numbers = count(settings.steps - WARM_UP - steps)
    return _mean(lambda: step(frames, truth, max(next(numbers), 0)), device, steps, WARM_UP)


def _mean(call: Callable[[], Any], device: torch.device, repeats: int = 10, warm_up: int = 3) -> float:
    """Return the mean seconds of a call; on a GPU, where calls return early, until all is done."""

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    for _ in range(warm_up):
        call()
    wait()
    start = time.monotonic()
    for _ in range(repeats):
        call()
    wait()
    return (time.monotonic() - start) / repeats


@dataclass(frozen=True)
class Ceilings:
    """What this device reached just before the steps were timed.

    bandwidth : bytes a second of a copy within the device's memory, read and written bytes counted.
    flops     : operations a second of a square matrix product of random numbers, by precision; TF32 off.
    launch    : seconds between two operators too small to matter, as Python issues them.
    """

    bandwidth: float
    flops: dict[str, float]
    launch: float


@dataclass(frozen=True)
class Way:
    """One way of computing the step: precision, and what `compile` of the parameters says."""

    precision: str
    compile: bool | str = False

    @property
    def label(self) -> str:
        """Words for a table."""
        how = {False: "eager", True: "compiled", "reduce-overhead": "compiled, CUDA graphs"}[self.compile]
        return f"{self.precision}, {how}"


@dataclass(frozen=True)
class TimedWay:
    """A step as it was timed: seconds is the mean of `STEPS` after a warm-up, memory the allocator's peak in bytes.

    cost is counted on the eager graph; `failed` says why there are no figures.
    """

    way: Way
    cost: Cost
    seconds: float = 0.0
    memory: float = 0.0
    failed: str = ""


@dataclass(frozen=True)
class StepTiming:
    """A run's step on this device, `timed` in each way; the first is what the others are compared with."""

    run: str
    device: str
    torch: str
    batch: int
    size: int
    perceptual: str
    ceilings: Ceilings
    timed: list[TimedWay] = field(default_factory=list)


def run(params: Params, name: str | None = None, *, batch: int = 16, size: int = 256, keep: bool = False) -> StepTiming:
    """Time the stage-2 step of run `name` (default: the last row of Table 3) on random data.

    After each way the result is written to speed.json and speed.md in runs/<profile>/speed, with `keep` in
    reports/<profile>, which git tracks: no stage makes or reads it.
    """
    device = environment.start(params)
    chosen = name or _proposed(params)
    networks.find_run(params, chosen)
    setup = workload.setup(params, "train", chosen)
    setup = setup._replace(settings=setup.settings.model_copy(update={"batch": batch, "accumulate": 1}), size=size)
    folder = params.reports if keep else Path("runs") / params.profile / "speed"
    title = environment.device_name(device)
    _say(f"timing {chosen} on {title}, batch {batch}, {size}x{size}; written to {folder}")
    top = ceilings(device)
    timing = StepTiming(chosen, title, torch.__version__, batch, size, params.perceptual.backbone, top)
    costs: dict[str, Cost] = {}
    for way in ways(device):
        _say(f"{way.label}: {STEPS} steps and a warm-up")
        if way.precision not in costs:
            costs[way.precision] = counted(setup, way.precision)
        timing.timed.append(_time(setup, way, costs[way.precision], device))
        write_json_atomic(folder / "speed.json", asdict(timing))
        write_text_atomic(folder / "speed.md", page(timing))
    return timing


def _say(line: str) -> None:
    if not progress.quiet:
        print(f"cost step: {line}", file=sys.stderr, flush=True)


def ways(device: torch.device) -> tuple[Way, ...]:
    """Return how a step can be computed on this kind of device, the plain way first."""
    if device.type != "cuda":
        return (Way("fp32"),)
    return Way("fp32"), Way("bf16"), Way("bf16", True), Way("bf16", "reduce-overhead")


def ceilings(device: torch.device) -> Ceilings:
    """Measure what the device's memory, its arithmetic and the launching of operators can do at best."""
    cuda = device.type == "cuda"
    values = torch.rand(1 << 28 if cuda else 1 << 24, device=device)
    target = torch.empty_like(values)
    bandwidth = 2 * values.numel() * values.element_size() / _mean(lambda: target.copy_(values), device)
    edge, flops = EDGE if cuda else 512, {}
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)) if cuda else (("fp32", torch.float32),):
        left, right = (torch.randn(edge, edge, device=device, dtype=dtype) for _ in range(2))
        flops[precision] = 2 * edge**3 / _mean(partial(torch.mm, left, right), device)
    small = torch.zeros(16, device=device)
    return Ceilings(bandwidth, flops, _mean(lambda: small.add_(1), device, repeats=2000))


def page(timing: StepTiming) -> str:
    """Return the figures as Markdown."""
    first, top = timing.timed[0], timing.ceilings
    rates = ", ".join(f"{rate / 1e12:.3g} TFLOP/s in {name}" for name, rate in top.flops.items())
    lines = [
        f"# A stage-2 step of {timing.run} on {timing.device}",
        "",
        f"Batch {timing.batch}, patches of {timing.size}x{timing.size}, perceptual backbone {timing.perceptual}, "
        f"PyTorch {timing.torch}, TF32 off; mean of {STEPS} steps on random data, losses, backward pass and Adam "
        "included, cutting patches not. Made by `python -m bench cost step`; another device gives other figures.",
        "",
        f"Ceilings measured in the same run: a copy moves {top.bandwidth / 1e9:.0f} GB/s, a matrix product does "
        f"{rates}, launching an operator takes {1e6 * top.launch:.1f} us.",
        "",
        "| way | ms a step | images/s | against the first | peak memory GB | TFLOP/s | MFU | bandwidth | binds |",
        "| :--- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | :--- |",
        *(_row(timing, timed, first) for timed in timing.timed),
        "",
        "MFU: counted operations over the product's rate in that precision. Bandwidth: bytes that the operators read "
        "and write, each for itself, over the copy's rate; above 100 % caches have served them, and of a compiled step "
        "they aren't known. Binds: the longest of the eager step's operations, bytes and launches at these ceilings.",
    ]
    return "\n".join(lines) + "\n"


def _proposed(params: Params) -> str:
    rows = list(params.rows(3).values())
    runs = [name for name, run in params.runs.items() if rows and run.variant == rows[-1]]
    if not runs:
        raise UsageError(f"profile {params.profile!r} trains no row of Table 3; name a run with --run.")
    return runs[0]


def _time(setup: Setup, way: Way, cost: Cost, device: torch.device) -> TimedWay:
    setup = setup._replace(settings=setup.settings.model_copy(update={"compile": way.compile}))
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    try:
        seconds = seconds_per_step(setup, device, way.precision, STEPS)
    except Exception as error:  # a compiler's failure or a full memory costs its own row only
        return TimedWay(way, cost, failed=f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"[:160])
    return TimedWay(way, cost, seconds, float(torch.cuda.max_memory_allocated(device)) if cuda else 0.0)


def _row(timing: StepTiming, timed: TimedWay, first: TimedWay) -> str:
    if timed.failed:
        return f"| {timed.way.label} | failed: {timed.failed} | - | - | - | - | - | - | - |"
    top, needed = timing.ceilings, timed.cost
    rate = needed.flops / timed.seconds
    share = "-" if timed.way.compile else f"{needed.traffic / timed.seconds / top.bandwidth:.0%}"
    cells = [
        timed.way.label, f"{1e3 * timed.seconds:.1f}", f"{timing.batch / timed.seconds:.1f}",
        f"{first.seconds / timed.seconds:.2f}x" if first.seconds else "-",
        f"{timed.memory / 1e9:.1f}" if timed.memory else "-", f"{rate / 1e12:.3g}",
        f"{rate / top.flops[timed.way.precision]:.1%}", share, _binds(timed, top),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _binds(timed: TimedWay, top: Ceilings) -> str:
    """Name the longest of what an eager step must do; of a compiled step bytes and launches aren't known."""
    if timed.way.compile:
        return "-"
    cost = timed.cost
    needs = {
        "compute": cost.flops / top.flops[timed.way.precision],
        "memory": cost.traffic / top.bandwidth,
        "launches": cost.operators * top.launch,
    }
    longest = max(needs, key=lambda name: needs[name])
    return f"{longest} ({1e3 * needs[longest]:.0f} ms)"
