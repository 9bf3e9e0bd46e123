"""Where jobs run: processes of this machine or Slurm, both through submitit."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from bench.core.errors import BenchError, UsageError
from bench.launch.order import Order
from bench.launch.worker import GRACE, work

ALIVE = frozenset(
    {"PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "REQUEUED", "REQUEUE_HOLD", "STOPPED"}
)
"""Slurm's states of jobs that may still do something."""

OUT_OF_MEMORY = re.compile("exceeded memory limit|oom[-_ ]?kill|out.of.memory", re.IGNORECASE)
"""What Slurm writes to a job's log when it kills the job for its memory; the state may then be no more than FAILED."""

ASK_EVERY = 3.0
"""Seconds between two questions to Slurm, which has other users."""

FOREVER = 60 * 24 * 365
"""Minutes; submitit's local jobs have a limit, and its default is short."""


@dataclass(frozen=True)
class Needs:
    """What each job asks of Slurm; minutes and GB of memory are left to the partition where they are None."""

    cores: int = 1
    gpus: int = 0
    minutes: int | None = None
    memory: float | None = None
    partition: str | None = None


class Gone(NamedTuple):
    """How a job ended, by its pool: in words, whether another attempt may do better, whether it was cancelled."""

    note: str
    again: bool = True
    cancelled: bool = False


class Pool(Protocol):
    """Runs orders. A job's identifier is a string that outlives the head."""

    def submit(self, order: Order) -> str:
        """Hand an order over and return its identifier."""
        ...

    def ended(self, identifiers: Iterable[str]) -> dict[str, Gone]:
        """Return those that are no longer there, with how they ended."""
        ...

    def cancel(self, identifiers: Iterable[str]) -> None:
        """End jobs with all their processes, and return when they have ended."""
        ...


def open_pool(kind: str, folder: Path, needs: Needs) -> Pool:
    """Return the pool called "local" or "slurm"; UsageError if this machine has none such."""
    try:
        import submitit
    except ImportError as error:
        raise UsageError("launch needs submitit. Install it with: pip install 'submitit>=1.5,<2'") from error
    if kind == "slurm" and not (shutil.which("sbatch") and shutil.which("srun")):
        raise UsageError("--on slurm: sbatch and srun aren't here. Launch where jobs are submitted, or use --on local.")
    if kind == "slurm":
        slurm = submitit.SlurmExecutor(folder=str(folder))
        slurm.update_parameters(**_slurm_parameters(needs))
        return SlurmPool(slurm, needs.memory)
    local = submitit.LocalExecutor(folder=str(folder))
    local.update_parameters(timeout_min=needs.minutes or FOREVER)
    return LocalPool(local)


def _slurm_parameters(needs: Needs) -> dict[str, Any]:
    """Return sbatch's options; None leaves one out, where submitit would have a limit of five minutes and its wckey."""
    return {
        "time": needs.minutes,
        "wckey": None,
        "cpus_per_task": needs.cores,
        "gpus_per_node": needs.gpus or None,
        "mem": None if needs.memory is None else f"{round(needs.memory * 1024)}M",
        "partition": needs.partition,
        "signal_delay_s": GRACE + 5,
    }


class LocalPool:
    """Jobs as processes of this machine; an identifier is the process that watches over the job."""

    def __init__(self, executor: Any) -> None:
        """Take submitit's executor."""
        self.executor = executor
        self.jobs: dict[str, Any] = {}

    def submit(self, order: Order) -> str:
        """Start a process for the order."""
        with _deaf():
            job = self.executor.submit(work, order)
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
def _deaf() -> Iterator[None]:
    """Let processes that start meanwhile hear neither Ctrl-C nor a closed terminal: the head ends them, in order."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class SlurmPool:
    """Jobs of Slurm. What became of them is asked of the controller, as not every cluster keeps accounts."""

    def __init__(self, executor: Any, memory: float | None = None) -> None:
        """Take submitit's executor, and the memory in GB that it asks for."""
        self.executor, self.memory = executor, memory
        self.asked = 0.0
        self.states: dict[str, str] = {}
        self.logs: dict[str, Path] = {}

    def submit(self, order: Order) -> str:
        """Submit a job for the order; the queue shows the name of its first stage. UsageError if Slurm refuses it."""
        from submitit.core.utils import FailedJobError

        self.executor.update_parameters(job_name=order.job)
        try:
            job = self.executor.submit(work, order)
        except FailedJobError as error:
            said = str(error).strip().splitlines()[-1]
            raise UsageError(
                f"Slurm refuses the job of {order.job}: {said} See sinfo, and --partition, --memory, --time and "
                "--gpus-per-job."
            ) from error
        identifier = str(job.job_id)
        self.states[identifier], self.logs[identifier] = "PENDING", Path(job.paths.stderr)
        return identifier

    def ended(self, identifiers: Iterable[str]) -> dict[str, Gone]:
        """Return those that are over by what Slurm said last; it is asked every few seconds."""
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
        """Cancel the jobs, and wait until the queue is rid of them."""
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
        """Ask for all states; a job that the controller has forgotten is `GONE`, an answer that fails tells nothing."""
        command = ["squeue", "--noheader", "--states=all", "--format=%i %T", f"--jobs={','.join(sorted(wanted))}"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        self.asked = time.monotonic()
        if answer.returncode and "Invalid job id" not in answer.stderr:
            return
        told = dict(line.split() for line in answer.stdout.splitlines())
        for name in wanted:
            self.states[name] = told.get(name, "GONE")
