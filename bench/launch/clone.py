"""Workers' clones: the head's commit with its uncommitted edits, the shared cache, one pipeline."""

import configparser
import hashlib
import shutil
import tempfile
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import yaml

from bench.core.errors import UsageError
from bench.launch.job import CloneSource
from bench.repository import git
from bench.repository.lock import stages

AUTHOR = {"NAME": "bench launch", "EMAIL": "launch@localhost"}
"""Of snapshots; git refuses a commit without an author."""


def commit(root: Path) -> str:
    """Return the commit that is checked out; UsageError where there is none yet."""
    answer = git.ask(root, "rev-parse", "--verify", "--quiet", "HEAD")
    if answer.returncode:
        raise UsageError(
            f"{root} has no commit yet, and workers are clones of one: git add --all && git commit -m start"
        )
    return answer.stdout.decode().strip()


def edits(root: Path, results: Sequence[str]) -> list[str]:
    """Return tracked files that differ from the commit, except what the pipeline writes: `results` and dvc.lock."""
    changed = git.paths(git.output(root, "diff", "--name-only", "--no-renames", "-z", "HEAD"))
    return [path for path in changed if Path(path).name != "dvc.lock" and not _below(path, results)]


def loose_inputs(root: Path, sources: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return untracked files inside tracked inputs, and inputs that aren't tracked at all.

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
    """Return the paths that exist and that git doesn't track."""
    there = [path for path in paths if (root / path).exists()]
    tracked = set(git.paths(git.output(root, "ls-files", "-z", "--", *there)) if there else [])
    return [path for path in there if path not in tracked]


def snapshot(root: Path, paths: Sequence[str]) -> str:
    """Return a commit on no branch: the one that is checked out, plus `paths` as they are now (or deleted).

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


def _below(path: str, folders: Iterable[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def name_of(root: Path, profile: str, slot: int | str) -> str:
    """Return the name of a slot's clone, unique to this checkout; the slot "*" makes a pattern for all of them."""
    return f"{profile}-{hashlib.sha256(str(root).encode()).hexdigest()[:8]}-{slot}"


def lock_of(clone: Path) -> Path:
    """Return the lock file that a worker holds while it works in the clone."""
    return Path(f"{clone}.lock")


def refresh(clone: Path, source: CloneSource, recorded: Collection[str]) -> None:
    """Make the clone, or bring it to the commit; outputs of earlier stages stay, as DVC may still need them.

    recorded : names of the entries of the head's dvc.lock that the clone's dvc.lock gets.
    """
    if not _borrows(clone, source.root):
        shutil.rmtree(clone, ignore_errors=True)
        git.output(source.root, "clone", "--quiet", "--shared", "--no-checkout", str(source.root), str(clone))
    (clone / ".git" / "index.lock").unlink(missing_ok=True)  # of a worker that was killed
    git.output(clone, "checkout", "--quiet", "--force", "--detach", source.commit)
    for stale in (clone / ".dvc" / "tmp").glob("rwlock*"):
        stale.unlink()
    # Leave one pipeline: DVC reads all that it finds before each command, which takes longer than many a stage.
    own = clone / source.file
    pipeline = own.read_bytes()
    for path in git.paths(git.output(clone, "ls-files", "-z", "--", "dvc.yaml", "**/dvc.yaml")):
        (clone / path).unlink(missing_ok=True)
    own.write_bytes(pipeline)
    lock = (clone / source.file).with_name("dvc.lock")
    lock.unlink(missing_ok=True)  # the commit's; the head may have another one, or have removed a damaged one
    if source.lock.exists():
        # Only what this job needs: DVC rewrites all of the file after each stage.
        entries = stages(source.lock.read_bytes(), str(source.lock))
        content = {"schema": "2.0", "stages": {name: entry for name, entry in entries.items() if name in recorded}}
        lock.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    _configure(clone, source)
    for link in source.links:
        here = clone / link
        if here.is_symlink():
            here.unlink()
        if not here.exists():
            here.parent.mkdir(parents=True, exist_ok=True)
            here.symlink_to(source.root / link)


def _borrows(clone: Path, root: Path) -> bool:
    """Return True if the clone reads the root's commits; it doesn't if the root has moved since."""
    alternates = clone / ".git" / "objects" / "info" / "alternates"
    if not alternates.exists():
        return False
    objects = (root / git.output(root, "rev-parse", "--git-path", "objects").strip()).resolve()
    return objects in [Path(line).resolve() for line in alternates.read_text(encoding="utf-8").splitlines()]


def _configure(clone: Path, source: CloneSource) -> None:
    """Copy the head's private settings of DVC, with absolute paths of the cache and of remotes in folders."""
    config = configparser.ConfigParser(interpolation=None)
    config.read(source.root / ".dvc" / "config.local", encoding="utf-8")
    settings = {"cache": {"dir": str(source.cache)}}
    settings |= {f"'remote \"{name}\"'": {"url": url} for name, url in source.remotes.items()}
    for section, values in settings.items():
        if not config.has_section(section):
            config.add_section(section)
        for key, value in values.items():
            config.set(section, key, value)
    with (clone / ".dvc" / "config.local").open("w", encoding="utf-8") as file:
        config.write(file)
