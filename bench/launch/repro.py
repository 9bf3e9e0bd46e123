"""`dvc repro`, followed line by line: what its messages mean, and the head's own run at the end of a launch."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, TextIO

from bench.core.errors import BenchError
from bench.launch.job import PROCESSES

MessageKind = Literal["running", "restored", "recorded", "exited", "failed", "busy"]


class Message(NamedTuple):
    """A line of DVC's output about a stage.

    kind   : running  - the stage's command starts;
             restored - the stage is up to date, or its outputs come from the cache;
             recorded - dvc.lock holds the stage that ran last;
             exited   - the command that ran last failed, with exit code `code`;
             failed   - DVC ends; `stages` are those that failed;
             busy     - another DVC process holds a lock.
    stages : addresses.
    """

    kind: MessageKind
    stages: tuple[str, ...] = ()
    code: int = 0


_PATTERNS: tuple[tuple[MessageKind, re.Pattern[str]], ...] = (
    ("running", re.compile(r"Running stage '(?P<stage>.+)':")),
    ("restored", re.compile(r"Stage '(?P<stage>.+)' didn't change, skipping")),
    ("restored", re.compile(r"Stage '(?P<stage>.+)' is cached - skipping run, checking out outputs")),
    ("recorded", re.compile(r"(Generating|Updating) lock file '.+'")),
    ("exited", re.compile(r"(WARNING: )?failed to run: .*, exited with (?P<code>-?\d+)")),
    ("busy", re.compile(r"(ERROR: |WARNING: )?.*(Unable to acquire lock|is busy, it is being blocked by).*")),
    ("failed", re.compile(r"ERROR: failed to reproduce( stages:)? (?P<stages>'.*')(: .*)?")),
)


def parse(line: str) -> Message | None:
    """Return the message in a line of output; None for a line that a stage printed."""
    for kind, pattern in _PATTERNS:
        match = pattern.fullmatch(line.rstrip())
        if match:
            found = match.groupdict()
            one = found.get("stage")
            names = (one,) if one else tuple(re.findall(r"'([^']+)'", found.get("stages") or ""))
            return Message(kind, names, int(found.get("code") or 0))
    return None


def environment(base: Mapping[str, str], gpus: str | None = None, processes: int = 1) -> dict[str, str]:
    """Return the environment of a `dvc repro`: this Python first on PATH, the slot's GPUs, processes of a training."""
    result = {key: value for key, value in base.items() if not key.startswith("SUBMITIT_")}
    result["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), base.get("PATH", os.defpath)])
    if gpus is not None:
        result["CUDA_VISIBLE_DEVICES"] = gpus
    if processes > 1:
        result[PROCESSES] = str(processes)
    return result


def follow(command: list[str], folder: Path, environ: Mapping[str, str], hear: Callable[[str], None]) -> int:
    """Run a command in a folder, pass each line of its output to `hear`, and return its exit code."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        output: TextIO = process.stdout  # type: ignore[assignment]
        try:
            for line in output:
                hear(line)
        except BaseException:  # an interrupt, or a full disk: without its reader the command mustn't go on
            process.terminate()
            process.wait()
            raise
    return process.returncode


@dataclass
class Reproduction:
    """Addresses of the stages that `dvc repro` ran, and of those that were up to date or came from the cache."""

    ran: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)


def reproduce(root: Path, targets: Sequence[str], pull: bool, log: Path) -> Reproduction:
    """Run `dvc repro` on the targets and keep its output in the log; BenchError that names the log if it fails."""
    result, last = Reproduction(), ""
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "dvc", "repro", *(["--pull"] if pull else []), *targets]
    with log.open("w", encoding="utf-8") as file:

        def hear(line: str) -> None:
            nonlocal last
            file.write(line)
            file.flush()
            last = line.strip() or last
            message = parse(line)
            if message and message.kind == "running":
                result.ran += message.stages
            elif message and message.kind == "restored":
                result.restored += message.stages

        code = follow(command, root, environment(os.environ), hear)
    if code:
        raise BenchError(f"dvc repro at the head ended with exit code {code}: {last} All of it: {log}")
    return result
