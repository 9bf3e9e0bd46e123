"""The number that is meant: a cell of a report, FILE:ROW:COLUMN, or a score by method, metric and scene."""

import csv
import io
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench.core.errors import UsageError, unknown_name
from bench.core.params import Params
from bench.core.reading import read_text
from bench.core.registry import metrics
from bench.io.tables import unquoted
from bench.report.scores import masks, scored

FORM = "expected FILE:ROW:COLUMN, such as reports/demo/tables/table3.csv:olc-64:psnr_mu"
ADDRESS = re.compile(r"(?P<file>.+?\.(?:csv|md|tex|png|webp|js|html))(?::(?P<row>.+):(?P<column>[^:]+))?")

SCORES: Mapping[str, str] = {
    **{name.replace("-", "_"): name for name, card in metrics.items() if card.column},
    **{scored.column_key(score, area): f"{score}{area}" for score in masks.SCORES for area in scored.AREAS},
}
"""Column of a table -> the metric of the score rows that it averages."""

TABLES = (1, 2, 3)

Record = dict[str, str]
"""A row of a table's CSV: column -> text."""


@dataclass(frozen=True)
class TableCell:
    """A cell of a report's table, as its CSV holds it.

    file   : relative to the project's root.
    line   : of the file; the header is 1.
    shared : whether another panel has a row of this name.
    """

    file: Path
    line: int
    row: Record
    column: str
    shared: bool = False

    @property
    def text(self) -> str:
        """The cell's content, "" where it is empty."""
        return self.row[self.column]

    @property
    def name(self) -> str:
        """Name of the table, such as "table3"."""
        return self.file.stem

    @property
    def table(self) -> int | None:
        """Number of the paper's table; None for others."""
        found = re.fullmatch(r"table([123])", self.name)
        return int(found[1]) if found else None

    @property
    def dataset(self) -> str:
        """Test set of the row's panel."""
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
        for remark in self.row.get("note", "").split("; "):
            names, colon, why = remark.partition(": ")
            if colon and self.column in names.split():
                return why
        return ""


@dataclass(frozen=True)
class Number:
    """A number of a report.

    cell    : the table's cell that shows it; None for a score that no table holds.
    variant : "" for a row without a variant of ours.
    metric  : as in score rows, "" for a column that is no score.
    scene   : "" for the mean over scenes.
    """

    cell: TableCell | None
    variant: str
    dataset: str
    metric: str
    scene: str = ""

    @property
    def column(self) -> str:
        """The table's column, "" without a table."""
        return self.cell.column if self.cell else ""

    @property
    def words(self) -> str:
        """The command line's words for this number."""
        if self.cell and not self.scene:
            return self.cell.words
        scene = f" --scene {self.scene}" if self.scene else ""
        return f"--method {self.variant} --metric {self.metric}{scene} --dataset {self.dataset}"


@dataclass(frozen=True)
class ScoreNames:
    """A score by names, as given on the command line; None where an option wasn't."""

    method: str
    metric: str
    scene: str | None = None
    dataset: str | None = None
    table: int | None = None


def split_address(address: str) -> tuple[Path, str, str]:
    """Return file, row and column of an address; row and column are "" where only a file is named."""
    found = ADDRESS.fullmatch(address)
    if not found:
        raise UsageError(f"{address!r} names no cell of a report; {FORM}.")
    return Path(found["file"]), found["row"] or "", found["column"] or ""


def read_table(file: Path) -> list[Record]:
    """Return the rows of a table's CSV; UsageError where it is missing or isn't one."""
    if not file.exists():
        known = [path.name for path in file.parent.glob(f"*{file.suffix}")]
        if not known:
            raise UsageError(f"{file} doesn't exist, and its folder holds no {file.suffix} file; {FORM}.")
        raise unknown_name(f"file of {file.parent.as_posix()}", file.name, known)
    text = read_text(file)
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise UsageError(f"{file} isn't a CSV file ({error}); make the report again.") from error
    if any(None in row or None in row.values() for row in rows):
        raise UsageError(f"{file}: a row has more or fewer cells than the header; make the report again.")
    return [{name: unquoted(cell) for name, cell in row.items()} for row in rows]


def find_cell(file: Path, row: str, column: str, dataset: str | None = None) -> TableCell:
    """Return the cell of a table; unknown names raise UsageError with the nearest known ones.

    row     : its label or variant, the number that its label begins with, or its place in the file (1 is the first).
    dataset : the panel; None takes the first in which the row was measured, else the first that has it.
    """
    rows = read_table(file)
    places = _matching(file, rows, row, dataset)
    measured = [place for place in places if rows[place].get("scenes")]
    place = (measured or places)[0]
    columns = list(rows[place])
    name = column if column in columns else column.replace("-", "_")
    if name not in columns:
        raise unknown_name(f"column of {file.as_posix()}", column, columns)
    twins = _matching(file, rows, rows[place].get("variant") or rows[place].get("method", row), None)
    return TableCell(file, place + 2, rows[place], name, shared=len(twins) > 1)


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


def of_cell(params: Params, cell: TableCell) -> Number:
    """Return the number in a cell of a table."""
    label, variant = cell.row.get("method", ""), cell.row.get("variant", "")
    if cell.row.get("kind") == "submitted":
        variant = label
    elif not variant and cell.table:
        variant = row_variants(params, cell.table).get(label, "")
    metric = SCORES.get(cell.column, "") if cell.table or cell.name == "masks" else ""
    return Number(cell, variant, cell.dataset, metric)


def row_variants(params: Params, table: int) -> dict[str, str]:
    """Return label -> variant of the rows of the paper's Table 1, 2 or 3, and of our rows below them."""
    floors = {name: name for name in params.tables.floors} if table == 1 else {}
    return {**floors, **params.rows(table), **params.controls(table)}


def labels_of(params: Params, file: Path) -> dict[str, str]:
    """Return variant -> label of the rows of one of the paper's tables, {} for another file."""
    number = file.stem.removeprefix("table")
    return {v: label for label, v in row_variants(params, int(number)).items()} if number in ("1", "2", "3") else {}


def of_names(params: Params, scores: pd.DataFrame, names: ScoreNames) -> Number:
    """Find a score among the profile's score rows, and the cell that shows its mean, if a table does.

    Unknown names raise UsageError with the nearest known ones.
    """
    variant = _variant(params, scores, names.method)
    rows = scores[scores["variant"] == variant]
    dataset = names.dataset or str(rows["dataset"].iloc[0])
    _expect(f"data set of {variant}", dataset, rows["dataset"])
    rows = rows[rows["dataset"] == dataset]
    metric = names.metric if names.metric in set(rows["metric"]) else SCORES.get(names.metric, names.metric)
    _expect(f"metric of {variant}", metric, rows["metric"])
    if names.scene is not None:
        _expect(f"scene of {dataset}", names.scene, rows["scene"])
        return Number(None, variant, dataset, metric, names.scene)
    return Number(_shown(params, variant, dataset, metric, names.table), variant, dataset, metric)


def _variant(params: Params, scores: pd.DataFrame, name: str) -> str:
    """Return the variant of this name, label or method; of a method, its only variant."""
    scored = set(scores["variant"])
    own = {label: variant for table in TABLES for label, variant in row_variants(params, table).items()}
    if name in scored or own.get(name) in scored:
        return name if name in scored else own[name]
    variants = sorted(map(str, set(scores.loc[scores["method"] == name, "variant"])))
    if len(variants) > 1:
        raise UsageError(f"method {name!r} has {len(variants)} variants here; name one of {', '.join(variants)}.")
    if variants:
        return variants[0]
    raise unknown_name(f"method or variant with scores in {params.reports}", name, scored | set(own))


def _expect(noun: str, name: str, known: "pd.Series[str]") -> None:
    if name not in set(known):
        raise unknown_name(noun, name, set(known))


def _shown(params: Params, variant: str, dataset: str, metric: str, table: int | None) -> TableCell | None:
    """Return the cell that shows the mean: in the table asked for, or the first of Tables 1 to 3 that has it."""
    column = next((key for key, name in SCORES.items() if name == metric), "")
    if table is not None and table not in TABLES:
        raise UsageError(f"--table {table}: expected 1, 2 or 3.")
    for number in TABLES if table is None else (table,):
        file = params.reports / "tables" / f"table{number}.csv"
        label = next((label for label, own in row_variants(params, number).items() if own == variant), variant)
        rows = read_table(file) if file.exists() else []
        if any(row["method"] == label and row["dataset"] == dataset and column in row for row in rows):
            return find_cell(file, label, column, dataset)
    if table is not None:
        raise UsageError(f"Table {table} of {params.reports} has no cell for {metric} of {variant} on {dataset}.")
    return None
