"""How pictures lie on each other: turned, shifted, channels exchanged, other scenes; or as they should."""

from itertools import permutations

import numpy as np
import pytest

from bench.color import likeness


@pytest.fixture(scope="module")
def scenes():
    """Six pictures (80, 112, 3) with coarse and fine texture, up to 1."""
    found = {}
    for seed in range(6):
        rng = np.random.default_rng(seed)
        coarse = rng.normal(size=(5, 7, 3)).repeat(16, axis=0).repeat(16, axis=1)
        found[str(seed)] = (10 ** np.clip(coarse + 0.2 * rng.normal(size=(80, 112, 3)) - 1.5, -3, 0)).astype(np.float32)
    return found


@pytest.fixture
def worse(scenes):
    """Pictures of the same scenes as a method without skill predicts them: noisy, without their highlights, darker."""
    rng = np.random.default_rng(9)
    return {
        name: (0.9 * np.minimum(truth, 0.7) * (1 + 0.1 * rng.normal(size=truth.shape))).astype(np.float32)
        for name, truth in scenes.items()
    }


def test_pictures_that_lie_as_they_should_are_left_alone(scenes, worse):
    for name, truth in scenes.items():
        assert likeness.turned(worse[name], truth) == ""
        assert likeness.shift(worse[name], truth) == (0, 0)
        assert likeness.order(worse[name].reshape(-1, 3), truth.reshape(-1, 3)) == (0, 1, 2)


@pytest.mark.parametrize("places", list(permutations(range(3))))
def test_every_order_of_channels_is_found(scenes, worse, places):
    stored = worse["0"][..., list(np.argsort(places))]
    assert likeness.order(stored.reshape(-1, 3), scenes["0"].reshape(-1, 3)) == places


def test_a_cast_of_colour_is_no_exchange(scenes):
    truth = scenes["1"].reshape(-1, 3)
    assert likeness.order(truth * [0.5, 1, 2], truth) == (0, 1, 2)


@pytest.mark.parametrize("by", [(1, 0), (0, -1), (2, 3), (-10, 7)])
def test_a_shift_is_measured(scenes, worse, by):
    assert likeness.shift(np.roll(worse["2"], by, (0, 1)), scenes["2"]) == by


def test_the_largest_values_that_files_hold_are_looked_at_without_a_warning(scenes):
    """An RGBE holds up to 1.7e38: three such are more than a float; pytest makes NumPy's warning an error."""
    huge = np.where(scenes["0"].max(axis=-1, keepdims=True) > 0.5, np.float32(1.7e38), scenes["0"])
    np.testing.assert_array_equal(likeness.look(huge), likeness.look(np.minimum(huge, 10)))
    assert likeness.shift(huge, scenes["0"]) == (0, 0)


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 9, 3), (8, 8, 3), (9, 300, 3)])
def test_small_and_flat_pictures_have_no_shift(shape):
    flat = np.full(shape, 0.5, np.float32)
    assert likeness.shift(flat, flat) == (0, 0)
    assert likeness.look(flat).shape == (32, 32)


def test_another_scene_is_named(scenes, worse):
    looks = {name: likeness.look(truth) for name, truth in scenes.items()}
    for name, picture in worse.items():
        others = {other: found for other, found in looks.items() if other != name}
        wrong = next(iter(others))
        assert likeness.stranger(likeness.look(picture), looks[name], others) == ""
        shown = {other: found for other, found in looks.items() if other != wrong}
        assert likeness.stranger(likeness.look(picture), looks[wrong], shown) == name


@pytest.mark.parametrize("name", likeness.TURNS)
def test_a_turned_picture_is_told(scenes, worse, name):
    turn = likeness.TURNS[name]
    assert likeness.turned(turn(worse["3"]), scenes["3"]) == name


@pytest.mark.parametrize("turns", range(1, 4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_square_picture_is_told_turned_by_quarters_too(scenes, turns, mirrored):
    truth = scenes["3"][:, :80]
    picture = np.rot90(truth[:, ::-1] if mirrored else truth, turns)
    said = likeness.turned(picture, truth)
    undo = {**likeness.TURNS, **likeness.QUARTERS}[said]
    assert np.array_equal(undo(picture), truth)
