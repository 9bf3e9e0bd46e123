"""Time that trainings took on this machine, and the share of the device it used; never part of a result."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.core.errors import UsageError
from bench.core.params import Params
from bench.core.reading import read_json
from bench.stages.cost import estimate, gpus
from bench.stages.cost.estimate import Item, Way
from bench.stages.cost.gpus import Gpu

COLUMNS = ("training", "steps", "seconds", "steps/s", "samples/s", "memory MB", "GFLOP/s", "MFU", "bandwidth", "binds")


def run(params: Params) -> tuple[list[dict[str, str]], float, list[str]]:
    """Return a row for the last call of every training that has run here, their total seconds, and the devices.

    GFLOP/s and MFU are what the training counted on its own steps, else what the cost model counts. Bandwidth is the
    share of the memory's bandwidth that the step's operators need at least, each for itself, and `binds` the limit that
    the cost model finds; like MFU they need a GPU of known peaks. The model counts the parameters as they are now.
    """
    root = Path("runs") / params.profile
    files = sorted(root.glob("*/*/timing.json"), key=lambda path: (path.parts[-3], path.stat().st_mtime))
    if not files:
        raise UsageError(
            f"no training of profile {params.profile!r} has run on this machine ({root} holds no timings)."
        )
    timings = {path.parts[-3]: {"device": "cpu"} | read_json(path) for path in files}
    known = estimate.trainings(params, timings)
    rows = [
        dict(zip(COLUMNS, (name, *_figures(timing, known.get(name))), strict=True)) for name, timing in timings.items()
    ]
    total = sum(timing["seconds"] for timing in timings.values())
    return rows, total, sorted({timing["device"] for timing in timings.values()})


def _figures(timing: Mapping[str, Any], known_as: tuple[Item, Way] | None) -> tuple[str, ...]:
    rate = timing["steps"] / max(timing["seconds"], 1e-9)
    known = [str(timing["steps"]), f"{timing['seconds']:.1f}", f"{rate:.2f}"]
    if known_as is None:  # a training that the parameters no longer name
        return (*known, *"------")
    item, way = known_as
    devices, flops, memory = timing.get("processes", 1), timing.get("tflops"), timing.get("peak_memory_mb")
    gflops = rate * item.cost.flops / 1e9 if flops is None else 1e3 * flops * devices
    known += [f"{rate * item.batch:.1f}", "-" if memory is None else f"{memory:.0f}", f"{gflops:.1f}"]
    gpu = gpus.recognise(timing["device"])
    if gpu is None:
        return (*known, *"---")
    if timing.get("failure"):  # the parameters have it compiled, and it went on eagerly
        way = way._replace(compiled=False)
    mfu, share = usage(item, rate, gpu, way.precision, devices)
    stored = timing.get("mfu")
    binds = estimate.priced(item, gpu, way).binds
    return (*known, f"{mfu if stored is None else stored:.1%}", f"{share:.0%}", binds)


def usage(item: Item, rate: float, gpu: Gpu, precision: str, devices: int = 1) -> tuple[float, float]:
    """Return MFU and share of the bandwidth of a training that does `rate` steps a second on `devices` GPUs."""
    flops, traffic = rate * item.cost.flops, rate * item.cost.traffic
    return flops / (gpu.tflops[precision] * 1e12 * devices), traffic / (gpu.bandwidth * 1e9 * devices)
