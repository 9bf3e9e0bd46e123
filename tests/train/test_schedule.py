"""Learning rates as functions of the step alone."""

import pytest

from bench.train.schedule import rate


def test_a_constant_rate_is_the_peak():
    assert {rate("constant", 1e-4, step, 100) for step in range(100)} == {1e-4}


def test_one_cycle_rises_to_the_peak_in_a_tenth_and_falls_to_zero():
    rates = [rate("one-cycle", 1.0, step, 200) for step in range(200)]
    assert max(rates) == rates[19] == pytest.approx(1)
    assert rates[:20] == sorted(rates[:20]) and rates[19:] == sorted(rates[19:], reverse=True)
    assert rates[0] == pytest.approx(0.04 + 0.96 / 20)
    assert rates[109] == pytest.approx(0.5)
    assert rates[-1] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_one_cycle_of_few_steps_stays_in_range(steps):
    assert all(0 <= rate("one-cycle", 2.0, step, steps) <= 2 for step in range(steps))
