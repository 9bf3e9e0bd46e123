"""Which commit a file is of, and whether it was changed since."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import UsageError
from bench.repository import git


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
    names, here = [path.as_posix() for path in files], Path()
    try:
        if git.ask(here, "rev-parse", "HEAD").returncode:
            return History({}, problem="this folder is no git checkout, so no commit can be told")
    except UsageError:
        return History({}, problem="git isn't installed, so no commit can be told")
    commits = {name: git.output(here, "log", "-1", "--format=%H", "--", name).strip() for name in names}
    changed = [line[3:] for line in git.output(here, "status", "--porcelain", "--", *names).splitlines()]
    return History(commits, tuple(changed), bool(git.output(here, "status", "--porcelain", "--untracked-files=no")))
