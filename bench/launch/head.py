"""The end of a launch at the head: plain `dvc repro`, which restores what workers did and runs what only it can."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.core.errors import BenchError
from bench.launch.messages import understand
from bench.launch.worker import environment, follow


@dataclass
class Reproduction:
    """What `dvc repro` did: addresses of stages that it ran, and of those up to date or from the cache."""

    ran: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)


def reproduce(root: Path, targets: Sequence[str], pull: bool, log: Path) -> Reproduction:
    """Run `dvc repro` on the targets and keep its output in the log; BenchError that names the log if it fails."""
    result = Reproduction()
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "dvc", "repro", *(["--pull"] if pull else []), *targets]
    last = ""
    with log.open("w", encoding="utf-8") as file:

        def hear(line: str) -> None:
            nonlocal last
            file.write(line)
            file.flush()
            last = line.strip() or last
            message = understand(line)
            if message and message.kind == "running":
                result.ran += message.stages
            elif message and message.kind == "restored":
                result.restored += message.stages

        code = follow(command, root, environment(os.environ), hear)
    if code:
        raise BenchError(f"dvc repro at the head ended with exit code {code}: {last} All of it: {log}")
    return result
