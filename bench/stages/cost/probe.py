"""Probe: how long one method takes for a picture and how much memory, in a process that does nothing else.

`python -m bench.stages.cost.probe` reads a job (JSON) from standard input and writes what it found to standard output.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.core.errors import BenchError
from bench.core.params import Params
from bench.core.registry import methods
from bench.data.pattern import bracket
from bench.stages.scoring.predict import predictor
from bench.stages.training import environment, networks
from bench.train.loop import trainable

WARM_UP = 128
"""Largest edge of the picture that libraries are loaded and code is compiled for, before anything is timed."""

LONG = 30.0
"""Seconds from which on the first prediction stands for itself: what it has to warm up is no more than noise in it."""

BOOK = {"codes": 1024, "segments": "olc"}
"""Codebook of a network that needs one, where no run says which: the paper's size."""


@dataclass(frozen=True)
class Job:
    """What to measure.

    params        : the parameter file's content.
    run           : a training of the profile whose network is meant; "" for the method's preset with `options`.
    height, width : of the picture, in pixels.
    repeat        : how many predictions to time.
    device        : "cpu" or "cuda".
    """

    params: Mapping[str, Any]
    method: str
    preset: str
    run: str
    height: int
    width: int
    repeat: int
    device: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def text(self) -> str:
        """Return the job as JSON."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Found:
    """What was measured.

    seconds     : of each timed prediction, from stored frames to radiance in memory.
    memory      : largest number of bytes held: of the process (resident), or of tensors on the GPU.
    rest        : bytes held before the first prediction: libraries and weights.
    parameters  : trained ones; `frozen` are the others.
    """

    seconds: tuple[float, ...]
    memory: int
    rest: int
    parameters: int
    frozen: int


def measure(job: Job) -> Found:
    """Measure the whole prediction: the stored frames' conversion, alignment where the method has one, the network."""
    params, device = Params.model_validate(job.params), torch.device(job.device)
    environment.start(params)
    _limit_threads(params.threads)
    card, network = methods[job.method], _network(params, job)
    predict = predictor(card, network, device, params.tile, job.preset, job.options)
    small, scene = bracket(min(job.height, WARM_UP), min(job.width, WARM_UP)), bracket(job.height, job.width)
    rest = memory(device, peak=False)
    predict(small)
    seconds = timed(lambda: predict(scene), job.repeat)
    trained = trainable([network]) if network is not None else 0
    every = sum(p.numel() for p in network.parameters()) if network is not None else 0
    return Found(seconds, memory(device), rest, trained, every - trained)


def timed(work: Callable[[], object], repeat: int) -> tuple[float, ...]:
    """Return the seconds of `repeat` calls after a first one; of the first one alone if it takes `LONG`."""
    first = _seconds(work)
    return (first,) if first >= LONG else tuple(_seconds(work) for _ in range(repeat))


def _seconds(work: Callable[[], object]) -> float:
    # A prediction ends in the CPU's memory, so that nothing of it is left in the GPU's queue.
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def memory(device: torch.device, peak: bool = True) -> int:
    """Return the bytes that are held, or were held at most: of the process, or of tensors on the GPU."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated() if peak else torch.cuda.memory_allocated())
    status = Path("/proc/self/status")
    if not status.exists():  # macOS, where the peak is counted in bytes and the present size isn't told
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Not ru_maxrss: a process inherits that of the one that started it.
    name = "VmHWM:" if peak else "VmRSS:"
    lines = status.read_text(encoding="utf-8").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))


def _limit_threads(threads: int) -> None:
    import cv2

    cv2.setNumThreads(threads)


def _network(params: Params, job: Job) -> nn.Module | None:
    card = methods[job.method]
    if not card.trains:
        return None
    torch.manual_seed(0)
    if job.run:
        network = networks.build(params, params.runs[job.run])
    else:
        options: dict[str, Any] = {"head": card.heads[0]} if card.heads else {}
        options |= {"vqgan": BOOK} if "codebook" in card.requires else {}
        network = card.build(job.preset, **{**options, **job.options})
    prepare = getattr(network, "calibrate", None)
    if prepare is not None:
        prepare()
    return network


def reason(error: Exception) -> str:
    """Say in a line why a method gave no picture."""
    text = " ".join(str(error).split())[:200]
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in text:
        return "out of memory"
    return text if isinstance(error, BenchError) else f"{type(error).__name__}: {text}"


def main() -> None:
    """Do the job on standard input."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a method prints must not mix with the answer
    try:
        found = asdict(measure(Job(**json.load(sys.stdin))))
    except Exception as error:  # whatever a method does wrong is a remark in its row
        found = {"reason": reason(error)}
    with answer:
        json.dump(found, answer)


if __name__ == "__main__":
    main()
