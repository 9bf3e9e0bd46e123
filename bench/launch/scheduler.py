"""The head's loop: ready jobs go to free slots, events move stages on, a failure stops its descendants only."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bench.launch.board import BAD, FINISHED, Board, State
from bench.launch.graph import Pipeline
from bench.launch.job import Event, EventReader, JobSpec
from bench.launch.plan import Job, LaunchOptions
from bench.launch.pool import OUT_OF_MEMORY, Gone, Pool

PATIENCE = 10.0
"""Seconds that a job's last events may take to appear on a shared disk after the pool has seen the job end."""


@dataclass
class Attempt:
    """A job in the pool.

    takes   : bytes of its GPU's memory.
    shared  : whether another job has been on its GPU meanwhile.
    excused : stages that failed in a way that another attempt may cure, with what went wrong.
    end     : the job's last event, once it is there.
    lost    : when the pool was first seen without the job.
    """

    job: Job
    slot: int
    reader: EventReader
    takes: float = 0.0
    shared: bool = False
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
    alone: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Sort the jobs: those that the options rank first, then those on which most depends."""
        weights = longest_chains(self.pipeline, self.board)
        ranks = inherited(self.pipeline, self.board, self.options.ranks)
        self.jobs = sorted(self.jobs, key=lambda job: max(weights[name] for name in job.stages), reverse=True)
        self.jobs.sort(key=lambda job: min(ranks[name] for name in job.stages))

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
            elif event.kind == "failed" and (event.transient or self._crowded(attempt, event)):
                attempt.excused[event.stage] = note
            elif event.stage:
                self.board.set(event.stage, State(event.kind), note)

    def _crowded(self, attempt: Attempt, event: Event) -> bool:
        """Tell whether a stage found no memory on a GPU that it has shared; its job then gets one to itself."""
        crowded = attempt.shared and attempt.job.name not in self.alone and OUT_OF_MEMORY.search(event.note) is not None
        if crowded:
            self.alone.add(attempt.job.name)
        return crowded

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
        stages, now, full = self.board.stages, time.monotonic(), False
        busy = {attempt.job.name for attempt in self.active.values()}
        for job in self.jobs:
            left = [name for name in job.stages if stages[name].state in (State.WAITING, State.READY)]
            if not left or job.name in busy or now < self.resting.get(job.name, 0):
                continue
            above = set().union(*(self.pipeline.stages[name].upstream for name in left)) - set(job.stages)
            if all(stages[name].state in FINISHED for name in above & stages.keys()):
                takes = max(self.options.takes.get(name, 0.0) for name in left)
                takes = math.inf if job.name in self.alone else takes
                slot = None if takes and full else self._slot(takes)
                if slot is None:
                    full = full or takes > 0  # or small jobs would always be before a large one that waits for room
                    for name in left:
                        self.board.set(name, State.READY, stages[name].note)
                else:
                    self._start(job, left, slot, takes)

    def _slot(self, takes: float) -> int | None:
        """Return a free slot whose GPU has room for so many bytes, the emptiest; one without other jobs always has.

        None if there is none.
        """
        slots, taken = self.options.slots, {attempt.slot for attempt in self.active.values()}
        used = {place: [a.takes for a in self.active.values() if slots[a.slot] == place] for place in {*slots}}
        fitting = [
            (sum(used[place]), slot)
            for slot, place in enumerate(slots)
            if slot not in taken and (place is None or self._has_room(place, used[place], takes))
        ]
        return min(fitting)[1] if fitting else None

    def _has_room(self, place: str, used: list[float], takes: float) -> bool:
        if not used or math.inf in (takes, *used):
            return not used
        return not takes or sum(used) + takes <= self.options.room.get(place, 0.0)

    def _start(self, job: Job, left: list[str], slot: int, takes: float) -> None:
        number = self.attempts[job.name] = self.attempts.get(job.name, 0) + 1
        spec = self.specify(job, left, slot, number)
        identifier = self.pool.submit(spec)
        place = self.options.slots[slot]
        beside = [a for a in self.active.values() if place is not None and self.options.slots[a.slot] == place]
        for other in beside:
            other.shared = True
        self.active[identifier] = Attempt(job, slot, EventReader(spec.events), takes, bool(beside))
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


def inherited(pipeline: Pipeline, board: Board, ranks: Mapping[str, int]) -> dict[str, float]:
    """Return the rank of each stage of the board: its own or the best of what needs it, inf without any."""
    found: dict[str, float] = {}
    for name in reversed([*board.stages]):
        below = [found[other] for other in found if name in pipeline.stages[other].upstream]
        found[name] = min([ranks.get(name, math.inf), *below])
    return found
