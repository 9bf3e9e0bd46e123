"""Speed of PSNR and SSIM, as ratios to scikit-image in the same run: seconds would only measure the machine."""

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from bench.metrics.functional.fidelity import psnr, ssim

pytestmark = pytest.mark.benchmark(group="metrics")


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    truth = rng.random((1000, 1500, 3), dtype=np.float32)
    return np.clip(truth + 0.02 * rng.standard_normal(truth.shape, dtype=np.float32), 0, 1), truth


def ssim_reference(pred, truth):
    """Float32 input stays float32 there, and its sum over the image too: its last two digits are rounding."""
    return structural_similarity(
        pred, truth, data_range=1.0, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )


def psnr_reference(pred, truth):
    return peak_signal_noise_ratio(truth, pred, data_range=1.0)


def ssim_ours(pred, truth):
    return ssim(pred, truth, peak=1.0)


def psnr_ours(pred, truth):
    return psnr(pred, truth, peak=1.0)


@pytest.mark.timed
def test_ssim_is_three_times_as_fast_as_scikit_image(images, race, ratio):
    ours, reference = race(lambda: ssim_ours(*images), lambda: ssim_reference(*images), rounds=4)
    ratio(reference / ours)
    assert reference > 3 * ours


@pytest.mark.timed
def test_psnr_is_not_slower_than_scikit_image(images, race, ratio):
    # In a process with many freed pages, as at the end of a whole test run, both are bound by memory and tie: 4.07
    # against 4.03 ms were seen once. The margin is for the noise of timing.
    ours, reference = race(lambda: psnr_ours(*images), lambda: psnr_reference(*images), rounds=40)
    ratio(reference / ours)
    assert reference >= 0.95 * ours


def test_equal_results(images):
    exact = tuple(image.astype(np.float64) for image in images)
    assert ssim_ours(*images) == pytest.approx(ssim_reference(*exact), abs=1e-7)
    assert ssim_ours(*images) == pytest.approx(float(ssim_reference(*images)), abs=1e-6)
    assert psnr_ours(*images) == pytest.approx(psnr_reference(*exact), abs=1e-7)


@pytest.mark.parametrize("function", [ssim_ours, ssim_reference, psnr_ours, psnr_reference])
def test_speed(images, benchmark, function):
    assert np.isfinite(benchmark(function, *images))
