"""The head's loop: ready jobs go to free slots, events move stages on, what failed stops its descendants only."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.launch.board import BAD, FINISHED, Board, State
from bench.launch.events import Event, Reader
from bench.launch.graph import Pipeline
from bench.launch.grouping import Job
from bench.launch.order import Order
from bench.launch.pool import Gone, Pool

PATIENCE = 10.0
"""Seconds that the last events of a job may take to appear on a shared disk after the pool has seen its end."""


@dataclass
class Attempt:
    """A job in the pool.

    excused : stages that failed in a way that may be gone next time, with what went wrong.
    end     : the job's last event, once it is there.
    lost    : when the pool was first seen without the job.
    """

    job: Job
    slot: int
    reader: Reader
    excused: dict[str, str] = field(default_factory=dict)
    end: Event | None = None
    lost: float = 0.0


@dataclass
class Policy:
    """How many jobs at once, how often and after how many seconds (doubled each time) a job is tried again."""

    jobs: int
    retries: int = 2
    backoff: float = 10.0
    poll: float = 0.5


@dataclass
class Scheduler:
    """Runs jobs until each stage of the board is finished or can't be.

    order : makes an attempt's order from the job, the stages left of it, the slot and the number of the attempt.
    show  : called after each round.
    save  : called when something has changed.
    """

    pipeline: Pipeline
    jobs: list[Job]
    board: Board
    pool: Pool
    policy: Policy
    order: Callable[[Job, list[str], int, int], Order]
    show: Callable[[], None]
    save: Callable[[], None]
    active: dict[str, Attempt] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    resting: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Put the jobs on which most depends first."""
        weights = longest_chains(self.pipeline, self.board)
        self.jobs = sorted(self.jobs, key=lambda job: max(weights[name] for name in job.stages), reverse=True)

    def run(self) -> None:
        """Work until nothing is left to do; on KeyboardInterrupt the jobs are cancelled, and it is raised again."""
        try:
            while self._step():
                time.sleep(self.policy.poll)
        except BaseException:
            self._stop()
            raise

    def _step(self) -> bool:
        for identifier, attempt in [*self.active.items()]:
            self._follow(attempt)
            if attempt.end and not self._may_retry(attempt):
                self._finish(identifier, attempt)
        self._look_after()
        self._block()
        self._submit()
        self._publish()
        return bool(self.active or self.board.having([State.WAITING, State.READY]))

    def _publish(self) -> None:
        if self.board.changed or self.board.jobs != [*self.active]:
            self.board.jobs = [*self.active]
            self.save()
        self.show()

    def _follow(self, attempt: Attempt) -> None:
        for event in attempt.reader.new():
            if event.what == "ended":
                attempt.end = event
            elif event.what == "failed" and event.transient:
                attempt.excused[event.stage] = f"exit code {event.code}: {event.note}"
            elif event.stage:
                note = f"exit code {event.code}: {event.note}" if event.what == "failed" else ""
                self.board.set(event.stage, State(event.what), note)

    def _look_after(self) -> None:
        """Finish attempts that the pool no longer has: it knows whether one was cancelled or out of memory.

        One that never told its end gets a while for that, as a shared disk may be slow, and is lost then.
        """
        now = time.monotonic()
        for identifier, gone in self.pool.ended(self.active).items():
            attempt = self.active[identifier]
            attempt.lost = attempt.lost or now
            self._follow(attempt)
            if attempt.end or not gone.again or now - attempt.lost >= PATIENCE:
                attempt.end = attempt.end or Event(
                    "ended", code=1, note=f"the job was lost: {gone.note}", transient=True
                )
                self._finish(identifier, attempt, gone)

    def _may_retry(self, attempt: Attempt) -> bool:
        end = attempt.end
        return bool(attempt.excused or (end and end.transient))

    def _finish(self, identifier: str, attempt: Attempt, gone: Gone | None = None) -> None:
        """Free the slot; stages that the job left undone are tried again, or are lost."""
        del self.active[identifier]
        name, final = attempt.job.name, gone is not None and not gone.again
        left = [stage for stage in attempt.job.stages if self.board.cards[stage].state not in FINISHED | BAD]
        note = self._why(attempt, gone if final else None)
        if left and self._may_retry(attempt) and not final and self.attempts[name] <= self.policy.retries:
            self.resting[name] = time.monotonic() + self.policy.backoff * 2 ** (self.attempts[name] - 1)
            for stage in left:
                self.board.set(stage, State.WAITING, f"again: {note}")
            return
        for stage in left:
            if not self._above_bad(stage):  # what follows a lost stage is blocked in this same round
                self.board.set(stage, State.CANCELLED if gone and gone.cancelled else State.FAILED, note)
            else:
                self._block_one(stage)

    def _why(self, attempt: Attempt, gone: Gone | None) -> str:
        if gone:
            return gone.note
        told = attempt.end.note if attempt.end else ""
        return next(iter(attempt.excused.values()), told or "DVC didn't say what became of it")

    def _above_bad(self, stage: str) -> list[str]:
        cards = self.board.cards
        return [up for up in self.pipeline.stages[stage].upstream if up in cards and cards[up].state in BAD]

    def _block(self) -> None:
        for name in self.board.having([State.WAITING, State.READY]):  # in the graph's order: all the way down
            if self._above_bad(name):
                self._block_one(name)

    def _block_one(self, name: str) -> None:
        self.board.set(name, State.BLOCKED, f"needs {self._above_bad(name)[0]}")

    def _submit(self) -> None:
        cards, now = self.board.cards, time.monotonic()
        busy = {attempt.job.name for attempt in self.active.values()}
        for job in self.jobs:
            left = [name for name in job.stages if cards[name].state in (State.WAITING, State.READY)]
            if not left or job.name in busy or now < self.resting.get(job.name, 0):
                continue
            above = set().union(*(self.pipeline.stages[name].upstream for name in left)) - set(job.stages)
            if all(cards[name].state in FINISHED for name in above & cards.keys()):
                self._start(job, left)

    def _start(self, job: Job, left: list[str]) -> None:
        free = [slot for slot in range(self.policy.jobs) if slot not in {a.slot for a in self.active.values()}]
        if not free:
            for name in left:
                self.board.set(name, State.READY, self.board.cards[name].note)
            return
        number = self.attempts[job.name] = self.attempts.get(job.name, 0) + 1
        order = self.order(job, left, free[0], number)
        identifier = self.pool.submit(order)
        self.active[identifier] = Attempt(job, free[0], Reader(order.events))
        for name in left:
            self.board.cards[name].job, self.board.cards[name].attempt = identifier, number
            self.board.set(name, State.QUEUED)
        self.board.jobs = [*self.active]
        self.save()  # at once: a kill must not leave a job that nobody knows of

    def _stop(self) -> None:
        """Cancel what is in the pool and leave a state from which the next call goes on."""
        self.pool.cancel([*self.active])
        for attempt in self.active.values():
            self._follow(attempt)
        self.active.clear()
        for name in self.board.having(set(State) - FINISHED - BAD):
            self.board.set(name, State.CANCELLED, "interrupted")
        self._publish()


def longest_chains(pipeline: Pipeline, board: Board) -> dict[str, float]:
    """Return for each stage of the board the seconds of the longest chain that begins with it; 60 where unknown."""
    weights: dict[str, float] = {}
    for name in reversed([*board.cards]):
        below = [other for other in weights if name in pipeline.stages[other].upstream]
        weights[name] = (board.cards[name].seconds or 60.0) + max((weights[other] for other in below), default=0.0)
    return weights
