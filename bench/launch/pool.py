"""Pools that run jobs, on this machine or on Slurm, both through submitit; and the GPUs that each slot gets."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

from bench.core.errors import BenchError, UsageError
from bench.core.parallel import cores
from bench.launch.job import JobSpec
from bench.launch.worker import GRACE, work

ALIVE = frozenset(
    {"PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "REQUEUED", "REQUEUE_HOLD", "STOPPED"}
)
"""Slurm's states of jobs that haven't ended."""

OUT_OF_MEMORY = re.compile("exceeded memory limit|oom[-_ ]?kill|out.of.memory|status_alloc_failed", re.IGNORECASE)
"""Slurm's words in the log of a job that it kills for its memory, whose state may then just be FAILED, and those of
CUDA and its libraries (CUBLAS_STATUS_ALLOC_FAILED)."""

ASK_EVERY = 3.0
"""Seconds between two calls of squeue: Slurm's controller has other users."""

MOST = 4
"""Jobs that share a GPU where nobody says how many: more hardly fill it better, and each takes processor time."""

FOREVER = 60 * 24 * 365
"""Minutes: submitit's local jobs need a limit, and its default is short."""


@dataclass(frozen=True)
class Needs:
    """Resources of each job on Slurm; minutes and GB of memory are the partition's where they are None."""

    cores: int = 1
    gpus: int = 0
    minutes: int | None = None
    memory: float | None = None
    partition: str | None = None


class Gone(NamedTuple):
    """A job's end as the pool sees it: in words, whether another attempt may succeed, whether it was cancelled."""

    note: str
    again: bool = True
    cancelled: bool = False


class LocalPool:
    """Jobs as processes of this machine; an identifier is the process ID of submitit's process around the job."""

    def __init__(self, executor: Any) -> None:
        """Use submitit's `executor`."""
        self.executor = executor
        self.jobs: dict[str, Any] = {}

    def submit(self, spec: JobSpec) -> str:
        """Start a process for the job."""
        with _without_interrupts():
            job = self.executor.submit(work, spec)
        self.jobs[job.job_id] = job
        return str(job.job_id)

    def ended(self, identifiers: Iterable[str]) -> dict[str, Gone]:
        """Return those whose process has ended."""
        return {name: Gone("its process ended") for name in identifiers if self.jobs[name].state != "RUNNING"}

    def cancel(self, identifiers: Iterable[str]) -> None:
        """Ask the processes to end until they do; a stage may take a while to save its state."""
        left, deadline = set(identifiers), time.monotonic() + GRACE + 10
        while left and time.monotonic() < deadline:
            for name in left:
                with suppress(ProcessLookupError):
                    # Again and again: a process that is just starting may not listen yet.
                    os.kill(int(name), signal.SIGTERM)
            time.sleep(0.3)
            left -= self.ended(left).keys()
        if left:
            raise BenchError(f"processes {', '.join(sorted(left))} didn't end within {GRACE + 10} s; end them by hand.")


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Make processes that start meanwhile ignore Ctrl-C and a closed terminal: the head ends them, in order."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class SlurmPool:
    """Jobs of Slurm. Their states come from squeue, as not every cluster has accounting for sacct."""

    def __init__(self, executor: Any, memory: float | None = None) -> None:
        """Use submitit's `executor`; `memory` is what it asks for, in GB."""
        self.executor, self.memory = executor, memory
        self.asked = 0.0
        self.states: dict[str, str] = {}
        self.logs: dict[str, Path] = {}

    def submit(self, spec: JobSpec) -> str:
        """Submit a job, which squeue shows under the name of its first stage. UsageError if Slurm refuses it."""
        from submitit.core.utils import FailedJobError

        self.executor.update_parameters(job_name=spec.job)
        try:
            job = self.executor.submit(work, spec)
        except FailedJobError as error:
            said = str(error).strip().splitlines()[-1]
            raise UsageError(
                f"Slurm refuses the job of {spec.job}: {said} See sinfo, and --partition, --memory, --time and "
                "--gpus-per-job."
            ) from error
        identifier = str(job.job_id)
        self.states[identifier], self.logs[identifier] = "PENDING", Path(job.paths.stderr)
        return identifier

    def ended(self, identifiers: Iterable[str]) -> dict[str, Gone]:
        """Return the jobs that have ended by Slurm's latest answer; it is asked every few seconds."""
        wanted = set(identifiers)
        if wanted and time.monotonic() - self.asked >= ASK_EVERY:
            self._ask(wanted)
        return {name: self._gone(name) for name in wanted if self.states[name] not in ALIVE}

    def _gone(self, identifier: str) -> Gone:
        state, log = self.states[identifier], self.logs.get(identifier)
        if state == "CANCELLED":
            return Gone("the job was cancelled by somebody else", again=False, cancelled=True)
        words = log.read_text(encoding="utf-8", errors="replace") if log and log.exists() else ""
        if state == "OUT_OF_MEMORY" or (state == "FAILED" and OUT_OF_MEMORY.search(words)):
            limit = "the partition's limit" if self.memory is None else f"{self.memory:g} GB"
            return Gone(f"the job was out of memory ({limit}); give it more with --memory", again=False)
        return Gone(f"Slurm says {state}")

    def cancel(self, identifiers: Iterable[str]) -> None:
        """Cancel the jobs, and wait until they have left the queue."""
        left, deadline = set(identifiers), time.monotonic() + 120
        if left:
            subprocess.run(["scancel", *sorted(left)], capture_output=True, check=False)
        for name in left:
            self.states.setdefault(name, "PENDING")
        while left and time.monotonic() < deadline:
            self._ask(left)
            left -= self.ended(left).keys()
            time.sleep(0.5)
        if left:
            raise BenchError(f"Slurm still has the jobs {', '.join(sorted(left))}; cancel them with scancel.")

    def _ask(self, wanted: set[str]) -> None:
        """Call squeue; a job that the controller has forgotten is `GONE`, and a failed call changes nothing."""
        command = ["squeue", "--noheader", "--states=all", "--format=%i %T", f"--jobs={','.join(sorted(wanted))}"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        self.asked = time.monotonic()
        if answer.returncode and "Invalid job id" not in answer.stderr:
            return
        told = dict(line.split() for line in answer.stdout.splitlines())
        for name in wanted:
            self.states[name] = told.get(name, "GONE")


Pool = LocalPool | SlurmPool
"""Runs jobs; a job's identifier is a string that stays valid when the head is gone."""


def open_pool(kind: str, folder: Path, needs: Needs) -> Pool:
    """Return the pool called "local" or "slurm"; UsageError if this machine can't offer it."""
    try:
        import submitit
    except ImportError as error:
        raise UsageError("launch needs submitit. Install it with: pip install 'submitit>=1.5,<2'") from error
    if kind == "slurm" and not (shutil.which("sbatch") and shutil.which("srun")):
        raise UsageError("--on slurm: sbatch and srun aren't here. Launch where jobs are submitted, or use --on local.")
    if kind == "slurm":
        slurm = submitit.SlurmExecutor(folder=str(folder))
        slurm.update_parameters(
            time=needs.minutes,  # None leaves an option out; submitit's default is a limit of five minutes
            wckey=None,  # submitit would put its own name here
            cpus_per_task=needs.cores,
            gpus_per_node=needs.gpus or None,
            mem=None if needs.memory is None else f"{round(needs.memory * 1024)}M",
            partition=needs.partition,
            signal_delay_s=GRACE + 5,
        )
        return SlurmPool(slurm, needs.memory)
    local = submitit.LocalExecutor(folder=str(folder))
    local.update_parameters(timeout_min=needs.minutes or FOREVER)
    return LocalPool(local)


def devices(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return this machine's GPUs as CUDA_VISIBLE_DEVICES names them, restricted to that variable where it is set.

    As in CUDA, a name such as -1 hides itself and all that follow.
    """
    if "CUDA_VISIBLE_DEVICES" in environ:
        names = (name.strip() for name in environ["CUDA_VISIBLE_DEVICES"].split(","))
        return [name for name in takewhile(lambda name: not name.startswith("-"), names) if name]
    if not shutil.which("nvidia-smi"):
        return []
    answer = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return [str(index) for index in range(len(answer.stdout.splitlines()))] if answer.returncode == 0 else []


def memory(found: Sequence[str]) -> dict[str, float]:
    """Return the bytes of memory of GPUs by their names, those of which the driver tells.

    Of a part of a GPU (MIG) it doesn't: it tells of the whole.
    """
    bytes_of: dict[str, float] = {}
    for name in found if shutil.which("nvidia-smi") else ():
        if name.startswith("MIG-"):
            continue
        command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits", f"--id={name}"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        with suppress(ValueError):
            bytes_of[name] = float(answer.stdout) * 2**20
    return bytes_of


def slots(
    found: Sequence[str], per_job: int | None, jobs: int | None, threads: int, per_gpu: int | None = None
) -> list[str | None]:
    """Return the CUDA_VISIBLE_DEVICES of each slot; None where there are no GPUs.

    found   : the GPUs of this machine.
    per_job : GPUs of each job; None gives each one and lets more jobs than GPUs share them.
    jobs    : number of slots; None makes one for each GPU, or on a machine without for every `threads` cores.
    per_gpu : with `jobs` None, slots that share each GPU; 0 for as many as cores and `MOST` allow.
    """
    if not found:
        if per_job:
            raise UsageError(f"--gpus-per-job {per_job}: this machine has no GPU. Leave it out to run on the CPU.")
        return [None] * (jobs or max(cores() // threads, 1))
    if per_gpu is not None and jobs is None:
        jobs = len(found) * (per_gpu or min(max(cores() // threads // len(found), 1), MOST))
    each = per_job or 1
    number = jobs or max(len(found) // each, 1)
    if per_job and number * each > len(found):
        raise UsageError(
            f"{number} jobs of {each} GPUs need {number * each}; this machine offers {len(found)} "
            f"({', '.join(found)}). Lower --jobs or --gpus-per-job."
        )
    return [",".join(found[(slot * each + k) % len(found)] for k in range(each)) for slot in range(number)]
