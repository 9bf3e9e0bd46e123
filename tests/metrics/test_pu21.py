"""PU21 against the authors' own implementation, and by its properties."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import gaussian_filter

from bench.core.errors import UsageError
from bench.core.registry import metrics
from bench.metrics.functional.pu21 import VARIANTS
from bench.metrics.pu21 import decode, encode, pu21_psnr, pu21_psnr_y, pu21_ssim

HERE = Path(__file__).parent
PAIRS = HERE / "hdrvdp2" / "golden" / "pairs"
CURVE, ROWS = (
    list(csv.DictReader((HERE / "golden" / f"pu21_{name}.csv").read_text().splitlines()))
    for name in ("encode", "results")
)

LUMINANCE = st.floats(0.005, 10000)
UNIT_IMAGE = arrays(np.float64, (12, 13, 3), elements=st.floats(0, 1, width=32))


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_curve_is_the_authors(variant):
    assert len(CURVE) == 103
    luminance = np.array([float(row["luminance"]) for row in CURVE])
    encoded = np.array([float(row[f"V_{variant}"]) for row in CURVE])
    decoded = np.array([float(row[f"decoded_{variant}"]) for row in CURVE])
    np.testing.assert_allclose(encode(luminance, variant), encoded, atol=1e-9, rtol=0)
    # The figures of `encoded` end at 1e-12: the inverse is steep, and 12 printed digits of `decoded` are what is left.
    np.testing.assert_allclose(decode(encode(luminance, variant), variant), decoded, rtol=1e-9)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['pair_file'][:3]}-{row['input_scale']}")
def test_the_metrics_are_the_authors(row):
    with np.load(PAIRS / row["pair_file"]) as file:
        pred, truth = (file[key].astype(np.float64) for key in ("test", "reference"))
    options = {"peak_luminance": float(row["input_scale"]), "variant": row["encoding"]}
    if row["channels"] == "3":
        expected = float(row["PU21_PSNR_RGB_peak256"])
        assert pu21_psnr(pred, truth, **options) == pytest.approx(expected, abs=1e-9)
    assert pu21_psnr_y(pred, truth, **options) == pytest.approx(float(row["PU21_PSNR_Y_peak256"]), abs=1e-9)
    assert pu21_ssim(pred, truth, **options) == pytest.approx(float(row["PU21_SSIM_Y_range256"]), abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(sorted(VARIANTS)), LUMINANCE, LUMINANCE)
def test_the_curve_rises_and_is_undone(variant, one, other):
    low, high = sorted((one, other))
    dark, bright = encode(np.array([low, high]), variant)
    assert 0 <= dark <= bright
    if high > low * (1 + 1e-6) and dark > 0:
        assert dark < bright
    if dark > 1e-3:  # at the dark end two variants are clipped at 0
        np.testing.assert_allclose(decode(np.array([dark, bright]), variant), [low, high], rtol=1e-6)


def test_outside_its_range_luminance_counts_as_the_nearer_end():
    low, lowest, highest, high = encode(np.array([-3.0, 0.005, 10000.0, 1e7]))
    assert (low, high) == (lowest, highest)


@settings(max_examples=20, deadline=None)
@given(UNIT_IMAGE, UNIT_IMAGE, st.floats(10, 8000))
def test_symmetry_scale_and_identity(pred, truth, scale):
    for score, best in ((pu21_psnr, math.inf), (pu21_psnr_y, math.inf), (pu21_ssim, 1.0)):
        value = score(pred, truth, peak_luminance=scale)
        assert score(truth, pred, peak_luminance=scale) == pytest.approx(value, rel=1e-9)
        assert score(pred[::-1], truth[::-1], peak_luminance=scale) == pytest.approx(value, rel=1e-9)
        assert score(truth, truth, peak_luminance=scale) == best
        assert value <= best
        if max(pred.max(), truth.max()) * scale > 1:
            assert score(pred * scale, truth * scale) == pytest.approx(value, rel=1e-9)


def test_ssim_against_scipy():
    rng = np.random.default_rng(0)
    truth = rng.uniform(1, 4000, (30, 40))
    x, y = encode(truth * rng.uniform(0.8, 1.25, truth.shape)), encode(truth)

    def mean(z):
        return gaussian_filter(z, 1.5, mode="nearest", radius=5)

    c1, c2, mx, my = 2.56**2, 7.68**2, mean(x), mean(y)
    above = (2 * mx * my + c1) * (2 * (mean(x * y) - mx * my) + c2)
    below = (mx**2 + my**2 + c1) * (mean(x * x) - mx**2 + mean(y * y) - my**2 + c2)
    assert pu21_ssim(decode(x), truth) == pytest.approx((above / below).mean(), abs=1e-9)


@pytest.mark.parametrize("score", [pu21_psnr, pu21_psnr_y, pu21_ssim])
def test_bad_input_ends_in_a_sentence(score):
    image = np.full((12, 12, 3), 0.5)
    with pytest.raises(UsageError, match=r"largest value is 0\.5.*peak_luminance=4000"):
        score(image, image)
    with pytest.raises(UsageError, match="peak_luminance is 0"):
        score(image, image, peak_luminance=0.0)
    with pytest.raises(UsageError, match="Did you mean 'banding_glare'"):
        score(image, image, peak_luminance=100.0, variant="banding-glare")
    with pytest.raises(UsageError, match="prediction holds 1 values"):
        score(np.where(np.arange(432).reshape(image.shape) == 7, np.nan, image), image, peak_luminance=100.0)
    with pytest.raises(UsageError, match="must be equal"):
        score(image[1:], image, peak_luminance=100.0)
    with pytest.raises(UsageError, match=r"expected \(height, width\) or \(height, width, 3\)"):
        score(image[0, 0], image[0, 0], peak_luminance=100.0)


def test_grey_is_the_same_as_luminance():
    rng = np.random.default_rng(1)
    pred, truth = rng.uniform(5, 500, (2, 20, 25))
    grey = tuple(np.repeat(image[..., None], 3, -1) for image in (pred, truth))
    for score in (pu21_psnr, pu21_psnr_y, pu21_ssim):
        assert score(*grey) == pytest.approx(score(pred, truth), abs=1e-9)


def test_the_registered_metrics_state_domain_and_unit():
    for name, unit in (("psnr-pu", "dB"), ("psnr-pu-y", "dB"), ("ssim-pu", "1")):
        assert (metrics[name].domain, metrics[name].unit, metrics[name].better) == ("pu21", unit, "higher")
