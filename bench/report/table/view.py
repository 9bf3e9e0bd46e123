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

    reason       : why it is empty or doubtful, or a hint; the page shows it to whom points at the cell.
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
    more: bool = False


@dataclass(frozen=True)
class Panel:
    """One part of a table, with the columns that hold anything in it."""

    heading: str
    groups: tuple[ColumnGroup, ...]
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]

    @property
    def switched(self) -> bool:
        """Tell whether some columns stand behind the switch, and others don't."""
        return len({column.more for column in self.columns[1:]}) == 2


@dataclass(frozen=True)
class TableView:
    """A table ready to be written: panels, and footnotes as (letters, sentence)."""

    name: str
    title: str
    caption: str
    panels: tuple[Panel, ...]
    footnotes: tuple[tuple[str, str], ...]
    folded: bool = False
    gist: str = ""


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
    return TableView(table.name, table.title, table.caption, panels, footnotes, table.folded, table.gist)


def page_view(table: Table) -> TableView:
    """Lay the table out for the page: the rows' heads, with their kinds; `Table.first`; others; what is `more`."""
    head = next(column for column in table.columns if column.shown)

    def place(column: Column) -> tuple[int, int]:
        if column.key in table.first:
            return 1, table.first.index(column.key)
        return (0, 0) if column is head else (3, 0) if column.more else (2, 0)

    columns = sorted((column for column in table.columns if column is head or column.key != "kind"), key=place)
    return view(replace(table, columns=tuple(columns)))


def _panel(table: Table, name: str, notes: _Footnotes) -> Panel:
    rows = [row for row in table.rows if row.panel == name]
    columns = tuple(_visible(table, rows))
    lines = tuple(Line(str(row.cells.get("kind") or ""), tuple(_cells(row, columns, notes))) for row in rows)
    columns, lines = _shared(table.shared, columns, lines) if table.shared else (columns, lines)
    groups = []
    for group, found in groupby(columns, key=lambda column: column.group):
        members = list(found)
        more = all(column.more for column in members)
        groups.append(ColumnGroup(table.groups.get((name, group), group), len(members), group, more))
    return Panel(table.headings.get(name, ""), tuple(groups), columns, lines)


def _shared(
    group: str, columns: tuple[Column, ...], lines: tuple[Line, ...]
) -> tuple[tuple[Column, ...], tuple[Line, ...]]:
    """Put columns of a group together that show the same in every line; the first one's heading names all."""
    found: dict[tuple[object, ...], list[int]] = {}
    for index, column in enumerate(columns):
        cells = (line.cells[index]._replace(sort="") for line in lines)  # digits that nobody sees are no difference
        shows = tuple(cells) if column.group == group else (index,)
        found.setdefault(shows, []).append(index)
    kept = [
        replace(columns[same[0]], head=" = ".join(columns[index].head for index in same)) for same in found.values()
    ]
    first = [same[0] for same in found.values()]
    return tuple(kept), tuple(line._replace(cells=tuple(line.cells[index] for index in first)) for line in lines)


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
    # At the row's head, or, where all of its cells stand behind the switch, at the first of them.
    hidden = {remark for remark in common if all(c.more for c in columns if remarks.get(c.key) == remark)}
    said = set(common) - hidden
    # What holds for all of the paper's columns is said by their heading.
    general = [note for note in row.notes if not note.startswith(f"{PAPER}_*")]
    # Nor does a footnote repeat what a text says.
    general = [note for note in general if not any(note in text for text in row.texts.values())]
    for index, column in enumerate(columns):
        remark = remarks.get(column.key, "")
        sentences = [remark] if remark and remark not in said else []
        said |= {remark} & hidden
        sentences += [row.asides[column.key]] if column.key in row.asides else []
        heading = [*general, *(one for one in common if one not in hidden)]
        yield _cell(row, column, remark, notes(sentences if index else [*sentences, *heading]))


def _cell(row: Row, column: Column, remark: str, letters: str) -> ShownCell:
    value = row.cells.get(column.key)
    if value is None:
        return ShownCell(DASH, "", letters, "", remark)
    if row.digits is not None and column.digits is not None:
        column = replace(column, digits=row.digits)
    text = row.texts.get(column.key) or column.text(value)
    spread = f"{row.spreads[column.key]:.{column.digits}f}" if column.key in row.spreads else ""
    sort = column.exact(value) if column.digits is not None else text.lower()
    sort = "" if sort == "NaN" else sort  # last, beside the dashes
    reason = "; ".join(filter(None, (remark, row.hints.get(column.key, ""))))
    return ShownCell(text, row.marks.get(column.key, ""), letters, sort, reason, spread, row.tails.get(column.key, ""))
