import math

import pandas as pd
import pytest

from bench.core.errors import BenchError
from bench.io.tables import ScoreRow
from bench.report.results.results import clean, collect, nested
from tests.report.conftest import frame

BASE = ScoreRow("p", "net", "net", "panoramas", 0, "panoramas", "a", "psnr-mu", 30.0, "whole-float@1")


def test_mean_over_scenes_then_seeds():
    # Seed 0 has two scenes, seed 1 one: each seed weighs the same, whatever its number of scenes.
    rows = [BASE, BASE._replace(scene="b", value=34.0), BASE._replace(seed=1, value=36.0)]
    result = collect(frame(rows))["net", "panoramas"]
    assert result.values["psnr-mu"] == pytest.approx((32 + 36) / 2)
    assert result.spreads["psnr-mu"] > 0
    assert result.cells["psnr-mu"] == {("0", "a"): 30.0, ("0", "b"): 34.0, ("1", "a"): 36.0}
    assert (result.scenes, result.seeds) == (2, 2)


def test_a_spread_is_the_standard_error_over_seeds_and_places():
    # Seeds 0 and +2, places 30 and 34: drawing two of each has variance 1/2 + 4/2; 2000 draws hit its root to 3 %.
    rows = [BASE._replace(seed=s, scene=n, value=v + 2 * s) for s in (0, 1) for n, v in (("a", 30.0), ("b", 34.0))]
    result = collect(frame(rows))["net", "panoramas"]
    assert result.spreads["psnr-mu"] == pytest.approx(math.sqrt(2.5), rel=0.03)
    assert collect(frame(rows)) == collect(frame(list(reversed(rows))))


def test_one_seed_has_no_spread_and_a_metric_without_any_value_is_absent():
    assert collect(frame([BASE]))["net", "panoramas"].spreads == {}
    assert "psnr-mu" not in collect(frame([BASE._replace(value=math.nan)]))["net", "panoramas"].values


def test_undefined_values_are_left_out_and_counted():
    rows = [BASE, BASE._replace(scene="b", value=math.nan)]
    result = collect(frame(rows))["net", "panoramas"]
    assert (result.values["psnr-mu"], result.counts["psnr-mu"], result.scenes) == (30.0, 1, 2)
    assert result.notes == ("psnr-mu is undefined on 1 of 2 scenes",)


def test_weights_trained_on_the_tested_set_count():
    rows = [BASE, BASE._replace(trainset="kalantari", value=10.0)]
    assert collect(frame(rows))["net", "panoramas"].values["psnr-mu"] == 30.0
    foreign = collect(frame([rows[1]]))["net", "panoramas"]
    assert foreign.notes == ("trained on kalantari",)


def test_two_protocols_in_one_mean_are_refused():
    with pytest.raises(BenchError, match="sctnet and whole-float@1"):
        collect(frame([BASE, BASE._replace(scene="b", protocol="sctnet")]))


def test_clean_sorts_and_keeps_seeds_in_order():
    rows = [BASE._replace(seed=seed, scene=scene) for seed in (10, 2, None) for scene in "ba"]
    ordered = clean(frame(rows))
    assert list(ordered["seed"]) == ["", "", "2", "2", "10", "10"]
    assert list(ordered["scene"]) == list("ababab")
    pd.testing.assert_frame_equal(ordered, clean(frame(list(reversed(rows)))))


def test_nested_means_are_rounded_and_finite():
    rows = [BASE._replace(value=30.123456), BASE._replace(metric="psnr-l", value=math.inf)]
    assert nested(collect(frame(rows))) == {"net": {"panoramas": {"psnr-mu": 30.1235}}}
