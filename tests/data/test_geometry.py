"""Cameras: rotations keep lengths, axes point where the names say."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.data.geometry import Lens, Pose, horizon, shift

angle = st.floats(-180, 180)


def test_axes() -> None:
    ahead = np.array([0.0, 0.0, 1.0])
    np.testing.assert_allclose(Pose(90, 0).to_world(ahead), [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(Pose(0, 90).to_world(ahead), [0, 1, 0], atol=1e-12)
    right = np.array([1.0, 0.0, 0.0])
    np.testing.assert_allclose(Pose(0, 0, 90).to_world(right), [0, -1, 0], atol=1e-12)


@given(angle, angle, angle)
def test_rotations_keep_lengths_and_angles(yaw: float, pitch: float, roll: float) -> None:
    axes = Pose(yaw, pitch, roll).to_world(np.eye(3))
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)


def test_the_field_of_view_spans_the_width() -> None:
    lens = Lens(256, 176, 90)
    edge = lens.rays()[88, [0, -1], 0] * lens.focal
    np.testing.assert_allclose(edge, [-127.5, 127.5])
    assert lens.focal == pytest.approx(128)


def test_horizon_sinks_when_the_camera_looks_up() -> None:
    lens = Lens(256, 176, 90)
    assert horizon(lens, Pose(20, 0)) == 88
    assert horizon(lens, Pose(20, 10)) == pytest.approx(88 + 128 * math.tan(math.radians(10)))


def test_shift_of_a_small_turn() -> None:
    lens = Lens(256, 176, 40)
    assert shift(lens, Pose(0, 0), Pose(0, 0)) == 0
    assert shift(lens, Pose(0, 0), Pose(0.5, 0)) == pytest.approx(lens.focal * math.radians(0.5), rel=0.1)


def test_angle_between_poses() -> None:
    assert Pose(10, 0).angle_to(Pose(350, 0, 45)) == pytest.approx(20)
