"""Bootstrap intervals: by hand, by simulation, and where there are none."""

import math

import numpy as np
import pytest
from scipy import stats

from bench.core.errors import UsageError
from bench.metrics.intervals import bootstrap, place


def test_two_places_by_hand():
    """Two places drawn give a mean of 1 (a, a), 7/4 (a, b) or 4 (b, b).

    With one degree of freedom the tails shrink to nothing, so the ends are the smallest and the largest of these.
    """
    interval = bootstrap([1.0, 1.0, 1.0, 4.0], ["a", "a", "a", "b"])
    assert interval == (1.75, 1.0, 4.0, 2, 4)


def test_the_tails_are_those_of_student_s_t():
    """Of n standard normal numbers, each its own place, the interval is about that of the t distribution."""
    values = stats.norm.ppf((np.arange(20) + 0.5) / 20)
    interval = bootstrap(values.tolist(), [str(i) for i in range(20)], draws=200_000)
    reach = stats.t.ppf(0.975, 19) * values.std(ddof=1) / math.sqrt(20)
    assert interval.mean == pytest.approx(0, abs=1e-12)
    assert interval.high == pytest.approx(reach, rel=0.03)
    assert interval.low == pytest.approx(-reach, rel=0.03)


def covered(places, views, *, clustered):
    """Share of 400 simulations whose interval holds the true mean 0; views of a place share most of their value."""
    rng, hits = np.random.default_rng(1), 0
    names = [f"{p}" if clustered else f"{p}/{v}" for p in range(places) for v in range(views)]
    for _ in range(400):
        values = rng.normal(size=(places, 1)) + 0.3 * rng.normal(size=(places, views))
        interval = bootstrap(values.ravel().tolist(), names, draws=400)
        hits += interval.low <= 0 <= interval.high
    return hits / 400


@pytest.mark.parametrize("places", [5, 12])
def test_coverage_is_near_the_level_for_views_of_places(places):
    assert covered(places, 4, clustered=True) == pytest.approx(0.95, abs=0.045)


def test_views_taken_for_independent_would_cover_too_little():
    assert covered(6, 4, clustered=False) < 0.8


def test_equal_arguments_give_equal_intervals_and_the_seed_matters():
    values, names = np.random.default_rng(0).random(9).tolist(), list("aabbccdde")
    assert bootstrap(values, names) == bootstrap(values, names)
    assert bootstrap(values, names, draws=50) != bootstrap(values, names, draws=50, seed=1)
    assert bootstrap(values, names, level=0.5).high < bootstrap(values, names).high


def test_one_place_has_a_mean_and_no_interval():
    interval = bootstrap([1.0, 3.0], ["a", "a"])
    assert (interval.mean, interval.places, interval.scenes) == (2.0, 1, 2)
    assert math.isnan(interval.low) and math.isnan(interval.high)


def test_infinity_makes_the_mean_and_the_upper_end_infinite():
    interval = bootstrap([30.0, math.inf, 32.0, 34.0, 33.0], list("abcde"))
    assert interval.mean == interval.high == math.inf
    assert 30 <= interval.low < math.inf
    assert bootstrap([math.inf, math.inf], ["a", "b"])[:3] == (math.inf, math.inf, math.inf)


def test_undefined_values_are_left_out_and_counted():
    with_gap, without = bootstrap([1.0, math.nan, 3.0], list("abc")), bootstrap([1.0, 3.0], list("ac"))
    assert with_gap == without
    assert with_gap.scenes == 2
    assert math.isnan(bootstrap([math.nan], ["a"]).mean)


def test_unequal_lengths_are_refused():
    with pytest.raises(UsageError, match="2 values, 1 places"):
        bootstrap([1.0, 2.0], ["a"])


@pytest.mark.parametrize(
    ("scene", "where"),
    [("courtyard-03", "courtyard"), ("BarbequeDay", "BarbequeDay"), ("007", "007"), ("hall_2", "hall"), ("a-b", "a-b")],
)
def test_a_place_is_a_scene_s_name_without_its_number(scene, where):
    assert place(scene) == where
