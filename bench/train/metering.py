"""Throughput, memory and arithmetic rate of a training: printed and kept beside its checkpoint, never in a result."""

import resource
import sys
import time
from dataclasses import dataclass, field

import torch

from bench.core import progress


@dataclass(frozen=True)
class Cost:
    """What one step computes, and what the devices could.

    flops : floating-point operations of one step on the whole batch, forward and backward; None: unknown.
    peak  : operations a second of all devices together at the precision in use; None: unknown.
    """

    flops: float | None = None
    peak: float | None = None


UNKNOWN = Cost()
"""Nobody has counted."""


@dataclass
class Meter:
    """Clock of the steps of this call; the first step, which warms caches up, counts too."""

    device: torch.device
    cost: Cost = UNKNOWN
    start: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)

    def read(self, steps: int, batch: int, processes: int) -> dict[str, float | int | str | None]:
        """Return what `steps` steps took so far.

        peak_memory_mb is the most memory of this process: CUDA's allocator's on a GPU, else resident; in 10^6 bytes.
        mfu is the model's operations over what the devices could have done.
        """
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        seconds = max(time.monotonic() - self.start, 1e-9)
        rate, cost = steps / seconds, self.cost
        known = cost.flops is not None and cost.peak is not None
        return {
            "steps": steps,
            "seconds": round(seconds, 2),
            "steps_per_s": round(rate, 4),
            "samples_per_s": round(rate * batch, 3),
            "peak_memory_mb": round(_peak(self.device) / 1e6, 1),
            "device": torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu",
            "processes": processes,
            "mfu": round(rate * cost.flops / cost.peak, 4) if known else None,  # type: ignore[operator]
        }


def say(label: str, timing: dict[str, float | int | str | None]) -> None:
    """Print the figures in a line on stderr."""
    mfu = "MFU unknown" if timing["mfu"] is None else f"MFU {timing['mfu']:.1%}"
    if not progress.quiet and timing["steps"]:
        print(
            f"{label}: {timing['steps_per_s']:.2f} steps/s, {timing['samples_per_s']:.1f} samples/s, "
            f"peak memory {timing['peak_memory_mb']:.0f} MB, {timing['processes']} x {timing['device']}, {mfu}",
            file=sys.stderr,
            flush=True,
        )


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else size * 1024  # Linux counts in KiB, macOS in bytes
