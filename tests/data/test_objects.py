"""Moving objects: they move, smear only in the long frame, and keep their brightness."""

import numpy as np
import pytest

from bench.core.simulation import Simulation
from bench.data.camera import Lens, Pose
from bench.data.objects import Mover, Sight, composite, draw_movers
from bench.data.panorama import Panorama
from bench.data.silhouettes import outline

HEIGHT, WIDTH = 88, 128


@pytest.fixture
def view() -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), 0.1)


def drawn(view: np.ndarray, seed: int, **changes: object) -> list[Mover]:
    texture = np.random.default_rng(5).normal(0, 0.4, (64, 128, 3))
    other = Panorama("other", texture, np.zeros((64, 128), bool))
    sight = Sight(view, Pose(0, 0), Lens(WIDTH, HEIGHT, 90))
    return draw_movers(sight, Simulation(**changes), "home", [other], np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(6))
def test_count_motion_and_texture_follow_the_settings(view: np.ndarray, seed: int) -> None:
    movers = drawn(view, seed, objects=(2, 3), motion=(5, 9))
    assert 2 <= len(movers) <= 3
    assert [m.y for m in movers] == sorted(m.y for m in movers)
    assert sum(m.kind == "vehicle" for m in movers) <= 1
    for mover in movers:
        assert mover.path[1] == 0
        assert 5 <= abs(mover.path[2]) <= 9
        assert mover.path[0] * mover.path[2] < 0
        assert mover.texture.name == "other"


def test_no_vehicle_indoors(view: np.ndarray) -> None:
    kinds = {m.kind for seed in range(30) for m in drawn(view, seed, indoors=("home",))}
    assert kinds == {"person", "animal"}


def test_without_objects_the_view_is_unchanged(view: np.ndarray) -> None:
    assert drawn(view, 0, objects=(0, 0)) == []
    np.testing.assert_array_equal(composite(view, [], 2, 0.3, (0, 0)), view)


@pytest.mark.parametrize("seed", range(4))
def test_objects_cover_only_their_place_and_move(view: np.ndarray, seed: int) -> None:
    movers = drawn(view, seed, objects=(1, 1))
    frames = [composite(view, movers, i, 0.3, (0, 0)) for i in range(3)]
    touched = [np.abs(f - view).max(axis=-1) > 1e-4 for f in frames]
    assert all(0.002 < t.mean() < 0.6 for t in touched)
    assert (frames[0] != frames[1]).any()
    assert all(np.isfinite(f).all() and (f >= 0).all() for f in frames)


def test_only_the_long_frame_smears(view: np.ndarray) -> None:
    mover = drawn(view, 1, objects=(1, 1))[0]
    assert mover.blurred(0, 0.4) == [mover.path[0]]
    assert mover.blurred(1, 0.4) == [0.0]
    moments = mover.blurred(2, 0.4)
    assert max(moments) - min(moments) == pytest.approx(0.4 * abs(mover.path[2]))
    assert np.mean(moments) == pytest.approx(mover.path[2])


def test_an_object_keeps_its_brightness_when_the_frame_cuts_it_off(view: np.ndarray) -> None:
    mover = drawn(view, 2, objects=(1, 1))[0]
    whole = composite(view, [mover], 1, 0, (0, 0))
    cut = composite(view[:, : int(mover.x)], [mover], 1, 0, (0, 0))
    np.testing.assert_allclose(cut, whole[:, : int(mover.x)], atol=1e-12)


@pytest.mark.parametrize("kind", ["person", "animal", "vehicle"])
@pytest.mark.parametrize("build", [0.0, 1.0])
def test_outlines_fill_their_height(kind: str, build: float) -> None:
    x, y = np.meshgrid(np.linspace(-2, 2, 401), np.linspace(-0.3, 1.3, 161))
    inside = np.zeros(x.shape, bool)
    for part in outline(kind, 0.2, build):
        distance, across = part.distance(x, y)
        inside |= distance < 0
        assert np.abs(across).max() <= 1
        (left, low), (right, high) = part.bounds()
        outside = (x < left) | (x > right) | (y < low) | (y > high)
        assert (distance[outside] > -1e-9).all()
    rows = y[inside]
    assert rows.min() == pytest.approx(0, abs=0.08)
    assert rows.max() == pytest.approx(1, abs=0.08)
