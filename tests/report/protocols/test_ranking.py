import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from bench.io.tables import ScoreRow
from bench.report.protocols.ranking import RankedValue, by_protocol, grids, ranks, tau

OWN = "own@1"


def rows(values, metric="psnr-mu", dataset="panoramas", seed=0):
    """Score rows of {protocol: {variant: value, or a list with one a scene}}."""
    return [
        ScoreRow("p", name, name, "panoramas", seed, dataset, f"scene-{i}", metric, value, protocol)
        for protocol, column in values.items()
        for name, found in column.items()
        for i, value in enumerate(found if isinstance(found, list) else [found])
    ]


def grid(*parts, metric="psnr-mu", dataset="panoramas"):
    scores = pd.DataFrame([row for part in parts for row in part], columns=list(ScoreRow._fields))
    return next(g for g in grids(by_protocol(scores), OWN, dataset) if g.metric.name == metric)


def taken(found, protocol):
    return {name: (place.rank, place.change) for name, place in found.column(protocol).items()}


def test_ranks_by_hand_with_a_tie_in_shown_digits_and_a_method_that_has_nan():
    # a and b differ beyond the second decimal. d leaves under z: that moves nobody up.
    own = {"a": 30.001, "b": 30.004, "c": 29.0, "d": 31.0}
    found = grid(rows({OWN: own, "z@1": {"a": 20.0, "b": 21.0, "c": 22.0, "d": math.nan}}))
    assert found.variants == ("d", "b", "a", "c")
    assert taken(found, OWN) == {"d": (1, 0), "b": (2, 0), "a": (2, 0), "c": (4, 0)}
    assert taken(found, "z@1") == {"d": (None, None), "b": (2, -1), "a": (3, -2), "c": (1, 2)}
    assert math.isnan(found.places["d", "z@1"].value)
    assert "NaN on 1 of 1 scores" in found.places["d", "z@1"].reason


def test_one_scene_with_nan_makes_the_mean_nan_as_public_code_would():
    found = grid(rows({OWN: {"a": [30.0, 20.0], "b": [1.0, 1.0]}, "z@1": {"a": [30.0, math.nan], "b": [1.0, 1.0]}}))
    assert math.isnan(found.places["a", "z@1"].value)
    assert found.places["a", "z@1"].reason.startswith("NaN on 1 of 2 scores")


def test_a_mean_over_fewer_scenes_is_shown_and_not_ranked():
    found = grid(rows({OWN: {"a": [3.0, 1.0], "b": [2.0, 2.0]}, "z@1": {"a": [9.0], "b": [2.0, 4.0]}}))
    assert found.places["a", "z@1"].value == 9.0
    assert found.places["a", "z@1"].rank is None
    assert "mean of 1 scenes where others have 2" in found.places["a", "z@1"].reason
    assert taken(found, "z@1")["b"] == (1, 0)


def test_means_over_scenes_then_seeds():
    values = {OWN: {"a": [30.0, 34.0]}, "z@1": {"a": [10.0, 14.0]}}
    more = rows({name: {"a": [value["a"][0] + 4, value["a"][1] + 4]} for name, value in values.items()}, seed=1)
    place = grid(rows(values), more).places["a", "z@1"]
    assert place.value == 14.0
    # Both seeds and both scenes differ by 4: drawing two of each has variance 4/2 + 4/2; 2000 draws hit it to 3 %.
    assert place.spread == pytest.approx(2, rel=0.03)


def test_undefined_metrics_and_missing_scores_have_their_reasons():
    found = grid(
        rows({OWN: {"a": 2.0, "b": 1.0}, "y@1": {"a": 1.0}, "x@1": {"b": 3.0}}),
        rows({"x@1": {"a": 1.0}, "z@1": {"a": 1.0, "b": 2.0}}, metric="psnr-l"),
    )
    assert found.places["a", "z@1"] == RankedValue(reason="this protocol doesn't define the metric")
    assert found.places["b", "y@1"] == RankedValue(reason="not scored under this protocol")
    assert found.places["a", "x@1"] == RankedValue(reason="not scored")
    assert found.defined == [OWN, "x@1", "y@1"]


def test_tanh_is_a_metric_of_its_own_compared_with_the_order_of_its_twin():
    parts = (
        rows({OWN: {"a": 3.0, "b": 2.0, "c": 1.0}, "x@1": {"a": 3.0, "b": 2.0, "c": 1.0}}),
        rows({"z@1": {"a": 40.0, "b": 50.0, "c": 45.0}}, metric="psnr-mu-tanh"),
        rows({"w@1": {"a": 50.0, "b": 40.0, "c": 30.0}}, metric="psnr-mu-tanh"),
    )
    assert grid(*parts).defined == [OWN, "x@1"]
    twin = grid(*parts, metric="psnr-mu-tanh")
    assert taken(twin, "z@1") == {"a": (3, -2), "b": (1, 1), "c": (2, 1)}
    assert taken(twin, "w@1") == {"a": (1, 0), "b": (2, 0), "c": (3, 0)}
    assert twin.variants == ("a", "b", "c")


def test_only_metrics_that_two_protocols_define_and_only_whole_images():
    scores = [
        *rows({OWN: {"a": 1.0}, "z@1": {"a": 1.0}}),
        *rows({OWN: {"a": 1.0}}, metric="hdrvdp2"),
        *rows({OWN: {"a": 1.0}, "z@1": {"a": 1.0}}, metric="psnr-l@moving"),
    ]
    made = grids(by_protocol(pd.DataFrame(scores, columns=list(ScoreRow._fields))), OWN, "panoramas")
    assert [found.metric.name for found in made] == ["psnr-mu"]


def test_one_protocol_gives_no_grid():
    scores = pd.DataFrame(rows({OWN: {"a": 1.0}}), columns=list(ScoreRow._fields))
    assert grids(by_protocol(scores), OWN, "panoramas") == []


def test_data_sets_stay_apart():
    parts = (
        rows({OWN: {"a": 2.0, "b": 1.0}, "z@1": {"a": 2.0, "b": 1.0}}),
        rows({OWN: {"a": 1.0, "b": 2.0}, "z@1": {"a": 2.0, "b": 1.0}}, dataset="kalantari"),
    )
    assert taken(grid(*parts), "z@1") == {"a": (1, 0), "b": (2, 0)}
    assert taken(grid(*parts, dataset="kalantari"), "z@1") == {"b": (2, -1), "a": (1, 1)}


def test_families_are_protocols_with_equal_shown_values():
    found = grid(rows({OWN: {"a": 1.0}, "x@1": {"a": 1.001}, "y@1": {"a": 1.01}, "z@1": {"a": 1.004}}))
    assert found.families == [[OWN, "x@1", "z@1"], ["y@1"]]


def test_ssim_ties_need_four_equal_digits():
    column = {"a": RankedValue(0.98761), "b": RankedValue(0.98759), "c": RankedValue(0.98755)}
    assert ranks(column, 4) == {"a": 1, "b": 1, "c": 1}
    assert ranks(column, 5) == {"a": 1, "b": 2, "c": 3}


def test_infinity_ranks_first():
    assert ranks({"a": RankedValue(50.0), "b": RankedValue(math.inf)}, 2) == {"a": 2, "b": 1}


@pytest.mark.parametrize("seed", range(5))
def test_tau_equals_scipys_with_ties(seed):
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, 6, (2, 12)).astype(float)
    columns = [{str(i): RankedValue(float(value)) for i, value in enumerate(values)} for values in (first, second)]
    assert tau(*columns, 2) == pytest.approx(kendalltau(first, second).statistic, abs=1e-12)


def test_tau_by_hand_and_undefined():
    a = {name: RankedValue(value) for name, value in zip("abcd", (4.0, 3.0, 2.0, 1.0), strict=True)}
    b = {name: RankedValue(value) for name, value in zip("abc", (4.0, 2.0, 3.0), strict=True)}
    assert tau(a, b, 2) == pytest.approx(1 / 3)  # of three pairs two agree
    assert tau(a, a, 2) == 1.0
    assert tau(a, {"a": RankedValue(1.0)}, 2) is None
    assert tau(a, dict.fromkeys("abcd", RankedValue(1.0)), 2) is None
