"""Costs that are counted once and kept in a file that git tracks, so that an estimate takes a second.

An entry is found by what was counted (`Work.key`) and holds as long as the code that decides it is the same.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from bench.core.fingerprint import fingerprint
from bench.core.params import Params
from bench.core.progress import track
from bench.core.reading import read_json
from bench.io.files import write_text_atomic
from bench.stages.cost.cost import Cost
from bench.stages.cost.workload import Work, works

FILE = Path(__file__).with_name("counts.json")

PRECISIONS = ("fp32", "bf16")
"""What trainings are counted in."""


class Wanted(NamedTuple):
    """What is to be counted: a profile's work, in a precision."""

    params: Params
    work: Work
    precision: str

    @property
    def key(self) -> str:
        """What is counted, as text."""
        return self.work.key(self.precision)

    @property
    def code(self) -> str:
        """Hash of the code that decides the result."""
        return fingerprint("cost", self.work.code)


def find(params: Params, found: Iterable[Work], precisions: Iterable[str]) -> dict[str, Cost]:
    """Return the cost of each work in each precision by its key: as kept, else counted now."""
    wanted = {one.key: one for work in found for one in _wanted(params, work, precisions)}
    costs = {key: _cost(_kept()[key]) for key, one in wanted.items() if _holds(one)}
    missing = [one for key, one in wanted.items() if key not in costs]
    return costs | {one.key: _count(one) for one in track(missing, len(missing), "count")}


def stale(profiles: Iterable[Params]) -> tuple[list[str], list[str]]:
    """Return keys of what the file lacks, or holds of other code than today's; and of what no profile asks for."""
    wanted = _all(profiles)
    return [key for key, one in wanted.items() if not _holds(one)], [key for key in _kept() if key not in wanted]


def update(profiles: Iterable[Params]) -> int:
    """Count what `stale` names and write the file anew, also when interrupted; return how many were counted."""
    wanted = _all(profiles)
    missing = [one for one in wanted.values() if not _holds(one)]
    made: dict[str, dict[str, Any]] = {}
    try:
        for one in track(missing, len(missing), "count"):
            made[one.key] = {"code": one.code, **asdict(_count(one))}
    finally:
        entries = {key: entry for key, entry in {**_kept(), **made}.items() if key in wanted}
        lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(entries[key])}" for key in sorted(entries))
        write_text_atomic(FILE, f"{{\n{lines}\n}}\n")
        _kept.cache_clear()
    return len(made)


def _all(profiles: Iterable[Params]) -> dict[str, Wanted]:
    return {one.key: one for params in profiles for work in works(params) for one in _wanted(params, work, PRECISIONS)}


def _wanted(params: Params, work: Work, precisions: Iterable[str]) -> Iterator[Wanted]:
    return (Wanted(params, work, precision) for precision in precisions)


@cache
def _kept() -> Mapping[str, dict[str, Any]]:
    return read_json(FILE) if FILE.exists() else {}


def _holds(one: Wanted) -> bool:
    return _kept().get(one.key, {}).get("code") == one.code


def _cost(entry: Mapping[str, Any]) -> Cost:
    fields = {name: value for name, value in entry.items() if name != "code"}
    return Cost(**{**fields, "phases": tuple((name, flops) for name, flops in entry["phases"])})


def _count(one: Wanted) -> Cost:
    from bench.stages.cost.setups import count  # imports torch, which an estimate from the file does without

    return count(*one)
