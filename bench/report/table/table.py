"""A table as data, whatever it is written to: columns, rows, remarks on cells, marks."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bench.core.errors import BenchError

Value = str | int | float | None

OURS, PAPER = "ours", "paper"


@dataclass(frozen=True)
class Column:
    """A column: key in the CSV, heading elsewhere, group ("ours", "paper" or ""), digits shown (None: text).

    An optional column goes from a panel that has nothing in it; the panel's heading says why. What is `more` stands
    behind a switch on the page.
    """

    key: str
    head: str
    group: str = ""
    digits: int | None = None
    better: str = ""
    shown: bool = True
    optional: bool = False
    more: bool = False

    def text(self, value: Value) -> str:
        """Return the value as shown to people: fixed digits, "" for an empty cell."""
        if value is None:
            return ""
        if isinstance(value, float) and math.isnan(value):
            return "NaN"
        return f"{value:z.{self.digits}f}" if self.digits is not None and not isinstance(value, str) else str(value)

    def exact(self, value: Value) -> str:
        """Return the value as in the CSV: two digits more than shown."""
        if value is None or isinstance(value, str) or self.digits is None or isinstance(value, int):
            return "" if value is None else str(value)
        if math.isnan(value):
            return "NaN"
        return f"{value:.{self.digits if self.group == PAPER else self.digits + 2}f}"


def hidden(*keys: str) -> tuple[Column, ...]:
    """Return columns of text or counts that the CSV holds and people don't see."""
    return tuple(Column(key, key, shown=False) for key in keys)


@dataclass(frozen=True)
class Row:
    """A row: cells by column key; a remark for each empty or doubtful cell; notes on the row as a whole.

    panel   : the part of the table it stands in, usually the dataset.
    spreads : standard error over seeds and scenes, by column key.
    ranked  : takes part in best and second.
    tails   : what people read behind a value, such as its rank, by column key.
    digits  : shown instead of the columns' own, where the panels of a table hold different metrics.
    texts   : what people read instead of a cell, by column key; the CSV holds the cell.
    asides  : footnotes for people alone, by column key: what the CSV says in the cell itself.
    hints   : what the page says of a value to whom points at it, by column key.
    """

    panel: str
    cells: Mapping[str, Value]
    remarks: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    spreads: Mapping[str, float] = field(default_factory=dict)
    marks: Mapping[str, str] = field(default_factory=dict)
    ranked: bool = False
    tails: Mapping[str, str] = field(default_factory=dict)
    digits: int | None = None
    texts: Mapping[str, str] = field(default_factory=dict)
    asides: Mapping[str, str] = field(default_factory=dict)
    hints: Mapping[str, str] = field(default_factory=dict)

    @property
    def note(self) -> str:
        """The CSV's column `note` where `cells` holds none: notes, then each remark after its columns."""
        grouped: dict[str, list[str]] = {}
        for key, remark in self.remarks.items():
            grouped.setdefault(remark, []).append(key)
        return "; ".join([*self.notes, *(f"{' '.join(keys)}: {remark}" for remark, keys in grouped.items())])


@dataclass(frozen=True)
class Table:
    """A table: `headings` says for each panel what it is, `groups` names a column group in each panel.

    tidy   : what the CSV holds, where people and programs need different shapes.
    folded : the page shows its title alone until it is opened: numbers to look up.
    brief  : the caption's gist, which stands open on the page; by default the caption's first sentence.
    first  : keys of the columns that the page shows first, behind the rows' heads.
    shared : group whose columns share one where they show the same in every row of a panel.
    """

    name: str
    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    headings: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[tuple[str, str], str] = field(default_factory=dict)
    tidy: "Table | None" = None
    folded: bool = False
    brief: str = ""
    first: tuple[str, ...] = ()
    shared: str = ""

    def __post_init__(self) -> None:
        """Refuse an empty cell without a reason."""
        for row in self.rows:
            for key in (column.key for column in self.columns if column.key != "note"):
                if row.cells.get(key) is None and key not in row.remarks:
                    raise BenchError(f"table {self.name}: empty cell {key!r} without a reason in {row.cells}.")

    @property
    def gist(self) -> str:
        """What of the caption everyone should read."""
        return self.brief or re.split(r"(?<=\.)\s(?=[A-Z])", self.caption, maxsplit=1)[0]

    @property
    def panels(self) -> list[str]:
        """Panels in the order of their first row."""
        return list(dict.fromkeys(row.panel for row in self.rows))


def rank(rows: Iterable[Row], columns: Sequence[Column], within: Sequence[str]) -> tuple[Row, ...]:
    """Mark best and second of each column with `better`, among ranked rows that agree in the cells `within`.

    Values are compared as shown, so equal digits share a mark. Fewer than two ranked rows get none.
    """
    done = list(rows)
    families: dict[tuple[Value, ...], list[int]] = {}
    for place, row in enumerate(done):
        if row.ranked:
            families.setdefault(tuple(row.cells.get(key) for key in within), []).append(place)
    for column in (column for column in columns if column.better):
        sign = 1 if column.better == "higher" else -1
        for family in families.values():
            values = {
                place: sign * float(column.text(value))
                for place in family
                if isinstance(value := done[place].cells.get(column.key), float) and not math.isnan(value)
            }
            ranking = sorted(set(values.values()), reverse=True)
            for place, value in values.items() if len(ranking) > 1 else ():
                if value in ranking[:2]:
                    mark = ("best", "second")[ranking.index(value)]
                    done[place] = replace(done[place], marks={**done[place].marks, column.key: mark})
    return tuple(done)
