"""How a launch is shown: a table that is drawn again and again on a terminal, a line per change elsewhere."""

import shutil
import statistics
import sys
import time
from typing import TextIO

from bench.core import progress
from bench.launch.board import BAD, FINISHED, Board, State

ORDER = (State.RUNNING, State.QUEUED, State.READY, State.FAILED, State.CANCELLED, State.BLOCKED, State.WAITING)
"""Rows of the table, first those where something happens; what is finished is only counted."""


def render(board: Board, jobs: int, rows: int, columns: int) -> list[str]:
    """Return the table: counts and the time that is left, then as many stages as fit into the rows."""
    lines = [summary(board, jobs)]
    names = [name for state in ORDER for name in board.having([state])]
    shown = names if len(names) < rows else names[: max(rows - 2, 0)]
    lines += [_row(board, name)[:columns] for name in shown]
    if len(shown) < len(names):
        lines.append(f"... and {len(names) - len(shown)} more")
    return [line[:columns] for line in lines]


def summary(board: Board, jobs: int) -> str:
    """Return how many stages are in which state, and the time that is left."""
    counts = [(len(board.having([state])), state) for state in State]
    told = ", ".join(f"{count} {state}" for count, state in counts if count)
    seconds = remaining(board, jobs)
    return f"{told}; time left: {'not known yet' if seconds is None else duration(seconds)}"


def remaining(board: Board, jobs: int) -> float | None:
    """Estimate the seconds that are left from what stages of the same group took, shared by so many jobs at once.

    None while a group that is still to run has no stage with a known duration. A chain of stages may take longer.
    """
    known: dict[str, list[float]] = {}
    for name, card in board.cards.items():
        if card.seconds:
            known.setdefault(_group(name), []).append(card.seconds)
    total, longest = 0.0, 0.0
    for name in board.having(set(State) - FINISHED - BAD):
        card, same = board.cards[name], known.get(_group(name))
        if not same:
            return None
        passed = time.time() - card.started if card.state == State.RUNNING else 0.0
        left = max((card.seconds or statistics.median(same)) - passed, 0.0)
        total, longest = total + left, max(longest, left)
    return max(total / jobs, longest)


def duration(seconds: float) -> str:
    """Return seconds as 0:05, 12:34 or 1:23:45."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _group(name: str) -> str:
    return name.partition("@")[0]


def _row(board: Board, name: str) -> str:
    card = board.cards[name]
    passed = duration(time.time() - card.started) if card.state == State.RUNNING else ""
    job = f"job {card.job}" if card.state in (State.RUNNING, State.QUEUED) else ""
    return f"  {card.state:<9} {passed:>8}  {name}  {job} {card.note}".rstrip()


class Display:
    """Shows a board on stderr; with --quiet nothing."""

    def __init__(self, board: Board, jobs: int, stream: TextIO | None = None) -> None:
        """Take the board, how many jobs there are at once, and the stream, by default stderr."""
        self.board, self.jobs = board, jobs
        self.stream = stream or sys.stderr
        self.drawn = 0
        self.last = 0.0

    def show(self) -> None:
        """Draw the table, at most once a second, or write what has changed."""
        changed, self.board.changed = self.board.changed, []
        if progress.quiet:
            return
        if self.stream.isatty():
            if changed or time.monotonic() - self.last >= 1:
                self._draw()
        else:
            for name in changed:
                self._write(name)

    def _draw(self) -> None:
        size = shutil.get_terminal_size()
        lines = render(self.board, self.jobs, size.lines - 2, size.columns - 1)
        back = f"\x1b[{self.drawn}F\x1b[J" if self.drawn else ""
        print(back + "\n".join(lines), file=self.stream, flush=True)
        self.drawn, self.last = len(lines), time.monotonic()

    def _write(self, name: str) -> None:
        card = self.board.cards[name]
        if card.state in (State.READY, State.WAITING) and not card.note:
            return
        took = f" in {duration(card.seconds)}" if card.state == State.DONE else ""
        finished = len(self.board.having(FINISHED))
        note = f" ({card.note})" if card.note else ""
        total = len(self.board.cards)
        print(f"[{finished}/{total}] {name}: {card.state}{took}{note}", file=self.stream, flush=True)
