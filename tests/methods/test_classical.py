"""The rows without training: what they undo, that they leave a still scene alone, and what they refuse."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bench.color.exposure import encode
from bench.color.merging import brighter_where_clipped, short_where_clipped, take, triangle_merge
from bench.color.registration import registered
from bench.core.errors import UsageError
from bench.core.registry import methods
from bench.core.scene import Scene
from methods.flow_merge import trust

ALIGNED = ["homography-merge", "ecc-merge", "mtb-merge", "flow-merge"]
RULES = [f"{frames}{rule}-where-clipped" for rule in ("short", "brighter") for frames in ("", "dis-")]
RULES.append("homography-brighter-where-clipped")
OPENCV = ["opencv-debevec", "opencv-robertson"]
TIMES = np.array([1.0, 4.0, 16.0])


@pytest.fixture(scope="module")
def light():
    """Radiance with detail at many scales, (170, 230, 3) float64 in [0, 1], a third of which clips the long frame."""
    noise = np.random.default_rng(3)
    height = sum(size * gaussian_filter(noise.normal(size=(170, 230)), size) for size in (1, 2, 4, 8, 16))
    height = (height - height.min()) / np.ptp(height)
    return np.stack([height**4, height**4.5, height**5], -1)


def bracket(moments, dtype=np.uint16, times=TIMES, reference=1):
    full = np.iinfo(dtype).max
    codes = [np.round(full * encode(moment, time)) for moment, time in zip(moments, times, strict=True)]
    return Scene("made", np.stack(codes).astype(dtype), np.asarray(times), reference)


def shifted(light, rows, columns):
    return bracket([light[10 + k * rows :, 10 + k * columns :][:150, :210] for k in (1, 0, -1)])


def error(radiance, light):
    return np.abs(radiance - light[10:160, 10:220])[10:-10, 10:-10].mean()


@pytest.mark.parametrize("name", ALIGNED)
def test_a_still_bracket_gives_the_plain_merge(light, name):
    scene = bracket([light] * 3)
    wanted = triangle_merge(scene)
    radiance = methods[name].predict(scene)
    np.testing.assert_allclose(encode(radiance), encode(wanted), rtol=0, atol=4e-3 if name == "flow-merge" else 1e-3)
    if name == "mtb-merge":
        np.testing.assert_array_equal(radiance, wanted)


@pytest.mark.parametrize("name", ALIGNED)
def test_a_shifted_bracket_is_merged_without_ghosts(light, name):
    scene = shifted(light, 3, -5)
    assert error(methods[name].predict(scene), light) < 0.15 * error(methods["triangle-merge"].predict(scene), light)


def test_what_no_flow_explains_is_the_references():
    """A disc that only the long frame has, on dark ground: the plain merge shows it, flow and merge doesn't."""
    rows, columns = np.mgrid[:96, :128]
    ground = np.repeat((0.004 + 0.002 * np.sin(rows / 4) * np.cos(columns / 5))[..., None], 3, -1)
    disc = np.where(((rows - 40) ** 2 + (columns - 70) ** 2 < 150)[..., None], 0.05, ground)
    scene = bracket([ground, ground, disc])
    inside = (rows - 40) ** 2 + (columns - 70) ** 2 < 80
    assert np.abs(methods["triangle-merge"].predict(scene) - ground)[inside].min() > 0.01
    assert np.abs(methods["flow-merge"].predict(scene) - ground)[inside].max() < 0.003


def test_frames_are_trusted_where_both_are_clipped_or_agree():
    codes = np.full((3, 9, 9, 3), 255, np.uint8)
    codes[0] = encode(np.float64(0.9)) * 255  # brighter than the reference can hold
    assert (trust(Scene("bright", codes, TIMES, 1), 0) == 1).all()
    codes[0] = encode(np.float64(0.01)) * 255  # the reference would have shown it
    assert (trust(Scene("dark", codes, TIMES, 1), 0) == 0).all()


@pytest.mark.parametrize("name", OPENCV)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_opencv_merges_restore_a_still_scene_in_our_scale(light, name, dtype):
    """Codes of 8 bits are off by half: at most 2.2 / 2 / 128 of the radiance at mid-range, more in dark places."""
    radiance = methods[name].predict(bracket([light] * 3, dtype))
    told = light > 1e-3
    np.testing.assert_allclose(radiance[told], light[told], rtol=0.12)
    assert np.median(np.abs(radiance[told] / light[told] - 1)) < 0.01


def test_opencv_merges_of_one_pixel_by_hand():
    """Grey codes 100, 180, 250 at times 1, 4, 16, by the publications' formulas and weights.

    Debevec: mean of log(response / t) with weights z, 255 - z above the middle. Robertson: sum(w t response) /
    sum(w t^2) with a Gaussian of the code that is 0 at its ends.
    """
    codes = np.array([100, 180, 250], np.uint8)
    scene, z = Scene("pixel", np.repeat(codes[:, None, None, None], 3, 3), TIMES, 1), codes.astype(float)
    response, hat = (z / 255) ** 2.2, np.minimum(z, 255 - z)
    bell = np.exp(-4 * ((z - 127.5) / 127.5) ** 2) - np.exp(-4)
    debevec = np.exp((hat * np.log(response / TIMES)).sum() / hat.sum())
    robertson = (bell * TIMES * response).sum() / (bell * TIMES**2).sum()
    for name, wanted in (("opencv-debevec", debevec), ("opencv-robertson", robertson)):
        np.testing.assert_allclose(methods[name].predict(scene), np.full((1, 1, 3), wanted), rtol=1e-5)


@pytest.mark.parametrize("name", OPENCV)
def test_what_no_frame_holds_is_the_shortest_frames(name):
    bright, black = np.full((3, 4, 5, 3), 65535, np.uint16), np.zeros((3, 4, 5, 3), np.uint16)
    assert (methods[name].predict(Scene("bright", bright, TIMES, 1)) == 1).all()
    assert (methods[name].predict(Scene("black", black, TIMES, 1)) == 0).all()


@pytest.mark.parametrize("name", OPENCV)
def test_opencv_merges_take_any_number_of_frames(light, name):
    scene = bracket([light] * 5, times=2.0 ** np.arange(5), reference=2)
    radiance = methods[name].predict(scene)
    told = light > 1e-2
    np.testing.assert_allclose(radiance[told], light[told], rtol=0.05)


@pytest.mark.parametrize(
    ("name", "rule"),
    [("dis", "short"), ("dis", "brighter"), ("homography", "brighter")],
)
def test_the_rule_on_registered_frames_is_the_rule_of_what_the_registration_gives(light, name, rule):
    scene = shifted(light, 3, -5)
    radiance = methods[f"{name}-{rule}-where-clipped"].predict(scene)
    chosen = {"short": short_where_clipped, "brighter": brighter_where_clipped}[rule]
    np.testing.assert_array_equal(radiance, take(registered(scene, name), chosen))
    assert error(radiance, light) < 0.2 * error(methods["short-where-clipped"].predict(scene), light)


def test_a_dark_ghost_on_what_is_clipped_is_refused_by_the_bound_alone():
    """A wall that clips the reference; in the short frame something dark stands before it."""
    wall, hidden = np.full((8, 8, 3), 0.6), np.full((8, 8, 3), 0.6)
    hidden[2:5, 2:5] = 0.01
    scene = bracket([hidden, wall, wall])
    ghost = methods["short-where-clipped"].predict(scene)
    bound = methods["brighter-where-clipped"].predict(scene)
    np.testing.assert_allclose(ghost[2:5, 2:5], 0.01, rtol=1e-3)
    np.testing.assert_allclose(bound[2:5, 2:5], 0.25, rtol=1e-3)  # what clips the reference, at four times the exposure
    np.testing.assert_array_equal(bound[5:], ghost[5:])


@pytest.mark.parametrize("name", ALIGNED)
def test_triangle_weights_need_three_frames(light, name):
    with pytest.raises(UsageError, match=f"scene 'made' has 2 frames; {name} needs three"):
        methods[name].predict(bracket([light] * 2, times=TIMES[:2], reference=0))


@pytest.mark.parametrize("name", [*ALIGNED, *OPENCV])
def test_a_prediction_repeats_to_the_bit(light, name):
    scene = shifted(light, 2, 3)
    np.testing.assert_array_equal(methods[name].predict(scene), methods[name].predict(scene))


@pytest.mark.parametrize("name", [*ALIGNED, *OPENCV, *RULES])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 13), (30, 45)])
def test_any_size_is_taken(name, size):
    codes = np.random.default_rng(0).integers(0, 255, (3, *size, 3), np.uint8)
    radiance = methods[name].predict(Scene("odd", codes, TIMES, 1))
    assert radiance.shape == (*size, 3) and radiance.dtype == np.float32
    assert np.isfinite(radiance).all() and (radiance >= 0).all()
