"""Twelve planted changes and more: each is called what it is, none is silent, none is false."""

import json
import math
from dataclasses import replace

import pytest

from bench.core.errors import UsageError
from bench.core.params import Regression
from bench.metrics.window import SsimWindow
from bench.regression import listing
from bench.regression.comparison import compare

from .conftest import RULE, lock, measure

WIDTHS = {"psnr-l": 2.0, "psnr-mu": 2.0, "ssim-l": 0.1, "ssim-mu": 0.1}
BANDS = Regression(retrained=WIDTHS, retrained_means=WIDTHS)
WIDE = Regression(retrained=dict.fromkeys(WIDTHS, 4.0), retrained_means=dict.fromkeys(WIDTHS, 1.3))  # as in studies


def changed(rows, change, run="ahdrnet", scene="forest-01", metric="psnr-mu"):
    """Apply `change` to the value of one row, or of all where "" is said."""
    return [
        row._replace(value=change(row.value))
        if run in ("", row.variant) and scene in ("", row.scene) and metric in ("", row.metric)
        else row
        for row in rows
    ]


def names(found):
    return [change.name for change in found.changes]


def test_equal_sides_are_clean(side, rows):
    found = compare(side("base", rows), side("new", rows))
    assert not found.failed
    assert not found.changes
    assert sum(found.rows.values()) == len(rows) == 32


@pytest.mark.parametrize("kind", ["rerun", "rescored"])
@pytest.mark.parametrize("run", ["ahdrnet", "triangle-merge"])
def test_one_scene_worse_by_a_twentieth_of_a_decibel(side, rows, kind, run):
    new = changed(rows, lambda value: value - 0.05, run)
    found = compare(side("base", rows), side("new", new), kind)
    assert found.failed
    (change,) = found.changes
    assert (change.name, change.key.variant, change.key.scene, change.key.metric) == (
        "worse",
        run,
        "forest-01",
        "psnr-mu",
    )
    assert change.difference == pytest.approx(-0.05)
    assert not found.patterns


def test_a_window_that_changed_is_told_from_its_metrics(side, rows):
    window = SsimWindow(kind="uniform", size=7, sample_covariance=True)
    new = measure(RULE.model_copy(update={"ssim": RULE.ssim.model_copy(update={"window": window})}))
    found = compare(side("base", rows), side("new", new))
    assert found.failed
    assert {change.key.metric for change in found.changes} == {"ssim-l", "ssim-mu"}
    assert len(found.changes) == 16
    (pattern,) = found.patterns
    assert pattern.startswith(
        "ssim-l under whole-float@1, ssim-mu under whole-float@1: moved in every row, other metrics"
    )


@pytest.mark.parametrize("ev", [-3, -2, -1, 1, 2, 3])
def test_a_wrong_ev_origin_is_told_from_its_size(side, rows, ev):
    wrong = [row for row in measure(factor=2.0**ev) if row.scene == "forest-01"]
    new = [row for row in rows if row.scene != "forest-01"] + wrong
    found = compare(side("base", rows), side("new", new))
    assert found.failed
    origin, scene = found.patterns
    assert origin.startswith("EV origin: every method's psnr-mu on panoramas/forest-01 fell to")
    assert origin.endswith(f"as exposures off by {abs(ev)} EV give")
    assert scene.startswith("panoramas/forest-01: moved for every method and metric, other scenes didn't")


def test_a_scene_that_lost_otherwise_has_no_wrong_ev_origin(side, rows):
    new = changed(rows, lambda value: value - (4 if value > 1 else 0.4), "", "forest-01", "")  # SSIM has no 4 to lose
    found = compare(side("base", rows), side("new", new))
    assert [pattern.partition(":")[0] for pattern in found.patterns] == ["panoramas/forest-01"]


@pytest.mark.parametrize("kind", ["rescored", "retrained"])
def test_a_missing_row(side, rows, kind):
    found = compare(side("base", rows), side("new", rows[1:]), kind, BANDS)
    assert found.failed
    assert names(found) == ["missing"]
    assert found.changes[0].key.metric == rows[0].metric


@pytest.mark.parametrize(("kind", "fails"), [("rerun", True), ("rescored", True), ("retrained", False)])
def test_a_new_row(side, rows, kind, fails):
    found = compare(side("base", rows[1:]), side("new", rows), kind, BANDS)
    assert names(found) == ["new"]
    assert found.failed is fails


@pytest.mark.parametrize("kind", ["rescored", "retrained"])
def test_nan_against_a_number(side, rows, kind):
    new = changed(rows, lambda _: math.nan)
    found = compare(side("base", rows), side("new", new), kind, BANDS)
    assert found.failed
    assert names(found) == ["undefined"]
    back = compare(side("base", new), side("new", rows), kind, BANDS)
    assert names(back) == ["defined"]
    assert back.failed is (kind == "rescored")


def test_nan_and_infinity_on_both_sides_are_no_change(side, rows):
    both = changed(changed(rows, lambda _: math.nan), lambda _: math.inf, "flow-merge")
    assert not compare(side("base", both), side("new", both), "rerun").changes


@pytest.mark.parametrize("before", [1.0, math.nan])
@pytest.mark.parametrize("value", [math.inf, -math.inf])
@pytest.mark.parametrize("kind", ["rescored", "retrained"])
def test_a_score_that_became_infinite_always_fails(side, rows, kind, value, before):
    base = side("base", changed(rows, lambda old: old * before))
    found = compare(base, side("new", changed(rows, lambda _: value)), kind, BANDS)
    assert found.failed
    assert names(found) == ["infinite"]


def test_infinity_that_became_a_number_is_a_change(side, rows):
    base = side("base", changed(rows, lambda _: math.inf))
    assert names(compare(base, side("new", rows), "retrained", BANDS)) == ["worse"]


def test_a_direction_that_turned_in_the_code(side, rows):
    base, new = side("base", rows), side("new", rows)
    base, new = replace(base, better={"psnr-mu": "higher"}), replace(new, better={"psnr-mu": "lower"})
    found = compare(base, new)
    assert found.failed
    assert names(found) == ["direction"]
    assert "higher was better, now lower is; 8 rows" in listing.text(found)


def test_values_whose_sign_turned(side, rows):
    new = changed(rows, lambda value: -value, "", "", "psnr-mu")
    found = compare(side("base", rows), side("new", new))
    assert set(names(found)) == {"worse"}
    assert found.patterns[0] == "psnr-mu: every value is that of BASE with its sign turned"


def test_more_is_worse_where_less_is_better(side, rows):
    new = changed(rows, lambda value: value + 0.05)
    cards = {"psnr-mu": "lower"}
    found = compare(replace(side("base", rows), better=cards), replace(side("new", new), better=cards))
    assert names(found) == ["worse"]


def test_inside_a_mask_the_metric_decides_the_direction(side, rows):
    masked = [row._replace(metric=f"{row.metric}@moving") for row in rows]
    new = changed(masked, lambda value: value - 0.05, metric="psnr-mu@moving")
    assert names(compare(side("base", masked), side("new", new))) == ["worse"]


def test_a_metric_without_a_card_has_no_direction(side, rows):
    base = [row._replace(metric=row.metric.replace("psnr-mu", "delta-e")) for row in rows]
    found = compare(side("base", base), side("new", changed(base, lambda value: value + 1, metric="delta-e")))
    assert found.failed
    assert names(found) == ["changed"]


def test_speed_is_not_compared(side, rows, tmp_path):
    base, new = side("base", rows, lock()), side("new", rows, lock())
    for name, seconds in (("base", "1.0"), ("new", "9.0")):
        (tmp_path / name / "speed.csv").write_text(f"method,seconds\nahdrnet,{seconds}\n", encoding="utf-8")
    found = compare(base, new)
    assert not found.failed
    assert not found.changes
    assert not found.notes


def test_another_library_with_equal_numbers_is_a_note(side, rows):
    base = side("base", rows, lock(), "numpy==2.4.0\ntorch==2.13.0\n")
    found = compare(base, side("new", rows, lock(), "numpy==2.4.0\ntorch==2.14.0\n"))
    assert not found.failed
    assert not found.changes
    assert found.notes == ("between the lock files differ: library versions (torch 2.13.0 -> 2.14.0) (1 stage)",)


@pytest.mark.parametrize("protocol", ["whole-float@2", "sctnet@1"])
def test_a_protocol_that_was_renamed(side, rows, protocol):
    new = [row._replace(protocol=protocol) for row in rows]
    found = compare(side("base", rows), side("new", new), "retrained", BANDS)
    assert found.failed
    assert names(found) == ["protocol"] * 32
    assert f"protocol: whole-float@1 became {protocol}: these numbers don't compare (32 rows)" in listing.text(found)


def test_a_protocol_among_several_is_found_by_its_name(side, rows):
    others = [row._replace(protocol="sctnet@1") for row in rows]
    new = [row._replace(protocol="whole-float@2") for row in rows]
    found = compare(side("base", [*rows, *others]), side("new", [*new, *others]))
    assert names(found) == ["protocol"] * 32


def test_reordered_rows_are_clean(side, rows):
    assert not compare(side("base", rows), side("new", rows[::-1]), "rerun").changes


@pytest.mark.parametrize(("kind", "fails"), [("rerun", True), ("rescored", True), ("retrained", False)])
def test_a_better_value(side, rows, kind, fails):
    new = changed(rows, lambda value: value + 3)
    found = compare(side("base", rows), side("new", new), kind, BANDS)
    assert names(found) == ["better"]
    assert found.failed is fails


@pytest.mark.parametrize("sign", [1, -1])
def test_rounding(side, rows, sign):
    base, new = side("base", rows), side("new", changed(rows, lambda value: value + sign * 1e-9, "", "", ""))
    assert not compare(base, new, "rescored").changes
    assert len(compare(base, new, "rerun").changes) == len(rows)


def test_a_duplicate_row(side, rows):
    found = compare(side("base", rows), side("new", [*rows, rows[0]._replace(value=1.0)]))
    assert found.failed
    assert names(found) == ["duplicate"]
    assert "2 rows in NEW" in found.changes[0].said


@pytest.mark.parametrize(
    ("run", "step", "expected"),
    [("ahdrnet", -1.9, []), ("ahdrnet", -2.1, ["worse"]), ("flow-merge", -0.14, []), ("flow-merge", -0.16, ["worse"])],
)
def test_retrained_rows_have_the_band_and_others_may_round(side, rows, run, step, expected):
    new = side("new", changed(rows, lambda value: value + step, run))
    found = compare(side("base", rows), new, "retrained", BANDS)
    assert [change.name for change in found.changes if not change.mean] == expected


def test_a_metric_without_a_band_is_not_judged_and_says_so(side, rows):
    widths = {name: width for name, width in WIDTHS.items() if name != "psnr-mu"}
    base, new = side("base", rows), side("new", changed(rows, lambda value: value - 1))
    for bands, said in (
        (Regression(retrained=widths, retrained_means=WIDTHS), "regression.retrained has no band for psnr-mu"),
        (Regression(retrained=WIDTHS, retrained_means=widths), "regression.retrained_means has no band for psnr-mu"),
    ):
        assert not compare(base, side("same", rows), "retrained", bands).changes
        found = compare(base, new, "retrained", bands)
        assert found.failed
        assert names(found) == ["unjudged"]
        assert said in listing.text(found)


def test_retrained_without_any_band_is_refused(side, rows):
    base = side("base", rows)
    assert not compare(base, side("new", rows), "retrained").changes
    new = side("new", changed(rows, lambda value: value - 1))
    for bands, absent in (
        (None, "regression.retrained and regression.retrained_means;"),
        (Regression(retrained=WIDTHS), r"\(regression.retrained_means;"),
    ):
        with pytest.raises(UsageError, match=f"the parameter file has no bands .*{absent}"):
            compare(base, new, "retrained", bands)


def test_small_steps_of_all_runs_are_no_chance(side, rows):
    trained = [row for row in rows if row.variant == "ahdrnet" and row.metric.startswith("psnr")]
    base = [row._replace(variant=f"net-{i}") for i in range(8) for row in trained]
    new = [row._replace(value=row.value - (0.3 + 0.02 * (i // len(trained)))) for i, row in enumerate(base)]
    found = compare(side("base", base), side("new", new), "retrained", WIDE)
    assert found.failed
    assert {(change.name, change.key.variant) for change in found.changes} == {("worse", "mean of 8 runs")}
    apart = [row._replace(value=row.value + (1 if i // len(trained) % 2 else -1)) for i, row in enumerate(base)]
    assert not compare(side("base", base), side("new", apart), "retrained", WIDE).changes


def test_a_run_that_is_scored_on_several_sets_is_one_run(side, rows):
    trained = [row for row in rows if row.variant == "ahdrnet"]
    base = [row._replace(seed=seed, dataset=name) for seed in (0, 1) for name in "abcd" for row in trained]
    new = [row._replace(value=row.value - 0.3) for row in base]
    assert not compare(side("base", base), side("new", new), "retrained", WIDE).changes  # two runs, not eight
    base += [row._replace(seed=seed) for seed in (2, 3) for row in trained]
    new += [row._replace(seed=seed, value=row.value - 0.301) for seed in (2, 3) for row in trained]
    found = compare(side("base", base), side("new", new), "retrained", WIDE)
    assert {change.key.variant for change in found.changes} == {"mean of 4 runs"}


def test_profiles_are_not_mixed(side, rows):
    other = [row._replace(profile="study") for row in rows]
    with pytest.raises(UsageError, match="different profiles don't compare"):
        compare(side("base", rows), side("new", other))


def test_the_worst_comes_first_and_the_rest_is_counted(side, rows):
    new = changed(changed(rows, lambda value: value + 0.5, "", "", "ssim-mu"), lambda value: value - 0.5, "", "", "")
    new = changed(changed(new, lambda value: value - 9), lambda _: math.nan, "flow-merge")
    found = compare(side("base", rows), side("new", new))
    assert names(found)[:2] == ["undefined", "worse"]
    assert (found.changes[1].key.variant, found.changes[1].key.scene) == ("ahdrnet", "forest-01")
    lines = listing.text(found).splitlines()
    assert len([line for line in lines if line.startswith(("undefined", "worse", "better"))]) == listing.SHOWN
    assert f"... and {len(found.changes) - listing.SHOWN} more; --all lists them" in lines
    assert len(listing.text(found, everything=True).splitlines()) > len(found.changes)


def test_markdown_and_json_hold_the_same(side, rows):
    found = compare(side("base", rows), side("new", changed(rows, lambda _: math.nan)))
    page = listing.markdown(found).splitlines()
    assert page[0] == "### ❌ `new` against `base`"
    head, rule, row = (line for line in page if line.startswith("|"))
    assert head.count("|") == rule.count("|") == row.count("|")
    assert row.startswith("| undefined | ahdrnet--panoramas--s0 | panoramas/forest-01 | psnr-mu | whole-float@1 |")
    content = json.loads(listing.as_json(found))
    assert content["failed"] is True
    assert content["changes"][0]["change"] == "undefined"
    assert content["changes"][0]["new"] is None
    assert content["changes"][0]["base"] == pytest.approx(32.669, abs=1e-3)
