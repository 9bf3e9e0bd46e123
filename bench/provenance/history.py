"""Which commit a file is of, and whether it was changed since."""

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class History:
    """What git says of some files.

    commits : file -> the commit that last changed it, "" for a file that no commit holds.
    changed : those of the files that differ from the last commit.
    dirty   : whether any tracked file differs from it.
    problem : why git has no answer, "" if it has.
    """

    commits: dict[str, str]
    changed: tuple[str, ...] = ()
    dirty: bool = False
    problem: str = ""


def of_files(files: Iterable[Path]) -> History:
    """Ask git about files below the current folder."""
    names = [path.as_posix() for path in files]
    try:
        commits = {name: _git("log", "-1", "--format=%H", "--", name) for name in names}
        changed = [line[3:] for line in _git("status", "--porcelain", "--", *names).splitlines()]
        return History(commits, tuple(changed), bool(_git("status", "--porcelain", "--untracked-files=no")))
    except FileNotFoundError:
        return History({}, problem="git isn't installed, so no commit can be told")
    except subprocess.CalledProcessError:
        return History({}, problem="this folder is no git checkout, so no commit can be told")


def _git(*words: str) -> str:
    # Only the end is stripped: a line of `status` begins with a blank where nothing is staged.
    return subprocess.run(["git", *words], capture_output=True, text=True, check=True).stdout.rstrip()
