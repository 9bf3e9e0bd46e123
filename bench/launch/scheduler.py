"""The head's loop: ready jobs go to free slots, events move stages on, a failure stops its descendants only."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.launch.board import BAD, FINISHED, Board, State
from bench.launch.graph import Pipeline
from bench.launch.job import Event, EventReader, JobSpec
from bench.launch.plan import Job, LaunchOptions
from bench.launch.pool import Gone, Pool

PATIENCE = 10.0
"""Seconds that a job's last events may take to appear on a shared disk after the pool has seen the job end."""


@dataclass
class Attempt:
    """A job in the pool.

    excused : stages that failed in a way that another attempt may cure, with what went wrong.
    end     : the job's last event, once it is there.
    lost    : when the pool was first seen without the job.
    """

    job: Job
    slot: int
    reader: EventReader
    excused: dict[str, str] = field(default_factory=dict)
    end: Event | None = None
    lost: float = 0.0

    @property
    def transient(self) -> bool:
        """True if another attempt may succeed."""
        return bool(self.excused or (self.end and self.end.transient))

    def why(self) -> str:
        """Return what went wrong."""
        told = self.end.note if self.end else ""
        return next(iter(self.excused.values()), told or "DVC didn't say what became of it")


@dataclass
class Scheduler:
    """Runs jobs until each stage of the board is finished or can't be.

    specify : makes an attempt's specification from the job, the stages left of it, the slot and the attempt's number.
    show    : called after each round.
    save    : called when something has changed.
    """

    pipeline: Pipeline
    jobs: list[Job]
    board: Board
    pool: Pool
    options: LaunchOptions
    specify: Callable[[Job, list[str], int, int], JobSpec]
    show: Callable[[], None]
    save: Callable[[], None]
    active: dict[str, Attempt] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    resting: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Sort the jobs: those on which most depends come first."""
        weights = longest_chains(self.pipeline, self.board)
        self.jobs = sorted(self.jobs, key=lambda job: max(weights[name] for name in job.stages), reverse=True)

    def run(self) -> None:
        """Work until nothing is left to do; on KeyboardInterrupt the jobs are cancelled, and it is raised again."""
        try:
            while self._step():
                time.sleep(self.options.poll)
        except BaseException:
            self._stop()
            raise

    def _step(self) -> bool:
        for identifier, attempt in [*self.active.items()]:
            self._read_events(attempt)
            if attempt.end and not attempt.transient:
                self._finish(identifier, attempt)
        self._finish_gone()
        for name in self.board.having([State.WAITING, State.READY]):  # in the graph's order: all the way down
            self._block(name)
        self._submit()
        self._publish()
        return bool(self.active or self.board.having([State.WAITING, State.READY]))

    def _publish(self) -> None:
        if self.board.changed or self.board.jobs != [*self.active]:
            self.board.jobs = [*self.active]
            self.save()
        self.show()

    def _read_events(self, attempt: Attempt) -> None:
        for event in attempt.reader.new():
            note = f"exit code {event.code}: {event.note}" if event.kind == "failed" else ""
            if event.kind == "ended":
                attempt.end = event
            elif event.kind == "failed" and event.transient:
                attempt.excused[event.stage] = note
            elif event.stage:
                self.board.set(event.stage, State(event.kind), note)

    def _finish_gone(self) -> None:
        """Finish attempts that the pool no longer has: it knows which were cancelled or out of memory.

        One without its last event gets a while for that, as a shared disk may be slow, and counts as lost then.
        """
        now = time.monotonic()
        for identifier, gone in self.pool.ended(self.active).items():
            attempt = self.active[identifier]
            attempt.lost = attempt.lost or now
            self._read_events(attempt)
            if attempt.end or not gone.again or now - attempt.lost >= PATIENCE:
                lost = Event("ended", code=1, note=f"the job was lost: {gone.note}", transient=True)
                attempt.end = attempt.end or lost
                self._finish(identifier, attempt, gone)

    def _finish(self, identifier: str, attempt: Attempt, gone: Gone | None = None) -> None:
        """Free the slot; stages that the job left undone wait for another attempt, or have failed."""
        del self.active[identifier]
        name, final = attempt.job.name, gone is not None and not gone.again
        left = [stage for stage in attempt.job.stages if self.board.stages[stage].state not in FINISHED | BAD]
        note = gone.note if gone and final else attempt.why()
        if left and attempt.transient and not final and self.attempts[name] <= self.options.retries:
            self.resting[name] = time.monotonic() + self.options.backoff * 2 ** (self.attempts[name] - 1)
            for stage in left:
                self.board.set(stage, State.WAITING, f"again: {note}")
            return
        for stage in left:
            if not self._block(stage):
                self.board.set(stage, State.CANCELLED if gone and gone.cancelled else State.FAILED, note)

    def _block(self, name: str) -> bool:
        """Block a stage if one that it reads from can't be finished; tell whether that is so."""
        stages = self.board.stages
        above = sorted(self.pipeline.stages[name].upstream & stages.keys())
        bad = [other for other in above if stages[other].state in BAD]
        if bad:
            self.board.set(name, State.BLOCKED, f"needs {bad[0]}")
        return bool(bad)

    def _submit(self) -> None:
        stages, now = self.board.stages, time.monotonic()
        busy = {attempt.job.name for attempt in self.active.values()}
        for job in self.jobs:
            left = [name for name in job.stages if stages[name].state in (State.WAITING, State.READY)]
            if not left or job.name in busy or now < self.resting.get(job.name, 0):
                continue
            above = set().union(*(self.pipeline.stages[name].upstream for name in left)) - set(job.stages)
            if all(stages[name].state in FINISHED for name in above & stages.keys()):
                self._start(job, left)

    def _start(self, job: Job, left: list[str]) -> None:
        free = [slot for slot in range(len(self.options.slots)) if slot not in {a.slot for a in self.active.values()}]
        if not free:
            for name in left:
                self.board.set(name, State.READY, self.board.stages[name].note)
            return
        number = self.attempts[job.name] = self.attempts.get(job.name, 0) + 1
        spec = self.specify(job, left, free[0], number)
        identifier = self.pool.submit(spec)
        self.active[identifier] = Attempt(job, free[0], EventReader(spec.events))
        for name in left:
            self.board.stages[name].job, self.board.stages[name].attempt = identifier, number
            self.board.set(name, State.QUEUED)
        self.board.jobs = [*self.active]
        self.save()  # at once: a kill must not leave a job that nobody knows of

    def _stop(self) -> None:
        """Cancel what is in the pool and leave a state from which the next launch goes on."""
        self.pool.cancel([*self.active])
        for attempt in self.active.values():
            self._read_events(attempt)
        self.active.clear()
        for name in self.board.having(set(State) - FINISHED - BAD):
            self.board.set(name, State.CANCELLED, "interrupted")
        self._publish()


def longest_chains(pipeline: Pipeline, board: Board) -> dict[str, float]:
    """Return for each stage of the board the seconds of the longest chain that begins with it; 60 where unknown."""
    weights: dict[str, float] = {}
    for name in reversed([*board.stages]):
        below = [other for other in weights if name in pipeline.stages[other].upstream]
        weights[name] = (board.stages[name].seconds or 60.0) + max((weights[other] for other in below), default=0.0)
    return weights
