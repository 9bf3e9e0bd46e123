"""Which cell is meant: `reports/demo/tables/table3.csv:olc-64:psnr_mu` to a row and a column of the file."""

import csv
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import UsageError, unknown_name

FORM = "expected FILE:ROW:COLUMN, such as reports/demo/tables/table3.csv:olc-64:psnr_mu"
ADDRESS = re.compile(r"(?P<file>.+?\.(?:csv|md|tex|png))(?::(?P<row>.+):(?P<column>[^:]+))?")

Record = dict[str, str]
"""A row of a table's CSV: column -> text."""


@dataclass(frozen=True)
class Cell:
    """A cell of a table of a report, as its CSV holds it.

    file   : relative to the project's root.
    line   : of the file, the header is 1.
    shared : whether another panel has a row of this name.
    """

    file: Path
    line: int
    row: Record
    column: str
    shared: bool = False

    @property
    def text(self) -> str:
        """What the cell holds, "" where it is empty."""
        return self.row[self.column]

    @property
    def name(self) -> str:
        """Name of the table, such as "table3"."""
        return self.file.stem

    @property
    def number(self) -> int | None:
        """Which of the paper's tables this is; None for others."""
        found = re.fullmatch(r"table([123])", self.name)
        return int(found[1]) if found else None

    @property
    def dataset(self) -> str:
        """The panel that the row stands in."""
        return self.row.get("dataset", "")

    @property
    def words(self) -> str:
        """The command line's words for this cell, quoted for a shell."""
        label = self.row.get("variant") or self.row.get("method", str(self.line - 1))
        address = shlex.quote(f"{self.file.as_posix()}:{label}:{self.column}")
        return f"{address} --dataset {self.dataset}" if self.shared else address

    @property
    def reason(self) -> str:
        """Why an empty cell is empty: the remark on its column in the row's note."""
        for said in self.row.get("note", "").split("; "):
            names, colon, why = said.partition(": ")
            if colon and self.column in names.split():
                return why
        return ""


def split(address: str) -> tuple[Path, str, str]:
    """Return file, row and column of an address; row and column are "" where only a file is named."""
    found = ADDRESS.fullmatch(address)
    if not found:
        raise UsageError(f"{address!r} names no cell of a report; {FORM}.")
    return Path(found["file"]), found["row"] or "", found["column"] or ""


def read(file: Path) -> list[Record]:
    """Return the rows of a table's CSV; a file that isn't there or is none raises UsageError."""
    if not file.exists():
        known = [path.name for path in file.parent.glob(f"*{file.suffix}")]
        if not known:
            raise UsageError(f"{file} doesn't exist, and its folder holds no {file.suffix} file; {FORM}.")
        raise unknown_name(f"file of {file.parent.as_posix()}", file.name, known)
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{file} isn't a CSV file in UTF-8 ({error}); make the report again.") from error
    if any(None in row or None in row.values() for row in rows):
        raise UsageError(f"{file}: a row has more or fewer cells than the header; make the report again.")
    return rows


def find(file: Path, row: str, column: str, dataset: str | None = None) -> Cell:
    """Return the cell of a table; unknown names raise UsageError with the nearest known ones.

    row     : its label or variant, the number that its label begins with, or its place in the file (1 is the first).
    dataset : which panel; default: the first in which the row was measured, else the first that has it.
    """
    rows = read(file)
    places = _matching(file, rows, row, dataset)
    measured = [place for place in places if rows[place].get("scenes")]
    place = (measured or places)[0]
    columns = list(rows[place])
    name = column if column in columns else column.replace("-", "_")
    if name not in columns:
        raise unknown_name(f"column of {file.as_posix()}", column, columns)
    twins = _matching(file, rows, rows[place].get("variant") or rows[place].get("method", row), None)
    return Cell(file, place + 2, rows[place], name, shared=len(twins) > 1)


def _matching(file: Path, rows: Sequence[Record], wanted: str, dataset: str | None) -> list[int]:
    panels = list(dict.fromkeys(row.get("dataset", "") for row in rows))
    if dataset is not None and dataset not in panels:
        raise unknown_name(f"data set of {file.as_posix()}", dataset, panels)
    chosen = [i for i, row in enumerate(rows) if dataset in (None, row.get("dataset", ""))]
    for names in (("method", "variant"), ("codebook", "run", "view", "name")):
        if found := [i for i in chosen if wanted in (rows[i].get(name) for name in names)]:
            return found
    if wanted.isdecimal():
        numbered = [i for i in chosen if re.match(rf"{int(wanted)}\. ", rows[i].get("method", ""))]
        if found := numbered or [i for i in chosen if i == int(wanted) - 1]:
            return found
        raise UsageError(f"{file.as_posix()} has {len(rows)} rows, none is number {wanted}; 1 is the first.")
    labels = {row.get(name, "") for row in rows for name in ("method", "variant")} - {""}
    raise unknown_name(f"row of {file.as_posix()}", wanted, labels or {str(i + 1) for i in range(len(rows))})
