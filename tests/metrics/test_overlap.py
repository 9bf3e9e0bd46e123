"""Overlap of index sets by hand."""

import numpy as np
import pytest

from bench.core.errors import UsageError
from bench.metrics.overlap import jaccard, mass_by_sharers, same_by_chance, same_choice, shared_mass, sharers

# Two kinds over four codes: one uses 0, 1, 2, the other 1, 2, 3.
COUNTS = np.array([[2, 1, 1, 0], [0, 1, 2, 5]])


def test_jaccard_by_hand():
    np.testing.assert_allclose(jaccard(COUNTS), [[1, 2 / 4], [2 / 4, 1]])


def test_shared_mass_by_hand():
    # Shares 1/2, 1/4, 1/4, 0 and 0, 1/8, 1/4, 5/8: the smaller ones sum to 3/8.
    np.testing.assert_allclose(shared_mass(COUNTS), [[1, 3 / 8], [3 / 8, 1]])


def test_same_choice_and_its_chance_level_by_hand():
    np.testing.assert_allclose(same_choice(np.array([[0, 0, 1, 2], [0, 1, 1, 3]])), [[1, 0.5], [0.5, 1]])
    cross = 1 / 4 * 1 / 8 + 1 / 4 * 1 / 4
    np.testing.assert_allclose(same_by_chance(COUNTS)[0, 1], cross)
    np.testing.assert_allclose(same_by_chance(COUNTS)[0, 0], 1 / 4 + 1 / 16 + 1 / 16)


def test_independent_choices_agree_as_often_as_chance_says():
    stream = np.random.default_rng(0)
    indices = np.stack([stream.choice(4, 20_000, p=row / row.sum()) for row in COUNTS])
    # A share of 20,000 draws has a standard error below 0.0036; four of them.
    assert same_choice(indices)[0, 1] == pytest.approx(same_by_chance(COUNTS)[0, 1], abs=0.0144)


def test_mass_goes_to_exactly_the_kinds_that_share_the_code():
    others = {"L1": np.array([1, 0, 4, 0]), "L2": np.array([1, 2, 0, 0]), "L3": np.zeros(4, int)}
    found = mass_by_sharers(np.array([4, 3, 2, 1]), others)
    assert list(found) == sharers(["L1", "L2", "L3"]) == [
        "none", "L1", "L2", "L3", "L1+L2", "L1+L3", "L2+L3", "L1+L2+L3",
    ]  # fmt: skip
    assert {name: share for name, share in found.items() if share} == {
        "none": 0.1, "L1": 0.2, "L2": 0.3, "L1+L2": 0.4,
    }  # fmt: skip


def test_overlapped_segments_overlap_as_printed():
    """L1 and L3 of an overlapped book have no code in common, neighbours a third of what both may use."""
    full = np.zeros((3, 16), int)
    for kind in range(3):
        full[kind, 4 * kind : 4 * kind + 8] = 1
    np.testing.assert_allclose(jaccard(full), [[1, 1 / 3, 0], [1 / 3, 1, 1 / 3], [0, 1 / 3, 1]])
    np.testing.assert_allclose(shared_mass(full), [[1, 0.5, 0], [0.5, 1, 0.5], [0, 0.5, 1]])


def test_bad_input_is_refused():
    with pytest.raises(UsageError, match="each kind with a hit"):
        jaccard(np.array([[0, 0], [1, 0]]))
    with pytest.raises(UsageError, match="one position or more"):
        same_choice(np.zeros((2, 0), int))
    with pytest.raises(UsageError, match="no mass"):
        mass_by_sharers(np.zeros(4, int), {"L1": np.ones(4, int)})
