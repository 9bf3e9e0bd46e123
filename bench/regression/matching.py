"""Rows of NEW matched with rows of BASE."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from bench.report.results.results import clean

if TYPE_CHECKING:
    import pandas as pd


class Key(NamedTuple):
    """Identity of a score row; all text, seed and trainset "" for a method without training."""

    method: str
    variant: str
    trainset: str
    seed: str
    dataset: str
    scene: str
    metric: str
    protocol: str

    @property
    def trained(self) -> bool:
        """True if the prediction came from a training, whose randomness another machine changes."""
        return self.seed != "" or self.trainset != ""

    @property
    def run(self) -> str:
        """Name of the run, as the parameter file has it; for a method without training its variant."""
        return f"{self.variant}--{self.trainset}--s{self.seed}" if self.trained else self.variant

    @property
    def evaluation(self) -> str:
        """Name of the evaluation that made the row."""
        return f"{self.run}--{self.dataset}"


class RowPair(NamedTuple):
    """A row that both sides have; `renamed` is its protocol in NEW where that is another one, else ""."""

    key: Key
    base: float
    new: float
    renamed: str = ""


@dataclass(frozen=True)
class Matched:
    """All rows of both sides.

    missing, added : rows that only BASE or only NEW has.
    doubled        : rows that a side has more than once: key, values, and whether that side is NEW.
    """

    pairs: tuple[RowPair, ...]
    missing: Mapping[Key, float]
    added: Mapping[Key, float]
    doubled: tuple[tuple[Key, tuple[float, ...], bool], ...]


def match(base: "pd.DataFrame", new: "pd.DataFrame") -> Matched:
    """Match rows by all they are about, whatever their order; then those that differ in their protocol alone."""
    one, two = _rows(base), _rows(new)
    doubled = [
        (k, tuple(v), later) for rows, later in ((one, False), (two, True)) for k, v in rows.items() if len(v) > 1
    ]
    pairs = [RowPair(key, values[0], two[key][0]) for key, values in one.items() if key in two]
    left = {key: values[0] for key, values in one.items() if key not in two}
    right = {key: values[0] for key, values in two.items() if key not in one}
    for old, later in _renamed(left, right):
        pairs.append(RowPair(old, left.pop(old), right.pop(later), later.protocol))
    return Matched(tuple(pairs), left, right, tuple(doubled))


def _rows(frame: "pd.DataFrame") -> dict[Key, list[float]]:
    texts = clean(frame)
    rows: dict[Key, list[float]] = defaultdict(list)
    for *cells, value in zip(*(texts[name] for name in Key._fields), texts["value"], strict=True):
        rows[Key(*cells)].append(float(value))
    return dict(rows)


def _renamed(left: Iterable[Key], right: Iterable[Key]) -> list[tuple[Key, Key]]:
    """RowPair rows left over on both sides that are the same but for the protocol: first for its version, then for all.

    Among several candidates nobody can tell which became which: they stay missing and new.
    """
    found: list[tuple[Key, Key]] = []
    for named in (True, False):
        taken = {key for pair in found for key in pair}
        one, two = (_alike((key for key in side if key not in taken), named) for side in (left, right))
        both = [(one[place], two[place]) for place in one if place in two]
        found += [(old[0], later[0]) for old, later in both if len(old) == len(later) == 1]
    return found


def _alike(keys: Iterable[Key], named: bool) -> dict[Key, list[Key]]:
    """Group keys that are the same but for their protocol's version or, unless `named`, for their protocol."""
    groups: dict[Key, list[Key]] = defaultdict(list)
    for key in keys:
        groups[key._replace(protocol=key.protocol.partition("@")[0] if named else "")].append(key)
    return groups
