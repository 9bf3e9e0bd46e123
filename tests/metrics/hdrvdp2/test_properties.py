"""Properties that hold for any pair, not only for the recorded ones; and input that is refused."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.core.errors import UsageError
from bench.core.registry import metrics
from bench.metrics.hdrvdp2 import hdrvdp2, hdrvdp2_batch
from bench.metrics.hdrvdp2.metric import _pair, _viewing
from bench.metrics.hdrvdp2.vision import bands, seen
from bench.metrics.scorer import score

SRGB = {"color_encoding": "sRGB-display", "pixels_per_degree": 26.7627}
SIDE, PPD = st.integers(17, 150), st.floats(5, 60)
ENCODINGS = st.sampled_from(["sRGB-display", "rgb-bt.709", "luminance", "luma-display"])
FEW = settings(max_examples=12, deadline=None)


def scaled(pair, encoding):
    return tuple(image * (1 if "display" in encoding else 3000) for image in pair)


@FEW
@given(SIDE, SIDE, PPD, ENCODINGS, st.integers(0, 99))
def test_any_size_and_resolution_agrees_with_the_slow_program(scene, oracle, height, width, ppd, encoding, seed):
    channels = 1 if encoding.startswith("lum") else 3
    test, truth = scaled(scene(height, width, seed, channels), encoding)
    expected = oracle.oracle(*(x.reshape(height, width, channels) for x in (test, truth)), encoding, ppd)
    found = hdrvdp2(test, truth, color_encoding=encoding, pixels_per_degree=ppd, precision="double")
    assert found.q == pytest.approx(expected["q"], abs=1e-8)
    np.testing.assert_allclose(found.p_map, expected["p_map"], atol=1e-8)
    np.testing.assert_allclose(found.c_map, expected["c_map"], rtol=1e-6, atol=1e-9 * expected["c_map"].max())
    fast = hdrvdp2(test, truth, color_encoding=encoding, pixels_per_degree=ppd, maps=False)
    assert fast.q == pytest.approx(expected["q"], abs=1e-4)


@pytest.mark.parametrize(("height", "width"), [(17, 600), (599, 33), (301, 467)])
def test_long_and_large_odd_sizes(scene, oracle, height, width):
    test, truth = scene(height, width)
    expected = oracle.oracle(test, truth, "sRGB-display", 26.7627)
    assert hdrvdp2(test, truth, **SRGB, precision="double").q == pytest.approx(expected["q"], abs=1e-8)
    assert hdrvdp2(test, truth, **SRGB).q == pytest.approx(expected["q"], abs=1e-4)


@FEW
@given(SIDE, SIDE, PPD, ENCODINGS, st.sampled_from(["fast", "double"]))
def test_identical_images_are_perfect(scene, height, width, ppd, encoding, precision):
    _, truth = scaled(scene(height, width, 0, 1 if encoding.startswith("lum") else 3), encoding)
    result = hdrvdp2(truth, truth, color_encoding=encoding, pixels_per_degree=ppd, precision=precision)
    assert (result.q, result.p_det, result.c_max) == (100, 0, 0)
    assert not result.p_map.any()
    assert not result.c_map.any()


@FEW
@given(st.sampled_from([33, 49, 65, 97]), st.sampled_from([33, 65, 129]), st.integers(0, 99), st.sampled_from([0, 1]))
def test_a_mirror_changes_nothing(scene, height, width, seed, axis):
    """Exact for sizes 2^k m + 1 only: every second row or column then is the same from both ends."""
    test, truth = scene(height, width, seed)
    q = hdrvdp2(test, truth, **SRGB, precision="double", maps=False).q
    mirrored = [np.flip(image, axis).copy() for image in (test, truth)]
    assert hdrvdp2(*mirrored, **SRGB, precision="double", maps=False).q == pytest.approx(q, abs=1e-8)


@FEW
@given(SIDE, SIDE, st.integers(0, 99))
def test_exchange_turns_differences_round(scene, height, width, seed):
    """Only the base band's padding and the set of changed pixels depend on which image is the reference."""
    viewing = _viewing("sRGB-display", 26.7627, 1e-5, None, "double")
    pairs = [_pair(*images, viewing) for images in (scene(height, width, seed), scene(height, width, seed)[::-1])]
    one, two = (bands(seen(*pair, viewing), viewing) for pair in pairs)
    for first, second in zip(one[:-1], two[:-1], strict=True):
        np.testing.assert_allclose(first.difference.numpy(), -second.difference.numpy(), atol=1e-10)
        np.testing.assert_allclose(first.mutual_mask().numpy(), second.mutual_mask().numpy(), atol=1e-10)


@FEW
@given(st.integers(0, 99))
def test_more_noise_is_never_better(scene, seed):
    _, truth = scene(64, 80, seed)
    noise = np.random.default_rng(seed).normal(0, 1, truth.shape)
    qualities = [hdrvdp2(truth * (1 + s * noise), truth, **SRGB, maps=False).q for s in (0.02, 0.1, 0.3)]
    assert 100 > qualities[0] > qualities[1] > qualities[2]


def test_changes_below_a_thousandth_dont_count():
    truth = np.full((40, 50, 3), 0.3)
    assert hdrvdp2(truth * 1.0005, truth, **SRGB, maps=False).q == 100
    truth = truth * 1000
    settings = {"color_encoding": "rgb-bt.709", "pixels_per_degree": 30, "maps": False}
    assert hdrvdp2(truth * 1.0009, truth, **settings).q == 100
    assert hdrvdp2(truth + 100 * np.eye(40, 50)[..., None], truth, **settings).q < 100


def test_a_dark_reference_counts_as_written():
    """x/0 is infinite and so changed, 0/0 is not: with every pixel unchanged, Q is 100."""
    settings = {"color_encoding": "luminance", "pixels_per_degree": 30, "maps": False}
    truth = np.zeros((40, 40))
    truth[:20] = 5
    assert hdrvdp2(truth, truth, **settings).q == 100
    test = truth.copy()
    test[30:, 10:] = 2
    assert hdrvdp2(test, truth, **settings).q < 90
    dark = np.where(np.arange(40)[:, None] < 20, 5.0, -1e-3) * np.ones((40, 40))  # a negative ratio isn't above 0.001
    assert hdrvdp2(np.where(dark < 0, 3.0, dark), dark, **settings).q == 100


def test_nan_counts_as_darkness(scene):
    test, truth = scene(40, 60)
    test[3:9, 5:9, 1] = np.nan
    linear = {"color_encoding": "rgb-bt.709", "pixels_per_degree": 30}
    dark = np.where(np.isnan(test), 1e-5, test * 1000)
    with pytest.warns(UserWarning, match="the test image holds 24 NaN of 7200 values; HDR-VDP-2 takes them for black"):
        found = hdrvdp2(test * 1000, truth * 1000, **linear).q
    assert found == hdrvdp2(dark, truth * 1000, **linear).q
    with pytest.warns(UserWarning, match="NaN"):
        assert math.isfinite(hdrvdp2(test, truth, **SRGB).q)


def test_tensors_arrays_and_views_agree(scene):
    test, truth = (image.astype(np.float32) for image in scene(40, 61))
    expected = hdrvdp2(test, truth, **SRGB)
    found = hdrvdp2(torch.from_numpy(test), torch.from_numpy(truth), **SRGB)
    assert found.q == expected.q
    assert isinstance(found.p_map, torch.Tensor)
    assert isinstance(expected.p_map, np.ndarray)
    np.testing.assert_array_equal(found.c_map.numpy(), expected.c_map)
    frozen = test.copy()
    frozen.setflags(write=False)
    assert hdrvdp2(np.flip(np.flip(frozen, 0).copy(), 0), truth, **SRGB).q == expected.q
    assert hdrvdp2(test, truth, **{**SRGB, "color_encoding": "srgb-DISPLAY"}).q == expected.q


def test_a_batch_gives_what_single_pairs_give(scene):
    pairs = [scene(40, 52), scene(33, 70, 1), scene(40, 52, 2)]
    found = hdrvdp2_batch(iter(pairs), **SRGB, maps=False)
    assert [result.q for result in found] == [hdrvdp2(*pair, **SRGB, maps=False).q for pair in pairs]


def test_registered_with_the_default_protocols_viewing_conditions(scene):
    assert score(metrics["hdrvdp2"], *scene(40, 50)) == hdrvdp2(*scene(40, 50), **SRGB, maps=False).q


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"color_encoding": "sRGB"}, "Did you mean 'sRGB-display'"),
        ({"color_encoding": "luminance"}, r"shape \(40, 50, 3\); luminance needs \(height, width\)"),
        ({"color_encoding": None}, "color_encoding is None; expected a name"),
        ({"rgb_display": "oled"}, "no display is called 'oled'"),
        ({"rgb_display": 3}, "rgb_display is 3; expected a name"),
        ({"pixels_per_degree": "wide"}, "pixels_per_degree is 'wide'; expected a number"),
        ({"surround_l": None}, "surround_l is None; expected a number"),
        ({"pixels_per_degree": 0}, "pixels per degree; expected a positive number"),
        ({"surround_l": -2}, "surround of -2 cd/m2"),
        ({"precision": "half"}, "expected 'fast' or 'double'"),
    ],
)
def test_bad_settings_are_refused(scene, change, sentence):
    with pytest.raises(UsageError, match=sentence):
        hdrvdp2(*scene(40, 50), **{**SRGB, **change})


def test_bad_images_are_refused(scene):
    test, truth = scene(40, 50)
    with pytest.raises(UsageError, match=r"16x50 pixels; .* needs 17 a side"):
        hdrvdp2(test[:16], truth[:16], **SRGB)
    with pytest.raises(UsageError, match="test image has 39x50 pixels, the reference 40x50"):
        hdrvdp2(test[1:], truth, **SRGB)
    for bad in (np.inf, -np.inf):
        broken = truth.copy()
        broken[0, 0, 0] = bad
        with pytest.raises(UsageError, match="reference image holds infinite"):
            hdrvdp2(test, broken, **SRGB)
    with pytest.raises(UsageError, match="the test image has shape"):
        hdrvdp2(test[..., 0], truth[..., 0], **SRGB)
    for bad in (test + 1j, torch.from_numpy(test + 1j), test.astype(str), None, [[1, 2], [3]]):
        with pytest.raises(UsageError, match="test image"):
            hdrvdp2(bad, truth, **SRGB)
    linear = {"color_encoding": "rgb-bt.709", "pixels_per_degree": 30}
    with pytest.raises(UsageError, match="far too large"):
        hdrvdp2(test * 1e308, truth * 1e308, **linear)
    truth[3, 3] = -1e-4
    with pytest.raises(UsageError, match="negative light, so there is no geometric mean"):
        hdrvdp2(test * 1000, truth * 1000, surround_l=-1, **linear)


def test_numbers_of_any_kind_and_names_of_any_case_are_taken(scene):
    test, truth = (np.rint(image * 200) for image in scene(40, 50, channels=1))
    settings = {"color_encoding": "Luminance", "rgb_display": "CRT"}
    expected = hdrvdp2(test, truth, **settings, pixels_per_degree=30).q
    kinds = [
        (test.astype(dtype), truth.astype(dtype)) for dtype in (np.uint8, np.int32, np.float16, ">f4", np.longdouble)
    ]
    kinds.append((test.tolist(), truth.tolist()))
    for pair in kinds:
        assert hdrvdp2(*pair, **settings, pixels_per_degree=torch.tensor(30.0)).q == expected


def test_relative_values_where_luminance_is_due_give_a_warning(scene):
    with pytest.warns(UserWarning, match="takes cd/m2, but no value is above 1"):
        hdrvdp2(*scene(40, 50), color_encoding="rgb-bt.709", pixels_per_degree=30, maps=False)


def test_code_values_where_display_values_are_due_give_a_warning(scene):
    test, truth = (np.rint(image * 255).astype(np.uint8) for image in scene(40, 50))
    with pytest.warns(UserWarning, match=r"takes \[0, 1\], but values reach \d+: divide code values"):
        hdrvdp2(test, truth, **SRGB, maps=False)


def test_autocast_leaves_numbers_alone(scene):
    expected = hdrvdp2(*scene(64, 80), **SRGB)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = hdrvdp2(*scene(64, 80), **SRGB)
    assert found.q == expected.q
    np.testing.assert_array_equal(found.p_map, expected.p_map)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("precision", ["fast", "double"])
def test_a_gpu_gives_the_same_numbers(scene, precision):
    """Another FFT library in float64: rounding only; in float32 as far as the fast path may stray."""
    test, truth = (torch.from_numpy(image) for image in scene(301, 467))
    expected = hdrvdp2(test, truth, **SRGB, precision=precision)
    found = hdrvdp2(test.cuda(), truth.cuda(), **SRGB, precision=precision)
    assert found.p_map.device.type == "cuda"
    assert found.q == pytest.approx(expected.q, abs=1e-8 if precision == "double" else 1e-4)
    assert float((found.p_map.cpu() - expected.p_map).abs().mean()) < (1e-8 if precision == "double" else 1e-3)
