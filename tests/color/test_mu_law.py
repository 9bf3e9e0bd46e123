"""The mu-law and the display operator built on it."""

import math

import numpy as np
import pytest
import torch

from bench.color.tonemap import for_display
from bench.color.transfer import mu_law, mu_law_inverse


def test_values_by_hand() -> None:
    assert mu_law(np.array([1e-3]))[0] == pytest.approx(math.log(6) / math.log(5001))
    np.testing.assert_allclose(mu_law(np.array([0.0, 1.0])), [0, 1])


def test_inverse_and_negative_values() -> None:
    x = np.linspace(0, 2, 101)
    np.testing.assert_allclose(mu_law_inverse(mu_law(x)), x, atol=1e-12)
    assert mu_law(np.array([-0.5]))[0] == 0 == mu_law_inverse(np.array([-0.5]))[0]
    assert np.isnan(mu_law(np.array([np.nan]))[0])


def test_tensors_and_arrays_agree() -> None:
    x = np.random.default_rng(0).random((5, 7), np.float32)
    for function in (mu_law, mu_law_inverse):
        theirs = function(torch.from_numpy(x))
        assert theirs.dtype == torch.float32
        assert function(x).dtype == np.float32
        np.testing.assert_allclose(theirs.numpy(), function(x), rtol=2e-6)


def test_gradients_pass() -> None:
    x = torch.tensor([-0.1, 0.0, 0.5], requires_grad=True)
    mu_law(x).sum().backward()
    assert x.grad is not None
    assert x.grad[0] == 0
    assert x.grad[2].item() == pytest.approx(5000 / (2501 * math.log(5001)), rel=1e-5)


def test_display_maps_scale_to_white_and_nonsense_to_the_ends() -> None:
    shown = for_display(np.array([[[0.0, 2.0, 9.0], [np.nan, np.inf, -1.0]]]), scale=2.0)
    assert shown.dtype == np.uint8
    assert shown.tolist() == [[[0, 255, 255], [0, 255, 0]]]
