"""Properties that hold for any pair, not only for the recorded ones; and input that is refused."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.core.errors import UsageError
from bench.metrics.hdrvdp3 import hdrvdp3, hdrvdp3_batch
from bench.metrics.hdrvdp3.display import DISPLAYS, ENCODINGS
from bench.metrics.hdrvdp3.tasks import TASKS

LINEAR = {"encoding": "rgb-bt.709", "pixels_per_degree": 30}
SMALLEST = {"quality": 9, "side-by-side": 9, "flicker": 9, "detection": 15}
FEW = settings(max_examples=12, deadline=None)
AGES = st.sampled_from([12.0, 24.0, 60.0, 75.0])


def scaled(pair, encoding):
    return tuple(image * (1 if "display" in encoding else 3000) for image in pair)


@FEW
@given(
    st.integers(9, 90), st.integers(9, 90), st.floats(2.5, 100), st.sampled_from(sorted(ENCODINGS)),
    st.sampled_from(sorted(TASKS)), st.sampled_from([None, *DISPLAYS]), AGES, st.sampled_from(["hdrvdp", "cie"]),
    st.sampled_from(["none", "mean", 4.0]), st.integers(0, 99),
)  # fmt: skip
def test_any_pair_agrees_with_the_slow_program(
    scene, oracle, height, width, ppd, encoding, task, display, age, mtf, surround, seed
):
    height, width = max(height, SMALLEST[task]), max(width, SMALLEST[task])
    channels = ENCODINGS[encoding].channels
    test, truth = scaled(scene(height, width, seed, channels), encoding)
    around = None if surround == "none" else surround
    arrays = [image.reshape(height, width, channels) for image in (test, truth)]
    expected = oracle.oracle(*arrays, encoding, ppd, task, display, age, around, mtf)
    given = {"encoding": encoding, "pixels_per_degree": ppd, "task": task, "display": display, "age": age}
    result = hdrvdp3(test, truth, **given, surround=surround, mtf=mtf, precision="double")
    for name in ("Q", "Q_JOD", "P_det"):
        assert getattr(result, name) == pytest.approx(expected[name], abs=1e-9)
    assert result.C_max == pytest.approx(expected["C_max"], rel=1e-9)
    np.testing.assert_allclose(result.P_map, expected["P_map"], atol=1e-9)
    np.testing.assert_allclose(result.C_map, expected["C_map"], atol=1e-9 * expected["C_max"])
    fast = hdrvdp3(test, truth, **given, surround=surround, mtf=mtf)
    assert abs(fast.Q - expected["Q"]) <= 1e-5
    assert abs(fast.P_det - expected["P_det"]) <= 1e-5


@pytest.mark.parametrize(("height", "width", "ppd"), [(9, 399, 30), (400, 10, 2.5), (121, 187, 100)])
def test_long_and_large_odd_sizes(scene, oracle, height, width, ppd):
    test, truth = scaled(scene(height, width), "rgb-bt.709")
    expected = oracle.oracle(test, truth, "rgb-bt.709", ppd)
    assert abs(hdrvdp3(test, truth, encoding="rgb-bt.709", pixels_per_degree=ppd).Q - expected["Q"]) <= 1e-5


@FEW
@given(st.integers(15, 100), st.integers(15, 100), st.floats(2.5, 100), st.sampled_from(sorted(TASKS)), AGES)
def test_identical_images_are_perfect(scene, height, width, ppd, task, age):
    _, truth = scaled(scene(height, width, 0, 1), "luminance")
    result = hdrvdp3(truth, truth, encoding="luminance", pixels_per_degree=ppd, task=task, age=age)
    assert (result.Q, result.Q_JOD, result.C_max) == (10, 10, 0)
    assert not result.C_map.any()
    assert -1.1e-4 < result.P_det <= 0
    assert -1.1e-4 < result.P_map.min() <= result.P_map.max() < 1e-6


@settings(max_examples=6, deadline=None)
@given(st.sampled_from([33, 49, 65]), st.sampled_from([33, 65, 97]), st.integers(0, 99), st.sampled_from([0, 1]))
def test_a_mirror_changes_nothing(scene, height, width, seed, axis):
    """Exact for sizes 2^k m + 1 only, and below 26 pixels per degree: above, adaptation has edges of one side."""
    settings = {"encoding": "rgb-bt.709", "pixels_per_degree": 20, "precision": "double", "maps": False}
    test, truth = scaled(scene(height, width, seed), "rgb-bt.709")
    mirrored = [np.flip(image, axis).copy() for image in (test, truth)]
    assert abs(hdrvdp3(*mirrored, **settings).Q - hdrvdp3(test, truth, **settings).Q) <= 1e-9


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 99))
def test_more_noise_is_never_better(scene, seed):
    _, truth = scaled(scene(64, 80, seed), "rgb-bt.709")
    noise = np.random.default_rng(seed).normal(0, 1, truth.shape)
    found = [hdrvdp3(truth * (1 + s * noise), truth, **LINEAR, maps=False).Q_JOD for s in (0.02, 0.1, 0.3)]
    assert 10 > found[0] > found[1] > found[2]


def test_scale_and_resolution_act_as_the_docstring_says(scene):
    """Brighter light loses quality; more pixels per degree gain some."""
    pair = scene(96, 120)
    bright = [hdrvdp3(*(x * factor for x in pair), **LINEAR, maps=False).Q_JOD for factor in (30, 300, 3000)]
    assert bright[0] > bright[1] > bright[2]
    fine = [hdrvdp3(*pair, encoding="sRGB-display", pixels_per_degree=ppd, maps=False).Q_JOD for ppd in (20, 40, 80)]
    assert fine[0] < fine[1] < fine[2]


def test_a_change_of_level_is_no_difference():
    """The base band's mean is taken off each image."""
    truth = np.full((32, 40), 50.0)
    result = hdrvdp3(1.1 * truth, truth, encoding="luminance", pixels_per_degree=30, precision="double")
    assert abs(result.Q - 10) <= 1e-9
    assert result.P_map.max() < 1e-6


@pytest.mark.filterwarnings("ignore:HDR-VDP-3 with luminance takes cd/m2")
def test_all_black_against_a_picture_has_no_lower_bound(scene):
    _, truth = scaled(scene(28, 24, 0, 1), "luminance")
    result = hdrvdp3(np.zeros_like(truth), truth, encoding="luminance", pixels_per_degree=30)
    assert result.Q < 3
    assert hdrvdp3(*[np.zeros_like(truth)] * 2, encoding="luminance", pixels_per_degree=30).Q == 10


class TestNan:
    def test_without_a_matrix_it_is_dark_and_no_difference(self, scene):
        _, truth = scaled(scene(40, 60), "rgb-native")
        test = truth.copy()
        settings = {"encoding": "rgb-native", "pixels_per_degree": 30, "precision": "double"}
        test[3:9, 5:9, 1] = np.nan
        with pytest.warns(UserWarning, match="the test image holds 24 NaN of 7200 values; HDR-VDP-3 takes them for"):
            found = hdrvdp3(test, truth, **settings)
        dark = hdrvdp3(np.where(np.isnan(test), 1e-5, test), truth, **settings)
        np.testing.assert_array_equal(found.P_map, dark.P_map)
        assert found.Q == 10 > dark.Q

    @pytest.mark.parametrize("clamped", [False, True])
    def test_with_a_matrix_the_clamp_decides(self, scene, oracle, clamped):
        test, truth = (image + 1 for image in scaled(scene(40, 60), "rgb-bt.709"))
        test[3:9, 5:9, 1] = np.nan
        if clamped:
            test[30, 30] = (0, 0, 500)  # no red and green of the display mix to this
        expected = oracle.oracle(test, truth, "rgb-bt.709", 30)
        with pytest.warns(UserWarning, match="NaN"):
            found = hdrvdp3(test, truth, **LINEAR, precision="double")
        assert abs(found.Q - expected["Q"]) <= 1e-9
        np.testing.assert_allclose(found.P_map, expected["P_map"], atol=1e-9)

    @pytest.mark.filterwarnings("ignore:the test image holds")
    def test_all_of_it_counts_as_equal_and_is_seen(self, scene):
        _, truth = scaled(scene(40, 60, 0, 1), "luminance")
        result = hdrvdp3(np.full_like(truth, np.nan), truth, encoding="luminance", pixels_per_degree=30)
        assert result.Q == 10
        assert result.P_det > 0.9

    @pytest.mark.filterwarnings("ignore:the test image holds")
    def test_it_is_black_on_an_srgb_display(self, scene):
        test, truth = scene(30, 40)
        test[3:9, 5:9, 1] = np.nan
        settings = {"encoding": "sRGB-display", "pixels_per_degree": 30}
        assert hdrvdp3(test, truth, **settings).Q == hdrvdp3(np.nan_to_num(test), truth, **settings).Q


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"task": "Quality"}, "no task of HDR-VDP-3 is called 'Quality'"),
        ({"task": None}, "task is None; expected a name"),
        ({"encoding": "rgb-bt.709a"}, "no colour encoding is called 'rgb-bt.709a'"),
        ({"display": "plasma"}, "no display is called 'plasma'"),
        ({"mtf": "eye"}, "no MTF of HDR-VDP-3 is called 'eye'"),
        ({"pixels_per_degree": 2}, "HDR-VDP-3 at 2 pixels per degree; expected more than 2"),
        ({"pixels_per_degree": float("nan")}, "HDR-VDP-3 at nan pixels per degree"),
        ({"pixels_per_degree": "many"}, "pixels_per_degree is 'many'; expected a number"),
        ({"age": 0}, "an observer of 0 years"),
        ({"age": None}, "age is None; expected a number"),
        ({"surround": "median"}, "a surround of 'median'; expected a luminance in cd/m2, 'none' or 'mean'"),
        ({"surround": -1}, "a surround of -1"),
        ({"surround": [1, 2, 3]}, "surround is \\[1, 2, 3\\]; expected a number"),
        ({"precision": "half"}, "precision 'half'; expected 'fast' or 'double'"),
        ({"options": {"age": 30}}, "no option of HDR-VDP-3 is called 'age'"),
    ],
)
def test_settings_that_are_refused(settings, said):
    image = np.full((20, 20, 3), 20.0)
    with pytest.raises(UsageError, match=said):
        hdrvdp3(image, image, **LINEAR | settings)


@pytest.mark.parametrize(
    ("change", "settings", "said"),
    [
        (lambda x: x * np.inf, LINEAR, "the test image holds infinite or far too large values; HDR-VDP-3 compares"),
        (lambda x: x * 5e306, LINEAR, "the test image holds infinite or far too large values"),
        (lambda x: x[:8], LINEAR, "the test image has 8x20 pixels; HDR-VDP-3 splits images into bands and needs 9"),
        (lambda x: x[:14], LINEAR | {"task": "detection"}, "needs 15 a side at least"),
        (lambda x: x[:19], LINEAR, "the test image has 19x20 pixels, the reference 20x20; they must be equal"),
        (lambda x: x[..., 0], LINEAR, "the test image has shape \\(20, 20\\); rgb-bt.709 needs \\(height, width, 3\\)"),
        (lambda x: x, LINEAR | {"encoding": "luminance"}, "luminance needs \\(height, width\\)"),
        (lambda x: x + 1j, LINEAR, "test image"),
    ],
)
def test_images_that_are_refused(change, settings, said):
    image = np.full((20, 20, 3), 20.0)
    with pytest.raises(UsageError, match=said):
        hdrvdp3(change(image), image, **settings)


def test_light_without_a_power_or_a_geometric_mean_is_refused():
    luma = np.full((20, 20), 0.5)
    luma[3, 3] = -0.01
    with pytest.raises(UsageError, match="the reference image has negative luma"):
        hdrvdp3(np.abs(luma), luma, encoding="luma-display", pixels_per_degree=30)
    light = np.full((20, 20), 20.0)
    for bad in (-1.0, np.nan):
        with warnings.catch_warnings(), pytest.raises(UsageError, match="so there is no geometric mean"):
            warnings.simplefilter("ignore")
            broken = np.where(np.eye(20) > 0, bad, light)
            hdrvdp3(light, broken, encoding="luminance", pixels_per_degree=30, surround="mean")


def test_a_reference_with_black_has_a_surround_of_black(scene):
    test, truth = scaled(scene(30, 40, 0, 1), "luminance")
    truth[4, 4] = 0
    settings = {"encoding": "luminance", "pixels_per_degree": 30}
    found = [hdrvdp3(test, truth, **settings, surround=around).Q for around in ("mean", 0.0)]
    assert found[0] == found[1]


def test_values_of_another_encoding_give_a_warning(scene):
    test, truth = scene(40, 50)
    with pytest.warns(UserWarning, match="HDR-VDP-3 with rgb-bt.709 takes cd/m2, but no value is above 1"):
        hdrvdp3(test, truth, **LINEAR, maps=False)
    codes = [np.rint(image * 255).astype(np.uint8) for image in (test, truth)]
    with pytest.warns(UserWarning, match=r"takes \[0, 1\], but values reach \d+: divide code values"):
        hdrvdp3(*codes, encoding="srgb-DISPLAY", pixels_per_degree=30, maps=False)


def test_arrays_give_arrays_tensors_give_tensors_and_a_batch_the_same(scene):
    pair = scaled(scene(30, 41), "rgb-bt.709")
    expected = hdrvdp3(*pair, **LINEAR)
    assert isinstance(expected.P_map, np.ndarray)
    found = hdrvdp3(*map(torch.from_numpy, pair), **LINEAR)
    assert isinstance(found.P_map, torch.Tensor)
    np.testing.assert_array_equal(found.P_map.numpy(), expected.P_map)
    batch = list(hdrvdp3_batch([pair, (pair[1], pair[1])], **LINEAR))
    assert [result.Q for result in batch] == [expected.Q, 10]
    assert hdrvdp3(*pair, **LINEAR, maps=False) == (expected.Q, expected.Q_JOD, None, None, None, None)


def test_autocast_leaves_numbers_alone(scene):
    pair = scaled(scene(40, 50), "rgb-bt.709")
    expected = hdrvdp3(*pair, **LINEAR)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert hdrvdp3(*pair, **LINEAR).Q == expected.Q


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("task", sorted(TASKS))
def test_a_gpu_gives_the_same_numbers(scene, task):
    pair = [torch.from_numpy(image) for image in scaled(scene(301, 467), "rgb-bt.709")]
    expected = hdrvdp3(*pair, **LINEAR, task=task, precision="double")
    found = hdrvdp3(*(image.cuda() for image in pair), **LINEAR, task=task, precision="double")
    assert found.P_map.device.type == "cuda"
    assert abs(found.Q - expected.Q) <= 1e-9
    assert float((found.P_map.cpu() - expected.P_map).abs().max()) < 1e-9
