"""Bootstrap intervals: by hand, by simulation, and where there are none."""

import math

import numpy as np
import pytest
from scipy import stats

from bench.core.errors import UsageError
from bench.core.places import place
from bench.metrics import intervals
from bench.metrics.intervals import bootstrap, crossed, holm


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
    [
        ("courtyard-03", "courtyard"),
        ("BarbequeDay", "BarbequeDay"),
        ("007", "007"),
        ("hall_2", "hall"),
        ("a-b", "a-b"),
        ("courtyard-03--speed-2", "courtyard"),
        ("a_01-02--neutral", "a_01"),
    ],
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

    @pytest.mark.parametrize(("places", "views"), [(2, 4), (8, 3), (15, 1)])
    def test_one_seed_covers_over_places(self, places, views):
        """600 simulations of each case gave 0.96 to 1; two places have the widest intervals."""
        rng, hits = np.random.default_rng(6), 0
        names = [f"{p}" for p in range(places) for _ in range(views)]
        for _ in range(400):
            grid = 0.2 * rng.normal(size=(places, 1)) + 0.1 * rng.normal(size=(places, views))
            found = crossed(grid.reshape(1, -1), names)
            hits += found.low <= 0 <= found.high
        assert hits / 400 >= 0.92

    def test_one_seed_is_drawn_over_places_alone(self):
        """Places -1 and 3 with one view: variance 4 / 2; Student's t with one degree of freedom makes it wide."""
        found = crossed(np.array([[-1.0, 3.0]]), ["a", "b"])
        assert (found.mean, found.seeds, found.places) == (1.0, 1, 2)
        assert found.error == pytest.approx(math.sqrt(2), rel=0.03)
        # Percentiles are -1 and 3, stretched by t / z and the root of 2.
        reach = 2 * stats.t.ppf(0.975, 1) / stats.norm.ppf(0.975) * math.sqrt(2)
        assert (found.low, found.high) == pytest.approx((1 - reach, 1 + reach))

    def test_one_seed_of_one_place_has_a_mean_and_nothing_else(self):
        found = crossed(np.array([[1.0, 3.0]]), ["a", "a"])
        assert (found.mean, found.seeds) == (2.0, 1)
        assert all(math.isnan(value) for value in (found.error, found.low, found.high, found.p))

    @pytest.mark.parametrize("shift", [0.0, 0.3, 0.6, 0.9])
    def test_p_is_about_that_of_student_s_test_where_that_applies(self, shift):
        """Of one seed and places with one view each, drawn normally, without a tail."""
        values = stats.norm.ppf((np.arange(20) + 0.5) / 20) + shift
        found = crossed(values[None], [f"{i:02d}" for i in range(20)], draws=200_000)
        expected = stats.ttest_1samp(values, 0).pvalue
        assert found.p == pytest.approx(expected, rel=0.2, abs=0.01)

    @pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99, 0.999])
    @pytest.mark.parametrize("seeds", [1, 3])
    def test_p_is_below_a_share_where_that_interval_leaves_out_nothing(self, seeds, level):
        rng, names = np.random.default_rng(8), [f"{p}" for p in range(8) for _ in range(2)]
        for shift in np.linspace(-0.6, 0.6, 25):
            found = crossed(shift + 0.3 * rng.normal(size=(seeds, 16)), names, level=level)
            assert (found.p <= 1 - level) == (not found.low <= 0 <= found.high)

    def test_equal_differences_have_no_doubt(self):
        assert crossed(np.full((3, 4), 0.5), list("abcd")).p == 0
        assert crossed(np.zeros((3, 4)), list("abcd")).p == 1

    def test_undefined_values_are_left_out(self):
        nan = math.nan
        found = crossed(np.array([[1.0, nan, 3.0, nan], [nan, nan, 5.0, nan], [nan] * 4]), list("abcb"))
        assert (found.mean, found.seeds, found.places, found.scenes) == ((2 + 5) / 2, 2, 2, 2)
        assert found.low <= found.mean <= found.high and found.error > 0
        assert crossed(np.full((2, 2), nan), ["a", "b"])[4:7] == (0, 0, 0)

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


class TestHolm:
    @pytest.mark.parametrize(
        ("tests", "corrected"),
        [
            # By hand: 4 x 0.005, 3 x 0.01, 2 x 0.03, then 0.04, which may not fall below the one before.
            ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
            # 5 x 0.001, 4 x 0.008, 3 x 0.039, 2 x 0.041 (below the one before), then 0.9.
            ([0.9, 0.041, 0.039, 0.008, 0.001], [0.9, 0.117, 0.117, 0.032, 0.005]),
            ([0.3, 0.6], [0.6, 0.6]),
            ([0.6, 0.7, 0.9], [1.0, 1.0, 1.0]),
            ([0.02, 0.02, 0.02], [0.06, 0.06, 0.06]),
            ([0.049], [0.049]),
            ([0.0, 1.0], [0.0, 1.0]),
            ([], []),
        ],
    )
    def test_by_hand(self, tests, corrected):
        assert holm(tests) == pytest.approx(corrected)

    def test_it_is_the_step_down_of_holm_s_paper(self):
        """Reject in order while p <= 0.05 / (m - k + 1): the same decisions as by corrected p."""
        rng = np.random.default_rng(3)
        for _ in range(200):
            tests = (rng.random(6) ** 3).tolist()
            left, rejected = sorted(tests), set()
            while left and left[0] <= 0.05 / len(left):
                rejected.add(left.pop(0))
            assert [p <= 0.05 for p in holm(tests)] == [p in rejected for p in tests]

    def test_what_was_not_tested_does_not_count(self):
        first, missing, second = holm([0.01, math.nan, 0.04])
        assert (first, second) == pytest.approx((0.02, 0.04))
        assert math.isnan(missing)

    def test_one_family_in_twenty_at_most_finds_what_is_not_there(self):
        rng, found = np.random.default_rng(7), 0
        for _ in range(2000):
            found += min(holm(rng.random(7).tolist())) <= 0.05
        assert found / 2000 == pytest.approx(0.05, abs=0.015)
