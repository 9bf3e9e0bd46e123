"""Association of labels, by hand and against SciPy."""

import math

import numpy as np
import pytest
from scipy import stats

from bench.core.errors import UsageError
from bench.metrics.association import contingency, cramers_v, expected, mutual_information, shifted_tables

TABLES = [np.array([[10, 2, 3], [1, 20, 4]]), np.array([[5, 1], [2, 2], [0, 7]]), np.array([[30, 12], [7, 9]])]


def test_contingency_by_hand():
    rows, columns = np.array([[0, 0, 1], [1, -1, 0]]), np.array([[2, 2, 0], [1, 0, -1]])
    np.testing.assert_array_equal(contingency(rows, columns, (2, 3)), [[0, 0, 2], [1, 1, 0]])
    with pytest.raises(UsageError, match="one shape"):
        contingency(rows, columns[0], (2, 3))
    with pytest.raises(UsageError, match="beyond a table of 2 rows and 2 columns"):
        contingency(rows, columns, (2, 2))


def test_labels_that_determine_each_other():
    table = np.diag([4, 4, 4, 4])
    assert mutual_information(table) == pytest.approx(2.0, abs=1e-12)
    assert cramers_v(table) == pytest.approx(1.0, abs=1e-12)


def test_independent_labels_and_empty_tables():
    table = np.outer([1, 2, 3], [4, 5])
    assert mutual_information(table) == pytest.approx(0, abs=1e-12)
    assert cramers_v(table) == pytest.approx(0, abs=1e-7)  # the square root of rounding
    assert mutual_information(np.zeros((2, 2), int)) == cramers_v(np.zeros((2, 2), int)) == 0
    assert cramers_v(np.array([[3, 4], [0, 0]])) == 0


def test_information_by_hand():
    # p = 3/8, 1/8, 1/8, 3/8: one bit less the entropy of (3/4, 1/4).
    table = np.array([[3, 1], [1, 3]])
    entropy = -(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25))
    assert mutual_information(table) == pytest.approx(1 - entropy, abs=1e-12)
    assert cramers_v(table) == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize("table", TABLES)
def test_scipy_says_the_same(table):
    assert cramers_v(table) == pytest.approx(stats.contingency.association(table, method="cramer"), rel=1e-12)
    np.testing.assert_allclose(expected(table), stats.contingency.expected_freq(table), rtol=1e-12)
    likelihood = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood").statistic
    assert mutual_information(table) == pytest.approx(likelihood / (2 * table.sum() * math.log(2)), rel=1e-12)


def test_empty_rows_change_nothing():
    table = TABLES[0]
    padded = np.zeros((4, 4), int)
    padded[1:3, :3] = table
    assert cramers_v(padded) == pytest.approx(cramers_v(table), rel=1e-12)
    assert mutual_information(padded) == pytest.approx(mutual_information(table), rel=1e-12)


class TestShifts:
    def test_sums_stay_and_places_go(self):
        # A label for each half of the picture, and the other label equal to it: only a shift parts them.
        label = np.repeat([[0] * 8 + [1] * 8], 8, axis=0)
        tables = shifted_tables([label], [label], (2, 2), 50, 0)
        assert tables.shape == (50, 2, 2)
        assert (tables.sum((1, 2)) == label.size).all()
        assert (tables.sum(2) == label.size // 2).all()
        assert mutual_information(contingency(label, label, (2, 2))) == pytest.approx(1)
        assert np.mean([mutual_information(table) for table in tables]) < 0.6

    def test_equal_seeds_equal_tables(self):
        stream = np.random.default_rng(1)
        maps = [stream.integers(0, 3, (6, 7)) for _ in range(2)]
        first, second, other = (shifted_tables(maps, maps[::-1], (3, 3), 5, seed) for seed in (0, 0, 1))
        np.testing.assert_array_equal(first, second)
        assert (first != other).any()

    def test_an_image_of_one_cell_stays_as_it_is(self):
        one = [np.array([[1]])]
        np.testing.assert_array_equal(shifted_tables(one, one, (2, 2), 3, 0), [[[0, 0], [0, 1]]] * 3)
