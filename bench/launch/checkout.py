"""The checkout that is launched: one commit, with nothing that a clone of it would lack."""

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.core.errors import UsageError

NAMED = 5
"""Files that an error names; the others are counted."""


def git(root: Path, *arguments: str) -> str:
    """Return what git prints; UsageError with its own words if it fails."""
    command = ["git", "-C", str(root), *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise UsageError(f"git {' '.join(arguments)} failed in {root}: {answer.stderr.strip()}")
    return answer.stdout


def commit(root: Path) -> str:
    """Return the commit that is checked out."""
    return git(root, "rev-parse", "HEAD").strip()


def check_committed(root: Path, results: Sequence[str]) -> None:
    """Refuse tracked files that differ from the commit: workers see the commit.

    What the pipeline itself writes, `results` and DVC's lock files, may differ.
    """
    changed = [line[3:] for line in git(root, "status", "--porcelain", "-z", "-uno").split("\0") if line[2:3] == " "]
    foreign = [path for path in changed if Path(path).name != "dvc.lock" and not _below(path, results)]
    if foreign:
        raise UsageError(
            f"changed since the last commit, which is what jobs run: {_listed(foreign)}. Commit or stash (git stash), "
            "then launch again."
        )


def loose_inputs(root: Path, sources: Iterable[str]) -> list[str]:
    """Return inputs that git doesn't track at all, such as imported weights: a clone gets links to them.

    UsageError for files that git doesn't track inside an input that it does: clones would compute something else.
    """
    tracked = git(root, "ls-files", "-z").split("\0")
    others = git(root, "ls-files", "-z", "--others", "--exclude-standard").split("\0")
    links: list[str] = []
    stray: list[str] = []
    for source in sorted(set(sources)):
        if any(_below(path, [source]) for path in tracked):
            stray += [path for path in others if _below(path, [source])]
        elif (root / source).exists() and not Path(source).is_absolute():
            links.append(source)
    if stray:
        raise UsageError(
            f"inputs of stages that git doesn't track, so that jobs wouldn't see them: {_listed(stray)}. Commit them "
            "(git add) or move them away, then launch again."
        )
    return links


def _below(path: str, folders: Iterable[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def _listed(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return ", ".join(paths[:NAMED]) + more
