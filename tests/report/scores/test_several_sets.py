"""Several data sets in one report: each with its own weights, crossed ones apart, and sets that can't be scored."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bench.core.params import load
from bench.io.tables import COLUMNS, ScoreRow
from bench.report.results.caption import title
from bench.report.results.inputs import Measured, Paper
from bench.report.results.results import collect
from bench.report.scores import cross, scored, unscored
from bench.report.scores.published import synthetic
from bench.report.table.writers import to_csv, to_latex, to_markdown
from bench.stages.reporting.report import _printed

ROOT = Path(__file__).resolve().parents[3]
REHEARSAL = load(ROOT / "profiles" / "rehearsal" / "params.yaml")

VALUES = {
    ("ahdrnet", "kalantari", "kalantari"): 43.0, ("ahdrnet", "hu", "kalantari"): 40.0,
    ("ahdrnet", "hu", "hu"): 46.0, ("ahdrnet", "kalantari", "hu"): 41.5,
    ("olc-1024", "kalantari", "kalantari"): 44.0, ("olc-1024", "hu", "kalantari"): 40.5,
    ("olc-1024", "hu", "hu"): 48.0, ("olc-512", "kalantari", "kalantari"): 43.5,
    ("reference-only", "", "kalantari"): 30.0, ("reference-only", "", "hu"): 29.0,
}  # fmt: skip
"""(variant, trained on, tested on) -> PSNR-mu."""


@pytest.fixture
def scores():
    rows = [
        ScoreRow(
            "rehearsal", "m", variant, trained, 0 if trained else None, tested, scene, "psnr-mu", value, "whole-float@1"
        )
        for (variant, trained, tested), value in VALUES.items()
        for scene in ("a", "b")
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"seed": "Int64"})


@pytest.fixture
def measured(scores):
    cards = {f"{v}--{t}--s0": {"variant": v, "trainset": t, "parameters": 1000} for v, t, _ in VALUES if t}
    return Measured(REHEARSAL, collect(scores), cards)


def paper(number):
    rows = REHEARSAL.rows(number)
    return Paper(number, "t", _printed(ROOT / "reports" / "printed" / f"table{number}.csv"), rows)


def test_each_block_of_table_1_holds_the_weights_trained_on_its_set(measured):
    table = scored.table(paper(1), measured)
    found = {(row.panel, row.cells["method"]): row.cells.get("psnr_mu") for row in table.rows}
    assert (found["kalantari", "Proposed"], found["hu", "Proposed"]) == (44.0, 48.0)
    assert (found["kalantari", "reference-only"], found["hu", "reference-only"]) == (30.0, 29.0)
    assert {row.panel for row in table.rows} == {"kalantari", "hu"}


def test_one_row_of_table_2_on_another_set_makes_no_block(measured):
    assert {row.panel for row in scored.table(paper(2), measured).rows} == {"kalantari"}


def test_synthetic_sets_never_stand_beside_the_papers_as_if_they_were_its_own(measured):
    assert synthetic(REHEARSAL) == ["kalantari", "hu", "tursun"]
    table = scored.table(paper(1), measured)
    assert "synthetic data" in table.caption and title("kalantari") not in table.caption
    assert all("not comparable" in label for (_, group), label in table.groups.items() if group == "paper")
    own = [row for row in table.rows if row.cells["kind"] == "measured"]
    assert own and all("other data, not comparable" in row.note for row in own)


def test_a_real_download_is_not_synthetic():
    params = load(ROOT / "profiles" / "paper" / "params.yaml")
    assert synthetic(params) == []
    tunnel = {n: u.model_copy(update={"mirror": "http://127.0.0.1:1"}) for n, u in params.datasets.items()}
    assert synthetic(params.model_copy(update={"datasets": tunnel})) == []


class TestCross:
    def test_weights_of_another_set_are_compared_with_its_own(self, measured, scores):
        table = cross.table(measured, scores)
        rows = {(row.panel, row.cells["variant"], row.cells["trainset"]): row.cells for row in table.rows}
        assert rows["hu", "ahdrnet", "kalantari"]["change"] == pytest.approx(-4.5)
        assert rows["kalantari", "olc-1024", "hu"]["change"] == pytest.approx(-3.5)
        assert "change" not in rows["hu", "ahdrnet", "hu"]
        assert "olc-512" not in {variant for _, variant, _ in rows}, "it was never crossed"
        assert "reference-only" not in {variant for _, variant, _ in rows}, "it has no weights"

    def test_own_weights_stand_first_and_sets_in_the_parameters_order(self, measured, scores):
        order = [(row.panel, row.cells["variant"], row.cells["trainset"]) for row in cross.table(measured, scores).rows]
        assert order == [
            ("kalantari", "ahdrnet", "kalantari"), ("kalantari", "ahdrnet", "hu"),
            ("kalantari", "olc-1024", "kalantari"), ("kalantari", "olc-1024", "hu"),
            ("hu", "ahdrnet", "hu"), ("hu", "ahdrnet", "kalantari"),
        ]  # fmt: skip

    def test_a_missing_counterpart_is_a_dash_with_a_reason(self, measured, scores):
        kept = scores[~((scores["variant"] == "ahdrnet") & (scores["trainset"] == "hu") & (scores["dataset"] == "hu"))]
        (row,) = [row for row in cross.table(measured, kept).rows if row.panel == "hu"]
        assert row.remarks["change"] == "no weights of it were trained on hu in this profile"

    def test_without_crossed_cells_there_is_none(self, measured, scores):
        same = scores[(scores["trainset"] == scores["dataset"]) | (scores["trainset"] == "")]
        assert cross.table(measured, same) is None

    def test_it_is_written_in_every_form(self, measured, scores):
        table = cross.table(measured, scores)
        (line,) = [line for line in to_markdown(table).splitlines() if "-4.50" in line]
        assert line.startswith("| AHDRNet | kalantari | measured | ") and "41.50" in line
        assert to_csv(table).count("\n") == 7 and r"\begin{tabular}" in to_latex(table)


class TestUnscored:
    def test_rows_name_the_weights_and_carry_no_score(self, measured):
        found = [
            unscored.Predicted("tursun", "reference-only", "", None, 16),
            unscored.Predicted("tursun", "olc-1024", "kalantari", 0, 16),
        ]
        floor, own = unscored.table(measured, found).rows
        assert (floor.cells["kind"], own.cells["kind"]) == ("floor", "measured")
        assert floor.remarks["trainset"] == "has no weights" and own.cells["trainset"] == "kalantari"
        for row in (floor, own):
            assert "psnr_mu" not in row.cells and row.remarks["psnr_mu"] == unscored.REASON

    def test_without_such_sets_there_is_none(self, measured):
        assert unscored.table(replace(measured), []) is None
