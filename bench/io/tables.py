"""Score rows as tidy CSV: one number a row, from which every table and figure is made."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.core.errors import UsageError
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


def write_scores(path: Path, rows: Iterable[ScoreRow]) -> None:
    """Write score rows in the order given, as a whole or not at all.

    Values are written as Python's repr: the shortest text that reads back to the same float64. A full disk or a
    missing permission raises BenchError.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow(row._replace(value=repr(float(row.value))))  # type: ignore[arg-type]
    write_text_atomic(path, text.getvalue())


def read_scores(paths: Iterable[Path]) -> "pd.DataFrame":
    """Read score files into one frame with the columns of `ScoreRow`, rows in the order of the files.

    `value` is float64, `seed` Int64 (missing where the cell is empty), all others text. No path gives an empty frame.
    A missing file, other columns, or a cell that isn't the number it should be raises UsageError.
    """
    import pandas as pd

    rows = [row for path in paths for row in _read(Path(path))]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype({**dict.fromkeys(COLUMNS, "str"), "seed": "Int64", "value": "float64"})


def _read(path: Path) -> list[ScoreRow]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header, *lines = list(csv.reader(file)) or [[]]
    except OSError as error:
        raise UsageError(f"score file {str(path)!r} can't be read: {error.strerror}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"score file {str(path)!r} isn't a CSV file in UTF-8: {error}. Score again.") from error
    if tuple(header) != COLUMNS:
        raise UsageError(f"{path}: columns are {','.join(header) or 'absent'}; expected {','.join(COLUMNS)}.")
    return [_row(cells, f"{path}, line {number}") for number, cells in enumerate(lines, start=2)]


def _row(cells: list[str], where: str) -> ScoreRow:
    if len(cells) != len(COLUMNS):
        raise UsageError(f"{where}: {len(cells)} cells, expected {len(COLUMNS)}; the file may be cut off.")
    named = dict(zip(COLUMNS, cells, strict=True))
    try:
        seed = int(named["seed"]) if named["seed"] else None
        value = float(named["value"])
    except ValueError as error:
        raise UsageError(f"{where}: {error}; seed and value must be numbers.") from error
    return ScoreRow(**{**named, "seed": seed, "value": value})  # type: ignore[arg-type]
