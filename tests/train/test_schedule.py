"""Learning rates as functions of the step alone."""

import math

import pytest

from bench.core.optimisation import Optimisation, Stage1


def lrs(peak, steps, **settings):
    made = Optimisation(steps=steps, lr=peak, **settings)
    return [made.lr_at("network", step) for step in range(steps)]


def test_a_constant_rate_is_the_peak():
    assert set(lrs(1e-4, 100, schedule="constant")) == {1e-4}


def test_one_cycle_rises_to_the_peak_in_a_tenth_and_falls_to_zero():
    found = lrs(1.0, 200, schedule="one-cycle")
    assert max(found) == found[19] == pytest.approx(1)
    assert found[:20] == sorted(found[:20]) and found[19:] == sorted(found[19:], reverse=True)
    assert found[0] == pytest.approx(0.04 + 0.96 / 20)
    assert found[109] == pytest.approx(0.5)
    assert found[-1] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_one_cycle_of_few_steps_stays_in_range(steps):
    assert all(0 <= value <= 2 for value in lrs(2.0, steps, schedule="one-cycle"))


def test_a_decay_falls_in_steps_to_its_floor():
    found = lrs(1e-4, 1000, schedule="decay", decay=0.5, decay_every=100, min_lr=2e-6)
    assert found[0] == found[99] == 1e-4
    assert found[100] == found[199] == 5e-5
    assert found[250] == 2.5e-5
    assert found[600] == found[999] == 2e-6
    assert found == sorted(found, reverse=True)


def test_a_cosine_falls_to_its_floor_and_is_set_anew_after_whole_intervals():
    found = lrs(5e-4, 400 * 5, schedule="cosine", decay_every=5, min_lr=5e-6)
    assert found[0] == found[4] == 5e-4 and found[5] < 5e-4
    assert found[1000] == pytest.approx((5e-4 + 5e-6) / 2)
    wanted = [5e-6 + (5e-4 - 5e-6) * (1 + math.cos(math.pi * epoch / 400)) / 2 for epoch in range(400)]
    assert found[::5] == pytest.approx(wanted)
    assert found == sorted(found, reverse=True) and len(set(found)) == 400


@pytest.mark.parametrize("schedule", ["decay", "cosine"])
def test_a_floor_above_the_peak_lifts_nothing(schedule):
    assert set(lrs(1e-6, 10, schedule=schedule, decay=0.5, decay_every=2, min_lr=1e-5)) == {1e-6}


def test_the_discriminator_of_stage_1_has_a_peak_of_its_own():
    made = Stage1(steps=10, lr=1e-3, lr_discriminator=4e-3, schedule="one-cycle")
    assert [made.lr_at("discriminator", step) for step in range(10)] == lrs(4e-3, 10, schedule="one-cycle")
    assert [made.lr_at("generator", step) for step in range(10)] == lrs(1e-3, 10, schedule="one-cycle")
