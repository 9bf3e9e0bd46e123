"""Codebook statistics by hand and by invariance."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bench.core.errors import UsageError
from bench.metrics.codebook import quantisation_error, quarters, statistics
from bench.metrics.usage import histogram, perplexity, used_share


def test_by_hand():
    errors = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.0]], np.float32)
    found = statistics(np.array([[0, 0, 1], [1, 4, 7]]), 8, errors)
    assert (found.size, found.samples, found.used) == (8, 6, 0.5)
    assert found.quarter_shares == pytest.approx((4 / 6, 0, 1 / 6, 1 / 6))
    assert found.quarter_used == (1.0, 0.0, 0.5, 0.5)
    entropy = -(2 * (2 / 6) * math.log(2 / 6) + 2 * (1 / 6) * math.log(1 / 6))
    assert found.perplexity == pytest.approx(math.exp(entropy), rel=1e-12)
    # float32 holds a tenth to 2e-9 only.
    assert found.quantisation_error == pytest.approx(1.5 / 6, abs=1e-8)
    assert found.quarter_errors == pytest.approx((0.25, None, 0.5, 0.0), abs=1e-8)
    assert "50.0% of 8 codes used by 6 samples" in str(found)


def test_extremes_of_perplexity():
    assert perplexity(histogram(np.arange(16), 16)) == pytest.approx(16, rel=1e-12)
    assert perplexity(histogram(np.full(9, 3), 16)) == 1.0


@settings(max_examples=50, deadline=None)
@given(arrays(np.int64, st.integers(1, 60), elements=st.integers(0, 15)), st.permutations(range(16)))
def test_invariances(indices, renamed):
    counts = histogram(indices, 16)
    assert counts.sum() == indices.size
    np.testing.assert_array_equal(counts, [(indices == code).sum() for code in range(16)])
    assert 1 - 1e-12 <= perplexity(counts) <= np.count_nonzero(counts) + 1e-9
    other = histogram(np.array(renamed)[indices], 16)
    assert perplexity(other) == pytest.approx(perplexity(counts))
    assert used_share(other) == used_share(counts)
    assert sum(statistics(indices, 16).quarter_shares) == pytest.approx(1)
    twice = statistics(np.concatenate([indices, indices]), 16)
    assert twice.perplexity == pytest.approx(statistics(indices, 16).perplexity)


def test_quantisation_error_by_hand():
    codes = np.array([[0.0, 0.0], [1.0, 1.0]])
    vectors = np.array([[0.0, 1.0], [1.0, 3.0]], np.float32)
    assert quantisation_error(vectors, codes, np.array([0, 1])) == pytest.approx((0 + 1 + 0 + 4) / 4)
    assert quantisation_error(codes, codes, np.array([0, 1])) == 0
    with pytest.raises(UsageError, match="expected \\(M, D\\), \\(K, D\\) and M"):
        quantisation_error(vectors, codes, np.array([0]))
    with pytest.raises(UsageError, match="from 0 to 2, in a codebook of 2"):
        quantisation_error(vectors, codes, np.array([0, 2]))


def test_a_book_without_quarters_is_refused():
    with pytest.raises(UsageError, match="multiple of 4"):
        quarters(np.ones(6))
    with pytest.raises(UsageError, match="multiple of 4"):
        statistics(np.array([0]), 6)


def test_errors_go_with_their_indices():
    assert statistics(np.array([0, 3]), 4).quarter_errors == (None, None, None, None)
    with pytest.raises(UsageError, match="one error for each index"):
        statistics(np.array([0, 3]), 4, np.array([0.5]))


@pytest.mark.parametrize("bad", [np.array([0.0]), np.array([], int), np.array([-1]), np.array([8])])
def test_bad_indices_are_refused(bad):
    with pytest.raises(UsageError, match="code indices"):
        histogram(bad, 8)
