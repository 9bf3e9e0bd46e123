"""Printed numbers as `reports/literature/printed.csv` holds them, and why they differ, from `causes.csv` beside it."""

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from bench.core.errors import UsageError, unknown_name
from bench.core.reading import read_text, shown

PRINTED, CAUSES = "printed.csv", "causes.csv"

METRICS = (
    "psnr-mu", "psnr-l", "psnr-pu", "ssim-mu", "ssim-l", "ssim-pu", "hdrvdp2", "psnr-mu-tanh", "ssim-untold"
)  # fmt: skip
"""In the order of tables; the last two are what the metrics of other tables aren't."""

COPY = "SUSPECTED COPY ERROR"
"""How a note begins on a number that repeats another table's to the last digit; it counts in no spread."""

OURS = {
    "cavit": "HDR-Transformer", "ca-vit": "HDR-Transformer", "kalantari2017": "Kalantari", "sen2012": "Sen",
    "nhdrnet": "NHDRRNet",
}  # fmt: skip
"""Names of this benchmark -> those of the papers, where letters and digits differ."""


class PrintedNumber(NamedTuple):
    """One number that somebody printed.

    value     : as printed, digits and all; in the metric's unit.
    source    : paper with first author, year, place; or what a user wrote where.
    own       : "yes" where the method's authors print it, else "no".
    where     : table or file, with its commit where it lies in a repository.
    retrained : whether the network was trained again for it: yes, no or unknown.
    """

    dataset: str
    method: str
    metric: str
    value: str
    source: str
    own: str
    where: str
    retrained: str
    note: str = ""

    @property
    def origin(self) -> str:
        """Whose measurement it is, as far as told: own, measured again, or quoted."""
        if self.own == "yes":
            return "own"
        return {"yes": "retrained", "no": "measured or quoted"}.get(self.retrained, "measured or quoted")

    @property
    def suspect(self) -> bool:
        """Whether it most likely belongs to another table."""
        return self.note.startswith(COPY)


class KnownCause(NamedTuple):
    """Why numbers of a method and metric differ: "" stands for all data sets, methods or metrics.

    certainty : known, likely or unknown.
    """

    dataset: str
    method: str
    metric: str
    cause: str
    certainty: str

    def concerns(self, key: "Key") -> bool:
        """Tell whether it is about this data set, method and metric."""
        return all(not own or other in own.split("|") for own, other in zip(self[:3], key, strict=True))


Key = tuple[str, str, str]
"""Data set, method and metric."""


class Range(NamedTuple):
    """How far the sources of one data set, method and metric lie apart: lowest, highest, distinct values, sources.

    Values are rounded as tables print them, to 2 decimals, SSIM to 4: who quotes 41.232 as 41.23 measures nothing.
    """

    low: str
    high: str
    distinct: int
    sources: int

    @property
    def spread(self) -> float:
        """Highest less lowest."""
        return float(self.high) - float(self.low)


def read(folder: Path) -> tuple[PrintedNumber, ...]:
    """Return all numbers, in the file's order; UsageError, with the line, for one that is damaged or out of order."""
    path = folder / PRINTED
    rows = [PrintedNumber(*cells) for cells in _cells(path, PrintedNumber._fields)]
    for line, row in enumerate(rows, 2):
        _check(row, f"{shown(path)}, line {line}")
    for line, (before, row) in enumerate(pairwise(rows), 3):
        if order(before) >= order(row):
            raise UsageError(f"{shown(path)}, line {line}: it stands twice, or not in order; sort by all columns.")
    return tuple(rows)


def order(row: PrintedNumber) -> tuple[str, ...]:
    """What the file is sorted by: all that says what and whose a number is, so that none can stand in it twice."""
    return (row.dataset, row.method, row.metric, row.source, row.where)


def _check(row: PrintedNumber, where: str) -> None:
    if not all((row.dataset, row.method, row.source, row.where)):
        raise UsageError(f"{where}: data set, method, source and where it stands there must all be told.")
    if row.metric not in METRICS:
        raise unknown_name(f"metric of {where}", shown(row.metric), METRICS)
    if not re.fullmatch(r"\d{1,3}(\.\d{1,6})?", row.value, re.ASCII):
        raise UsageError(f"{where}: {shown(repr(row.value))} is no number such as 44.32 or 0.9916.")
    if row.metric.startswith("ssim") and float(row.value) > 1:
        raise UsageError(f"{where}: {row.value} can't be an SSIM, which is at most 1.")
    if row.own not in ("yes", "no") or row.retrained not in ("yes", "no", "unknown"):
        raise UsageError(f"{where}: own is yes or no, retrained yes, no or unknown.")


def causes(folder: Path) -> tuple[KnownCause, ...]:
    """Return the known causes, in the file's order."""
    path = folder / CAUSES
    return tuple(KnownCause(*cells) for cells in _cells(path, KnownCause._fields))


def _cells(path: Path, columns: Sequence[str]) -> list[list[str]]:
    try:
        rows = list(csv.reader(io.StringIO(read_text(path), newline=""), strict=True))
    except csv.Error as error:
        raise UsageError(f"{shown(path)} is no CSV file: {shown(error)}.") from error
    if not rows or rows[0] != list(columns):
        raise UsageError(f"{shown(path)} begins with other columns than {', '.join(columns)}.")
    for line, cells in enumerate(rows[1:], 2):
        if len(cells) != len(columns):
            raise UsageError(f"{shown(path)}, row {line}: {len(cells)} cells, expected {len(columns)}.")
    return rows[1:]


def ranges(rows: Iterable[PrintedNumber]) -> dict[Key, Range]:
    """Return how far sources lie apart; numbers that are most likely copied from another table don't count."""
    groups: dict[Key, list[PrintedNumber]] = {}
    for row in rows:
        if not row.suspect:
            groups.setdefault((row.dataset, row.method, row.metric), []).append(row)
    found = {}
    for key, group in groups.items():
        digits = 4 if key[2].startswith("ssim") else 2
        values = sorted({f"{float(row.value):.{digits}f}" for row in group}, key=float)
        found[key] = Range(values[0], values[-1], len(values), len({row.source for row in group}))
    return found


def chosen(
    rows: Iterable[PrintedNumber], dataset: str = "", method: str = "", metric: str = ""
) -> tuple[PrintedNumber, ...]:
    """Return the numbers of a data set, method and metric, "" for all; UsageError with near names for unknown ones.

    method : as the papers or as this benchmark calls it, capitals and hyphens aside.
    """
    everything = tuple(rows)
    names = sorted({row.method for row in everything})
    wanted = _method(method, names) if method else ""
    for what, word, known in (
        ("data set", dataset, {row.dataset for row in everything}),
        ("metric", metric, {row.metric for row in everything}),
    ):
        if word and word not in known:
            raise unknown_name(what, shown(word), known)
    filters: Mapping[str, str] = {"dataset": dataset, "method": wanted, "metric": metric}
    return tuple(
        row for row in everything if all(not word or getattr(row, name) == word for name, word in filters.items())
    )


def _method(word: str, names: Sequence[str]) -> str:
    found = named(word, names)
    if found is None:
        raise unknown_name("method", shown(word), names)
    return found


def named(word: str, names: Sequence[str]) -> str | None:
    """Return the one of `names` that a word stands for, capitals and hyphens aside; None if none is it."""
    plain = {_letters(name): name for name in reversed(names)}
    return OURS.get(word.lower()) or plain.get(_letters(word))


def elsewhere(found: Range) -> str:
    """Say how far the sources of a number lie apart, in half a sentence."""
    if found.sources == 1:
        return f"no other source is known than the one that prints {found.low}"
    if found.distinct == 1:
        return f"{found.sources} sources print {found.low}"
    return f"{found.sources} sources print {found.low} to {found.high} ({found.distinct} different values)"


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def ordered(metrics: Iterable[str]) -> list[str]:
    """Return metrics in the order of tables."""
    return sorted(set(metrics), key=METRICS.index)


def best(found: Mapping[Key, Range], dataset: str, method: str, metric: str) -> float:
    """Return the highest printed value, for the order of rows; -inf where none is printed."""
    entry = found.get((dataset, method, metric))
    return -math.inf if entry is None else float(entry.high)
