"""Speed of SSIM, as a ratio to scikit-image in the same run: seconds would only measure the machine."""

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from bench.metrics.fidelity import ssim


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    truth = rng.random((300, 450, 3))
    return np.clip(truth + 0.02 * rng.standard_normal(truth.shape), 0, 1), truth


def _reference(pred, truth):
    return structural_similarity(
        pred, truth, data_range=1.0, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )


def _ours(pred, truth):
    return ssim(pred, truth, peak=1.0)


@pytest.mark.usefixtures("one_thread")
def test_ssim_is_not_slower_than_twice_scikit_image(images, race):
    _ours(*images)
    ours, reference = race(lambda: _ours(*images), lambda: _reference(*images), rounds=5)
    assert ours < 2 * reference


@pytest.mark.usefixtures("one_thread")
def test_ssim_speed(images, benchmark):
    assert benchmark(_ours, *images) == pytest.approx(_reference(*images), abs=1e-9)
