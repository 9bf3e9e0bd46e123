"""SSIM variants of public code, each against an independent library, and float32 against float64."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity
from torchmetrics.functional.image import structural_similarity_index_measure

from bench.core.errors import UsageError
from bench.metrics.functional.fidelity import ssim, ssim_map
from bench.metrics.functional.similarity import similarity_map, volume_map
from bench.metrics.window import SsimWindow

UNIFORM = SsimWindow(kind="uniform", size=7, sample_covariance=True)
VARIANTS = {
    "opencv": {},
    "scikit-image": {"window": UNIFORM},
    "matlab-2d": {"area": "replicate"},
    "matlab-volume": {"area": "replicate", "channels": "volume"},
}


def _images(seed=0, shape=(37, 45, 3), noise=0.05):
    rng = np.random.default_rng(seed)
    truth = rng.random(shape)
    return np.clip(truth + noise * rng.standard_normal(shape), 0, 1), truth


def _from_means(mean, x, y, peak=1.0):
    """Eq. 13 of Wang et al. 2004 with any window mean."""
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    mx, my = mean(x), mean(y)
    above = (2 * mx * my + c1) * (2 * (mean(x * y) - mx * my) + c2)
    return above / ((mx**2 + my**2 + c1) * (mean(x * x) - mx**2 + mean(y * y) - my**2 + c2))


@pytest.mark.parametrize("peak", [1.0, 255.0])
def test_valid_gaussian_against_opencv(peak):
    x, y = (image * peak for image in _images())
    kernel = cv2.getGaussianKernel(11, 1.5)

    def mean(z):
        return cv2.filter2D(z, -1, kernel @ kernel.T)[5:-5, 5:-5]

    assert ssim(x, y, peak=peak) == pytest.approx(_from_means(mean, x, y, peak).mean(), abs=1e-12)


@pytest.mark.parametrize("shape", [(37, 45, 3), (7, 8, 3), (60, 19, 3)])
def test_uniform_with_sample_covariance_against_scikit_image(shape):
    x, y = _images(1, shape)
    expected = structural_similarity(x, y, data_range=1.0, channel_axis=2)
    assert ssim(x, y, peak=1.0, window=UNIFORM) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("channels", "across"), [("separate", 0.0), ("volume", 1.5)])
def test_replicated_border_against_scipy(channels, across):
    x, y = _images(2, (20, 23, 3))

    def mean(z):
        return gaussian_filter(z, (1.5, 1.5, across), mode="nearest", radius=(5, 5, 5 if across else 0))

    found = ssim_map(x, y, peak=1.0, area="replicate", channels=channels)
    np.testing.assert_allclose(found.numpy(), _from_means(mean, x, y).mean(-1), atol=1e-12)


def test_volume_against_torchmetrics():
    x, y = _images(3, (24, 26, 3))
    # Its volume SSIM is 3-D; away from the border, in the middle of eleven equal planes, it is a plane's own SSIM.
    x, y = (np.repeat(image[..., :1], 21, -1) for image in (x, y))
    a, b = (torch.from_numpy(image.transpose(2, 0, 1))[None, None] for image in (x, y))
    _, local = structural_similarity_index_measure(
        a, b, data_range=1.0, sigma=(1.5, 1.5, 1.5), kernel_size=(11, 11, 11), return_full_image=True
    )
    planes = [torch.from_numpy(image.transpose(2, 0, 1)) for image in (x, y)]
    found = similarity_map(*planes, peak=1.0, window=SsimWindow(), area="replicate", channels="volume")
    np.testing.assert_allclose(found[5:-5, 5:-5], local[0, 0, 10, 5:-5, 5:-5], atol=1e-6)  # its weights are float32


def test_volume_of_equal_channels_is_the_plane():
    x, y = (np.repeat(image[..., :1], 3, -1) for image in _images(4))
    volume, plane = (ssim(x, y, peak=1.0, area="replicate", channels=kind) for kind in ("volume", "separate"))
    assert volume == pytest.approx(plane, abs=1e-12)


def test_one_convolution_in_float32_is_near_the_volume():
    x, y = _images(5)
    planes = [torch.from_numpy(image).permute(2, 0, 1) for image in (x, y)]
    found = volume_map(*planes, peak=1.0, window=SsimWindow())
    expected = ssim_map(x, y, peak=1.0, area="replicate", channels="volume")
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=5e-4)
    assert float(found.mean()) == pytest.approx(float(expected.mean()), abs=5e-6)


# --- float32 -------------------------------------------------------------------------------------------------------


def _adverse():
    """Pairs on which E[x^2] - E[x]^2 loses all digits in float32: bright, flat, offset, far above the peak."""
    rng = np.random.default_rng(0)
    flat = np.ones((64, 80, 3))
    noise = rng.standard_normal((2, *flat.shape))
    return {
        "bright": (0.95 + 0.01 * noise[0], 0.95 + 0.01 * noise[1]),
        "offset": (0.9 + 0.01 * noise[0], 0.6 + 0.01 * noise[0]),
        "flat": (0.8 * flat, 0.3 * flat),
        "black and white": (0 * flat, flat),
        "dark": (1e-3 * np.abs(noise[0]), 1e-3 * np.abs(noise[1])),
        "half saturated": (np.minimum(1, 2 * rng.random(flat.shape)), np.minimum(1, 2 * rng.random(flat.shape))),
        "far above the peak": (20 + 0.01 * noise[0], 20 + 0.01 * noise[1]),
    }


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("pair", _adverse())
def test_float32_is_within_1e_7(variant, pair):
    x, y = (image.astype(np.float32) for image in _adverse()[pair])
    exact = ssim(x.astype(np.float64), y.astype(np.float64), peak=1.0, **VARIANTS[variant])
    assert ssim(x, y, peak=1.0, **VARIANTS[variant]) == pytest.approx(exact, abs=1e-7)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("pair", ["p1_ghost", "p2_blur_noise", "p3_saturated_area", "p4_out_of_range"])
def test_float32_of_golden_pairs_is_within_1e_7(golden_pair, variant, pair):
    x, y = golden_pair(pair)
    exact = ssim(x.astype(np.float64), y.astype(np.float64), peak=1.0, **VARIANTS[variant])
    assert ssim(x, y, peak=1.0, **VARIANTS[variant]) == pytest.approx(exact, abs=1e-7)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(11, 60), st.integers(11, 60), st.sampled_from(sorted(VARIANTS)))
def test_any_size_flips_and_is_one_for_identical_images(seed, rows, columns, variant):
    x, y = _images(seed, (rows, columns, 3), noise=0.2)
    value = ssim(x, y, peak=1.0, **VARIANTS[variant])
    assert -1 <= value <= 1
    assert ssim(x[::-1, ::-1], y[::-1, ::-1], peak=1.0, **VARIANTS[variant]) == pytest.approx(value, abs=1e-12)
    assert ssim(x.astype(np.float32), y.astype(np.float32), peak=1.0, **VARIANTS[variant]) == pytest.approx(
        value, abs=1e-6
    )
    for dtype in (np.float32, np.float64):
        assert ssim(x.astype(dtype), x.astype(dtype), peak=1.0, **VARIANTS[variant]) == 1.0


def test_threads_are_given_back():
    before = torch.get_num_threads()
    ssim(*_images(), peak=1.0)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("options", [{"area": "same"}, {"channels": "all"}])
def test_an_unknown_rule_is_refused(options):
    with pytest.raises(UsageError, match="expected valid or replicate, and separate or volume"):
        ssim(*_images(), peak=1.0, **options)
