"""Time and memory of one method's prediction, measured in a process that does nothing else.

`python -m bench.stages.cost.probe` reads a job (JSON) from standard input and writes what it found to standard output.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from bench.core.errors import BenchError
from bench.core.params import Params
from bench.core.registry import methods
from bench.core.runs import registration
from bench.data.pattern import bracket
from bench.stages.scoring.predict import predictor
from bench.stages.training import environment, networks
from bench.train.loop import trainable

WARM_UP = 128
"""Largest edge of a picture predicted before anything is timed, so that libraries are loaded and code is compiled."""

LONG = 30.0
"""A first prediction of so many seconds or more is used as is: warm-up is negligible in it."""

CODEBOOK = {"codes": 1024, "segments": "olc"}
"""Codebook of a network that needs one, where no run says which: the paper's size."""


class Candidate(NamedTuple):
    """A method of one size: a variant of the profile, with the run whose network it is, or a registered method.

    name, label : its name in the profile or registry, and what tables call it.
    run         : "" for the method's preset with `options`.
    """

    name: str
    label: str
    method: str
    preset: str
    run: str = ""
    options: Mapping[str, Any] = {}


def measure(
    params: Params, candidate: Candidate, height: int, width: int, repeat: int = 1, device: str = "cpu"
) -> dict[str, Any]:
    """Measure the whole prediction: the stored frames' conversion, registration where the network has one, the network.

    Returns what `bench.report.cost.predictions.PredictionTiming` calls seconds, memory, rest, parameters and frozen.
    """
    import cv2

    where = torch.device(device)
    environment.start(params)
    cv2.setNumThreads(params.threads)
    card, network = methods[candidate.method], _network(params, candidate)
    wanted = registration_of(params, candidate)
    predict = predictor(
        card, network, where, params.tile, candidate.preset, candidate.options, registration=wanted
    )  # fmt: skip
    small, scene = bracket(min(height, WARM_UP), min(width, WARM_UP)), bracket(height, width)
    rest = memory(where, peak=False)
    predict(small)
    seconds = timed(lambda: predict(scene), repeat)
    trained = trainable([network]) if network is not None else 0
    every = sum(p.numel() for p in network.parameters()) if network is not None else 0
    counts = {"parameters": trained, "frozen": every - trained}
    return {"seconds": seconds, "memory": memory(where), "rest": rest, **counts}


def registration_of(params: Params, candidate: Candidate) -> str:
    """Return how the frames of a candidate are registered: a run's as in its training, a method's own way otherwise."""
    if candidate.run:
        return registration(params, params.variants[params.runs[candidate.run].variant])
    return methods[candidate.method].registers or "none"


def timed(work: Callable[[], object], repeat: int) -> tuple[float, ...]:
    """Return the seconds of `repeat` calls after a first one; of the first one alone if it takes `LONG`."""

    def seconds() -> float:
        # A prediction ends in the CPU's memory, so that nothing of it is left in the GPU's queue.
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    first = seconds()
    return (first,) if first >= LONG else tuple(seconds() for _ in range(repeat))


def memory(device: torch.device, peak: bool = True) -> int:
    """Return the bytes that are held, or were held at most: of the process, or of tensors on the GPU."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated() if peak else torch.cuda.memory_allocated())
    status = Path("/proc/self/status")
    if not status.exists():  # macOS, where the peak is counted in bytes and there is no present size
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Not ru_maxrss: a process inherits that of the one that started it.
    name = "VmHWM:" if peak else "VmRSS:"
    lines = status.read_text(encoding="utf-8").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))


def _network(params: Params, candidate: Candidate) -> nn.Module | None:
    card = methods[candidate.method]
    if not card.trains:
        return None
    torch.manual_seed(0)
    if candidate.run:
        network = networks.build(params, params.runs[candidate.run])
    else:
        options: dict[str, Any] = {"head": card.heads[0]} if card.heads else {}
        options |= {"vqgan": CODEBOOK} if "codebook" in card.requires else {}
        network = card.build(candidate.preset, **{**options, **candidate.options})
    if (calibrate := getattr(network, "calibrate", None)) is not None:
        calibrate()
    return network


def reason(error: Exception) -> str:
    """Return a line that says why a method gave no picture."""
    text = " ".join(str(error).split())[:200]
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in text:
        return "out of memory"
    return text if isinstance(error, BenchError) else f"{type(error).__name__}: {text}"


def main() -> None:
    """Do the job on standard input."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a method prints must not mix with the answer
    try:
        job = json.load(sys.stdin)
        found = measure(Params.model_validate(job.pop("params")), Candidate(*job.pop("candidate")), **job)
    except Exception as error:  # whatever a method does wrong is a remark in its row
        found = {"reason": reason(error)}
    with answer:
        json.dump(found, answer)


if __name__ == "__main__":
    main()
