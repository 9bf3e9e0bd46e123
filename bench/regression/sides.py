"""The two sides of a comparison: score rows, and what is known of how they came about."""

import ast
import hashlib
import io
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.core.errors import UsageError
from bench.core.reading import TEXT_LIMIT, exists, read_bytes, shown
from bench.core.registry import metrics
from bench.io.tables import read_scores
from bench.regression.locks import LIBRARIES, Lock, parse, versions
from bench.repository import git

if TYPE_CHECKING:
    import pandas as pd

SCORES = "scores.csv"

KEYS = ("profile", "method", "variant", "dataset", "scene", "metric", "protocol")
"""What every score row names; without training there are no trainset and seed."""

METRICS = "bench/metrics"
"""Where the cards of metrics stand."""


class Tree(NamedTuple):
    """A checkout (revision "") or a commit of the repository at `root`."""

    root: Path
    revision: str = ""

    def read(self, path: str) -> bytes | None:
        """Return the content of a file by its path below the root, None if there is no such file.

        UsageError for what is no regular file, or a huge one.
        """
        if self.revision:
            answer = git.ask(self.root, "cat-file", "blob", f"{self.revision}:./{path}")
            return answer.stdout if answer.returncode == 0 else None
        file = self.root / path
        return read_bytes(file, TEXT_LIMIT) if file.exists() else None

    def directions(self) -> dict[str, str]:
        """Return "higher" or "lower", what is better, by the name of each metric that has a card in this state."""
        cards = (card for source in self._sources(METRICS) if "@metric(" in source for card in _cards(source))
        try:
            return dict(cards)
        except (SyntaxError, ValueError, LookupError, RecursionError) as error:
            where = f"{self.revision}:{METRICS}" if self.revision else str(self.root / METRICS)
            raise UsageError(f"{shown(where)}: a card of a metric can't be read ({shown(error)}); mend it.") from error

    def _sources(self, folder: str) -> Iterator[str]:
        if not self.revision:
            yield from (path.read_text(encoding="utf-8") for path in sorted((self.root / folder).rglob("*.py")))
            return
        answer = git.ask(self.root, "archive", "--format=tar", self.revision, folder)
        if answer.returncode == 0:  # else that revision has no such folder
            with tarfile.open(fileobj=io.BytesIO(answer.stdout)) as archive:
                files = (archive.extractfile(member) for member in archive if member.name.endswith(".py"))
                yield from (file.read().decode("utf-8") for file in files if file)


def _cards(source: str) -> Iterator[tuple[str, str]]:
    for node in ast.parse(source).body:
        for call in getattr(node, "decorator_list", []):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "metric":
                fields = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
                yield ast.literal_eval(call.args[0]), str(fields["better"])


def holding(folder: Path) -> Tree:
    """Return the checkout that a folder lies in; outside of any, a tree that is the folder alone."""
    inside = (
        place for place in (folder, *folder.parents) if (place / "dvc.yaml").exists() and (place / METRICS).is_dir()
    )
    return Tree(next(inside, folder))


def commit(root: Path, revision: str) -> str | None:
    """Return the hash of the commit that a revision names, None if it names none."""
    if not revision or revision.startswith("-"):
        return None
    answer = git.ask(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    return answer.stdout.decode().strip() if answer.returncode == 0 else None


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
    if exists(path):
        file = path / SCORES if path.is_dir() else path
        tree = holding(file.parent)
        return _side(text, tree, file.relative_to(tree.root).as_posix())
    revision, _, inner = text.partition(":")
    found = commit(root, revision)
    if found is None:
        raise UsageError(
            f"{shown(repr(text))} is no folder, no file and no git revision; name a folder such as reports/demo, a "
            "score file, or REV or REV:reports/demo for a state that git knows."
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
        what = f"rows of the profiles {', '.join(map(shown, profiles))}" if profiles else "no score rows"
        raise UsageError(f"{name}: {file} holds {what}; expected those of one profile.")
    lock, remark = _lock(tree, str(Path(file).parent), profiles[0], hashlib.md5(content).hexdigest())
    return Side(name, scores, lock, remark, tree.directions())


def _rows(content: bytes, file: str, name: str) -> "pd.DataFrame":
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / SCORES
        copy.write_bytes(content)
        try:
            scores = read_scores([copy])
        except UsageError as error:
            where = file if Path(name).name == Path(file).name else f"{name}: {file}"
            raise UsageError(str(error).replace(str(copy), where)) from error
        except (ValueError, OverflowError) as error:  # a number beyond 64 bits
            raise UsageError(f"{name}: {file} holds a number that can't be read ({shown(error)}).") from error
    for number, metric, value in zip(range(2, len(scores) + 2), scores["metric"], scores["value"], strict=True):
        whole = metric.partition("@")[0]
        if whole in metrics and not metrics[whole].possible(value):
            raise UsageError(
                f"{name}: {file}, line {number}: {shown(metric)} is {value:g}, which it can't be; the file was edited "
                "or damaged. Score again."
            )
    for column in KEYS:
        if empty := [number for number, cell in enumerate(scores[column], start=2) if not cell.strip()]:
            raise UsageError(f"{name}: {file}, line {empty[0]}: {column} is empty; the file is damaged. Score again.")
    return scores


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
