"""Where every stage of a launch stands, and the file that lets the next call go on from there."""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

from bench.io.files import replacing


class State(StrEnum):
    """Of a stage; `ready` waits for a free slot, `queued` for the pool."""

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


@dataclass
class Card:
    """One stage: its state and since when, the job and attempt that has it, how long it took, and a remark.

    started : seconds since 1970 at which its command began, 0 before.
    seconds : what the command took; of an earlier launch as long as this one doesn't know.
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

    identifier : of the launch, its folder's name.
    executor   : "local" or "slurm".
    jobs       : identifiers in the pool that may still be alive.
    clones     : folder of the workers' clones.
    """

    identifier: str
    commit: str
    executor: str
    cards: dict[str, Card] = field(default_factory=dict)
    jobs: list[str] = field(default_factory=list)
    clones: str = ""
    changed: list[str] = field(default_factory=list)

    def set(self, name: str, state: State, note: str = "") -> None:
        """Move a stage to a state, and remember that for the display; nothing happens if it is there already."""
        card = self.cards[name]
        if card.state == state and card.note == note:
            return
        if state == State.RUNNING:
            card.started = time.time()
        if state in FINISHED and card.state == State.RUNNING:
            card.seconds = time.time() - card.started
        card.state, card.note = state, note
        self.changed.append(name)

    def settle(self) -> None:
        """Once the head has what is finished: whatever of it is out of date later on is work again."""
        for name in self.having(FINISHED):
            self.cards[name].state, self.cards[name].note = State.WAITING, ""

    def having(self, states: Iterable[State]) -> list[str]:
        """Return the stages in one of the states."""
        wanted = set(states)
        return [name for name, card in self.cards.items() if card.state in wanted]

    def save(self, path: Path) -> None:
        """Write everything but the display's list."""
        content = asdict(self)
        del content["changed"]
        with replacing(path) as part:
            part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> Board | None:
    """Return the board that the last launch left, or None."""
    if not path.exists():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    cards = {name: Card(**{**card, "state": State(card["state"])}) for name, card in content.pop("cards").items()}
    return Board(cards=cards, **content)


def resume(before: Board | None, commit: str, stages: Iterable[str]) -> Mapping[str, Card]:
    """Return cards for the stages: what is finished at the same commit stays so, and durations are kept in any case."""
    cards: dict[str, Card] = {}
    for name in stages:
        old = before.cards.get(name) if before else None
        cards[name] = Card(seconds=old.seconds if old else 0.0)
        if before and old and before.commit == commit and old.state in FINISHED:
            cards[name].state, cards[name].note = State.RESTORED, f"by launch {before.identifier}"
    return cards
