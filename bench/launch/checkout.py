"""The checkout that is launched: one commit, or a snapshot of what differs from it, and what a clone would lack."""

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.repository import git

NAMED = 5
"""Files that a sentence names; the others are counted."""

AUTHOR = {"NAME": "bench launch", "EMAIL": "launch@localhost"}
"""Of snapshots; git refuses a commit without."""


def commit(root: Path) -> str:
    """Return the commit that is checked out."""
    return git.output(root, "rev-parse", "HEAD").strip()


def edits(root: Path, results: Sequence[str]) -> list[str]:
    """Return tracked files that differ from the commit, but for what the pipeline itself writes.

    That is `results` and DVC's lock files.
    """
    changed = git.paths(git.output(root, "diff", "--name-only", "--no-renames", "-z", "HEAD"))
    return [path for path in changed if Path(path).name != "dvc.lock" and not _below(path, results)]


def loose_inputs(root: Path, sources: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return files that git doesn't track inside inputs that it does, and inputs that it doesn't track at all.

    Clones get the former with the edits, and links to the latter, such as imported weights.
    """
    tracked = git.paths(git.output(root, "ls-files", "-z"))
    others = git.paths(git.output(root, "ls-files", "-z", "--others", "--exclude-standard"))
    links: list[str] = []
    stray: set[str] = set()
    for source in sorted(set(sources)):
        if any(_below(path, [source]) for path in tracked):
            stray.update(path for path in others if _below(path, [source]))
        elif (root / source).exists() and not Path(source).is_absolute():
            links.append(source)
    return sorted(stray), links


def untracked(root: Path, paths: Iterable[str]) -> list[str]:
    """Return those of the files that are there while git doesn't track them."""
    there = [path for path in paths if (root / path).exists()]
    tracked = set(git.paths(git.output(root, "ls-files", "-z", "--", *there)) if there else [])
    return [path for path in there if path not in tracked]


def snapshot(root: Path, paths: Sequence[str]) -> str:
    """Return a commit on no branch: the one that is checked out with `paths` as they lie there, or without.

    The same files give the same commit. Branches, index and files stay as they are.
    """
    if not paths:
        return commit(root)
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        git.output(root, "read-tree", "HEAD", environ=index)
        git.output(
            root, "update-index", "--add", "--remove", "-z", "--stdin", given="\0".join([*paths, ""]), environ=index
        )
        tree = git.output(root, "write-tree", environ=index).strip()
    date = git.output(root, "show", "--no-patch", "--format=%cI", "HEAD").strip()
    people = {f"GIT_{role}_{key}": AUTHOR[key] for role in ("AUTHOR", "COMMITTER") for key in AUTHOR}
    dates = {f"GIT_{role}_DATE": date for role in ("AUTHOR", "COMMITTER")}
    message = ("-p", "HEAD", "-m", "What differs from the commit, for the jobs of a launch")
    return git.output(root, "commit-tree", tree, *message, environ=people | dates).strip()


def listed(paths: Sequence[str]) -> str:
    """Name the first files and count the others."""
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return ", ".join(paths[:NAMED]) + more


def _below(path: str, folders: Iterable[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)
