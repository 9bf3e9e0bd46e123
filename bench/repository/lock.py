"""dvc.lock: the inputs, outputs and parameters of each stage's last run."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.core.errors import UsageError
from bench.core.reading import parse_yaml, read_bytes, read_json, shown

Entry = Mapping[str, Any]
"""One stage in a dvc.lock: cmd, deps, params and outs."""

LOCK_LIMIT = 64 << 20
"""Bytes of a dvc.lock; the paper profile's would have some two million."""

IN_USE = Path(".dvc/tmp/rwlock")
"""DVC's list of the files that each process is reading and writing, relative to the project's root."""


def cut_short(root: Path, lock: Path) -> list[Path]:
    """Return those of DVC's own files that a kill has left cut short: `lock`, a dvc.lock, and the list of files in use.

    DVC empties both before it writes them, and refuses to run with a damaged one. Without them it goes on: its cache
    restores what dvc.lock named, and the processes in the list have ended.
    """
    return [path for path, whole in ((lock, _is_lock), (root / IN_USE, _is_json)) if path.exists() and not whole(path)]


def _is_lock(path: Path) -> bool:
    try:
        read(path)
    except UsageError:
        return False
    return True


def _is_json(path: Path) -> bool:
    try:
        read_json(path)
    except UsageError:
        return False
    return True


def read(path: Path) -> Mapping[str, Entry]:
    """Return the stages of a dvc.lock (see `stages`); UsageError also for what is no regular file, or a huge one."""
    return stages(read_bytes(path, LOCK_LIMIT), str(path))


def stages(text: bytes, where: str) -> Mapping[str, Entry]:
    """Return name -> cmd, deps, params and outs of each stage in a dvc.lock; UsageError if it is cut short.

    text  : the file's content.
    where : its name, for the message.

    A file that was cut between two stages, or between two outputs of its last one, looks whole; DVC restores what is
    missing there.
    """
    try:
        entries = parse_yaml(text.decode(), where).get("stages") if text.endswith(b"\n") else None
        if isinstance(entries, Mapping) and all(map(_whole, entries.values())) and _ended(entries):
            return {str(name): entry for name, entry in entries.items()}
    except (UsageError, UnicodeDecodeError):
        pass
    raise UsageError(
        f"{shown(where)} isn't a whole lock file of DVC: a kill while DVC writes it leaves it cut short. Restore it "
        "with git, or delete it: dvc repro then takes what it named from the cache."
    )


def as_today(name: str) -> str:
    """Return what a stage is called now; older lock files, such as reports keep, have several groups of two kinds."""
    return re.sub(r"^(train|evaluate)_(plain|vq|classic|imported)@", r"\1@", name)


def _whole(entry: object) -> bool:
    if not isinstance(entry, Mapping) or "cmd" not in entry:
        return False
    params, files = entry.get("params", {}), [entry.get(part, []) for part in ("deps", "outs")]
    return (
        isinstance(params, Mapping)
        and all(isinstance(values, Mapping) for values in params.values())
        and all(isinstance(items, list) and all(map(_whole_item, items)) for items in files)
    )


def _whole_item(item: object) -> bool:
    """Return True if a file has its path and what DVC writes after it: hash, size and number of files."""
    if not isinstance(item, Mapping) or not isinstance(item.get("path"), str) or len(item) == 1:
        return False
    if "hash" not in item or "files" in item:  # written by an older DVC, or kept in versions by a cloud
        return True
    if not isinstance(item["hash"], str):
        return False
    counted = not str(item.get(item["hash"])).endswith(".dir") or "nfiles" in item
    return item["hash"] in item and "size" in item and counted


def _ended(entries: Mapping[str, Entry]) -> bool:
    """Return True if the last stage has its outputs, which DVC writes last and which every stage here has."""
    return not entries or "outs" in [*entries.values()][-1]
