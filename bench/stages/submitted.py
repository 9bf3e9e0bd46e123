"""Other people's results, kept below reports/submissions: which of them the tables of this profile can hold."""

from pathlib import Path

import pandas as pd

from bench.core.errors import UsageError
from bench.io.tables import read_scores
from bench.report.results import Result, collect
from bench.stages import layout

METHOD = "submitted"


def read(scores: pd.DataFrame) -> tuple[dict[tuple[str, str], Result], list[str]]:
    """Return (name, dataset) -> result of every submission that suits the profile's `scores`, and notes on the rest.

    It suits where data set and protocol are the profile's. A damaged file raises UsageError.
    """
    tables = set(zip(scores["dataset"], scores["protocol"], strict=True))
    found: dict[tuple[str, str], Result] = {}
    notes: list[str] = []
    for path in sorted(layout.submissions().glob("*.csv")):
        groups = dict(list(_rows(path).groupby(["dataset", "protocol"], sort=True)))
        for key, rows in groups.items():
            if key in tables:
                found |= collect(rows)
        if left := [f"{dataset} under {protocol}" for dataset, protocol in groups if (dataset, protocol) not in tables]:
            notes.append(_note(path.stem, left, sorted(tables)))
    return found, notes


def _note(name: str, left: list[str], tables: list[tuple[str, str]]) -> str:
    ours = ", ".join(f"{dataset} under {protocol}" for dataset, protocol in tables)
    return (
        f"Rows of the submission {name} for {', '.join(left)} stand in no table: this profile measures {ours}, and "
        "no table mixes protocols."
    )


def _rows(path: Path) -> pd.DataFrame:
    rows = read_scores([path])
    if rows.empty:
        raise UsageError(f"{path} holds no score; expected one row a scene and metric. Score it again, or delete it.")
    wrong = rows[(rows["method"] != METHOD) | (rows["variant"] != path.stem)]
    if len(wrong):
        first = wrong.iloc[0]
        raise UsageError(
            f"{path}: a row is of method {first['method']!r}, variant {first['variant']!r}; expected {METHOD!r} and "
            f"{path.stem!r}, the file's name. Make it with: python -m bench score FOLDER --dataset NAME --submit "
            f"{path.stem}"
        )
    return rows
