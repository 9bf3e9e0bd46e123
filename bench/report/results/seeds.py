"""Runs and codebooks that differ in their seed alone: their common name, and tables of means over them."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import fmean, stdev

from bench.report.table.table import Column, Row, Table, Value

SEEDS = Column("seeds", "seeds", "", 0)
MEANS = (
    " Means over seeds; ±: their standard error, the standard deviation of the seeds over the root of their number. "
    "The CSV holds each seed by itself."
)
ONE_SEED = " One seed of each (n = 1, no spread)."


def seedless(name: str) -> str:
    """Return the name of a run or codebook without its seed, such as "olc-64--panoramas" for "olc-64--panoramas--s0".

    A name that doesn't end in a seed is returned as it is.
    """
    return re.sub(r"--s\d+$", "", name)


def families(names: Iterable[str]) -> dict[str, list[str]]:
    """Group names by what they are without their seed, lowest seed first, in the order of each group's first name."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(seedless(name), []).append(name)
    return {family: sorted(members, key=_seed) for family, members in found.items()}


def _seed(name: str) -> int:
    number = re.search(r"--s(\d+)$", name)
    return int(number[1]) if number else -1


def over_seeds(table: Table, key: str) -> Table:
    """Return the table with one row for the rows that differ in a seed alone; with all its rows where none do.

    key : column that holds the name of a run or codebook. Rows belong together if their text cells agree but for its
    seed. The given table stays behind as what the CSV holds.
    """
    groups: dict[tuple[Value, ...], list[Row]] = {}
    for row in table.rows:
        groups.setdefault(_identity(row, table.columns, key), []).append(row)
    if all(len(rows) == 1 for rows in groups.values()):
        return replace(table, caption=table.caption + ONE_SEED)
    columns = tuple(column for column in table.columns if column.key != "note")
    at = 1 + next(index for index, column in enumerate(columns) if column.key == key)
    return replace(
        table,
        caption=table.caption + MEANS,
        columns=(*columns[:at], SEEDS, *columns[at:]),
        rows=tuple(_mean(rows, columns, key) for rows in groups.values()),
        tidy=table,
    )


def _identity(row: Row, columns: Sequence[Column], key: str) -> tuple[Value, ...]:
    texts = [column.key for column in columns if column.digits is None and column.key not in ("note", key)]
    return (row.panel, seedless(str(row.cells[key])), *(row.cells.get(text) for text in texts))


def _mean(rows: Sequence[Row], columns: Sequence[Column], key: str) -> Row:
    """Return the row of means over seeds of the cells that have a value, with their standard errors."""
    cells: dict[str, Value] = {SEEDS.key: len(rows)}
    remarks: dict[str, str] = {}
    spreads: dict[str, float] = {}
    for column in columns:
        values = [value for row in rows if (value := row.cells.get(column.key)) is not None]
        numbers = [value for value in values if not isinstance(value, str)]
        different = len(set(numbers)) > 1
        cells[column.key] = fmean(numbers) if different else values[0] if values else None
        if different:
            spreads[column.key] = stdev(numbers) / math.sqrt(len(numbers))
        if len(values) < len(rows):
            remarks[column.key] = _missing(len(values), [row.remarks.get(column.key, "") for row in rows])
    return Row(rows[0].panel, {**cells, key: seedless(str(cells[key]))}, remarks, spreads=spreads)


def _missing(number: int, reasons: Sequence[str]) -> str:
    why = ", ".join(dict.fromkeys(reason for reason in reasons if reason))
    return f"mean of {number} of {len(reasons)} seeds; else: {why}" if number else why
