"""The made-up bracket: a legal scene of any size, the same each time, with something to do for every method."""

import cv2
import numpy as np
import pytest

from bench.data.pattern import SHAKE, bracket


@pytest.mark.parametrize("size", [(1, 1), (7, 13), (50, 70), (256, 300)])
def test_it_has_any_size_and_is_the_same_each_time(size):
    scene = bracket(*size)
    assert scene.frames.shape == (3, *size, 3) and scene.frames.dtype == np.uint16
    assert (scene.times.tolist(), scene.reference) == ([1, 4, 16], 1)
    np.testing.assert_array_equal(scene.frames, bracket(*size).frames)
    assert (scene.frames != bracket(*size, seed=1).frames).any()


def test_frames_have_dark_and_saturated_places():
    short, middle, long = bracket(256, 256).ldr
    assert (short == 1).mean() < 0.01 < (middle == 1).mean() < 0.2 < (long == 1).mean() < 0.7
    assert (short < 0.2).mean() > 0.2


def test_the_camera_shakes_and_an_object_moves():
    scene = bracket(256, 256)
    linear, (down, right) = scene.linear, SHAKE[0]
    back = np.roll(linear[0], (-down, -right), (0, 1))[8:-8, 8:-8]
    middle = linear[1][8:-8, 8:-8]
    same = np.isclose(back, middle, rtol=0.05, atol=2e-3) | (scene.ldr[1][8:-8, 8:-8] == 1)
    assert 0.8 < same.mean() < 0.99
    assert not np.isclose(linear[0][8:-8, 8:-8], middle, rtol=0.05, atol=2e-3).mean() > 0.6


def test_there_are_corners_to_register_by():
    grey = (bracket(256, 256).frames[1].mean(-1) / 257).astype(np.uint8)
    assert len(cv2.goodFeaturesToTrack(grey, 500, 0.01, 4)) > 200
