"""Exchange between the head and a worker: the job's specification, the worker's events, and lock files."""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from filelock import FileLock, Timeout

PROCESSES = "BENCH_PROCESSES"
"""Environment variable: how many processes share a training; the verbs that train then start torchrun."""


@dataclass(frozen=True)
class CloneSource:
    """Origin of a worker's clone.

    root    : the head's checkout.
    commit  : the commit to check out: the head's, or a snapshot of its files.
    file    : the pipeline, relative to the root.
    lock    : a copy of the head's dvc.lock of this pipeline; the file may be missing.
    cache   : DVC's cache.
    remotes : remotes in folders, by name; relative paths are relative to the head's checkout.
    links   : paths of the root that clones share with it: inputs outside git, and the folder of checkpoints.
    """

    root: Path
    commit: str
    file: str
    lock: Path
    cache: Path
    remotes: dict[str, str] = field(default_factory=dict)
    links: tuple[str, ...] = ()


@dataclass(frozen=True)
class JobSpec:
    """One attempt at one job, in a form that can be pickled and sent to another machine.

    stages    : address of each stage by its name, in an order in which they can run.
    recorded  : these stages and all that they need, as named in dvc.lock: the entries that the clone's dvc.lock gets.
    clone     : the slot's clone; a worker holds the lock file `<clone>.lock` while it works there.
    events    : file of the job's events.
    logs      : folder of the stages' logs.
    gpus      : value of CUDA_VISIBLE_DEVICES, or None to leave it unchanged.
    processes : number of processes that share one training.
    pull      : fetch what the cache lacks from DVC's default remote.
    push      : send results and run-cache to DVC's default remote.
    """

    job: str
    stages: dict[str, str]
    source: CloneSource
    clone: Path
    events: Path
    logs: Path
    recorded: frozenset[str] = frozenset()
    gpus: str | None = None
    processes: int = 1
    pull: bool = False
    push: bool = False


EventKind = Literal["started", "running", "done", "restored", "failed", "ended"]


@dataclass(frozen=True)
class Event:
    """Something that happened to a job or to one of its stages.

    kind      : `started` and `ended` are of the job, the others of a stage.
    stage     : name of the stage, empty for the job.
    time      : seconds since 1970, by the worker's clock.
    code      : exit code of a stage's command, or of the job's `dvc repro`.
    note      : what went wrong, or where the job runs.
    transient : whether another attempt may succeed.
    process   : the worker's process, with `started`.
    """

    kind: EventKind
    stage: str = ""
    time: float = 0.0
    code: int = 0
    note: str = ""
    transient: bool = False
    process: int = 0


def report(path: Path, event: Event) -> None:
    """Append an event, with the current time, to the file `path` as one line of JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps({**asdict(event), "time": time.time()}) + "\n"
    with path.open("ab", buffering=0) as file:  # one system call, so that no reader sees parts of two lines
        file.write(line.encode())


class EventReader:
    """Yields the events of a file that haven't been read yet."""

    def __init__(self, path: Path) -> None:
        """Read from `path`, which need not exist yet."""
        self.path, self.offset = path, 0

    def new(self) -> Iterator[Event]:
        """Yield the events added since the last call; an unfinished line waits for the next one."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self.offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self.offset += len(line)
                yield Event(**json.loads(line))


class Holder(NamedTuple):
    """The process that holds a lock file."""

    host: str
    process: int

    def __str__(self) -> str:
        """Return the words of an error message."""
        return f"process {self.process} on {self.host}"


class Held(Exception):
    """Another process holds the lock file; `holder` is None while it hasn't written its name yet."""

    def __init__(self, path: Path, holder: Holder | None) -> None:
        """Make the error for the lock file `path`."""
        super().__init__(f"{path} is held by {holder or 'another process'}")
        self.holder = holder


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, which names its holder, for the `with` block; Held if another process does.

    The operating system releases the lock when the process ends, however that happens.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            # Soft locks, which filelock takes where a file system has no other, outlive a process that is killed.
            stack.enter_context(FileLock(path, blocking=False, fallback_to_soft=False))
        except Timeout as error:
            host, _, process = path.read_text(encoding="utf-8").strip().rpartition(" ")
            raise Held(path, Holder(host, int(process)) if host else None) from error
        path.write_text(f"{socket.gethostname()} {os.getpid()}\n", encoding="utf-8")
        yield
