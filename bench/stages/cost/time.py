"""Time: how fast trainings ran on this machine, and what share of the device that is; never part of a result."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.core.errors import UsageError
from bench.core.params import Params
from bench.stages.cost import gpus, pricing
from bench.stages.cost.gpus import Gpu
from bench.stages.cost.pricing import Item

COLUMNS = ("training", "steps", "seconds", "steps/s", "samples/s", "memory MB", "GFLOP/s", "MFU", "bandwidth", "binds")


def run(params: Params) -> None:
    """Print the last call of every training that has run here.

    GFLOP/s and MFU are what the training counted on its own steps, else what the cost model counts. Bandwidth is the
    share of the memory's bandwidth that the step's operators need at least, each for itself, and `binds` the limit that
    the cost model finds; like MFU they need a GPU of known peaks. The model counts the parameters as they are now.
    """
    timings = read(params)
    costs = pricing.trainings(params, None)
    rows = [COLUMNS, *(_row(params, name, timing, costs.get(name)) for name, timing in timings.items())]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    for row in rows:
        print(row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)))
    total = sum(timing["seconds"] for timing in timings.values())
    print(f"{'all':<{widths[0]}} {'':>{widths[1]}} {total:>{widths[2]}.1f}")
    print(f"device: {', '.join(sorted({_device(timing) for timing in timings.values()}))}")


def read(params: Params) -> dict[str, dict[str, Any]]:
    """Return the last timing of each training by its name; UsageError if none has run here."""
    root = Path("runs") / params.profile
    files = sorted(root.glob("*/*/timing.json"), key=lambda path: (path.parts[-3], path.stat().st_mtime))
    if not files:
        raise UsageError(
            f"no training of profile {params.profile!r} has run on this machine ({root} holds no timings)."
        )
    return {path.parts[-3]: json.loads(path.read_text(encoding="utf-8")) for path in files}


def usage(item: Item, rate: float, gpu: Gpu, precision: str, devices: int = 1) -> tuple[float, float]:
    """Return MFU and share of the bandwidth of a training that does `rate` steps a second on `devices` GPUs."""
    flops, traffic = rate * item.cost.flops, rate * item.cost.traffic
    return flops / (gpu.tflops[precision] * 1e12 * devices), traffic / (gpu.bandwidth * 1e9 * devices)


def _row(params: Params, name: str, timing: Mapping[str, Any], item: Item | None) -> tuple[str, ...]:
    rate = timing["steps"] / max(timing["seconds"], 1e-9)
    known = [name, str(timing["steps"]), f"{timing['seconds']:.1f}", f"{rate:.2f}"]
    if item is None:  # a training that the parameters no longer name
        return (*known, *"------")
    devices, counted = timing.get("processes", 1), timing.get("tflops")
    gflops = rate * item.cost.flops / 1e9 if counted is None else 1e3 * counted * devices
    memory = timing.get("peak_memory_mb")
    known += [f"{rate * item.batch:.1f}", "-" if memory is None else f"{memory:.0f}", f"{gflops:.1f}"]
    gpu = gpus.recognise(_device(timing))
    if gpu is None:
        return (*known, *"---")
    mfu, share = usage(item, rate, gpu, params.precision, devices)
    stored = timing.get("mfu")
    binds = pricing.priced(item, gpu, params.precision).binds
    return (*known, f"{mfu if stored is None else stored:.1%}", f"{share:.0%}", binds)


def _device(timing: Mapping[str, Any]) -> str:
    return str(timing.get("device", "cpu"))
