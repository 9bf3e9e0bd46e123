"""Figures of a scene against scenes made to have them."""

from dataclasses import replace

import numpy as np
import pytest

from bench.core.scene import Scene
from bench.data.statistics import dynamic_range, measure

from . import builders


def texture(height=160, width=240, seed=0):
    """Smooth detail (H, W, 3) at several scales, radiance in [0.001, 0.9]."""
    rng, total = np.random.default_rng(seed), np.zeros((height, width))
    for cell in (4, 8, 16):
        coarse = rng.random((height // cell + 2, width // cell + 2))
        rows, columns = np.arange(height) / cell, np.arange(width) / cell
        top, left = rows.astype(int), columns.astype(int)
        down, right = (rows - top)[:, None], (columns - left)[None]
        upper = coarse[top][:, left] * (1 - right) + coarse[top][:, left + 1] * right
        lower = coarse[top + 1][:, left] * (1 - right) + coarse[top + 1][:, left + 1] * right
        total += (upper * (1 - down) + lower * down) * cell
    scaled = (total - total.min()) / np.ptp(total)
    return np.repeat((0.001 + 0.9 * scaled**3)[..., None], 3, axis=-1)


def scene(*lights, times=(1.0, 4.0, 16.0), radiance=None):
    frames = np.stack([builders.frame(light, time) for light, time in zip(lights, times, strict=True)])
    return Scene("s", frames, np.array(times), 1, radiance)


def nothing(small):
    return np.zeros(small.frames.shape[1:3], bool)


@pytest.mark.parametrize("shift", [(0, 0), (0, 3), (2, -4)])
def test_the_cameras_shift_is_found(shift):
    big = texture(200, 280)
    light = big[20:-20, 20:-20]
    moved = big[20 + shift[0] : 180 + shift[0], 20 + shift[1] : 260 + shift[1]]
    found = measure(scene(moved, light, light), nothing)
    assert found.camera == pytest.approx(np.hypot(*shift), abs=0.25)


def test_motion_is_told_in_pixels_of_the_full_size():
    big = texture(600, 1200)
    light = big[20:-20, 20:-20]
    found = measure(scene(big[20:-20, 28:-12], light, light), nothing)
    assert found.width == 1160 and found.camera == pytest.approx(8, abs=1)


def test_a_scene_that_knows_its_uncovered_pixels_gives_the_same_figures():
    light = texture(600, 1200)  # large enough to be measured at every second pixel
    plain = scene(light, light, light)
    assert measure(replace(plain, uncovered=np.ones((600, 1200), bool)), nothing) == measure(plain, nothing)


def test_saturation_and_darkness_are_counted():
    light = np.full((100, 100, 3), 0.1)
    light[:20] = 0.5  # saturates from t = 2 on
    light[20:30, :, 1] = 0.9  # one channel saturates from t = 2 on
    light[90:] = 1e-7
    found = measure(scene(light, light, light), nothing)
    assert found.saturated == pytest.approx((0, 0.3, 0.9)) and found.dark == pytest.approx(0.1)
    assert found.evs == (0, 2, 4) and found.bits == 16 and (found.height, found.width) == (100, 100)


def test_the_share_that_moves_is_what_the_mask_says():
    light = texture()

    def corner(small):
        mask = nothing(small)
        mask[: len(mask) // 2, : mask.shape[1] // 2] = True
        return mask

    assert measure(scene(light, light, light), corner).moving == pytest.approx(0.25)


def test_the_range_of_the_truth_is_in_stops():
    light = np.full((100, 100, 3), 2.0**-8)
    light[:50] = 0.5
    assert dynamic_range(light) == pytest.approx(7)
    light[0, 0] = 0  # a single black pixel is noise
    assert dynamic_range(light) == pytest.approx(7)


def test_without_truth_range_and_scale_are_none():
    light = texture()
    found = measure(scene(light, light, light), nothing)
    assert found.dynamic_range is None and found.scale is None
    truth = light.astype(np.float32)
    assert measure(scene(light, light, light, radiance=truth), nothing).scale == pytest.approx(1, abs=0.01)
