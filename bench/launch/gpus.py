"""Which GPUs this machine offers, and which of them a slot gets."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from itertools import takewhile

from bench.core.errors import UsageError

VARIABLE = "CUDA_VISIBLE_DEVICES"


def devices(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return this machine's GPUs as CUDA_VISIBLE_DEVICES names them; that variable, where set, says which to use.

    As in CUDA, a name such as -1 hides itself and all that follow.
    """
    if VARIABLE in environ:
        names = (name.strip() for name in environ[VARIABLE].split(","))
        return [name for name in takewhile(lambda name: not name.startswith("-"), names) if name]
    if not shutil.which("nvidia-smi"):
        return []
    answer = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return [str(index) for index in range(len(answer.stdout.splitlines()))] if answer.returncode == 0 else []


def slots(found: Sequence[str], per_job: int | None, jobs: int | None, threads: int) -> list[str | None]:
    """Return the CUDA_VISIBLE_DEVICES of each slot; None where there are no GPUs.

    Without a number of jobs there is a slot for each GPU, or on a machine without GPUs for as many cores as a stage
    has threads. `per_job` is how many GPUs each job gets; where it isn't given, more jobs than GPUs share them.
    """
    if not found:
        if per_job:
            raise UsageError(f"--gpus-per-job {per_job}: this machine has no GPU. Leave it out to run on the CPU.")
        return [None] * (jobs or max(cores() // threads, 1))
    each = per_job or 1
    number = jobs or max(len(found) // each, 1)
    if per_job and number * each > len(found):
        raise UsageError(
            f"{number} jobs of {each} GPUs need {number * each}; this machine offers {len(found)} "
            f"({', '.join(found)}). Lower --jobs or --gpus-per-job."
        )
    return [",".join(found[(slot * each + k) % len(found)] for k in range(each)) for slot in range(number)]


def cores() -> int:
    """Return how many CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
