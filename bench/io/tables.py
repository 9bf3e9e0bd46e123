"""Score rows as tidy CSV: one number a row, from which every table and figure is made."""

import csv
import io
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.core.errors import UsageError
from bench.core.reading import number, read_text, shown
from bench.io.files import write_text_atomic

if TYPE_CHECKING:
    import pandas as pd


class ScoreRow(NamedTuple):
    """One score.

    seed     : None for methods without randomness (an empty cell).
    metric   : a metric's name, "<metric>@<mask>" inside a mask.
    value    : in the metric's unit; +inf and NaN are allowed.
    protocol : "<name>@<version>".
    """

    profile: str
    method: str
    variant: str
    trainset: str
    seed: int | None
    dataset: str
    scene: str
    metric: str
    value: float
    protocol: str


COLUMNS = ScoreRow._fields

FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
"""Beginning of a cell that a spreadsheet may take for a formula, with the quotes that keep it from that."""

NUMBER = re.compile(r"[+-](\d+\.?\d*|\.\d+)([eE][+-]?\d+)?( [\w\[].*)?|[+-](inf|nan)", re.ASCII | re.IGNORECASE)
"""What begins so and is none: a number, or one with words behind it ("+0.21 [0.05, 0.47]"), which no operator joins."""

SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
"""What spreadsheets put between cells instead of commas, where commas are decimal ones."""

UNBOUNDED = ("inf", "-inf", "nan")
"""What a value may be besides a finite number, as Python writes it."""

SEED = re.compile(r"[0-9]{1,18}")
"""What fits 64 bits, as tables keep it."""


def quoted(cell: str) -> str:
    """Return a cell as a CSV of ours holds it: with a quote (') before what a spreadsheet would run as a formula."""
    return f"'{cell}" if FORMULA.match(cell) and not NUMBER.fullmatch(cell) else cell


def unquoted(cell: str) -> str:
    """Return what `quoted` was given: the text without the quote that stands before a formula."""
    return cell[1:] if cell[:1] == "'" and FORMULA.match(cell) else cell


def write_scores(path: Path, rows: Iterable[ScoreRow]) -> None:
    """Write score rows in the order given, as a whole or not at all.

    Values are written as Python's repr: the shortest text that reads back to the same float64. A full disk or a
    missing permission raises BenchError.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        value = repr(float(row.value))
        writer.writerow([value if name == "value" else _cell(cell) for name, cell in row._asdict().items()])
    write_text_atomic(path, text.getvalue())


def _cell(cell: str | int | None) -> str | int | None:
    return quoted(cell) if isinstance(cell, str) else cell


def read_scores(paths: Iterable[Path]) -> "pd.DataFrame":
    """Read score files into one frame with the columns of `ScoreRow`, rows in the order of the files.

    `value` is float64, `seed` Int64 (missing where the cell is empty), all others text. No path gives an empty frame.
    A missing file, other columns, or a cell that isn't the number it should be raises UsageError. What `write_scores`
    put a quote before is the same text again.
    """
    import pandas as pd

    rows = [row for path in paths for row in _read(Path(path))]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype({**dict.fromkeys(COLUMNS, "str"), "seed": "Int64", "value": "float64"})


def _read(path: Path) -> list[ScoreRow]:
    text = read_text(path)
    try:
        header, *lines = list(csv.reader(io.StringIO(text, newline=""))) or [[]]
    except csv.Error as error:
        raise UsageError(f"{shown(path)}: no CSV file of scores ({error}); score again.") from error
    other = next((name for mark, name in SEPARATORS.items() if tuple(",".join(header).split(mark)) == COLUMNS), "")
    if other:
        raise UsageError(f"{shown(path)}: its cells are separated by {other}; save it with commas between them.")
    if tuple(header) != COLUMNS:
        said = shown(",".join(header)) or "absent"
        raise UsageError(f"{shown(path)}: columns are {said}; expected {','.join(COLUMNS)}.")
    return [_row(cells, f"{shown(path)}, line {number}") for number, cells in enumerate(lines, start=2)]


def _row(cells: list[str], where: str) -> ScoreRow:
    if len(cells) != len(COLUMNS):
        raise UsageError(f"{where}: {len(cells)} cells, expected {len(COLUMNS)}; the file may be cut off.")
    named = dict(zip(COLUMNS, map(unquoted, cells), strict=True))
    if named["seed"] and not SEED.fullmatch(named["seed"]):
        raise UsageError(
            f"{where}: the seed is {shown(repr(named['seed']))}; seed and value must be numbers, a seed one of at most "
            "18 digits, or nothing for a method without training."
        )
    seed = int(named["seed"]) if named["seed"] else None
    try:
        value = float(named["value"]) if named["value"] in UNBOUNDED else number(named["value"])
    except ValueError as error:
        said = shown(repr(named["value"]))
        raise UsageError(f"{where}: the value is {said}; seed and value must be numbers.") from error
    return ScoreRow(**{**named, "seed": seed, "value": value})  # type: ignore[arg-type]
