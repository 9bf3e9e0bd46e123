import itertools
import math

import numpy as np
import pytest

from bench.report.figures.labels import Box, place, pointed

AREA = Box(0, 0, 380, 300)
RADIUS = 3.0


def crowd(seed):
    """Two dozen points, most of them in one corner, as methods are that reach about the same."""
    rng = np.random.default_rng(seed)
    close, far = rng.normal((250, 230), (45, 12), (18, 2)), rng.uniform((20, 20), (360, 280), (6, 2))
    spots = [(float(x), float(y)) for x, y in np.clip(np.concatenate([close, far]), 8, (372, 292))]
    return spots, [(float(width), 9.0) for width in rng.uniform(25, 80, len(spots))]


@pytest.mark.parametrize("seed", range(4))
def test_no_name_covers_another_or_a_mark_or_leaves_the_panel(seed):
    spots, sizes = crowd(seed)
    boxes = place(spots, sizes, AREA, RADIUS)
    assert all(AREA.holds(box) for box in boxes)
    assert not [pair for pair in itertools.combinations(boxes, 2) if pair[0].meets(pair[1])]
    marks = [Box(x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS) for x, y in spots]
    assert not [1 for box in boxes for mark in marks if box.meets(mark)]
    for box, (width, height) in zip(boxes, sizes, strict=True):
        assert (box.right - box.left, box.top - box.bottom) == pytest.approx((width, height))


def test_a_name_alone_stands_beside_its_point():
    ((box),) = place([(100, 100)], [(40, 9)], AREA, RADIUS)
    assert box == pytest.approx((107, 95.5, 147, 104.5))
    assert not pointed(0, box, [(100, 100)])


def test_at_the_border_it_stands_inside():
    ((box),) = place([(375, 150)], [(40, 9)], AREA, RADIUS)
    assert AREA.holds(box) and box.right <= 375


def test_a_name_that_is_as_near_to_another_point_is_pointed_to():
    box = Box(107, 95, 147, 105)
    assert pointed(0, box, [(100, 100), (152, 100)])
    assert pointed(0, Box(120, 95, 160, 105), [(100, 100)])


def test_names_keep_off_lines():
    line = ((0.0, 100.0), (380.0, 100.0))
    ((box),) = place([(100, 100)], [(40, 9)], AREA, RADIUS, [line])
    assert not box.crossed(*line)


def test_crossing_by_points_on_the_line():
    rng, box = np.random.default_rng(0), Box(3, 3, 6, 5)
    for start, end in rng.uniform(0, 9, (300, 2, 2)):
        x, y = (start + np.linspace(0, 1, 2001)[:, None] * (end - start)).T
        inside = np.sum((box.left < x) & (x < box.right) & (box.bottom < y) & (y < box.top))
        if inside == 0 or inside > 2:  # a corner that is barely cut lies between two steps
            assert box.crossed(tuple(start), tuple(end)) == (inside > 0)
    assert box.crossed((4, 0), (4, 9)) and not box.crossed((7, 0), (7, 9))


def test_where_there_is_no_room_every_name_still_has_a_place():
    boxes = place([(10, 10)] * 5, [(30, 9)] * 5, Box(0, 0, 34, 20), RADIUS)
    assert all(math.isfinite(edge) for box in boxes for edge in box)
