"""The camera: rotations keep lengths, axes point where the names say; the sensor's noise follows its model."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.color.exposure import linearise
from bench.data.camera import FULL, Dome, Lens, Pose, Station, dark, expose, horizon, rotation_shift, saturated

WELL, READ = 2500.0, 4.0

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
    assert rotation_shift(lens, Pose(0, 0), Pose(0, 0)) == 0
    assert rotation_shift(lens, Pose(0, 0), Pose(0.5, 0)) == pytest.approx(lens.focal * math.radians(0.5), rel=0.1)


def test_angle_between_poses() -> None:
    assert Pose(10, 0).angle_to(Pose(350, 0, 45)) == pytest.approx(20)


def shot(radiance: float, time: float, bits: int = 16, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return expose(np.full((120, 120, 3), radiance), time, full_well=WELL, read_noise=READ, bits=bits, rng=rng)


@pytest.mark.parametrize(("radiance", "time"), [(0.02, 1.0), (0.02, 16.0), (0.3, 1.0), (0.05, 4.0)])
def test_mean_and_variance_follow_the_model(radiance: float, time: float) -> None:
    electrons = linearise(shot(radiance, time) / FULL) * WELL
    mean = radiance * time * WELL
    deviation = np.sqrt(mean + READ**2)
    count = electrons.size
    # Four standard errors of a mean and of a variance.
    assert abs(electrons.mean() - mean) < 4 * deviation / np.sqrt(count)
    assert electrons.var() == pytest.approx(deviation**2, rel=4 * np.sqrt(2 / count))


def test_longer_exposures_are_cleaner() -> None:
    relative = [np.std(linearise(shot(0.01, t) / FULL) / t) / 0.01 for t in (1.0, 4.0, 16.0)]
    assert relative[0] > 1.8 * relative[1] > 3 * relative[2]


@pytest.mark.parametrize("bits", [8, 14, 16])
def test_values_are_levels_spread_over_the_full_range(bits: int) -> None:
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 1.3, 90_000).reshape(300, 100, 3)
    frames = expose(ramp, 1.0, full_well=1e7, read_noise=0, bits=bits, rng=rng)
    levels = frames / FULL * (2**bits - 1)
    assert np.abs(levels - np.rint(levels)).max() <= 0.5 * 2**bits / 65536
    assert frames.min() == 0
    assert frames.max() == FULL
    assert len(np.unique(frames)) <= 2**bits


def test_light_far_beyond_the_well_saturates() -> None:
    frames = shot(1e9, 16.0)
    assert saturated(frames) == 1
    assert dark(frames) == 0
    assert dark(np.zeros_like(frames)) == 1


def test_rays_go_back_to_where_they_came_from() -> None:
    lens, pose = Lens(64, 48, 80), Pose(31, -7, 3)
    rays = lens.rays()
    np.testing.assert_allclose(pose.to_camera(pose.to_world(rays)), rays, atol=1e-12)
    x, y, depth = Station(pose).place(lens, 3.0 * pose.to_world(rays))
    np.testing.assert_allclose(x, np.broadcast_to(np.arange(64) + 0.5, x.shape), atol=1e-9)
    np.testing.assert_allclose(y, np.broadcast_to(np.arange(48)[:, None] + 0.5, y.shape), atol=1e-9)
    np.testing.assert_allclose(depth, 3.0)
    np.testing.assert_allclose(lens.ray(10.5, 20.5), rays[20, 10])


def test_the_dome_is_the_panorama_from_the_origin_and_has_depth_from_elsewhere() -> None:
    dome, rays = Dome(1.5, 10.0), Pose(20, -15, 2).to_world(Lens(64, 48, 90).rays())
    points = dome.meet(Station(Pose(0, 0)), rays)
    np.testing.assert_allclose(np.cross(points, rays), 0, atol=1e-9)
    reach = np.sqrt((points**2).sum(-1))
    assert (points[..., 1] >= -1.5 - 1e-9).all()
    np.testing.assert_allclose(reach[points[..., 1] > -1.49], 10.0)
    assert (reach[rays[..., 1] < -0.5] < 10).any()
    # From elsewhere a ray meets the same two surfaces, on its own line.
    station = Station(Pose(0, 0), (0.4, 0.2, -0.3))
    other = dome.meet(station, rays)
    np.testing.assert_allclose(np.cross(other - np.array(station.position), rays), 0, atol=1e-9)
    reach = np.sqrt((other**2).sum(-1))
    assert (np.isclose(reach, 10) | np.isclose(other[..., 1], -1.5)).all()
