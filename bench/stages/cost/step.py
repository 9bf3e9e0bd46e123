"""The cost of a training step on this device: counted, timed with the loop's own code, and what limits it."""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import torch

from bench.core import progress
from bench.core.errors import UsageError
from bench.core.params import Params
from bench.io.files import write_json_atomic, write_text_atomic
from bench.stages.cost import setups
from bench.stages.cost.cost import Cost
from bench.stages.cost.setups import Setup, counted
from bench.stages.training import environment, networks
from bench.train.loop import TrainStep, channels_last
from bench.train.precision import products

STEPS = 20

COMPILED: dict[bool | str, str] = {False: "eager", True: "compiled", "reduce-overhead": "compiled, CUDA graphs"}
"""Value of `compile` in the parameters -> its name in tables."""

WAYS = (("fp32", False), ("tf32", False), *(("bf16", compiled) for compiled in COMPILED))
"""Precision and `compile` of each way of computing a step; a CPU has the first only."""

WARM_UP = 5
"""Steps before the clock starts: kernels are chosen and compiled in them."""

EDGE = 8192
"""Edge of the square matrices whose product measures the arithmetic ceiling."""


def seconds_per_step(setup: Setup, device: torch.device, precision: str, steps: int = STEPS) -> float:
    """Return the seconds that a step takes with the training loop's own code, on random patches at hand.

    The steps are the training's last, so that all parts of the loss have joined. Cutting patches isn't in it. Compiled
    code that failed raises RuntimeError: a training would have gone on eagerly.
    """
    settings, size, build = setup
    learner, tools = build()
    for module in (*learner.networks.values(), *tools):
        environment.to_device(module, device)
    step = TrainStep(learner, settings, device, precision=precision)
    step.compile(size)
    frames = channels_last(torch.rand(settings.batch, 3, 6, size, size, device=device))
    truth = torch.rand(settings.batch, 3, size, size, device=device)
    numbers = count(settings.steps - WARM_UP - steps)
    seconds = _mean(lambda: step(frames, truth, max(next(numbers), 0)), device, steps, WARM_UP)
    if step.failure:
        raise RuntimeError(step.failure)
    return seconds


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


def run(params: Params, name: str | None = None, *, batch: int = 16, size: int = 256, keep: bool = False) -> str:
    """Time the stage-2 step of run `name` (default: the last row of Table 3) on random data; return the page.

    After each way a record is written to speed.json, and the page to speed.md, in runs/<profile>/speed, with `keep` in
    reports/<profile>, which git tracks: no stage makes or reads it. `timed` in the record has for each way its
    precision and `compile`, the cost counted on the eager graph, mean seconds of `STEPS` steps, the allocator's peak in
    bytes, and why it failed.
    """
    device = environment.start(params)
    chosen = name or _proposed(params)
    networks.find_run(params, chosen)
    setup = setups.setup(params, "train", chosen)
    setup = setup._replace(settings=setup.settings.model_copy(update={"batch": batch, "accumulate": 1}), size=size)
    folder = params.reports if keep else Path("runs") / params.profile / "speed"
    title = environment.device_name(device)
    _say(f"timing {chosen} on {title}, batch {batch}, {size}x{size}; written to {folder}")
    record: dict[str, Any] = {
        "run": chosen, "device": title, "torch": torch.__version__, "batch": batch, "size": size,
        "perceptual": params.perceptual.backbone, "ceilings": ceilings(device), "timed": [],
    }  # fmt: skip
    costs: dict[str, Cost] = {}
    for precision, compiled in WAYS if device.type == "cuda" else WAYS[:1]:
        _say(f"{precision}, {COMPILED[compiled]}: {STEPS} steps and a warm-up")
        if precision not in costs:
            costs[precision] = counted(setup, precision)
        way = {"precision": precision, "compile": compiled}
        took = _time(setup, precision, compiled, device)
        record["timed"].append({"way": way, "cost": asdict(costs[precision]), **took})
        write_json_atomic(folder / "speed.json", record)
        write_text_atomic(folder / "speed.md", page(record))
    return page(record)


def _proposed(params: Params) -> str:
    rows = list(params.rows(3).values())
    runs = [name for name, run in params.runs.items() if rows and run.variant == rows[-1]]
    if not runs:
        raise UsageError(f"profile {params.profile!r} trains no row of Table 3; name a run with --run.")
    return runs[0]


def _say(line: str) -> None:
    if not progress.quiet:
        print(f"cost step: {line}", file=sys.stderr, flush=True)


def ceilings(device: torch.device) -> dict[str, Any]:
    """Measure what the device can do at best.

    bandwidth : bytes a second of a copy within the device's memory, read and written bytes counted.
    flops     : operations a second of a square matrix product of random numbers, by precision.
    launch    : seconds between two operators too small to matter, as Python issues them.
    """
    cuda = device.type == "cuda"
    values = torch.rand(1 << 28 if cuda else 1 << 24, device=device)
    target = torch.empty_like(values)
    bandwidth = 2 * values.numel() * values.element_size() / _mean(lambda: target.copy_(values), device)
    edge, flops = EDGE if cuda else 512, {}
    for precision in dict.fromkeys(name for name, _ in WAYS) if cuda else ("fp32",):
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        left, right = (torch.randn(edge, edge, device=device, dtype=dtype) for _ in range(2))
        with products(precision):
            flops[precision] = 2 * edge**3 / _mean(partial(torch.mm, left, right), device)
    small = torch.zeros(16, device=device)
    return {
        "bandwidth": bandwidth, "flops": flops, "launch": _mean(lambda: small.add_(1), device, repeats=2000),
    }  # fmt: skip


def _time(setup: Setup, precision: str, compiled: bool | str, device: torch.device) -> dict[str, Any]:
    setup = setup._replace(settings=setup.settings.model_copy(update={"compile": compiled}))
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    try:
        seconds, failed = seconds_per_step(setup, device, precision, STEPS), ""
    except Exception as error:  # a compiler's failure or a full memory costs its own row only
        seconds, failed = 0.0, f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"[:160]
    memory = float(torch.cuda.max_memory_allocated(device)) if cuda and not failed else 0.0
    return {"seconds": seconds, "memory": memory, "failed": failed}


def page(record: Mapping[str, Any]) -> str:
    """Return a record as Markdown."""
    top, size = record["ceilings"], record["size"]
    rates = ", ".join(f"{rate / 1e12:.3g} TFLOP/s in {name}" for name, rate in top["flops"].items())
    tf32 = "in its own row alone" if "tf32" in top["flops"] else "off"
    lines = [
        f"# A stage-2 step of {record['run']} on {record['device']}",
        "",
        f"Batch {record['batch']}, patches of {size}x{size}, perceptual backbone {record['perceptual']}, PyTorch "
        f"{record['torch']}, TF32 {tf32}; mean of {STEPS} steps on random data, losses, backward pass and Adam "
        "included, cutting patches not. Made by `python -m bench cost step`; another device gives other figures.",
        "",
        f"Ceilings measured in the same run: a copy moves {top['bandwidth'] / 1e9:.0f} GB/s, a matrix product does "
        f"{rates}, launching an operator takes {1e6 * top['launch']:.1f} us.",
        "",
        "| way | ms a step | images/s | against the first | peak memory GB | TFLOP/s | MFU | bandwidth | binds |",
        "| :--- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | :--- |",
        *(f"| {' | '.join(row(timed, record))} |" for timed in record["timed"]),
        "",
        "MFU: counted operations over the product's rate in that precision. Bandwidth: bytes that the operators read "
        "and write, each for itself, over the copy's rate; above 100 % caches have served them, and of a compiled step "
        "they aren't known. Binds: the longest of the eager step's operations, bytes and launches at these ceilings.",
    ]
    return "\n".join(lines) + "\n"


def row(timed: Mapping[str, Any], record: Mapping[str, Any]) -> list[str]:
    """Return the cells of one way of computing the step; the first way is what the others are compared with."""
    precision, compiled = timed["way"]["precision"], timed["way"]["compile"]
    label = f"{precision}, {COMPILED[compiled]}"
    if timed["failed"]:
        return [label, f"failed: {timed['failed']}", *"-------"]
    top, cost, seconds = record["ceilings"], Cost(**timed["cost"]), timed["seconds"]
    first, peak, rate = record["timed"][0]["seconds"], top["flops"][precision], cost.flops / seconds
    needs = {
        "compute": cost.flops / peak,
        "memory": cost.traffic / top["bandwidth"],
        "launches": cost.operators * top["launch"],
    }
    longest = max(needs, key=lambda name: needs[name])
    return [
        label, f"{1e3 * seconds:.1f}", f"{record['batch'] / seconds:.1f}", f"{first / seconds:.2f}x" if first else "-",
        f"{timed['memory'] / 1e9:.1f}" if timed["memory"] else "-", f"{rate / 1e12:.3g}", f"{rate / peak:.1%}",
        "-" if compiled else f"{cost.traffic / seconds / top['bandwidth']:.0%}",
        "-" if compiled else f"{longest} ({1e3 * needs[longest]:.0f} ms)",
    ]  # fmt: skip
