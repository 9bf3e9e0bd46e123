"""A worker's clone of the checkout: the same commit, the shared cache, and nothing of the other pipelines."""

import configparser
import hashlib
import shutil
from collections.abc import Collection
from pathlib import Path

import yaml

from bench.launch.order import Source
from bench.repository import git
from bench.repository.lock import stages


def name_of(root: Path, profile: str, slot: int | str) -> str:
    """Return the name of a slot's clone, which no other checkout's clones have; the slot "*" stands for all."""
    return f"{profile}-{hashlib.sha256(str(root).encode()).hexdigest()[:8]}-{slot}"


def lock_of(clone: Path) -> Path:
    """Return the lock that a worker holds while it is in the clone."""
    return Path(f"{clone}.lock")


def refresh(clone: Path, source: Source, recorded: Collection[str]) -> None:
    """Make the clone, or bring it to the commit; what stages made there stays, as DVC may still need it.

    recorded : names in the head's lock file of what the clone's shall hold.
    """
    if not _borrows(clone, source.root):
        shutil.rmtree(clone, ignore_errors=True)
        git.output(source.root, "clone", "--quiet", "--shared", "--no-checkout", str(source.root), str(clone))
    (clone / ".git" / "index.lock").unlink(missing_ok=True)  # of a worker that was killed
    git.output(clone, "checkout", "--quiet", "--force", "--detach", source.commit)
    for stale in (clone / ".dvc" / "tmp").glob("rwlock*"):
        stale.unlink()
    _only(clone, source.file)
    lock = (clone / source.file).with_name("dvc.lock")
    lock.unlink(missing_ok=True)  # the commit's; the head may have another one, or have removed a damaged one
    if source.lock.exists():
        _record(source.lock, lock, recorded)
    _configure(clone, source)
    for link in source.links:
        _link(source.root / link, clone / link)


def _borrows(clone: Path, root: Path) -> bool:
    """Whether this is a clone that reads the root's commits: not so if the root was elsewhere when it was made."""
    alternates = clone / ".git" / "objects" / "info" / "alternates"
    if not alternates.exists():
        return False
    objects = (root / git.output(root, "rev-parse", "--git-path", "objects").strip()).resolve()
    return objects in [Path(line).resolve() for line in alternates.read_text(encoding="utf-8").splitlines()]


def _record(lock: Path, into: Path, names: Collection[str]) -> None:
    """Copy some entries of a lock file: DVC rewrites all of it after each stage."""
    entries = stages(lock.read_bytes(), str(lock))
    kept = {name: entry for name, entry in entries.items() if name in names}
    into.write_text(yaml.safe_dump({"schema": "2.0", "stages": kept}, sort_keys=False), encoding="utf-8")


def _only(clone: Path, file: str) -> None:
    """Leave one pipeline: DVC reads all that it finds before each command, which takes longer than many a stage."""
    own = clone / file
    content = own.read_bytes()
    for path in git.paths(git.output(clone, "ls-files", "-z", "--", "dvc.yaml", "**/dvc.yaml")):
        (clone / path).unlink(missing_ok=True)
    own.write_bytes(content)


def _configure(clone: Path, source: Source) -> None:
    """Take over the head's private settings of DVC, with its cache and its folders under their absolute names."""
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


def _link(target: Path, path: Path) -> None:
    if path.is_symlink():
        path.unlink()
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)
