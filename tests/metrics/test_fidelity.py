"""PSNR and SSIM against hand-computed values, two independent libraries, and invariances."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from bench import metrics as by_name
from bench.core.errors import UsageError
from bench.core.registry import metrics, protocols
from bench.metrics import psnr_l, psnr_mu, ssim_l, ssim_mu
from bench.metrics.functional.fidelity import psnr, ssim, ssim_map


def _images(seed=0, shape=(37, 45, 3), noise=0.05):
    rng = np.random.default_rng(seed)
    truth = rng.random(shape)
    return np.clip(truth + noise * rng.standard_normal(shape), 0, 1), truth


# --- hand-computed -------------------------------------------------------------------------------------------------


def test_psnr_of_a_constant_error():
    truth = np.zeros((4, 5, 3))
    assert psnr(truth + 0.1, truth, peak=1.0) == pytest.approx(20.0, abs=1e-12)
    assert psnr(truth + 0.1, truth, peak=2.0) == pytest.approx(20 + 20 * math.log10(2), abs=1e-12)


def test_psnr_takes_one_mean_over_channels_before_the_logarithm():
    pred = np.zeros((2, 2, 3))
    pred[..., 0] = 0.3  # mean square 0.09 / 3
    assert psnr(pred, np.zeros((2, 2, 3)), peak=1.0) == pytest.approx(-10 * math.log10(0.03), abs=1e-12)


def test_identical_images_are_infinitely_good_without_epsilon():
    _, truth = _images()
    assert psnr(truth, truth, peak=1.0) == math.inf
    assert ssim(truth, truth, peak=1.0) == 1.0
    tiny = np.full((4, 4, 3), 1e-12)
    assert psnr(tiny, np.zeros((4, 4, 3)), peak=1.0) == pytest.approx(240.0)


def test_ssim_of_two_constant_images():
    # No variance: only the luminance term (2ab + c1) / (a^2 + b^2 + c1) is left.
    a, b, c1 = 0.2, 0.6, 0.01**2
    expected = (2 * a * b + c1) / (a * a + b * b + c1)
    assert ssim(np.full((12, 13, 3), a), np.full((12, 13, 3), b), peak=1.0) == pytest.approx(expected, abs=1e-12)


def test_mu_domain_by_hand():
    # T(0) = 0 and T(1/5000) = log 2 / log 5001.
    pred, truth = np.full((2, 2, 3), 1 / 5000), np.zeros((2, 2, 3))
    assert psnr_mu(pred, truth) == pytest.approx(-20 * math.log10(math.log(2) / math.log(5001)), abs=1e-9)


# --- independent implementations -----------------------------------------------------------------------------------


@pytest.mark.parametrize("peak", [1.0, 255.0])
def test_against_scikit_image(peak):
    pred, truth = (image * peak for image in _images())
    expected = structural_similarity(
        pred, truth, data_range=peak, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    # Both in float64; they differ in the order of sums only.
    assert ssim(pred, truth, peak=peak) == pytest.approx(expected, abs=1e-12)
    assert psnr(pred, truth, peak=peak) == pytest.approx(peak_signal_noise_ratio(truth, pred, data_range=peak))


def test_against_torchmetrics():
    from torchmetrics.functional.image import peak_signal_noise_ratio as tm_psnr
    from torchmetrics.functional.image import structural_similarity_index_measure as tm_ssim

    pred, truth = _images(3)
    a, b = (torch.from_numpy(image).permute(2, 0, 1)[None] for image in (pred, truth))
    _, local = tm_ssim(a, b, data_range=1.0, return_full_image=True)
    # Its own mean includes a border of reflected pixels; the same windows as ours are 5 px inside.
    assert ssim(pred, truth, peak=1.0) == pytest.approx(float(local[..., 5:-5, 5:-5].mean()), abs=1e-9)
    assert psnr(pred, truth, peak=1.0) == pytest.approx(float(tm_psnr(a, b, data_range=1.0)), abs=1e-5)


# --- invariances ---------------------------------------------------------------------------------------------------

UNIT = st.floats(0, 1, width=32)


@settings(max_examples=25, deadline=None)
@given(arrays(np.float32, (2, 12, 11, 3), elements=UNIT), st.floats(0.01, 1000))
def test_scale_flip_and_exchange_change_nothing(pair, scale):
    pred, truth = pair.astype(np.float64)
    for score in (psnr, ssim):
        value = score(pred, truth, peak=1.0)
        assert score(pred * scale, truth * scale, peak=scale) == pytest.approx(value, rel=1e-7, abs=1e-7)
        assert score(truth, pred, peak=1.0) == pytest.approx(value, rel=1e-9)
        for axis in (0, 1, 2):
            assert score(np.flip(pred, axis), np.flip(truth, axis), peak=1.0) == pytest.approx(value, rel=1e-9)
    assert -1 - 1e-9 <= ssim(pred, truth, peak=1.0) <= 1 + 1e-9


@settings(max_examples=25, deadline=None)
@given(arrays(np.float64, (4, 5, 3), elements=st.floats(0.01, 1)), st.floats(1.1, 10))
def test_psnr_falls_with_the_error(error, factor):
    truth = np.zeros_like(error)
    drop = psnr(error, truth, peak=1.0) - psnr(factor * error, truth, peak=1.0)
    assert drop == pytest.approx(20 * math.log10(factor), abs=1e-9)


def test_strips_leave_no_seams():
    pred, truth = _images(4, (150, 20, 3))
    whole = ssim_map(pred, truth, peak=1.0)
    part = ssim_map(pred[40:], truth[40:], peak=1.0)
    np.testing.assert_allclose(whole[40:].numpy(), part.numpy(), atol=1e-12)


# --- masks, types and errors ---------------------------------------------------------------------------------------


def test_mask_selects_pixels_and_window_centres():
    pred, truth = _images(5)
    mask = np.zeros(truth.shape[:2], bool)
    mask[10:20, 12:30] = True
    inside = psnr(pred[10:20, 12:30], truth[10:20, 12:30], peak=1.0)
    assert psnr(pred, truth, peak=1.0, mask=mask) == pytest.approx(inside, abs=1e-12)
    # Windows centred in the region reach 5 px beyond it.
    around = ssim(pred[5:25, 7:35], truth[5:25, 7:35], peak=1.0)
    assert ssim(pred, truth, peak=1.0, mask=mask) == pytest.approx(around, abs=1e-12)
    assert ssim(pred, truth, peak=1.0, mask=torch.from_numpy(mask)) == pytest.approx(around, abs=1e-12)
    everywhere = np.ones_like(mask)
    assert ssim(pred, truth, peak=1.0, mask=everywhere) == pytest.approx(ssim(pred, truth, peak=1.0), abs=1e-12)


@pytest.mark.parametrize("score", [psnr, ssim])
def test_an_empty_mask_gives_nan(score):
    pred, truth = _images()
    assert math.isnan(score(pred, truth, peak=1.0, mask=np.zeros(truth.shape[:2], bool)))


def test_tensors_views_and_read_only_arrays_score_alike():
    pred, truth = (image.astype(np.float32) for image in _images(6))
    value = ssim(pred, truth, peak=1.0)
    assert ssim(torch.from_numpy(pred), truth, peak=1.0) == value
    frozen = truth.copy()
    frozen.setflags(write=False)
    assert ssim(pred, frozen, peak=1.0) == value
    assert ssim(pred[::-1], frozen[::-1], peak=1.0) == ssim(pred[::-1].copy(), truth[::-1].copy(), peak=1.0)
    assert ssim(pred.astype(">f4"), truth, peak=1.0) == value


def test_scoring_leaves_the_images_alone():
    pred, truth = (image.astype(np.float32) for image in _images(8))
    before = pred.copy(), truth.copy()
    protocols["deephdr"].evaluate(pred, truth)
    for score in (psnr_l, psnr_mu, ssim_l, ssim_mu):
        score(pred, truth)
    for score in (psnr, ssim):
        score(pred, truth, peak=1.0)
    np.testing.assert_array_equal((pred, truth), before)


def test_float32_psnr_is_within_a_millionth_of_a_decibel():
    rng = np.random.default_rng(9)
    for scale, error in ((1.0, 1e-5), (1.0, 0.3), (1e4, 1.0), (1e-6, 1e-6)):
        truth = (scale * rng.random((40, 50, 3))).astype(np.float32)
        pred = (truth + error * rng.standard_normal(truth.shape)).astype(np.float32)
        exact = psnr(pred.astype(np.float64), truth.astype(np.float64), peak=1.0)
        assert psnr(pred, truth, peak=1.0) == pytest.approx(exact, abs=1e-6)


def test_huge_finite_values_are_not_taken_for_infinity():
    image = np.full((12, 12, 3), 3e38, np.float32)  # their float32 sum overflows
    assert psnr(image, image, peak=1.0) == math.inf
    assert psnr_l(image, image) == math.inf


@pytest.mark.parametrize("score", [psnr_l, psnr_mu, ssim_l, ssim_mu])
def test_bad_images_end_in_a_sentence(score):
    pred, truth = _images()
    for bad in (np.nan, np.inf, -np.inf):
        broken = pred.copy()
        broken[3, 4, 1] = bad
        with pytest.raises(UsageError, match="prediction holds 1 values"):
            score(broken, truth)
        with pytest.raises(UsageError, match="truth holds 1 values"):
            score(truth, broken)
    with pytest.raises(UsageError, match="must be equal"):
        score(pred[1:], truth)
    with pytest.raises(UsageError, match="expected \\(height, width, 3\\)"):
        score(pred[..., 0], truth[..., 0])
    with pytest.raises(UsageError, match="mask"):
        score(pred, truth, mask=np.ones((3, 3), bool))
    with pytest.raises(UsageError, match="mask"):
        score(pred, truth, mask=np.ones(truth.shape[:2]))
    with pytest.raises(UsageError, match="peak"):
        score(pred, truth, peak=0.0)


@pytest.mark.parametrize("score", [psnr_l, psnr_mu, ssim_l, ssim_mu])
def test_what_isnt_an_image_of_real_numbers_is_refused(score):
    pred, truth = _images()
    for bad in (pred + 1j, torch.from_numpy(pred + 1j), pred.astype(str), None, [[1, 2], [3]], pred[:0]):
        with pytest.raises(UsageError, match="prediction"):
            score(bad, truth if bad is None or len(bad) else truth[:0])


REFUSED = {
    "meta": (lambda image: torch.empty(image.shape, device="meta"), "is a meta tensor, without values"),
    "sparse": (lambda image: torch.tensor(image).to_sparse(), r"is a sparse, .* tensor; .*to_dense\(\)"),
    "masked": (lambda image: np.ma.masked_less(image, 0.5), "is a masked array, and its mask isn't taken into account"),
    "trailing": (lambda image: image[..., None], r"Leave the last axis out: take \[\.\.\., 0\]"),
    "batch": (lambda image: image[None], "looks like a batch"),
    "ragged": (
        lambda image: [[1], [1, 2]],
        "can't become an array; expected an array or lists of numbers, rows",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_other_images_are_refused_by_metrics_and_protocols_alike(kind):
    pred, truth = _images()
    change, said = REFUSED[kind]
    for score in (psnr_l, ssim_mu, protocols["whole-float"].evaluate):
        with pytest.raises(UsageError, match=said):
            score(change(pred), truth)
        with pytest.raises(UsageError, match=said):
            score(pred, change(truth))


def test_values_beyond_float32_are_not_called_infinite():
    with pytest.raises(UsageError, match=r"the prediction holds \d+ values beyond 3\.4e38, which float32 can't hold"):
        protocols["whole-float"].evaluate(*(image.astype(np.float64) * 1e300 for image in _images()))


def test_an_array_whose_mask_is_empty_is_an_array():
    pred, truth = _images()
    assert psnr_l(np.ma.masked_array(pred), truth) == psnr_l(pred, truth)


def test_an_image_smaller_than_the_window_is_refused():
    with pytest.raises(UsageError, match="10x30 pixels holds no 11x11"):
        ssim(np.zeros((10, 30, 3)), np.zeros((10, 30, 3)), peak=1.0)


def test_registered_metrics_are_what_the_default_protocol_computes():
    pred, truth = (image.astype(np.float32) for image in _images(7))
    expected = protocols["whole-float"].evaluate(pred, truth)
    assert len(expected) == 8
    for name, value in expected.items():
        assert metrics[name].load().card == metrics[name]
        if name != "hdrvdp2":
            assert getattr(by_name, name.replace("-", "_"))(pred, truth) == value
