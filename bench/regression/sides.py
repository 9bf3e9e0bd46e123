"""The two sides of a comparison: score rows, and what is known of how they came about."""

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.core.errors import UsageError
from bench.io.tables import read_scores
from bench.regression.locks import LIBRARIES, Lock, parse, versions
from bench.regression.trees import Tree, commit, holding

if TYPE_CHECKING:
    import pandas as pd

SCORES = "scores.csv"


@dataclass(frozen=True)
class Side:
    """BASE or NEW.

    name   : as the user wrote it.
    scores : score rows (`bench.io.tables.read_scores`), all of one profile.
    lock   : how they were made; None where nothing tells.
    remark : why there is no lock, "" if there is one.
    better : metric -> "higher" or "lower", as this side's code says; {} where its code isn't at hand.
    """

    name: str
    scores: "pd.DataFrame"
    lock: Lock | None = None
    remark: str = ""
    better: Mapping[str, str] = field(default_factory=dict)

    @property
    def profile(self) -> str:
        """The profile that the rows are of."""
        return str(self.scores["profile"].iloc[0])


def read_side(text: str, here: Path, root: Path, reports: str) -> Side:
    """Read what BASE or NEW names: a folder with scores.csv, a score file, or a git revision.

    here    : the folder that paths are relative to.
    root    : the checkout whose repository revisions are looked up in.
    reports : folder of the score rows, such as "reports/demo", for a revision that names none.
    UsageError if `text` is none of these, or if there are no rows.
    """
    path = (here / text).absolute()
    if path.exists():
        file = path / SCORES if path.is_dir() else path
        tree = holding(file.parent)
        return _side(text, tree, file.relative_to(tree.root).as_posix())
    revision, _, inner = text.partition(":")
    found = commit(root, revision)
    if found is None:
        raise UsageError(
            f"{text!r} is no folder, no file and no git revision; name a folder such as reports/demo, a score file, "
            "or REV or REV:reports/demo for a state that git knows."
        )
    inner = (inner or reports).rstrip("/")
    return _side(text, Tree(root, found), inner if inner.endswith(".csv") else f"{inner}/{SCORES}")


def _side(name: str, tree: Tree, file: str) -> Side:
    content = tree.read(file)
    if content is None:
        raise UsageError(
            f"{name}: there is no {file}; make it with `python -m bench summarize`, or name another folder."
        )
    scores = _rows(content, file if tree.revision else str(tree.root / file), name)
    profiles = sorted(set(scores["profile"]))
    if len(profiles) != 1:
        what = f"rows of the profiles {', '.join(profiles)}" if profiles else "no score rows"
        raise UsageError(f"{name}: {file} holds {what}; expected those of one profile.")
    lock, remark = _lock(tree, str(Path(file).parent), profiles[0], hashlib.md5(content).hexdigest())
    return Side(name, scores, lock, remark, tree.directions())


def _rows(content: bytes, file: str, name: str) -> "pd.DataFrame":
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / SCORES
        copy.write_bytes(content)
        try:
            return read_scores([copy])
        except UsageError as error:
            raise UsageError(str(error).replace(str(copy), f"{name}: {file}")) from error


def _lock(tree: Tree, folder: str, profile: str, md5: str) -> tuple[Lock | None, str]:
    """Return the lock file that these scores were made under, or why there is none.

    A lock beside the scores comes first, then the profile's. It counts only if it holds the scores' own hash: else it
    tells of another run.
    """
    others = [path for path in (f"{folder}/dvc.lock", f"profiles/{profile}/dvc.lock", "dvc.lock") if tree.read(path)]
    for path in others:
        lock = parse(tree.read(path) or b"", f"{path} of {tree.root}")
        if md5 in lock.digests(f"reports/{profile}/{SCORES}"):
            return Lock(lock.stages, _versions(tree, lock)), ""
    return None, f"{' and '.join(others)} tells of other scores" if others else "no dvc.lock is with it"


def _versions(tree: Tree, lock: Lock) -> dict[str, str]:
    content = tree.read(LIBRARIES) or b""
    return versions(content) if hashlib.md5(content).hexdigest() in lock.digests(LIBRARIES) else {}
