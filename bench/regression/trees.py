"""A state of the project that files are read from: a checkout on this disk, or a git revision of one."""

import ast
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench.repository import git

METRICS = "bench/metrics"
"""Where the cards of metrics stand."""


class Tree(NamedTuple):
    """A checkout (revision "") or a commit of the repository at `root`."""

    root: Path
    revision: str = ""

    def read(self, path: str) -> bytes | None:
        """Return the content of a file by its path below the root, None if there is no such file."""
        if self.revision:
            answer = git.ask(self.root, "cat-file", "blob", f"{self.revision}:./{path}")
            return answer.stdout if answer.returncode == 0 else None
        file = self.root / path
        return file.read_bytes() if file.is_file() else None

    def directions(self) -> dict[str, str]:
        """Return "higher" or "lower", what is better, by the name of each metric that has a card in this state."""
        cards = (card for source in self._sources(METRICS) if "@metric(" in source for card in _cards(source))
        return dict(cards)

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
