"""Bootstrap intervals: by hand, by simulation, and where there are none."""

import math

import numpy as np
import pytest
from scipy import stats

from bench.core.errors import UsageError
from bench.metrics import intervals
from bench.metrics.intervals import bootstrap, crossed, place


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


class TestCrossed:
    """Seeds and places crossed: every seed has every scene."""

    def test_standard_error_by_hand(self):
        """Seeds 0 and 2, places 0 and 4, one view each: means of two drawn seeds and places add their variances.

        Drawn with replacement, seeds give 1 / 2 and places 4 / 2. 2000 draws hit the root of 2.5 to about 3 %.
        """
        found = crossed(np.array([[0.0, 4.0], [2.0, 6.0]]), ["a", "b"])
        assert (found.mean, found.seeds, found.places, found.scenes) == (3.0, 2, 2, 2)
        assert found.error == pytest.approx(math.sqrt(2.5), rel=0.03)

    def test_views_of_a_place_are_drawn_within_it(self):
        """One place with views 0 and 4, seeds alike: variance 4 / 2, none of it from places or seeds."""
        found = crossed(np.array([[0.0, 4.0], [0.0, 4.0]]), ["a", "a"])
        assert found.error == pytest.approx(math.sqrt(2), rel=0.03)
        assert math.isnan(found.low) and math.isnan(found.high)

    def test_seeds_share_the_drawn_places(self):
        """More seeds that repeat each other don't make places more certain."""
        row = np.array([[0.0, 1.0, 5.0, 2.0]])
        few, many = (crossed(np.repeat(row, seeds, axis=0), list("abcd")) for seeds in (2, 20))
        assert many.error == pytest.approx(few.error, rel=0.05)  # 2000 draws each: 1.6 % apart in the mean

    @pytest.mark.parametrize("seeds", [0.05, 0.3])
    @pytest.mark.parametrize("places", [2, 8])
    def test_coverage_is_near_the_level(self, seeds, places):
        """Of a known effect of 0.5, for 3 seeds and few or more places whose effects vary.

        1500 simulations of cases like these gave 0.93 to 0.97; 600 leave a standard error of 0.01, three of which are
        allowed. More than 0.95 isn't wrong: where seeds and places matter alike, few of both make intervals wide.
        """
        rng, hits = np.random.default_rng(2), 0
        names = [f"{p}" for p in range(places) for _ in range(4)]
        for _ in range(600):
            by_seed, by_place = seeds * rng.normal(size=(3, 1, 1)), 0.2 * rng.normal(size=(1, places, 1))
            grid = 0.5 + by_seed + by_place + 0.1 * rng.normal(size=(3, places, 4))
            found = crossed(grid.reshape(3, -1), names)
            hits += found.low <= 0.5 <= found.high
        assert hits / 600 >= 0.9

    def test_percentiles_alone_would_cover_too_little(self, monkeypatch):
        monkeypatch.setattr(intervals, "_stretch", lambda *_: 1.0)
        with pytest.raises(AssertionError):
            self.test_coverage_is_near_the_level(0.05, 2)

    def test_a_large_effect_is_found_and_none_is_not(self):
        rng, names = np.random.default_rng(4), [place for place in "abcdefgh" for _ in range(3)]
        noise = 0.1 * rng.normal(size=(3, 24))
        assert crossed(noise + 1, names).low > 0.5
        assert crossed(noise - 1, names).high < -0.5
        assert crossed(noise - noise.mean(), names).low < 0 < crossed(noise - noise.mean(), names).high

    def test_one_seed_has_a_mean_and_nothing_else(self):
        found = crossed(np.array([[1.0, 3.0]]), ["a", "b"])
        assert (found.mean, found.seeds) == (2.0, 1)
        assert all(math.isnan(value) for value in (found.error, found.low, found.high))

    def test_undefined_values_are_left_out(self):
        nan = math.nan
        found = crossed(np.array([[1.0, nan, 3.0, nan], [nan, nan, 5.0, nan], [nan] * 4]), list("abcb"))
        assert (found.mean, found.seeds, found.places, found.scenes) == ((2 + 5) / 2, 2, 2, 2)
        assert found.low <= found.mean <= found.high and found.error > 0
        assert crossed(np.full((2, 2), nan), ["a", "b"])[4:] == (0, 0, 0)

    def test_infinity_leaves_no_interval(self):
        found = crossed(np.array([[1.0, math.inf], [1.0, 2.0]]), ["a", "b"])
        assert found.mean == math.inf and math.isnan(found.error) and math.isnan(found.low)
        assert math.isnan(crossed(np.array([[-math.inf, math.inf], [1.0, 2.0]]), ["a", "b"]).mean)

    def test_equal_arguments_give_equal_results_and_the_order_of_places_does_not_matter(self):
        grid, names = np.random.default_rng(0).random((3, 6)), list("aabbcc")
        assert crossed(grid, names) == crossed(grid, names)
        order = [4, 5, 0, 1, 2, 3]
        assert crossed(grid[:, order], [names[i] for i in order]) == crossed(grid, names)
        assert crossed(grid, names, draws=50) != crossed(grid, names, draws=50, seed=1)
        assert crossed(grid, names, level=0.5).high < crossed(grid, names).high

    def test_unequal_shapes_are_refused(self):
        with pytest.raises(UsageError, match=r"shape \(2, 2\), 1 places"):
            crossed(np.zeros((2, 2)), ["a"])
