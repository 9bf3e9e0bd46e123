"""Other people's results, kept below reports/submissions: which of them the tables of this profile can hold."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from bench.core import layout
from bench.core.errors import UsageError
from bench.core.reading import shown
from bench.io.tables import read_scores
from bench.report.results.inputs import Measured
from bench.report.results.paired import PRIMARY
from bench.report.results.results import Summary, collect
from bench.stages.reporting import submission_log

METHOD = "submitted"


KEYS = ["profile", "dataset", "protocol"]


def read(scores: pd.DataFrame) -> tuple[dict[tuple[str, str], Summary], list[str]]:
    """Return (name, dataset) -> result of every submission that suits the profile's `scores`, and notes on the rest.

    It suits where profile, data set and protocol are the same: a data set of one name has other views in another
    profile. A damaged file raises UsageError.
    """
    tables = {tuple(cells) for cells in scores[KEYS].drop_duplicates().itertuples(index=False)}
    found: dict[tuple[str, str], Summary] = {}
    notes: list[str] = []
    entries = submission_log.read(layout.submissions())
    for path in sorted(layout.submissions().glob("*.csv")):
        groups = {tuple(key): rows for key, rows in _rows(path).groupby(KEYS, sort=True)}
        for key in tables & groups.keys():
            for (name, dataset), result in collect(groups[key]).items():
                event = submission_log.latest(entries, name, key[0], dataset, result.protocol)
                told = (submission_log.said(event),) if event else ()
                found[name, dataset] = replace(result, notes=(*result.notes, *told))
        if left := [_where(*key) for key in groups if key not in tables]:
            ours = ", ".join(_where(*key) for key in sorted(tables))
            notes.append(
                f"Rows of the submission {shown(path.stem)} for {', '.join(left)} stand in no table: here is {ours}, "
                "and no table mixes profiles or protocols."
            )
    return found, notes


def places(measured: Measured) -> list[str]:
    """Return where each submission stands among the rows of its data set in PSNR-mu, a line each."""
    lines = []
    for (name, dataset), result in measured.submitted.items():
        if (value := result.values.get(PRIMARY)) is None:
            continue
        rows = [
            one for (_, tested), one in (*measured.results.items(), *measured.submitted.items()) if tested == dataset
        ]
        known = [one.values[PRIMARY] for one in rows if PRIMARY in one.values]
        apart = "".join(f" ({note})" for note in measured.fewer(name, dataset))
        place = 1 + sum(other > value for other in known)
        lines.append(f"{shown(name)} on {dataset}: {PRIMARY} {value:.2f} dB, place {place} of {len(known)} rows{apart}")
    return lines


def _where(profile: str, dataset: str, protocol: str) -> str:
    return shown(f"{dataset} of profile {profile} under {protocol}")


def _rows(path: Path) -> pd.DataFrame:
    rows = read_scores([path])
    if rows.empty:
        raise UsageError(
            f"{shown(path)} holds no score; expected one row a scene and metric. Score it again, or delete it."
        )
    wrong = rows[(rows["method"] != METHOD) | (rows["variant"] != path.stem)]
    if len(wrong):
        first = wrong.iloc[0]
        raise UsageError(
            f"{shown(path)}: a row is of method {shown(repr(first['method']))}, variant "
            f"{shown(repr(first['variant']))}; expected {METHOD!r} and {shown(repr(path.stem))}, the file's name. Make "
            "it with: python -m bench score FOLDER --dataset NAME --submit NAME"
        )
    return rows
