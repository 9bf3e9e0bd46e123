"""Throughput, memory and arithmetic rate of a training: printed and kept beside its checkpoint, never in a result."""

import contextlib
import resource
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from bench.core import progress

Timing = dict[str, float | int | str | None]


@dataclass
class Meter:
    """Clock and operation count of the steps of this call; the first step, which warms caches up, is timed too.

    peak    : operations a second that one device could do at best; None: unknown.
    counted : whether operations are counted at all: compiled code doesn't let them be seen.
    """

    device: torch.device
    peak: float | None = None
    counted: bool = True
    start: float = field(default_factory=time.monotonic)
    flops: float = 0.0
    per_step: float = 0.0
    terms: frozenset[str] | None = None

    def __post_init__(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """Wrap a step: count convolutions and matrix products, forward and backward, two for a multiply-add.

        Counting slows a step down and changes nothing in it; only the first of its kind is counted.
        """
        if self.counted and self.terms is None:
            with _Operations() as counter:
                yield
            self.per_step = counter.flops
        else:
            yield
        self.flops += self.per_step

    def see(self, terms: Iterable[str]) -> None:
        """Take the names of the step's loss terms: where others join, the next step is counted anew."""
        names = frozenset(terms)
        self.terms = names if self.terms in (None, names) else None

    def read(self, steps: int, batch: int, processes: int) -> Timing:
        """Return what `steps` steps took so far.

        peak_memory_mb is the most memory of this process: CUDA's allocator's on a GPU, else resident; in 10^6 bytes.
        tflops is the rate of one process in 10^12 operations a second; mfu is its share of what the device could.
        """
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        seconds = max(time.monotonic() - self.start, 1e-9)
        rate, flops = steps / seconds, self.flops / seconds if self.counted else None
        return {
            "steps": steps,
            "seconds": round(seconds, 2),
            "steps_per_s": round(rate, 4),
            "samples_per_s": round(rate * batch, 3),
            "peak_memory_mb": round(_peak(self.device) / 1e6, 1),
            "device": torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu",
            "processes": processes,
            "tflops": None if flops is None else round(flops / 1e12, 6),
            "mfu": None if flops is None or self.peak is None else round(flops / self.peak, 4),
        }


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sums the FLOPs of convolutions and matrix products, by the framework's formulas.

    The framework's own counter takes operators apart before they run, which changes last bits of the result.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = 0.0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.flops += float(formula(*args, **(kwargs or {}), out_val=out))
        return out


def say(label: str, timing: Timing) -> None:
    """Print the figures in a line on stderr, and the mode of compiled code, or why it wasn't gone on with."""
    rate = "" if timing["tflops"] is None else f", {timing['tflops']:.3g} TFLOP/s each"
    mfu = "" if timing["mfu"] is None else f", MFU {timing['mfu']:.1%}"
    how = f", compiled ({timing['compiled']})" if timing["compiled"] else ""
    how += f" until it failed: {timing['failure']}" if timing["failure"] else ""
    if not progress.quiet and timing["steps"]:
        print(
            f"{label}: {timing['steps_per_s']:.2f} steps/s, {timing['samples_per_s']:.1f} samples/s, "
            f"peak memory {timing['peak_memory_mb']:.0f} MB, {timing['processes']} x {timing['device']}"
            f"{rate}{mfu}{how}",
            file=sys.stderr,
            flush=True,
        )


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else size * 1024  # Linux counts in KiB, macOS in bytes
