"""The stages that made a score row, from a dvc.lock, and the differences of two locks upstream of it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from bench.repository.lock import as_today, stages

LIBRARIES = "requirements.lock"

CODE = ("bench/", "methods", "datasets")
"""Beginnings of the paths of our own sources."""

ELSEWHERE = "same inputs, other result (another machine, or not determined by its inputs)"
"""Said of a stage whose result differs although nothing that went in does."""


class LockedStage(NamedTuple):
    """Inputs and outputs of a stage's last run: path -> md5, and parameter -> value."""

    deps: Mapping[str, str]
    outs: Mapping[str, str]
    params: Mapping[str, Any]


class Cause(NamedTuple):
    """A stage upstream of a row, and in what its inputs differ."""

    stage: str
    differences: tuple[str, ...]


@dataclass(frozen=True)
class Lock:
    """A dvc.lock, and the library versions that its requirements.lock names.

    versions : {} where that file isn't the one that the stages ran with.
    """

    stages: Mapping[str, LockedStage]
    versions: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def makers(self) -> Mapping[str, str]:
        """Name of the stage that wrote each path."""
        return {path: name for name, stage in self.stages.items() for path in stage.outs}

    def made(self, path: str) -> bool:
        """Tell whether stages wrote a path, or the files in it."""
        return path in self.makers or any(out.startswith(f"{path}/") for out in self.makers)

    @property
    def upstream(self) -> set[str]:
        """Names of all stages that evaluations need, and of these."""
        found: set[str] = set()
        waiting = [name for name in self.stages if name.startswith("evaluate")]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += [self.makers[path] for path in self.stages[name].deps if path in self.makers]
        return found

    def evaluation(self, name: str) -> str | None:
        """Name of the stage that made the scores of evaluation `name`, None if the lock has none."""
        return next((n for n in self.stages if n.startswith("evaluate") and n.partition("@")[2] == name), None)

    def digests(self, path: str) -> set[str]:
        """All md5 that the stages know a path by: those that read it and the one that wrote it."""
        return {md5 for s in self.stages.values() for files in (s.deps, s.outs) if (md5 := files.get(path)) is not None}


def parse(text: bytes, where: str) -> Lock:
    """Read a dvc.lock; UsageError if it isn't one."""
    return Lock({as_today(name): _stage(entry) for name, entry in stages(text, where).items()})


def _stage(entry: Mapping[str, Any]) -> LockedStage:
    deps, outs = ({item["path"]: str(item.get("md5")) for item in entry.get(part, ())} for part in ("deps", "outs"))
    params = {key: value for file in entry.get("params", {}).values() for key, value in _leaves(file)}
    return LockedStage(deps, outs, params)


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def versions(requirements: bytes) -> dict[str, str]:
    """Return library -> version of a requirements.lock."""
    lines = (line.split("==") for line in requirements.decode("utf-8").splitlines() if "==" in line and line[0] != "#")
    return {name.strip(): version.strip() for name, version, *_ in lines}


def causes(base: Lock, new: Lock, stage: str) -> list[Cause]:
    """List what differs upstream of a stage, in its own inputs first; [] if all that went in is the same.

    What two equal files were made from isn't looked at: it can't be a cause.
    """
    found: list[Cause] = []
    waiting, seen = [stage], set()
    while waiting:
        name = waiting.pop(0)
        if name in seen:
            continue
        seen.add(name)
        own, upstream = _own(base, new, name), _upstream(base, new, name)
        if own:
            found.append(Cause(name, tuple(own)))
        elif not upstream and name != stage:
            found.append(Cause(name, (ELSEWHERE,)))
        waiting += upstream
    return found


def _own(base: Lock, new: Lock, name: str) -> list[str]:
    """Name differences in a stage's code, data from outside, libraries and parameters."""
    one, two = base.stages.get(name), new.stages.get(name)
    if one is None or two is None:
        return [f"not in the lock file of {'BASE' if one is None else 'NEW'}"]
    paths = [path for path in sorted({**one.deps, **two.deps}) if not (base.made(path) or new.made(path))]
    changed = [path for path in paths if one.deps.get(path) != two.deps.get(path)]
    keys = [key for key in sorted({**one.params, **two.params}) if one.params.get(key) != two.params.get(key)]
    settings = [f"parameter {key} {_said(one.params, key)} -> {_said(two.params, key)}" for key in keys]
    return [*(_file(path, base, new) for path in changed), *settings]


def _said(params: Mapping[str, Any], key: str) -> str:
    return str(params[key]) if key in params else "absent"


def _file(path: str, base: Lock, new: Lock) -> str:
    if path == LIBRARIES:
        return f"library versions ({moved})" if (moved := _moved(base, new)) else f"library versions ({LIBRARIES})"
    return f"code {path}" if path.startswith(CODE) else f"data {path}"


def _moved(base: Lock, new: Lock) -> str:
    names = sorted({**base.versions, **new.versions}) if base.versions and new.versions else []
    pairs = [(n, base.versions.get(n, "absent"), new.versions.get(n, "absent")) for n in names]
    return ", ".join(f"{name} {old} -> {later}" for name, old, later in pairs if old != later)


def _upstream(base: Lock, new: Lock, name: str) -> list[str]:
    """Name the stages that made what a stage read, where that isn't the same on both sides."""
    one, two = base.stages.get(name), new.stages.get(name)
    if one is None or two is None:
        return []
    made = {**base.makers, **new.makers}
    paths = [path for path in sorted({**one.deps, **two.deps}) if path in made]
    return list(dict.fromkeys(made[path] for path in paths if one.deps.get(path) != two.deps.get(path)))


def overview(base: Lock, new: Lock, most: int = 8) -> str:
    """Name what differs between two locks in all that leads to scores, with the number of stages; "" for nothing."""
    common = sorted(base.upstream & new.upstream)
    counts = Counter(difference for name in common for difference in _own(base, new, name))
    named = [f"{what} ({count} stage{'s' * (count > 1)})" for what, count in counts.most_common(most)]
    left = len(counts) - len(named)
    return "; ".join([*named, *([f"and {left} more"] if left else [])])
