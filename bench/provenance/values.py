"""A cell's value, computed again from what it was made from."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.core import layout
from bench.core.errors import UsageError
from bench.core.registry import ROOT, metrics
from bench.provenance.evidence import Evidence
from bench.provenance.number import Number, TableCell, read_table
from bench.report.results import gains, paired
from bench.report.results.inputs import DEFAULT_BLOCK, Measured, Paper
from bench.report.results.paired import PRIMARY, Pairing
from bench.report.results.results import collect
from bench.report.scores import masks, scored
from bench.report.table.table import PAPER, Column

METRICS = tuple(map(scored.metric_column, metrics))
COLUMNS: Mapping[str, Column] = {column.key: column for column in (*scored.columns(1), *METRICS, *masks.VALUES)}
SIZES = {column.key: column.key.removesuffix("_g").removesuffix("_m") for column in scored.SIZES}
PAIRED = (scored.DIFFERENCE.key, scored.GAIN.key)
"""Columns of text that hold a difference in dB."""
COUNTS = ("scenes", "seeds", "protocol")


@dataclass(frozen=True)
class Value:
    """A value computed again.

    text    : as the table's CSV writes it, "" where nothing could be computed.
    how     : how it comes from `files`, in words.
    exact   : before rounding; None for text.
    rows    : the score rows behind it.
    missing : why nothing could be computed, "" if it was.
    """

    text: str
    how: str
    files: tuple[str, ...] = ()
    exact: float | None = None
    rows: pd.DataFrame | None = None
    missing: str = ""


def compute(number: Number, evidence: Evidence) -> Value:
    """Compute a value again; a label, or a cell of a table that isn't computed cell by cell, gives one without text."""
    cell = number.cell
    if cell is not None and not cell.text:
        return Value("", "the cell is empty")
    if number.metric:
        return _score(number, evidence)
    if cell is None or cell.table is None:
        return Value("", "cells of this table aren't computed one by one")
    if COLUMNS.get(cell.column, scored.DIFFERENCE).group == PAPER:
        return _printed(cell)
    if not number.variant:
        return Value("", "no result of ours")
    if cell.column == scored.DIFFERENCE.key:
        return _difference(cell, evidence)
    if cell.column == scored.GAIN.key:
        return _gain(number, evidence)
    if cell.column == "params_m" or cell.column in SIZES:
        return _size(cell, number, evidence)
    if cell.column in COUNTS:
        return _count(cell.column, number, evidence)
    return Value("", "a word of the table, no number")


def evaluations_of(number: Number, evidence: Evidence) -> tuple[str, ...]:
    """Return the evaluations whose rows a number comes from; a difference or a gain has those of both rows."""
    variants = [number.variant]
    if number.cell and number.column == scored.DIFFERENCE.key:
        variants.append(_pair(number.cell, evidence).other)
    if number.column == scored.GAIN.key and (base := _base(number, evidence)):
        variants.append(base)
    return evidence.evaluations(variants, number.dataset)


def _rows(number: Number, evidence: Evidence) -> tuple[pd.DataFrame, tuple[str, ...]]:
    submission = number.cell is not None and number.cell.row.get("kind") == "submitted"
    if submission:
        found, files = evidence.submitted(number.variant, number.dataset)
    else:
        found, files = evidence.rows(evidence.evaluations([number.variant], number.dataset))
    return found, _names(files)


def _names(files: Sequence[Path]) -> tuple[str, ...]:
    return tuple(file.as_posix() for file in files)


def _score(number: Number, evidence: Evidence) -> Value:
    found, files = _rows(number, evidence)
    rows = found[found["metric"] == number.metric]
    rows = rows[rows["scene"] == number.scene] if number.scene else rows
    scores = {seed: list(group) for seed, group in rows.groupby("seed", sort=False)["value"]}
    means = [mean for values in scores.values() if not math.isnan(mean := _mean(values))]
    if not means:
        return Value("", "mean over scenes", files, missing=f"no row holds {number.metric} of {number.variant}")
    mean = _mean(means)
    text = COLUMNS[number.column].exact(mean) if number.cell else repr(mean)
    return Value(text, _how(scores, number.scene), files, mean, rows)


def _mean(values: Sequence[float]) -> float:
    """Return the mean of the values that aren't NaN, NaN if there are none."""
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan


def _how(scores: Mapping[str, Sequence[float]], scene: str) -> str:
    counts = sorted({len(values) for values in scores.values()})
    seeds = [seed for seed in scores if seed]
    what = f"scene {scene}" if scene else f"mean over {' or '.join(map(str, counts))} scenes"
    unknown = sum(math.isnan(value) for values in scores.values() for value in values)
    left_out = f"; {unknown} scores are NaN and left out" if unknown else ""
    if len(seeds) > 1:
        return f"{what}, then over seeds {', '.join(seeds)}{left_out}"
    return f"{what}{f' of seed {seeds[0]}' if seeds else ''}{left_out}"


def _count(column: str, number: Number, evidence: Evidence) -> Value:
    found, files = _rows(number, evidence)
    name = {"scenes": "scene", "seeds": "seed"}.get(column, column)
    values = sorted(set(found[name]))
    if not values:
        return Value("", f"{column} of the score rows", files, missing=f"no rows of {number.variant}")
    text = ", ".join(values) if column == "protocol" else str(len(values))
    return Value(text, f"{column} of the score rows: {', '.join(values) or 'without seed'}", files)


def _size(cell: TableCell, number: Number, evidence: Evidence) -> Value:
    exact: float | None = None
    if cell.column == "params_m":
        card, files = _card(number.variant, evidence)
        how = "trained parameters on the card of the weights, in millions"
        if "parameters" in card:
            exact = card["parameters"] / 1e6
    else:
        files, how = (layout.sizes(evidence.params).as_posix(),), "counted on the network, without computing"
        sizes = evidence.sizes.get(number.variant, {})
        sizes = sizes.get("published" if cell.column.startswith("published_") else "measured", {})
        key = SIZES[cell.column].removeprefix("published_").replace("params", "parameters")
        if key in sizes:
            exact = sizes[key] / (1e6 if key == "parameters" else 1e9)
    if exact is None:
        return Value("", how, files, missing="neither this disk nor provenance.json has it")
    here = tuple(file if Path(file).exists() else evidence.provenance_file.as_posix() for file in files)
    return Value(COLUMNS[cell.column].exact(exact), how, here, exact)


def _card(variant: str, evidence: Evidence) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the card of the variant's first run, as the tables take it, and its file."""
    params = evidence.params
    names = sorted(name for name, run in params.runs.items() if run.variant == variant)
    cards = {f"{params.work.as_posix()}/weights/{name}.json": evidence.card("runs", name) for name in names}
    for key, entry in params.evaluations.items():
        if entry.variant == variant and entry.weights:
            cards[layout.foreign_card(params, entry).as_posix()] = evidence.card("evaluations", key)
    return next(((card, (file,)) for file, card in cards.items() if card), ({}, tuple(cards)))


def _paper(cell: TableCell, evidence: Evidence) -> Paper:
    from bench.stages.reporting.report import read_papers

    return next(paper for paper in read_papers(evidence.params) if paper.number == cell.table)


def _pair(cell: TableCell, evidence: Evidence) -> Pairing:
    """Return the pair of rows behind a difference."""
    measured = Measured(evidence.params, evidence.results, {})
    for pair in paired.pairs(_paper(cell, evidence), measured, cell.dataset):
        if pair.label == cell.row["method"]:
            return pair
    raise UsageError(f"{cell.words}: {cell.reason or 'this row is tested against no other'}.")


def _base(number: Number, evidence: Evidence) -> str:
    """Return the base of a learned row that has a gain, "" for any other."""
    found = gains.gain(number.variant, Measured(evidence.params, evidence.results, {}), number.dataset)
    return found.base if found else ""


def _now(variants: Sequence[str], dataset: str, evidence: Evidence) -> tuple[Measured, pd.DataFrame, tuple[str, ...]]:
    """Return what was measured, with these variants' rows as they are now, the rows, and their files."""
    found, files = evidence.rows(evidence.evaluations(list(variants), dataset))
    now = Measured(evidence.params, {**evidence.results, **collect(found)}, {})
    return now, found[found["metric"] == PRIMARY], _names(files)


def _difference(cell: TableCell, evidence: Evidence) -> Value:
    pair, paper = _pair(cell, evidence), _paper(cell, evidence)
    now, rows, files = _now((pair.variant, pair.other), cell.dataset, evidence)
    # All tests of the table: each one's p is corrected for the others.
    test = paired.tests(paper, now, scored.datasets_of(paper, now)).get((cell.dataset, pair.label))
    if test is None:
        return Value("", "paired difference", files, missing="both rows have no scene in common")
    how = f"PSNR-mu of {pair.variant} minus {pair.other}, of the seeds and scenes that both have"
    return Value(test.phrase(), how, files, test.difference.mean, rows)


def _gain(number: Number, evidence: Evidence) -> Value:
    now, rows, files = _now((number.variant, _base(number, evidence)), number.dataset, evidence)
    found = gains.gain(number.variant, now, number.dataset)
    if found is None:
        return Value("", "gain over base", files, missing=gains.missing(number.variant, now, number.dataset))
    how = f"PSNR-mu of {number.variant} minus its base, {found.base}, of the scenes that both have"
    return Value(found.words, how, files, found.difference.mean, rows)


def _printed(cell: TableCell) -> Value:
    """Read the paper's number as reports/printed holds it."""
    file = Path("reports") / "printed" / f"table{cell.table}.csv"
    records = read_table(ROOT / file)
    blocks = {record.get("dataset", DEFAULT_BLOCK) for record in records}
    block = cell.dataset if cell.dataset in blocks else DEFAULT_BLOCK
    for line, record in enumerate(records, start=2):
        if record["method"] == cell.row["method"] and record.get("dataset", DEFAULT_BLOCK) == block:
            text = record.get(cell.column.removeprefix("paper_"), "")
            how = f"the paper's printed value for {block}, typed from its Table {cell.table}"
            exact = float(text) if text else None
            return Value(COLUMNS[cell.column].exact(exact), how, (f"{file.as_posix()}, line {line}",), exact)
    return Value("", "no such row in the paper", (file.as_posix(),))
