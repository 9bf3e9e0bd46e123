"""What a worker tells the head: one JSON object a line in a file that both see."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

What = Literal["started", "running", "done", "restored", "failed", "ended"]


@dataclass(frozen=True)
class Event:
    """Something happened to a job or to one of its stages.

    what      : of the job, `started` and `ended`; of a stage, the others.
    stage     : its name, empty for the job.
    time      : seconds since 1970, by the worker's clock.
    code      : exit code of a stage's command, or of the job's `dvc repro`.
    note      : what went wrong, or where the job runs.
    transient : whether the failure may be gone at the next attempt.
    process   : the worker's, with `started`.
    """

    what: What
    stage: str = ""
    time: float = 0.0
    code: int = 0
    note: str = ""
    transient: bool = False
    process: int = 0


class Writer:
    """Appends events to a file."""

    def __init__(self, path: Path) -> None:
        """Take the file; its folder is made."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path

    def write(self, event: Event) -> None:
        """Add one event, with the time; a line is written at once, so that no reader sees half of two."""
        line = json.dumps({**asdict(event), "time": time.time()}) + "\n"
        with self.path.open("ab", buffering=0) as file:
            file.write(line.encode())


class Reader:
    """Yields the events of a file that haven't been read yet."""

    def __init__(self, path: Path) -> None:
        """Take the file, which need not exist yet."""
        self.path, self.offset = path, 0

    def new(self) -> Iterator[Event]:
        """Yield what was added since the last call; a line that isn't finished waits for the next one."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self.offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self.offset += len(line)
                yield Event(**json.loads(line))
