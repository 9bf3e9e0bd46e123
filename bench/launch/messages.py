"""What `dvc repro` says, line by line, as facts about stages."""

import re
from typing import Literal, NamedTuple

Kind = Literal["running", "restored", "recorded", "exited", "failed", "busy"]


class Message(NamedTuple):
    """A line of DVC's that tells something about a stage.

    kind   : running  - the stage's command starts;
             restored - the stage is up to date, or its outputs come from the cache;
             recorded - the lock file holds the stage that ran last;
             exited   - the command that ran last failed, with exit code `code`;
             failed   - DVC ends; `stages` are those that failed;
             busy     - another process of DVC holds a lock.
    stages : addresses.
    """

    kind: Kind
    stages: tuple[str, ...] = ()
    code: int = 0


_PATTERNS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("running", re.compile(r"Running stage '(?P<stage>.+)':")),
    ("restored", re.compile(r"Stage '(?P<stage>.+)' didn't change, skipping")),
    ("restored", re.compile(r"Stage '(?P<stage>.+)' is cached - skipping run, checking out outputs")),
    ("recorded", re.compile(r"(Generating|Updating) lock file '.+'")),
    ("exited", re.compile(r"(WARNING: )?failed to run: .*, exited with (?P<code>-?\d+)")),
    ("busy", re.compile(r"(ERROR: |WARNING: )?.*(Unable to acquire lock|is busy, it is being blocked by).*")),
    ("failed", re.compile(r"ERROR: failed to reproduce( stages:)? (?P<stages>'.*')(: .*)?")),
)


def understand(line: str) -> Message | None:
    """Return what a line tells, or None: most lines are a stage's own."""
    for kind, pattern in _PATTERNS:
        match = pattern.fullmatch(line.rstrip())
        if match:
            found = match.groupdict()
            one = found.get("stage")
            names = (one,) if one else tuple(re.findall(r"'([^']+)'", found.get("stages") or ""))
            return Message(kind, names, int(found.get("code") or 0))
    return None
