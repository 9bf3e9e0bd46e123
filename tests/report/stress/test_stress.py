"""Curves of the stress test and the values at which methods lose 3 dB, on invented scores."""

import csv
import io
import math

import numpy as np
import pandas as pd
import pytest

from bench.core.params import Params
from bench.core.stress import KNOBS, Stress
from bench.metrics.intervals import bootstrap
from bench.report.results.inputs import Measured
from bench.report.results.results import collect
from bench.report.stress import section as stress
from bench.report.stress.curves import crossing, curves, neutral
from bench.report.stress.section import said
from bench.report.table.writers import to_csv, to_markdown

from ...core.test_stress import SHORT

PLACES = ("forest", "interior", "fireplace")
SETTINGS = Stress.model_validate({**SHORT, "speed": (0, 8, 16)})


def scores(drop, places=PLACES, settings=SETTINGS):
    """Return scores that fall by `drop` dB with each value of the speed, a little differently from place to place."""
    found = {}
    for number, name in enumerate(places):
        for take in settings.takes():
            fallen = settings.speed.index(take.values["speed"]) * drop + 0.1 * number * (take.knob == "speed")
            found["", f"{name}-01--{take.name}"] = 40 - fallen + number
    return found


def parameters(**changes):
    content = {
        "profile": "broken", "datasets": {"stress": {}}, "evaluate": ["stress"], "metrics": ["psnr-mu"],
        "sensitivity": [], "simulate": {"test": PLACES, "stress": SETTINGS.model_dump()},
        "variants": {"reference-only": {"method": "reference-only"}, "flow-merge": {"method": "flow-merge"}},
        "tables": {"floors": ["reference-only"]},
    }  # fmt: skip
    return Params.model_validate({**content, **changes})


def rows(variant, found, **other):
    return [
        {"profile": "broken", "method": variant, "variant": variant, "trainset": "", "seed": None, "dataset": "stress",
         "scene": scene, "metric": "psnr-mu", "value": value, "protocol": "whole-float@1", **other}
        for (_, scene), value in found.items()
    ]  # fmt: skip


def views(settings=SETTINGS, places=PLACES):
    return pd.DataFrame(
        {"scene": f"{name}-01--{take.name}", "camera_rotation_px": 5 * take.values["rotation"], "parallax_px": 1.0,
         "reference_saturated": 0.008 * take.values["saturated"]}
        for name in places for take in settings.takes()
    )  # fmt: skip


def measured(drops, params=None, cards=None, **other):
    params = params or parameters()
    frame = pd.DataFrame([row for variant, drop in drops.items() for row in rows(variant, scores(drop), **other)])
    return Measured(params, collect(frame), cards or {})


class TestCrossing:
    def test_it_is_linear_between_neighbours(self):
        assert crossing([0, 10, 20], [0, 2, 4], logarithmic=False) == pytest.approx(15)

    def test_it_is_linear_in_the_logarithm_where_that_is_asked_for(self):
        assert crossing([10_000, 1_000, 100], [0, 0, 6], logarithmic=True) == pytest.approx(10**2.5)

    def test_the_first_crossing_counts(self):
        assert crossing([0, 1, 2, 3], [0, 6, 0, 6], logarithmic=False) == pytest.approx(0.5)

    def test_exactly_three_is_lost(self):
        assert crossing([0, 1], [0, 3], logarithmic=False) == 1

    @pytest.mark.parametrize("losses", [[0, 1, 2.99], [0, math.nan, math.nan], [0, -5, -9]])
    def test_less_or_unknown_is_not(self, losses):
        assert crossing([0, 1, 2], losses, logarithmic=False) is None

    def test_an_infinite_loss_has_no_place_between(self):
        assert crossing([0, 1, 2], [0, math.inf, math.inf], logarithmic=False) == 1


class TestCurves:
    def test_means_losses_and_intervals_are_those_of_the_bootstrap_over_places(self):
        (curve,) = [one for one in curves(SETTINGS, {"m": scores(2.0)}, None) if one.knob == "speed"]
        assert [point.value for point in curve.points] == [0, 8, 16]
        assert curve.points[0].loss[:3] == (0, 0, 0)
        losses = [4.0 + 0.1 * number for number in range(3)]
        assert curve.points[2].loss == pytest.approx(bootstrap(losses, PLACES))
        assert curve.points[2].score == pytest.approx(bootstrap([40 - 4 + n - 0.1 * n for n in range(3)], PLACES))

    def test_other_knobs_are_flat(self):
        for curve in curves(SETTINGS, {"m": scores(2.0)}, None):
            if curve.knob != "speed":
                assert [point.loss.mean for point in curve.points] == [0, 0]
                assert said(curve) == {
                    "step": "> 3", "rotation": "> 1", "translation": "> 0.05", "electrons": "< 900",
                    "saturated": "> 20",
                }[curve.knob]  # fmt: skip

    def test_a_break_has_the_interval_of_its_loss(self):
        (curve,) = [one for one in curves(SETTINGS, {"m": scores(2.0)}, None) if one.knob == "speed"]
        end = curve.end
        assert 8 < end.low < end.value < end.high < 16
        assert end.value == pytest.approx(8 + 8 * (3 - 2.1) / 2)
        assert said(curve).startswith("12 [") and " to " in said(curve)

    def test_an_interval_may_reach_beyond_the_hardest_value(self):
        (curve,) = [one for one in curves(SETTINGS, {"m": scores(1.48)}, None) if one.knob == "speed"]
        assert curve.end.value is not None and curve.end.high is None
        assert said(curve).endswith(" to > 16]")

    def test_one_place_has_no_interval(self):
        found = curves(SETTINGS, {"m": scores(2.0, places=("forest",))}, None)
        (curve,) = [one for one in found if one.knob == "speed"]
        assert not curve.end.known and said(curve) == "12"

    def test_seeds_are_averaged(self):
        two = {(seed, scene): value + 2 * int(seed) for seed in "01" for (_, scene), value in scores(2.0).items()}
        one = {("", scene): value + 1 for (_, scene), value in scores(2.0).items()}
        for first, second in zip(curves(SETTINGS, {"m": two}, None), curves(SETTINGS, {"m": one}, None), strict=True):
            for point, other in zip(first.points, second.points, strict=True):
                assert point.score == pytest.approx(other.score)
                assert point.loss == pytest.approx(other.loss, abs=1e-9)
        assert neutral(two).mean == pytest.approx(42)

    def test_the_axis_of_saturation_is_the_measured_share(self):
        (curve,) = [one for one in curves(SETTINGS, {"m": scores(2.0)}, views()) if one.knob == "saturated"]
        assert [point.at for point in curve.points] == pytest.approx([4, 16])
        assert [point.value for point in curve.points] == [5, 20]

    def test_values_that_nobody_scored_are_left_out(self):
        some = {key: value for key, value in scores(2.0).items() if "speed-2" not in key[1] and "step" not in key[1]}
        found = {curve.knob: [point.value for point in curve.points] for curve in curves(SETTINGS, {"m": some}, None)}
        assert found["speed"] == [0, 16] and "step" not in found


class TestSection:
    def test_a_profile_without_such_scores_has_none(self):
        params = parameters(datasets={"panoramas": {}}, evaluate=["panoramas"])
        assert stress.section(measured({"flow-merge": 2.0}, params, dataset="panoramas"), None) is None

    def test_the_table_says_where_each_method_breaks(self):
        made = stress.section(measured({"flow-merge": 2.0, "reference-only": 0.0}), views())
        (table,) = made.tables
        assert [row.cells["method"] for row in table.rows] == ["reference-only", "flow-merge"], "floors first"
        assert [row.cells["speed"].split(" [")[0] for row in table.rows] == ["> 16", "12"]
        assert table.rows[1].cells["neutral"] == pytest.approx(41)
        assert "3 places" in table.caption and "whole-float@1" in table.caption
        assert "| measured | 41.00 |" in to_markdown(table)
        assert not made.missing and [figure.name for figure in made.figures] == ["stress_plain"]
        assert made.figures[0].picture.startswith(b"\x89PNG")

    def test_the_csv_holds_the_curves(self):
        made = stress.section(measured({"flow-merge": 2.0}), views())
        found = list(csv.DictReader(io.StringIO(to_csv(made.tables[0]))))
        speed = [row for row in found if row["knob"] == "speed"]
        assert [float(row["value"]) for row in speed] == [0, 8, 16]
        assert [float(row["loss"]) for row in speed] == pytest.approx([0, 2.1, 4.1], abs=1e-4)
        assert {row["lost_3_db_at"] for row in speed} == {"11.600000"}
        assert {row["knob"] for row in found} == set(KNOBS)
        assert all(row["measured"] or "nothing else was measured" in row["note"] for row in found)

    def test_a_method_that_somebody_added_has_its_curve(self):
        """It is in the scores; whether the parameters still name it doesn't matter."""
        made = stress.section(measured({"flow-merge": 2.0, "my-merge": 1.0}), views())
        assert [row.cells["method"] for row in made.tables[0].rows] == ["flow-merge", "my-merge"]

    def test_networks_stand_in_a_figure_of_their_own_with_their_weights_said(self):
        ours, theirs = ({"method": "ahdrnet", "weights": f"weights/{name}.safetensors"} for name in ("demo/a", "b"))
        params = parameters(
            variants={"flow-merge": {"method": "flow-merge"}, "ours": ours, "theirs": theirs}, tables={}
        )
        cards = {
            "ours": {"variant": "ours", "trainset": "panoramas", "steps": 600, "batch": 4, "register": "dis"},
            "theirs": {"variant": "theirs", "kind": "third-party weights", "source": "a.pth", "head": "published"},
        }
        made = stress.section(measured({"flow-merge": 2.0, "ours": 1.0, "theirs": 1.0}, params, cards), None)
        kinds = {row.cells["method"]: row.cells["kind"] for row in made.tables[0].rows}
        assert kinds == {"flow-merge": "measured", "ours": "measured", "theirs": "measured-third-party-weights"}
        notes = {row.cells["method"]: " ".join(row.notes) for row in made.tables[0].rows}
        assert notes["ours"] == (
            "weights of weights/demo/a.safetensors: 600 steps on panoramas, on frames registered by dis"
        )
        assert "weights by others (a.pth)" in notes["theirs"]
        assert [figure.name for figure in made.figures] == ["stress_plain", "stress_networks"]
        assert made.missing and "record of the views" in made.missing[0]

    def test_two_protocols_are_refused(self):
        from bench.core.errors import BenchError

        one, other = measured({"flow-merge": 2.0}), measured({"reference-only": 2.0}, protocol="other@1")
        both = Measured(one.params, {**one.results, **other.results}, {})
        with pytest.raises(BenchError, match="can't stand in one table"):
            stress.section(both, None)

    def test_a_perfect_score_breaks_nothing(self):
        perfect = {key: math.inf if key[1].endswith("neutral") else 50.0 for key in scores(0.0)}
        frame = pd.DataFrame(rows("flow-merge", perfect))
        made = stress.section(Measured(parameters(), collect(frame), {}), views())
        assert made is not None and np.isposinf(made.tables[0].rows[0].cells["neutral"])
