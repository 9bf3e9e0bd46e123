"""What is to be explained: a cell of a report, or a score by the names of method, metric and scene."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from bench.core.errors import UsageError, unknown_name
from bench.core.params import Params
from bench.provenance import address
from bench.provenance.address import Cell
from bench.report.scores import masks
from bench.report.scores.scored import METRICS

SCORES: Mapping[str, str] = {
    **{column.key: column.key.replace("_", "-") for column in METRICS},
    **{masks.column_key(score, area): f"{score}{area}" for score in masks.SCORES for area in masks.AREAS},
}
"""Column of a table -> the metric of the score rows that it averages."""

TABLES = (1, 2, 3)


@dataclass(frozen=True)
class Subject:
    """A number of a report.

    cell    : where it stands; None for a score that no table holds.
    variant : whose it is, "" for a row without a variant of ours.
    metric  : as score rows call it, "" for a column that is no score.
    scene   : "" for the mean over scenes.
    """

    cell: Cell | None
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
        """What the command line calls it."""
        if self.cell and not self.scene:
            return self.cell.words
        scene = f" --scene {self.scene}" if self.scene else ""
        return f"--method {self.variant} --metric {self.metric}{scene} --dataset {self.dataset}"


def of_cell(params: Params, cell: Cell) -> Subject:
    """Take a cell of a table."""
    metric = SCORES.get(cell.column, "") if cell.number or cell.name == "masks" else ""
    return Subject(cell, _variant(params, cell), cell.dataset, metric)


def labels(params: Params, number: int) -> dict[str, str]:
    """Return label -> variant of the paper's Table `number` and our rows below it."""
    floors = {name: name for name in params.tables.floors} if number == 1 else {}
    return {**floors, **params.rows(number), **params.controls(number)}


def _variant(params: Params, cell: Cell) -> str:
    label = cell.row.get("method", "")
    if cell.row.get("kind") == "submitted":
        return label
    return cell.row.get("variant") or (labels(params, cell.number).get(label, "") if cell.number else "")


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for by names; None: not said."""

    method: str
    metric: str
    scene: str | None = None
    dataset: str | None = None
    table: int | None = None


def of_names(params: Params, scores: pd.DataFrame, wanted: Wanted) -> Subject:
    """Find a score by names among the profile's score rows, and the cell that shows its mean, if a table does.

    Unknown names raise UsageError with the nearest known ones.
    """
    variant = _named(params, scores, wanted.method)
    rows = scores[scores["variant"] == variant]
    dataset = wanted.dataset or str(rows["dataset"].iloc[0])
    _expect(f"data set of {variant}", dataset, rows["dataset"])
    rows = rows[rows["dataset"] == dataset]
    metric = wanted.metric if wanted.metric in set(rows["metric"]) else SCORES.get(wanted.metric, wanted.metric)
    _expect(f"metric of {variant}", metric, rows["metric"])
    if wanted.scene is not None:
        _expect(f"scene of {dataset}", wanted.scene, rows["scene"])
        return Subject(None, variant, dataset, metric, wanted.scene)
    return Subject(_shown(params, variant, dataset, metric, wanted.table), variant, dataset, metric)


def _named(params: Params, scores: pd.DataFrame, name: str) -> str:
    """Return the variant of this name, label or method; of a method, its only variant."""
    scored = set(scores["variant"])
    own = {label: variant for number in TABLES for label, variant in labels(params, number).items()}
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


def _shown(params: Params, variant: str, dataset: str, metric: str, table: int | None) -> Cell | None:
    """Return the cell that shows the mean: in the table asked for, or the first of Tables 1 to 3 that has it."""
    column = next((key for key, name in SCORES.items() if name == metric), "")
    if table is not None and table not in TABLES:
        raise UsageError(f"--table {table}: expected 1, 2 or 3.")
    for number in TABLES if table is None else (table,):
        file = params.reports / "tables" / f"table{number}.csv"
        label = next((label for label, own in labels(params, number).items() if own == variant), variant)
        rows = address.read(file) if file.exists() else []
        if any(row["method"] == label and row["dataset"] == dataset and column in row for row in rows):
            return address.find(file, label, column, dataset)
    if table is not None:
        raise UsageError(f"Table {table} of {params.reports} has no cell for {metric} of {variant} on {dataset}.")
    return None
