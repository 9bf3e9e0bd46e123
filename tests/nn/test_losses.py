"""Losses that several methods share."""

import math

import pytest
import torch

from bench.nn.losses import Fidelity
from bench.nn.vgg import VggFeatures


@pytest.fixture(scope="module")
def features():
    return VggFeatures(None, seed=0)


def test_reconstruction_is_the_l1_in_the_mu_law_domain():
    prediction, truth = torch.full((1, 3, 4, 4), 0.5), torch.full((1, 3, 4, 4), 0.125)
    terms = Fidelity(None, 0.0, 2.0)(prediction, truth)
    wanted = 2 * (math.log(1 + 2500) - math.log(1 + 625)) / math.log(5001)
    assert set(terms) == {"reconstruction"}
    assert float(terms["reconstruction"]) == pytest.approx(wanted, rel=1e-5)


def test_the_perceptual_term_compares_encoded_features(features):
    prediction, truth = torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16)
    terms = Fidelity(features, 0.1)(prediction, truth)

    def encoded(x):
        return torch.log(1 + 5000 * x) / math.log(5001)

    wanted = 0.1 * float(features.distance(encoded(prediction), encoded(truth)))
    assert float(terms["perceptual"]) == pytest.approx(wanted, rel=1e-4)


def test_a_weight_of_zero_drops_the_perceptual_term(features):
    fidelity = Fidelity(features, 0.0)
    assert set(fidelity(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8))) == {"reconstruction"}
    assert not list(fidelity.parameters())


def test_terms_are_fp32_and_zero_for_a_perfect_prediction(features):
    truth = torch.rand(1, 3, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        terms = Fidelity(features, 1.0)(truth.bfloat16().float(), truth.bfloat16())
    assert float(terms["reconstruction"]) == 0
    assert terms["reconstruction"].dtype == torch.float32


def test_negative_predictions_have_a_finite_loss():
    terms = Fidelity(None, 0.0)(torch.full((1, 3, 4, 4), -0.1), torch.zeros(1, 3, 4, 4))
    assert float(terms["reconstruction"]) == 0
