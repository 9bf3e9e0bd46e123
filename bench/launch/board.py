"""The state of every stage of a launch: kept in a file for the next launch, and shown on stderr."""

import json
import statistics
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from bench.core import progress
from bench.io.files import replacing


class State(StrEnum):
    """State of a stage; `ready` waits for a free slot, `queued` for the pool."""

    WAITING = "waiting"
    READY = "ready"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    RESTORED = "restored"
    FAILED = "failed"
    BLOCKED = "blocked"
    CANCELLED = "cancelled"


FINISHED = frozenset({State.DONE, State.RESTORED})
BAD = frozenset({State.FAILED, State.BLOCKED, State.CANCELLED})
SHOWN = (State.RUNNING, State.QUEUED, State.READY, State.FAILED, State.CANCELLED, State.BLOCKED, State.WAITING)
"""States in the order of the table's rows, active ones first; finished stages are only counted."""


@dataclass
class StageStatus:
    """The state of one stage, with the job that has it, the number of the attempt, and a remark.

    started : seconds since 1970 at which its command began, 0 before.
    seconds : duration of the command; an earlier launch's until this one has its own.
    """

    state: State = State.WAITING
    job: str = ""
    attempt: int = 0
    started: float = 0.0
    seconds: float = 0.0
    note: str = ""


@dataclass
class Board:
    """All stages of a launch.

    identifier : the launch's, and its folder's name.
    executor   : "local" or "slurm".
    jobs       : identifiers in the pool that may still be alive.
    clones     : folder of the workers' clones.
    changed    : stages whose state has changed since it was shown.
    """

    identifier: str
    commit: str
    executor: str
    stages: dict[str, StageStatus] = field(default_factory=dict)
    jobs: list[str] = field(default_factory=list)
    clones: str = ""
    changed: list[str] = field(default_factory=list)

    def set(self, name: str, state: State, note: str = "") -> None:
        """Move a stage to a state; nothing happens if it is there already, with the same note."""
        stage = self.stages[name]
        if stage.state == state and stage.note == note:
            return
        if state == State.RUNNING:
            stage.started = time.time()
        if state in FINISHED and stage.state == State.RUNNING:
            stage.seconds = time.time() - stage.started
        stage.state, stage.note = state, note
        self.changed.append(name)

    def settle(self) -> None:
        """Set finished stages to waiting once the head has their results: out of date later on, they must run again."""
        for name in self.having(FINISHED):
            self.stages[name].state, self.stages[name].note = State.WAITING, ""

    def having(self, states: Iterable[State]) -> list[str]:
        """Return the stages in one of the states."""
        wanted = set(states)
        return [name for name, stage in self.stages.items() if stage.state in wanted]

    def save(self, path: Path) -> None:
        """Write all but `changed` as JSON."""
        content = asdict(self)
        del content["changed"]
        with replacing(path) as part:
            part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> Board | None:
    """Return the board of the last launch; None without one, or of an older version."""
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if "stages" not in content:
        return None
    stages = {name: StageStatus(**{**s, "state": State(s["state"])}) for name, s in content.pop("stages").items()}
    return Board(stages=stages, **content)


def resume(before: Board | None, commit: str, names: Iterable[str]) -> Mapping[str, StageStatus]:
    """Return where the stages stand: finished ones stay so at the same commit; durations are kept in any case."""
    stages: dict[str, StageStatus] = {}
    for name in names:
        old = before.stages.get(name) if before else None
        stages[name] = StageStatus(seconds=old.seconds if old else 0.0)
        if before and old and before.commit == commit and old.state in FINISHED:
            stages[name].state, stages[name].note = State.RESTORED, f"by launch {before.identifier}"
    return stages


def remaining(board: Board, jobs: int) -> float | None:
    """Estimate the seconds that are left from the durations of stages of the same group, with so many jobs at once.

    None while a group that is still to run has no stage with a known duration. A chain of stages may take longer.
    """
    known: dict[str, list[float]] = {}
    for name, stage in board.stages.items():
        if stage.seconds:
            known.setdefault(name.partition("@")[0], []).append(stage.seconds)
    total, longest = 0.0, 0.0
    for name in board.having(set(State) - FINISHED - BAD):
        stage, same = board.stages[name], known.get(name.partition("@")[0])
        if not same:
            return None
        passed = time.time() - stage.started if stage.state == State.RUNNING else 0.0
        left = max((stage.seconds or statistics.median(same)) - passed, 0.0)
        total, longest = total + left, max(longest, left)
    return max(total / jobs, longest)


def duration(seconds: float) -> str:
    """Return seconds as 0:05, 12:34 or 1:23:45."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def table(board: Board, jobs: int, rows: int) -> list[str]:
    """Return the lines of the table: counts and the time that is left, then as many stages as fit into the rows."""
    counts = [(len(board.having([state])), state) for state in State]
    seconds = remaining(board, jobs)
    left = "not known yet" if seconds is None else duration(seconds)
    lines = [f"{', '.join(f'{count} {state}' for count, state in counts if count)}; time left: {left}"]
    names = board.having(SHOWN)
    names.sort(key=lambda name: SHOWN.index(board.stages[name].state))
    shown = names if len(names) < rows else names[: max(rows - 2, 0)]
    for name in shown:
        stage = board.stages[name]
        passed = duration(time.time() - stage.started) if stage.state == State.RUNNING else ""
        job = f"job {stage.job}" if stage.state in (State.RUNNING, State.QUEUED) else ""
        lines.append(f"  {stage.state:<9} {passed:>8}  {name}  {job} {stage.note}".rstrip())
    return lines + ([f"... and {len(names) - len(shown)} more"] if len(shown) < len(names) else [])


class LaunchDisplay:
    """Shows a board on stderr: a live table on a terminal, a line for each change elsewhere, nothing with --quiet."""

    def __init__(self, board: Board, jobs: int, stream: TextIO | None = None) -> None:
        """Show `board`, of at most `jobs` jobs at once, on `stream`; None means stderr."""
        self.board, self.jobs = board, jobs
        self.console = Console(file=stream or sys.stderr)
        terminal = self.console.is_terminal and not self.console.is_dumb_terminal and not progress.quiet
        self.live = Live(console=self.console, auto_refresh=False) if terminal else None

    def __enter__(self) -> "LaunchDisplay":
        """Begin; what is printed meanwhile appears above the table."""
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the last table and give the cursor back."""
        if self.live:
            self.live.stop()

    def show(self) -> None:
        """Redraw the table, or write a line for each change."""
        changed, self.board.changed = self.board.changed, []
        if self.live:
            lines = table(self.board, self.jobs, self.console.height - 1)
            self.live.update(Text("\n".join(lines), no_wrap=True, overflow="ellipsis"), refresh=True)
            return
        count = f"[{len(self.board.having(FINISHED))}/{len(self.board.stages)}]"
        for name in changed if not progress.quiet else []:
            stage = self.board.stages[name]
            if stage.note or stage.state not in (State.READY, State.WAITING):
                took = f" in {duration(stage.seconds)}" if stage.state == State.DONE else ""
                note = f" ({stage.note})" if stage.note else ""
                print(f"{count} {name}: {stage.state}{took}{note}", file=self.console.file, flush=True)
