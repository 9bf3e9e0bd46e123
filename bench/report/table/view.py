"""A table laid out for people: what Markdown, LaTeX and HTML have in common."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from string import ascii_lowercase
from typing import NamedTuple

from bench.report.table.table import PAPER, Column, Row, Table

DASH = "\u2013"
MANY = 3
"""Cells of a row from which on a common remark stands once, at the row."""


class ShownCell(NamedTuple):
    """A cell: its text, its mark ("best", "second", "up", "down" or ""), letters of its footnotes, what it sorts by.

    spread, tail : what stands behind the text, "" for nothing: the standard error as text, and a remark such as a rank.
    """

    text: str
    mark: str = ""
    letters: str = ""
    sort: str = ""
    reason: str = ""
    spread: str = ""
    tail: str = ""

    @property
    def line(self) -> str:
        """Everything that the cell shows, on one line."""
        return self.text + (f" ± {self.spread}" if self.spread else "") + self.tail


class Line(NamedTuple):
    """A row: its kind (measured, floor, ..., "" where a table has none) and its cells."""

    kind: str
    cells: tuple[ShownCell, ...]


class ColumnGroup(NamedTuple):
    """Neighbouring columns under one heading; `label` is empty for columns without."""

    label: str
    span: int
    name: str


@dataclass(frozen=True)
class Panel:
    """One part of a table, with the columns that hold anything in it."""

    heading: str
    groups: tuple[ColumnGroup, ...]
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class TableView:
    """A table ready to be written: panels, and footnotes as (letters, sentence)."""

    name: str
    title: str
    caption: str
    panels: tuple[Panel, ...]
    footnotes: tuple[tuple[str, str], ...]
    folded: bool = False


class _Footnotes:
    """Letters given to sentences in the order they are first needed."""

    def __init__(self) -> None:
        self.letters: dict[str, str] = {}

    def __call__(self, sentences: Sequence[str]) -> str:
        for sentence in sentences:
            if sentence not in self.letters:
                tens, ones = divmod(len(self.letters), 26)
                self.letters[sentence] = (ascii_lowercase[tens - 1] if tens else "") + ascii_lowercase[ones]
        return ",".join(sorted({self.letters[sentence] for sentence in sentences}))


def view(table: Table) -> TableView:
    """Lay the table out. A remark goes to its cell; one that explains three cells of a row or more, to the row."""
    notes = _Footnotes()
    panels = tuple(_panel(table, name, notes) for name in table.panels)
    footnotes = tuple((letter, sentence) for sentence, letter in notes.letters.items())
    return TableView(table.name, table.title, table.caption, panels, footnotes, table.folded)


def _panel(table: Table, name: str, notes: _Footnotes) -> Panel:
    rows = [row for row in table.rows if row.panel == name]
    columns = tuple(_visible(table, rows))
    groups = []
    for group, members in groupby(column.group for column in columns):
        groups.append(ColumnGroup(table.groups.get((name, group), group), len(list(members)), group))
    lines = tuple(Line(str(row.cells.get("kind") or ""), tuple(_cells(row, columns, notes))) for row in rows)
    return Panel(table.headings.get(name, ""), tuple(groups), columns, lines)


def _visible(table: Table, rows: Sequence[Row]) -> Iterator[Column]:
    # A column of ours stays even if empty (its dash tells what is missing), unless this panel measures nothing;
    # a column of the paper goes if the paper doesn't print it.
    results = [column for column in table.columns if column.group not in ("", PAPER)]
    measured = any(row.cells.get(column.key) is not None for row in rows for column in results)
    for column in table.columns:
        filled = any(row.cells.get(column.key) is not None for row in rows)
        if column.shown and (filled or (measured and column in results and not column.optional)):
            yield column


def _cells(row: Row, columns: Sequence[Column], notes: _Footnotes) -> Iterator[ShownCell]:
    remarks = {column.key: row.remarks[column.key] for column in columns if column.key in row.remarks}
    common = [remark for remark, count in Counter(remarks.values()).items() if count >= MANY]
    # What holds for all of the paper's columns is said by their heading.
    general = [note for note in row.notes if not note.startswith(f"{PAPER}_*")]
    for index, column in enumerate(columns):
        remark = remarks.get(column.key, "")
        sentences = [remark] if remark and remark not in common else []
        yield _cell(row, column, remark, notes(sentences if index else [*sentences, *general, *common]))


def _cell(row: Row, column: Column, remark: str, letters: str) -> ShownCell:
    value = row.cells.get(column.key)
    if value is None:
        return ShownCell(DASH, "", letters, "", remark)
    if row.digits is not None and column.digits is not None:
        column = replace(column, digits=row.digits)
    text = column.text(value)
    spread = f"{row.spreads[column.key]:.{column.digits}f}" if column.key in row.spreads else ""
    sort = column.exact(value) if column.digits is not None else text.lower()
    sort = "" if sort == "NaN" else sort  # last, beside the dashes
    return ShownCell(text, row.marks.get(column.key, ""), letters, sort, remark, spread, row.tails.get(column.key, ""))
