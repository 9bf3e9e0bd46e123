"""Where a result stands: places, ties, intervals of pairs, scenes won and lost; the page says the same."""

import math

import numpy as np
import pytest

from bench.core.errors import UsageError
from bench.core.params import Params
from bench.report.rank.page import bars, render
from bench.report.rank.standing import said, standing, text
from bench.report.results.inputs import Measured
from bench.report.results.paired import BETTER, UNCLEAR, WORSE
from bench.report.results.results import Summary, spread

PLACES = [f"place{index}-{view:02d}" for index in range(6) for view in (1, 2)]


def result(values, method="ahdrnet", metric="psnr-mu"):
    cells = {metric: {("", scene): value for scene, value in zip(PLACES, values, strict=True)}}
    mean = {name: spread(found).mean for name, found in cells.items()}
    return Summary(mean, {}, {metric: len(values)}, len(values), 1, "whole-float@1", method, cells=cells)


NOISE = np.random.default_rng(5).normal(0, 0.1, len(PLACES))
LEVELS = 40 + np.random.default_rng(4).normal(0, 3, len(PLACES))


@pytest.fixture
def measured(small_params):
    rows = {"good": LEVELS + 1 + NOISE, "middle": LEVELS, "bad": LEVELS - 2 - NOISE}
    small_params["variants"] = {name: {"method": "triangle-merge"} for name in rows}
    small_params["tables"] = {}
    params = Params.model_validate(small_params)
    return Measured(params, {(name, "panoramas"): result(values) for name, values in rows.items()}, {})


def rank(measured, values, **more):
    return standing("mine", result(values, **more), measured, "panoramas", "psnr-mu")


def test_a_copy_stands_where_the_copied_row_stands(measured):
    ranked = rank(measured, LEVELS)
    at = {row.name: row.place for row in ranked.rows}
    assert at == {"good": 1, "mine": 2, "middle": 2, "bad": 4}
    copied = next(row for row in ranked.rows if row.name == "middle")
    assert (copied.difference.mean, copied.difference.low, copied.difference.high) == (0, 0, 0)
    assert said(copied) == "Against middle: equal in every scene" and copied.verdict == "identical"
    assert [row.name for row in ranked.neighbours] == ["good", "middle", "bad"]


def test_a_worsened_copy_stands_below_with_an_interval_that_says_so(measured):
    ranked = rank(measured, LEVELS - 0.5 + NOISE)
    by = {row.name: row for row in ranked.rows}
    assert [row.name for row in ranked.rows] == ["good", "middle", "mine", "bad"]
    middle = by["middle"]
    assert middle.difference.mean == pytest.approx(-0.5 + NOISE.mean()) and middle.difference.high < 0
    assert middle.verdict == WORSE and middle.won == 0
    assert by["bad"].verdict == BETTER and by["bad"].won == len(PLACES)
    assert ranked.own.place == 3


def test_what_differs_less_than_its_scenes_is_not_told_apart(measured):
    swings = np.where(np.arange(len(PLACES)) % 2, 1.0, -0.98)
    middle = next(row for row in rank(measured, LEVELS + swings).rows if row.name == "middle")
    assert middle.verdict == UNCLEAR and middle.won == len(PLACES) // 2
    assert middle.difference.low < 0 < middle.difference.high


def test_pairs_are_compared_over_common_scenes_alone(measured):
    """Half of the scenes, a constant better: the mean over other scenes must not blur it."""
    half = LEVELS + 0.25
    half[len(PLACES) // 2 :] = math.nan
    middle = next(row for row in rank(measured, half).rows if row.name == "middle")
    assert middle.difference.mean == pytest.approx(0.25) and len(middle.scenes) == len(PLACES) // 2


def test_others_submissions_stand_in_it_and_an_earlier_one_of_the_name_does_not(measured):
    others = {(name, "panoramas"): result(LEVELS + 5) for name in ("theirs", "mine")}
    ranked = standing(
        "mine", result(LEVELS), Measured(measured.params, measured.results, {}, others), "panoramas", "psnr-mu"
    )
    assert [(row.name, row.kind) for row in ranked.rows[:2]] == [("theirs", "submitted"), ("good", "without training")]
    assert sum(row.name == "mine" for row in ranked.rows) == 1


@pytest.mark.parametrize("metric", ["hdrvdp2", "no-such"])
def test_a_metric_without_scores_is_refused_with_those_that_are_there(measured, metric):
    with pytest.raises(UsageError, match=rf"{metric}.*hold psnr-mu"):
        standing("mine", result(LEVELS), measured, "panoramas", metric)


def test_other_scenes_are_refused(measured):
    own = result(LEVELS)
    cells = {"psnr-mu": {("", f"other-{scene}"): value for (_, scene), value in own.cells["psnr-mu"].items()}}
    elsewhere = Summary(own.values, {}, {}, 1, 1, own.protocol, "x", cells=cells)
    with pytest.raises(UsageError, match="none of those"):
        standing("mine", elsewhere, measured, "panoramas", "psnr-mu")


def test_text_and_page_show_every_row_and_the_place(measured):
    ranked = rank(measured, LEVELS - 0.5 + NOISE)
    lines = text(ranked).splitlines()
    assert [line for line in lines if line.startswith("> ")] == [next(line for line in lines if " mine " in line[:20])]
    html = render(ranked)
    assert "mine stands at place 3 of 4" in html and html == render(ranked)
    assert all(f">{row.label}</th>" in html for row in ranked.rows)
    assert "http" not in html.replace("http-equiv", "")


def test_bars_lie_inside_the_chart_and_better_rows_to_the_right(measured):
    ranked = rank(measured, LEVELS - 0.5 + NOISE)
    drawn = dict(zip([row.name for row in ranked.rows], bars(ranked), strict=True))
    assert drawn["mine"] is None
    assert drawn["good"].outside == "right" or drawn["good"].mean > drawn["middle"].mean
    for bar in (drawn["middle"], drawn["good"]):
        assert 0 <= bar.low <= bar.high <= 100 or bar.outside
    assert drawn["bad"].outside == "left" or drawn["bad"].mean < drawn["middle"].mean
