"""Wrong scales and tone curves are named; poor but linear predictions are left alone."""

import numpy as np
import pytest

from bench.color.transfer import mu_law
from bench.metrics.encoding import Fit, misfit, order


@pytest.fixture(scope="module")
def truth():
    """A picture of 60x90 pixels with a range of 1:2000, smooth, in [0, 1]."""
    rows, columns = np.mgrid[:60, :90]
    exponent = -3.3 * (0.5 + 0.5 * np.sin(rows / 9)) * (0.5 + 0.5 * np.cos(columns / 13))
    return np.stack([10.0 ** (exponent - shift) for shift in (0, 0.05, 0.1)], -1).astype(np.float32)


def noisy(truth):
    """A prediction with errors of about 10 %."""
    return (truth * np.random.default_rng(0).lognormal(0, 0.15, truth.shape)).astype(np.float32)


def srgb(x):
    return np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("factor", [2, 4, 16, 255, 4000, 65535, 1 / 4, 1 / 4000])
def test_another_scale_is_named_with_its_factor(truth, factor):
    fit = misfit(noisy(truth) * np.float32(factor), truth)
    assert fit.curve == ""
    assert fit.factor == pytest.approx(factor, rel=0.02)


@pytest.mark.parametrize("unit", [1, 255, 65535])
@pytest.mark.parametrize(
    ("encode", "name"),
    [(mu_law, "the mu-law (mu = 5000)"), (lambda x: x ** (1 / 2.2), "gamma 2.2"), (srgb, "the sRGB curve")],
    ids=["mu-law", "gamma", "sRGB"],
)
def test_a_tone_curve_is_named_with_its_unit(truth, encode, name, unit):
    assert misfit(unit * encode(noisy(truth)), truth) == Fit(unit, name)


def test_a_truth_of_another_range_is_its_own_scale(truth):
    assert misfit(noisy(truth) * 300, truth * 300) is None
    assert misfit(mu_law(truth), truth * 300) == Fit(1.0, "the mu-law (mu = 5000)")


def clipped(truth):
    """The reference frame alone: flat where it is saturated, which is most of the picture."""
    return np.minimum(truth, np.quantile(truth, 0.4)).astype(np.float32)


@pytest.mark.parametrize(
    "predict",
    [
        lambda truth: truth,
        noisy,
        clipped,
        lambda truth: truth * np.float32(0.6),
        lambda truth: truth**1.3,
        lambda truth: truth + np.float32(0.02),
        lambda truth: np.roll(truth, 5, axis=1),
        lambda truth: np.random.default_rng(1).random(truth.shape, np.float32),
        lambda truth: np.full_like(truth, 0.5),
        lambda truth: np.zeros_like(truth),
    ],
    ids=["exact", "noisy", "clipped", "dark", "contrast", "veil", "shifted", "random", "flat", "black"],
)
def test_what_is_poor_but_linear_is_left_alone(truth, predict):
    assert misfit(predict(truth), truth) is None


@pytest.mark.parametrize("level", [0.0, 0.3])
def test_a_truth_without_contrast_tells_nothing(truth, level):
    assert misfit(truth * 4, np.full_like(truth, level)) is None


@pytest.mark.parametrize("factor", [1, 255, 1 / 16])
def test_exchanged_colours_are_named_at_any_scale(truth, factor):
    # Where all pixels have one colour, an exchange is a cast like any other.
    coloured = truth * 10 ** (np.sin(np.arange(90) / 6)[:, None] * [-0.2, 0, 0.2]).astype(np.float32)
    theirs = noisy(coloured) * np.float32(factor)
    assert order(theirs, coloured) == (0, 1, 2)
    assert order(theirs[..., ::-1], coloured) == (2, 1, 0)


def test_a_picture_without_colours_cannot_have_them_exchanged(truth):
    grey = np.repeat(truth[..., 1:2], 3, axis=-1)
    assert order(noisy(grey)[..., ::-1], grey) == (0, 1, 2)


@pytest.mark.parametrize("cast", [(1.5, 1, 1), (1, 1, 1.3), (0.5, 1, 1)])
def test_a_cast_of_colour_is_no_exchange(truth, cast):
    assert order(noisy(truth) * np.float32(cast), truth) == (0, 1, 2)


@pytest.mark.parametrize("cast", [0.9, 0.85, 0.8, 0.75, 0.7])
def test_a_cast_that_turns_a_faint_colour_round_is_no_exchange(truth, cast):
    faint = np.repeat(truth[..., 1:2], 3, axis=-1)
    faint[..., 0] *= np.random.default_rng(1).lognormal(0.1, 0.03, truth.shape[:2])
    theirs = faint * np.float32([cast, 1, 1])
    assert order(theirs, faint) == (0, 1, 2)
    assert order(faint[..., ::-1], faint) == (2, 1, 0)


def test_nothing_is_said_of_colours_where_all_is_dark_or_clipped(truth):
    assert order(np.zeros_like(truth), truth) == (0, 1, 2)
    assert order(truth[..., ::-1], np.zeros_like(truth)) == (0, 1, 2)
