"""What the head asks of a worker, in a form that travels to another machine."""

from dataclasses import dataclass, field
from pathlib import Path

PROCESSES = "BENCH_PROCESSES"
"""Environment variable: how many processes share a training; the verbs that train then start torchrun."""


@dataclass(frozen=True)
class Source:
    """Where a worker's clone comes from.

    root    : the head's checkout.
    commit  : what is checked out: the head's, or a snapshot of its files.
    file    : the pipeline, relative to the root.
    lock    : a copy of the head's lock file of this pipeline; the file may be missing.
    cache   : DVC's cache.
    remotes : remotes in folders, whose relative paths mean the head's.
    links   : paths of the root that clones share with it: inputs outside git, and where checkpoints are kept.
    """

    root: Path
    commit: str
    file: str
    lock: Path
    cache: Path
    remotes: dict[str, str] = field(default_factory=dict)
    links: tuple[str, ...] = ()


@dataclass(frozen=True)
class Order:
    """One attempt at one job.

    stages    : address of each stage by its name, in an order in which they can run.
    recorded  : these stages and all that they need, as lock files name them: what the clone's lock file may hold.
    clone     : the folder of the slot's clone; `<clone>.lock` beside it is held while a worker is in there.
    events    : file of the job's events.
    logs      : folder of the stages' logs.
    gpus      : value of CUDA_VISIBLE_DEVICES, or None to leave it as the worker finds it.
    processes : how many processes share one training.
    pull      : fetch from DVC's default remote what the cache lacks.
    push      : send results and run-cache to DVC's default remote.
    """

    job: str
    stages: dict[str, str]
    source: Source
    clone: Path
    events: Path
    logs: Path
    recorded: frozenset[str] = frozenset()
    gpus: str | None = None
    processes: int = 1
    pull: bool = False
    push: bool = False
