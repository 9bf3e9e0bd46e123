"""Masks of saturated and moving pixels on brackets whose motion is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from bench.core.errors import UsageError
from bench.metrics.masks import moving, reference_saturated
from bench.metrics.settings import MaskRule

H, W = 96, 128


def _texture(seed):
    """(H, W, 3) relative radiance over about nine stops, smooth at the scale of a few pixels."""
    noise = np.random.default_rng(seed).standard_normal((H // 8 + 2, W // 8 + 2, 3))
    smooth = ndimage.zoom(noise, (8, 8, 1), order=3)[:H, :W]
    return np.exp2(np.clip(2 * smooth / smooth.std() - 3.5, -8, 1))


def _capture(lights, times, seed=0, electrons=2500, read=4):
    """8-bit frames of a small sensor: shot noise, read noise, clipping, gamma 2.2."""
    rng = np.random.default_rng(seed)
    frames = []
    for light, time in zip(lights, times, strict=True):
        charge = rng.poisson(np.minimum(light * time, 4) * electrons) + rng.normal(0, read, light.shape)
        frames.append(np.rint(255 * np.clip(charge / electrons, 0, 1) ** (1 / 2.2)) / 255)
    ldr = np.stack(frames).astype(np.float32)
    return ldr, (ldr**2.2 / times[:, None, None, None]).astype(np.float32)


def _disc(y, x, radius=14):
    rows, columns = np.mgrid[:H, :W]
    return (rows - y) ** 2 + (columns - x) ** 2 < radius**2


def test_saturated_by_hand():
    frame = np.zeros((2, 3, 3), np.float32)
    frame[0, 1, 2] = 0.96
    frame[1, 0] = 0.94
    assert np.argwhere(reference_saturated(frame)).tolist() == [[0, 1]]
    assert np.argwhere(reference_saturated(frame, 0.9)).tolist() == [[0, 1], [1, 0]]
    with pytest.raises(UsageError, match="expected \\(height, width, 3\\)"):
        reference_saturated(frame[0])


@pytest.mark.parametrize("evs", [(0, 2, 4), (0, 3, 6), (0, 1, 2)])
@pytest.mark.parametrize("seed", [0, 1])
def test_noise_and_saturation_alone_are_not_motion(evs, seed):
    times = np.exp2(np.array(evs, float))
    ldr, linear = _capture([_texture(seed)] * 3, times, seed)
    assert reference_saturated(ldr[1]).mean() > 0.01
    assert not moving(ldr, linear, times, 1).any()


def test_a_shaking_camera_is_not_motion():
    times = np.array([1.0, 4.0, 16.0])
    light = _texture(2)
    ldr, linear = _capture([np.roll(light, k, axis=1) for k in (-1, 0, 1)], times)
    assert moving(ldr, linear, times, 1)[:, 4:-4].mean() < 0.01


@pytest.mark.parametrize("evs", [(0, 2, 4), (0, 3, 6)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_moving_object_is_found_and_little_else(evs, seed):
    # The object is brighter than its surroundings by 4 stops or more: in front of its own colour nobody could see it.
    times = np.exp2(np.array(evs, float))
    background, inside = np.clip(_texture(seed), 0.003, 0.01), [_disc(40, x) for x in (40, 60, 80)]
    ldr, linear = _capture([np.where(d[..., None], 0.2, background) for d in inside], times, seed)
    found, truth = moving(ldr, linear, times, 1), np.any(inside, axis=0)
    assert (found & truth).sum() > 0.9 * truth.sum()
    assert not found[~ndimage.binary_dilation(truth, iterations=5)].any()


def test_an_object_that_hides_a_saturated_background_is_found():
    times = np.array([1.0, 4.0, 16.0])
    sky, dark = np.full((H, W, 3), 0.8), 0.005
    lights = [np.where(_disc(48, x)[..., None], dark, sky) for x in (40, 64, 88)]
    ldr, linear = _capture(lights, times)
    found = moving(ldr, linear, times, 1)
    # The reference shows sky, saturated, where the short frame shows the object; and the object where that shows sky.
    assert found[48, 40]
    assert found[48, 64]
    assert not found[10].any()


def test_motion_inside_what_every_frame_lost_is_not_seen():
    times = np.array([1.0, 4.0, 16.0])
    lights = [np.where(_disc(48, x)[..., None], 3.0, np.full((H, W, 3), 1.5)) for x in (40, 64, 88)]
    ldr, linear = _capture(lights, times)
    assert not moving(ldr, linear, times, 1).any()


def test_regions_at_the_border_survive():
    times = np.array([1.0, 4.0, 16.0])
    lights = [np.full((H, W, 3), 0.05) for _ in times]
    lights[2][:20, :20] = 0.01
    ldr, linear = _capture(lights, times)
    found = moving(ldr, linear, times, 1)
    assert found[0, 0]
    assert found[10, 10]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([1, 2]))
def test_flips_and_global_exposure_commute(seed, axis):
    rng = np.random.default_rng(seed)
    times = np.array([1.0, 4.0, 16.0])
    ldr = rng.random((3, 24, 28, 3)).astype(np.float32)
    linear = ldr**2.2 / times[:, None, None, None]
    mask = moving(ldr, linear, times, 1)
    np.testing.assert_array_equal(moving(np.flip(ldr, axis), np.flip(linear, axis), times, 1), np.flip(mask, axis - 1))
    np.testing.assert_array_equal(moving(ldr, linear / 8, times * 8, 1), mask)


def test_thresholds_come_from_the_rule():
    times = np.array([1.0, 4.0])
    lights = [np.full((H, W, 3), 0.05), np.full((H, W, 3), 0.08)]  # 0.7 stops apart
    ldr, linear = _capture(lights, times, electrons=1e6)
    assert moving(ldr, linear, times, 1).all()
    assert not moving(ldr, linear, times, 1, MaskRule(tolerance=0.1)).any()


def test_frames_that_dont_fit_together_are_refused():
    frames = np.zeros((3, 8, 8, 3), np.float32)
    for arguments in [
        (frames, frames[:2], np.ones(3), 1),
        (frames, frames, np.ones(2), 1),
        (frames, frames, np.ones(3), 3),
    ]:
        with pytest.raises(UsageError, match="expected two arrays"):
            moving(*arguments)
