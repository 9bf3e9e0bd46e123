"""Speed: what a training step of stage 2 takes on this device, in each way of computing it, and what limits it."""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from bench.core import progress
from bench.core.errors import UsageError
from bench.core.params import Params
from bench.io.files import write_json_atomic, write_text_atomic
from bench.stages.cost import cost, pricing
from bench.stages.cost.calibrate import seconds_per_step, wait
from bench.stages.cost.cost import Cost
from bench.stages.training import networks, training

STEPS = 20
EDGE = 8192
"""Edge of the square matrices whose product measures the arithmetic ceiling."""


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
class Timed:
    """A step as it was timed: seconds is the mean of `STEPS` after a warm-up, memory the allocator's peak in bytes.

    cost is counted on the eager graph; `failed` says why there are no figures.
    """

    way: Way
    cost: Cost
    seconds: float = 0.0
    memory: float = 0.0
    failed: str = ""


@dataclass(frozen=True)
class Speed:
    """A run's step on this device, `timed` in each way; the first is what the others are compared with."""

    run: str
    device: str
    torch: str
    batch: int
    size: int
    perceptual: str
    ceilings: Ceilings
    timed: list[Timed] = field(default_factory=list)


def run(params: Params, name: str | None = None, *, batch: int = 16, size: int = 256, keep: bool = False) -> Speed:
    """Time the stage-2 step of run `name` (default: the last row of Table 3) on random data.

    After each way the result is written to speed.json and speed.md in runs/<profile>/speed, with `keep` in
    reports/<profile>, which git tracks: no stage makes or reads it.
    """
    device = training.start(params)
    chosen = name or _proposed(params)
    networks.find_run(params, chosen)
    folder = params.reports if keep else Path("runs") / params.profile / "speed"
    _say(f"timing {chosen} on {training.device_name(device)}, batch {batch}, {size}x{size}; written to {folder}")
    speed = Speed(
        chosen, training.device_name(device), torch.__version__, batch, size, params.perceptual.backbone,
        ceilings(device),
    )  # fmt: skip
    costs: dict[str, Cost] = {}
    for way in ways(device):
        _say(f"{way.label}: {STEPS} steps and a warm-up")
        if way.precision not in costs:
            costs[way.precision] = _cost(params, chosen, way.precision, batch, size)
        speed.timed.append(_time(params, chosen, way, costs[way.precision], batch, size, device))
        write_json_atomic(folder / "speed.json", asdict(speed))
        write_text_atomic(folder / "speed.md", page(speed))
    return speed


def _say(line: str) -> None:
    if not progress.quiet:
        print(f"speed: {line}", file=sys.stderr, flush=True)


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


def page(speed: Speed) -> str:
    """Return the figures as Markdown."""
    first, top = speed.timed[0], speed.ceilings
    rates = ", ".join(f"{rate / 1e12:.3g} TFLOP/s in {name}" for name, rate in top.flops.items())
    lines = [
        f"# A stage-2 step of {speed.run} on {speed.device}",
        "",
        f"Batch {speed.batch}, patches of {speed.size}x{speed.size}, perceptual backbone {speed.perceptual}, PyTorch "
        f"{speed.torch}, TF32 off; mean of {STEPS} steps on random data, losses, backward pass and Adam included, "
        "cutting patches not. Made by `python -m bench speed`; another device gives other figures.",
        "",
        f"Ceilings measured in the same run: a copy moves {top.bandwidth / 1e9:.0f} GB/s, a matrix product does "
        f"{rates}, launching an operator takes {1e6 * top.launch:.1f} us.",
        "",
        "| way | ms a step | images/s | against the first | peak memory GB | TFLOP/s | MFU | bandwidth | binds |",
        "| :--- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | :--- |",
        *(_row(speed, timed, first) for timed in speed.timed),
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


def _cost(params: Params, name: str, precision: str, batch: int, size: int) -> Cost:
    run = params.runs[name]
    settings, build = pricing.run_settings(params, run), partial(pricing.run_learner, params, run)
    return cost.training_step(build, batch=batch, size=size, step=settings.steps - 1, precision=precision)


def _time(params: Params, name: str, way: Way, counted: Cost, batch: int, size: int, device: torch.device) -> Timed:
    own = pricing.run_settings(params, params.runs[name])
    settings = own.model_copy(update={"batch": batch, "accumulate": 1, "compile": way.compile})
    learner, tools = pricing.run_learner(params, params.runs[name])
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    try:
        seconds = seconds_per_step(
            learner, tools, settings, size=size, device=device, precision=way.precision, steps=STEPS
        )
    except Exception as error:  # a compiler's failure or a full memory costs its own row only
        return Timed(way, counted, failed=f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"[:160])
    return Timed(way, counted, seconds, float(torch.cuda.max_memory_allocated(device)) if cuda else 0.0)


def _row(speed: Speed, timed: Timed, first: Timed) -> str:
    if timed.failed:
        return f"| {timed.way.label} | failed: {timed.failed} | - | - | - | - | - | - | - |"
    top, needed = speed.ceilings, timed.cost
    rate = needed.flops / timed.seconds
    share = "-" if timed.way.compile else f"{needed.traffic / timed.seconds / top.bandwidth:.0%}"
    cells = [
        timed.way.label, f"{1e3 * timed.seconds:.1f}", f"{speed.batch / timed.seconds:.1f}",
        f"{first.seconds / timed.seconds:.2f}x" if first.seconds else "-",
        f"{timed.memory / 1e9:.1f}" if timed.memory else "-", f"{rate / 1e12:.3g}",
        f"{rate / top.flops[timed.way.precision]:.1%}", share, _binds(timed, top),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _binds(timed: Timed, top: Ceilings) -> str:
    """Name the longest of what an eager step must do; of a compiled step bytes and launches aren't known."""
    if timed.way.compile:
        return "-"
    needs = dict(_needs(timed, top))
    longest = max(needs, key=lambda name: needs[name])
    return f"{longest} ({1e3 * needs[longest]:.0f} ms)"


def _needs(timed: Timed, top: Ceilings) -> Iterator[tuple[str, float]]:
    yield "compute", timed.cost.flops / top.flops[timed.way.precision]
    yield "memory", timed.cost.traffic / top.bandwidth
    yield "launches", timed.cost.operators * top.launch


def _mean(call: Callable[[], Any], device: torch.device, repeats: int = 10) -> float:
    """Return the mean seconds of a call, after three that warm up."""
    for _ in range(3):
        call()
    wait(device)
    start = time.monotonic()
    for _ in range(repeats):
        call()
    wait(device)
    return (time.monotonic() - start) / repeats
