"""sha256 of what a report was made from: files, folders and parameters."""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

from bench.core.params import Params


class FolderDigest(NamedTuple):
    """A folder's content: how many files, and one sha256 of all of them."""

    files: int
    sha256: str


def of_bytes(content: bytes) -> str:
    """Return the sha256 of bytes."""
    return hashlib.sha256(content).hexdigest()


def of_file(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_folder(path: Path) -> FolderDigest:
    """Return the number of files below a folder and the sha256 of the list that sha256sum makes of them.

    By hand: `cd FOLDER && find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum`.
    """
    files = {f"./{file.relative_to(path).as_posix()}": file for file in path.rglob("*") if file.is_file()}
    lines = [f"{of_file(files[name])}  {name}\n" for name in sorted(files, key=str.encode)]
    return FolderDigest(len(lines), of_bytes("".join(lines).encode()))


def of_records(path: Path) -> str:
    """Return the sha256 over the `scene.json` of all prepared scenes of a split: what cards of weights call `data`.

    A record holds the sha256 of its scene's arrays, so this changes with any pixel.
    """
    total = hashlib.sha256()
    for record in sorted(path.glob("*/scene.json")):
        if not record.parent.name.startswith("."):
            total.update(record.read_bytes())
    return total.hexdigest()


def of_params(params: Params) -> str:
    """Return the sha256 of a profile's parameters with all defaults: equal for files that say the same.

    What `compare` allows is left out: no report is made from it.
    """
    return of_bytes(json.dumps(params.model_dump(mode="json", exclude={"regression"}), sort_keys=True).encode())
