"""Things of a simulated bracket: they move or stand, smear only in the long frame, keep brightness, have depth."""

import numpy as np
import pytest

from bench.core.simulation import Simulation
from bench.data.camera import Dome, Lens, Pose, Station
from bench.data.objects import BACKDROP, METRES, STATIC, Seat, Sight, Thing, composite, draw_things, follow
from bench.data.panorama import Panorama
from bench.data.silhouettes import SHAPES, SWAYING, outline

HEIGHT, WIDTH = 88, 128
LENS = Lens(WIDTH, HEIGHT, 90)
DOME = Dome(1.2, 12.0)
ALONE = {"objects": (1, 1), "foreground": (0, 0)}


@pytest.fixture
def view() -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), 0.1)


def drawn(view: np.ndarray, seed: int, **changes: object) -> list[Thing]:
    texture = np.random.default_rng(5).normal(0, 0.4, (64, 128, 3))
    other = Panorama("other", texture, np.zeros((64, 128), bool))
    sight = Sight(view, Pose(0, 0), LENS, DOME)
    return draw_things(sight, Simulation(**changes), "home", [other], np.random.default_rng(seed))


def here(things: list[Thing]) -> list[Seat]:
    return [Seat(thing.x, thing.y, 1.0) for thing in things]


@pytest.mark.parametrize("seed", range(6))
def test_count_motion_and_texture_follow_the_settings(view: np.ndarray, seed: int) -> None:
    things = drawn(view, seed, objects=(2, 3), motion=(5, 9), foreground=(1, 2), roads=("home",))
    movers = [thing for thing in things if thing.moves]
    assert 2 <= len(movers) <= 3
    assert 1 <= len(things) - len(movers) <= 2
    assert [m.depth for m in things] == sorted((m.depth for m in things), reverse=True)
    assert sum(m.kind == "vehicle" for m in movers) <= 1
    for thing in things:
        assert thing.path[1] == 0
        assert thing.texture.name == "other"
        assert thing.depth < DOME.radius
        assert thing.height == pytest.approx(LENS.focal * METRES[thing.kind] / thing.depth)
    for mover in movers:
        assert 5 <= abs(mover.path[2]) <= 9
        assert mover.path[0] * mover.path[2] < 0


def test_vehicles_only_on_roads_and_garden_things_only_outdoors(view: np.ndarray) -> None:
    rooms = [thing for seed in range(30) for thing in drawn(view, seed, indoors=("home",), foreground=(3, 4))]
    assert {t.kind for t in rooms if t.moves} == {"person", "animal"}
    assert {t.kind for t in rooms if not t.moves} == set(STATIC[True])
    streets = [thing for seed in range(30) for thing in drawn(view, seed, roads=("home",), foreground=(3, 4))]
    assert {t.kind for t in streets if t.moves} == {"person", "animal", "vehicle"}
    assert {t.kind for t in streets if not t.moves} == set(STATIC[False])


def test_some_objects_seek_the_light(view: np.ndarray) -> None:
    lit = view.copy()
    lit[:, 90:] = 3.0
    xs = {share: [t.x for s in range(40) for t in drawn(lit, s, **ALONE, before_lights=share)] for share in (0.0, 1.0)}
    assert np.mean(np.array(xs[1.0]) > 85) > np.mean(np.array(xs[0.0]) > 85) + 0.3


def test_a_setting_that_is_turned_changes_nothing_else(view: np.ndarray) -> None:
    slow, fast = (drawn(view, 3, motion=(speed, speed)) for speed in (0.0, 30.0))
    assert [(t.kind, t.x, t.y, t.depth, t.light, t.aim) for t in slow] == [
        (t.kind, t.x, t.y, t.depth, t.light, t.aim) for t in fast
    ]
    assert not any(t.moves for t in slow)


def test_without_things_the_view_is_unchanged(view: np.ndarray) -> None:
    assert drawn(view, 0, objects=(0, 0), foreground=(0, 0)) == []
    light, owner = composite(view, [], 2, 0.3, [])
    np.testing.assert_array_equal(light, view)
    assert (owner == BACKDROP).all()


@pytest.mark.parametrize("seed", range(4))
def test_objects_cover_only_their_place_and_move(view: np.ndarray, seed: int) -> None:
    movers = drawn(view, seed, **ALONE)
    frames = [composite(view, movers, i, 0.3, here(movers)) for i in range(3)]
    touched = [np.abs(f.light - view).max(axis=-1) > 1e-4 for f in frames]
    assert all(0.002 < t.mean() < 0.6 for t in touched)
    assert (frames[0].light != frames[1].light).any()
    assert all(np.isfinite(f.light).all() and (f.light >= 0).all() for f in frames)
    for frame, place in zip(frames, touched, strict=True):
        assert (frame.owner == 0).any()
        assert not (frame.owner == 0)[~place].any()


def test_only_the_long_frame_smears(view: np.ndarray) -> None:
    mover = drawn(view, 1, **ALONE)[0]
    assert mover.blurred(0, 0.4) == [mover.path[0]]
    assert mover.blurred(1, 0.4) == [0.0]
    moments = mover.blurred(2, 0.4)
    assert max(moments) - min(moments) == pytest.approx(0.4 * abs(mover.path[2]))
    assert np.mean(moments) == pytest.approx(mover.path[2])
    assert np.diff(moments) == pytest.approx(np.diff(moments)[0])
    assert abs(np.diff(moments)[0]) <= 1.5  # no gaps in the smear


def test_an_object_keeps_its_brightness_when_the_frame_cuts_it_off(view: np.ndarray) -> None:
    mover = drawn(view, 2, **ALONE)[0]
    whole = composite(view, [mover], 1, 0, here([mover])).light
    cut = composite(view[:, : int(mover.x)], [mover], 1, 0, here([mover])).light
    np.testing.assert_allclose(cut, whole[:, : int(mover.x)], atol=1e-12)


def test_a_near_thing_moves_more_than_a_far_one_and_grows_when_the_camera_nears(view: np.ndarray) -> None:
    things = [t for seed in range(8) for t in drawn(view, seed, objects=(0, 0), foreground=(1, 1))]
    pose = Pose(0, 0)
    for thing in things:
        aside = thing.seat(LENS, pose, Station(pose, (0.05, 0.0, 0.0)))
        assert aside.x - thing.x == pytest.approx(-LENS.focal * 0.05 / thing.depth)
        assert aside.scale == pytest.approx(1)
        ahead = thing.seat(LENS, pose, Station(pose, (0.0, 0.0, 0.1)))
        assert ahead.scale == pytest.approx(thing.depth / (thing.depth - 0.1))


def test_what_a_thing_hides_from_the_other_camera_is_known(view: np.ndarray) -> None:
    thing = drawn(view, 4, objects=(0, 0), foreground=(1, 1), indoors=("home",))[0]
    pose, sight = Pose(0, 0), Sight(view, Pose(0, 0), LENS, DOME)
    station = Station(pose, (0.3, 0.0, 0.0))
    seats = [thing.seat(LENS, pose, station)]
    middle = composite(view, [thing], 1, 0, here([thing])).owner
    there = composite(view, [thing], 0, 0, seats).owner
    found = follow(sight, [thing], middle, 0, station, seats, there)
    same = follow(sight, [thing], middle, 1, Station(pose), here([thing]), middle)
    assert not same.hidden.any()
    np.testing.assert_allclose(same.moved, 0, atol=1e-9)
    # All of the thing goes one way, and the backdrop that it covers there is hidden, right beside it.
    np.testing.assert_allclose(found.moved[middle == 0][:, 0], -LENS.focal * 0.3 / thing.depth, atol=1e-9)
    inside = np.zeros_like(middle, bool)
    inside[:, 20:-20] = True
    hidden = found.hidden & inside & (middle == BACKDROP)
    assert hidden.any()
    rows, columns = np.nonzero(hidden)
    x = np.floor(columns + 0.5 + found.moved[rows, columns, 0] + 1e-6).astype(int)
    y = np.floor(rows + 0.5 + found.moved[rows, columns, 1] + 1e-6).astype(int)
    assert (there[y, x] == 0).all()


@pytest.mark.parametrize("kind", sorted(SWAYING))
def test_leaves_and_cloth_sway_and_stop_when_told(kind: str) -> None:
    assert outline(kind, 0.1, 0.5) != outline(kind, 0.3, 0.5)
    assert outline(kind, 0.1, 0.5, 0.0)[0].points == outline(kind, 0.3, 0.5, 0.0)[0].points


@pytest.mark.parametrize("kind", sorted({*SHAPES, *SWAYING}))
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
    assert rows.max() == pytest.approx(1, abs=0.1)
