"""Means of a part of a set: every table that shows them says of how many scenes they are."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bench.core.params import load
from bench.io.tables import COLUMNS, ScoreRow
from bench.report.results.inputs import Measured
from bench.report.results.results import collect
from bench.report.scores import masks
from bench.report.scores.incomplete import incomplete, told
from bench.report.scores.published import published_scenes
from bench.report.scores.summary import facts
from bench.report.table.writers import to_latex, to_markdown

ROOT = Path(__file__).resolve().parents[3]
PAPER = load(ROOT / "profiles" / "paper" / "params.yaml")
SAID = "Incomplete: means on kalantari are of 8 of 15 scenes and compare with no mean of all."


def measured(count, dataset="kalantari", params=PAPER):
    rows = [
        ScoreRow(params.profile, "m", "triangle-merge", "", None, dataset, f"{n}", metric, 40.0 + n, "whole-float@1")
        for n in range(count)
        for metric in ("psnr-mu", "psnr-mu@saturated", "psnr-mu@moving", "psnr-l")
    ]
    return Measured(params, collect(pd.DataFrame(rows, columns=list(COLUMNS)).astype({"seed": "Int64"})), {})


def test_fewer_scenes_than_published_are_said_under_the_means_and_on_top():
    made = measured(8)
    assert incomplete(made) == {"kalantari": SAID}
    table = told(masks.table(made), incomplete(made))
    assert table.caption.endswith(SAID) and SAID in to_markdown(table) and "8 of 15 scenes" in to_latex(table)
    assert SAID in facts(made)["tested on"]


@pytest.mark.parametrize(("count", "dataset"), [(15, "kalantari"), (3, "panoramas"), (3, "folder"), (3, "theirs")])
def test_whole_sets_and_those_that_nobody_counted_say_nothing(count, dataset):
    made = measured(count, dataset)
    assert incomplete(made) == {} and "Incomplete" not in facts(made)["tested on"]
    assert told(masks.table(made), incomplete(made)) == masks.table(made)


def test_synthetic_scenes_of_a_sets_name_are_another_set():
    rehearsal = load(ROOT / "profiles" / "rehearsal" / "params.yaml")
    assert incomplete(measured(2, params=rehearsal)) == {} and published_scenes(PAPER, "kalantari") == 15


def test_a_submission_in_part_is_said_too():
    made = replace(
        measured(15), submitted={("theirs", "kalantari"): measured(8).results["triangle-merge", "kalantari"]}
    )
    assert incomplete(made) == {"kalantari": SAID}
