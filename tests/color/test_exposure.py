"""Exposure values, exposure times and the power law."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.color.exposure import encode, ev_from_times, linearise, times_from_ev


@pytest.mark.parametrize("ev", [(0, 2, 4), (-2, 0, 2), (7.5, 9.5, 11.5)])
def test_times_do_not_depend_on_the_origin(ev: tuple[float, ...]) -> None:
    np.testing.assert_array_equal(times_from_ev(ev), [1, 4, 16])


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=9))
def test_times_and_values_are_inverse(ev: list[float]) -> None:
    np.testing.assert_allclose(ev_from_times(times_from_ev(ev)), np.array(ev) - min(ev), atol=1e-9)


def test_linearise_by_hand() -> None:
    assert linearise(np.array([0.5]), 4.0)[0] == pytest.approx(0.5**2.2 / 4)
    assert linearise(np.ones(1, np.float32)).dtype == np.float32


def test_encode_is_the_inverse_inside_the_range_and_clips_outside() -> None:
    x = np.linspace(0, 0.25, 50)
    np.testing.assert_allclose(linearise(encode(x, 4.0), 4.0), x, atol=1e-12)
    np.testing.assert_array_equal(encode(np.array([-1.0, 0.3]), 4.0), [0, 1])
