"""A table laid out for people: what Markdown, LaTeX and HTML have in common."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from string import ascii_lowercase
from typing import NamedTuple

from bench.report.table.table import PAPER, Column, Row, Table

DASH = "\u2013"
MANY = 3


class Cell(NamedTuple):
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
    cells: tuple[Cell, ...]


class Group(NamedTuple):
    """Neighbouring columns under one heading; `label` is empty for columns without."""

    label: str
    span: int
    name: str


@dataclass(frozen=True)
class Panel:
    """One part of a table, with the columns that hold anything in it."""

    heading: str
    groups: tuple[Group, ...]
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class View:
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
                self.letters[sentence] = _letter(len(self.letters))
        return ",".join(sorted({self.letters[sentence] for sentence in sentences}))


def _letter(index: int) -> str:
    return ascii_lowercase[index] if index < 26 else ascii_lowercase[index // 26 - 1] + ascii_lowercase[index % 26]


def view(table: Table) -> View:
    """Lay the table out. A remark goes to its cell; one that explains three cells of a row or more, to the row."""
    notes = _Footnotes()
    panels = tuple(_panel(table, name, notes) for name in table.panels)
    footnotes = tuple((letter, sentence) for sentence, letter in notes.letters.items())
    return View(table.name, table.title, table.caption, panels, footnotes, table.folded)


def _panel(table: Table, name: str, notes: _Footnotes) -> Panel:
    rows = [row for row in table.rows if row.panel == name]
    columns = tuple(_visible(table, rows))
    lines = tuple(Line(str(row.cells.get("kind") or ""), tuple(_cells(row, columns, notes))) for row in rows)
    return Panel(table.headings.get(name, ""), tuple(_groups(table, name, columns)), columns, lines)


def _visible(table: Table, rows: Sequence[Row]) -> Iterator[Column]:
    # A column of ours stays even if empty (its dash tells what is missing), unless this panel measures nothing;
    # a column of the paper goes if the paper doesn't print it.
    results = [column for column in table.columns if column.group not in ("", PAPER)]
    measured = any(row.cells.get(column.key) is not None for row in rows for column in results)
    for column in table.columns:
        filled = any(row.cells.get(column.key) is not None for row in rows)
        if column.shown and (filled or (measured and column in results and not column.optional)):
            yield column


def _groups(table: Table, panel: str, columns: Sequence[Column]) -> Iterator[Group]:
    names = [column.group for column in columns]
    start = 0
    for end in range(1, len(names) + 1):
        if end == len(names) or names[end] != names[start]:
            name = names[start]
            yield Group(table.groups.get((panel, name), name) if name else "", end - start, name)
            start = end


def _cells(row: Row, columns: Sequence[Column], notes: _Footnotes) -> Iterator[Cell]:
    shown = [column.key for column in columns]
    remarks = {key: row.remarks[key] for key in shown if key in row.remarks}
    common = [remark for remark, count in Counter(remarks.values()).items() if count >= MANY]
    general = [note for note in row.notes if not _said_by_heading(note)]
    for index, column in enumerate(columns):
        remark = remarks.get(column.key, "")
        sentences = [remark] if remark and remark not in common else []
        if index == 0:
            sentences += [*general, *common]
        yield _cell(row, column, remark, notes(sentences))


def _said_by_heading(note: str) -> bool:
    return note.startswith(f"{PAPER}_*")


def _cell(row: Row, column: Column, remark: str, letters: str) -> Cell:
    value = row.cells.get(column.key)
    if value is None:
        return Cell(DASH, "", letters, "", remark)
    if row.digits is not None and column.digits is not None:
        column = replace(column, digits=row.digits)
    text = column.text(value)
    spread = f"{row.spreads[column.key]:.{column.digits}f}" if column.key in row.spreads else ""
    sort = column.exact(value) if column.digits is not None else text.lower()
    sort = "" if sort == "NaN" else sort  # last, beside the dashes
    return Cell(text, row.marks.get(column.key, ""), letters, sort, remark, spread, row.tails.get(column.key, ""))
