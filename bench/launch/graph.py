"""DVC's own graph of one pipeline: its stages, what each reads, and which of them DVC would run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from bench.core.errors import UsageError, unknown_name
from bench.repository.project import opened


@dataclass(frozen=True)
class DvcStage:
    """A stage of a pipeline.

    name     : without the pipeline's file, such as `train@ahdrnet--panoramas--s0`.
    address  : its name for `dvc repro` in the root.
    upstream : stages whose outputs it reads directly.
    stale    : why DVC would run it; empty where it wouldn't.
    portable : whether the cache brings its result from another clone; where not, it runs at the head.
    sources  : paths that it reads and no stage makes, relative to the root.
    outs     : paths that it makes and the cache keeps.
    """

    name: str
    address: str
    upstream: frozenset[str]
    stale: str
    portable: bool
    sources: tuple[str, ...]
    outs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pipeline:
    """The stages of one `dvc.yaml` in an order in which they could run, and where DVC keeps their outputs.

    uncached : outputs that git tracks.
    cache    : absolute path of the cache.
    remotes  : remotes in folders, by name: their absolute path.
    default_remote : the remote that `dvc push` uses, or None.
    """

    file: str
    stages: Mapping[str, DvcStage]
    uncached: tuple[str, ...]
    cache: str
    remotes: Mapping[str, str]
    default_remote: str | None

    def select(self, names: Iterable[str]) -> set[str]:
        """Return the named stages; a group such as `train` stands for all of its stages.

        UsageError for an unknown name.
        """
        chosen: set[str] = set()
        for name in names:
            found = {stage for stage in self.stages if name in (stage, stage.partition("@")[0])}
            if not found:
                raise unknown_name(f"stage (of {self.file})", name, self.stages)
            chosen |= found
        return chosen

    def ancestors(self, names: Iterable[str]) -> set[str]:
        """Return every stage that the named ones need, directly or not."""
        found: set[str] = set()
        todo = list(names)
        while todo:
            new = self.stages[todo.pop()].upstream - found
            found |= new
            todo.extend(new)
        return found

    def out_of_date(self, among: set[str]) -> dict[str, str]:
        """Return the stages that DVC would run and those that read from them, with the reason, in the stages' order."""
        reasons: dict[str, str] = {}
        for name, stage in self.stages.items():
            above = sorted(stage.upstream & reasons.keys())
            if name in among and (stage.stale or above):
                reasons[name] = stage.stale or f"reads from {above[0]}"
        return reasons

    def at_head(self) -> set[str]:
        """Return the stages that only the head can run: their results aren't cached, or depend on such results."""
        head: set[str] = set()
        for name, stage in self.stages.items():
            if not stage.portable or stage.upstream & head:
                head.add(name)
        return head


def read(root: Path, file: str) -> Pipeline:
    """Let DVC read the pipeline in `file` (relative to the root, which must be the working folder)."""
    with opened(root, f"read {file}", f" Try: dvc status {file}") as repo, repo.lock:
        return _pipeline(repo, root, file)


def _pipeline(repo: Any, root: Path, file: str) -> Pipeline:
    from dvc.repo.index import Index

    # The one file alone: DVC's whole index would load the pipelines of all profiles, which takes minutes of CPU.
    index = Index.from_file(repo, str(root / file))
    reads = {stage: [*index.graph.successors(stage)] for stage in sorted(index.graph, key=lambda s: str(s.addressing))}
    own = [stage for stage in TopologicalSorter(reads).static_order() if stage.cmd]
    if not own:
        raise UsageError(f"{file} has no stages; expected a pipeline of DVC, the dvc.yaml beside the parameter file.")
    status: dict[str, Any] = {}
    for stage in own:
        status |= stage.status()
    restorable = _restorable(reads, own, status)
    made = frozenset(_relative(out, root) for out in index.outs)
    folders = frozenset(str(above) for path in made for above in Path(path).parents)
    remotes = {name: str(remote["url"]) for name, remote in repo.config.get("remote", {}).items()}
    return Pipeline(
        file=file,
        stages={
            stage.name: DvcStage(
                name=stage.name,
                address=stage.addressing,
                upstream=frozenset(above.name for above in reads[stage]),
                stale="" if stage in restorable else _reason(status.get(stage.addressing, [])),
                portable=_portable(stage),
                sources=tuple(sorted(_sources(stage, root, made, folders))),
                outs=tuple(_relative(out, root) for out in stage.outs if out.use_cache),
            )
            for stage in own
        },
        uncached=tuple(_relative(out, root) for out in index.outs if not out.use_cache),
        cache=str(repo.cache.local_cache_dir),
        remotes={name: url for name, url in remotes.items() if Path(url).is_absolute()},
        default_remote=repo.config["core"].get("remote"),
    )


def _relative(item: Any, root: Path) -> str:
    path = Path(item.fs_path)
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _portable(stage: Any) -> bool:
    """Return True if DVC keeps the stage in its run-cache with all of its outputs."""
    if stage.frozen or stage.always_changed or not stage.deps or not stage.outs:
        return False
    local = all(item.protocol == "local" for item in [*stage.deps, *stage.outs])
    return local and all(out.use_cache and not out.persist and out.is_in_repo for out in stage.outs)


def _restorable(reads: Mapping[Any, Sequence[Any]], own: Sequence[Any], status: Mapping[str, Any]) -> set[Any]:
    """Return the stages whose only fault is that outputs aren't in the work tree while the cache holds them."""
    found: set[Any] = set()
    for stage in own:
        entries = status.get(stage.addressing)
        if not entries or not all(isinstance(entry, dict) for entry in entries):
            continue
        above = {out.def_path for up in reads[stage] if up in found for out in up.outs}
        missing = {
            path
            for entry in entries
            for kind, files in entry.items()
            for path, state in files.items()
            if state == "deleted" and (kind == "changed outs" or path in above)
        }
        every = {path for entry in entries for files in entry.values() for path in files}
        if missing == every and stage.outs_cached():
            found.add(stage)
    return found


def _reason(entries: Iterable[Any]) -> str:
    parts: list[str] = []
    for entry in entries:
        if isinstance(entry, str):  # "changed command", "always changed"
            parts.append(entry)
            continue
        for kind, files in entry.items():
            parts.append(f"{kind}: {listed([*files], 3)}")
    return "; ".join(parts)


def listed(paths: Sequence[str], named: int = 5) -> str:
    """Name the first paths and count the others."""
    more = f" and {len(paths) - named} more" if len(paths) > named else ""
    return ", ".join(paths[:named]) + more


def _sources(stage: Any, root: Path, made: frozenset[str], folders: frozenset[str]) -> Iterable[str]:
    """Yield what a stage reads but for parameters, what stages have made, and folders above that."""
    from dvc.dependency import ParamsDependency

    for dep in stage.deps:
        if isinstance(dep, ParamsDependency) or dep.protocol != "local":
            continue
        path = _relative(dep, root)
        if path not in folders and made.isdisjoint([path, *map(str, Path(path).parents)]):
            yield path
