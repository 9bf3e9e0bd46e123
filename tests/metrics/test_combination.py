"""Exposure zones on constructed frames, and how HDR vectors in them draw on a book."""

import numpy as np
import pytest

from bench.core.errors import UsageError
from bench.metrics.association import contingency, mutual_information
from bench.metrics.combination import by_zone
from bench.metrics.zones import MIXED, ZONES, ZoneRule, cell_zones

SHADOWS, MID, SATURATED = range(3)


def frame_of(cells):
    """A frame whose 8x8 cells are flat, from their values."""
    return np.repeat(np.kron(np.array(cells), np.ones((8, 8)))[..., None], 3, axis=2)


class TestZones:
    def test_flat_cells(self):
        zones = cell_zones(frame_of([[0.0, 0.099, 0.1], [0.949, 0.95, 1.0]]))
        assert zones.tolist() == [[SHADOWS, SHADOWS, MID], [MID, SATURATED, SATURATED]]
        assert [ZONES[label] for label in (SHADOWS, MID, SATURATED)] == ["shadows", "mid", "saturated"]

    def test_one_channel_saturates_a_pixel_and_all_must_be_dark(self):
        frame = np.zeros((8, 24, 3))
        frame[:, 8:16, 0] = 1.0
        frame[:, 16:, 1] = 0.5
        assert cell_zones(frame).tolist() == [[SHADOWS, SATURATED, MID]]

    @pytest.mark.parametrize(("dark", "zone"), [(64, SHADOWS), (48, SHADOWS), (47, MIXED), (17, MIXED), (16, MID)])
    def test_three_quarters_of_the_pixels_decide(self, dark, zone):
        frame = np.full((64, 3), 0.5)
        frame[:dark] = 0
        assert cell_zones(frame.reshape(8, 8, 3)).item() == zone

    def test_the_rule_is_an_argument(self):
        frame = frame_of([[0.3, 0.6]])
        assert cell_zones(frame, ZoneRule(dark=0.4, bright=0.5)).tolist() == [[SHADOWS, SATURATED]]
        assert cell_zones(frame, ZoneRule(cell=4)).shape == (2, 4)

    @pytest.mark.parametrize("shape", [(8, 9, 3), (8, 8), (8, 8, 4)])
    def test_other_shapes_are_refused(self, shape):
        with pytest.raises(UsageError, match="multiples of 8"):
            cell_zones(np.zeros(shape))


def halves(columns=8, rows=8):
    """Zones: the left half saturated, the right half in the shadows."""
    zones = np.full((rows, columns), SHADOWS)
    zones[:, : columns // 2] = SATURATED
    return zones


class TestByZone:
    def test_a_book_that_does_what_the_paper_says(self):
        """Eight codes, two a quarter; HDR vectors take the short frame's code where saturated, else the long one's."""
        zones = halves()
        choices = {
            "L1": [np.full(zones.shape, 1)], "L2": [np.full(zones.shape, 3)], "L3": [np.full(zones.shape, 6)],
            "H": [np.where(zones == SATURATED, 1, 6)],
        }  # fmt: skip
        found = by_zone([zones], choices, 8, 0)
        saturated, shadows, mid = (found["zones"][zone] for zone in ("saturated", "shadows", "mid"))
        assert saturated["quarters"] == [1, 0, 0, 0]
        assert shadows["quarters"] == [0, 0, 0, 1]
        assert mid == found["zones"]["mixed"] == {"vectors": 0}
        assert found["expected"] == [0.5, 0, 0, 0.5]
        assert found["information"] == pytest.approx(1)
        assert found["cramers_v"] == pytest.approx(1)
        assert found["information_shifted"]["mean"] < 0.6
        assert saturated["half"]["frame"] == "L1"
        assert saturated["half"]["share"] == shadows["half"]["share"] == 1
        assert saturated["half"]["shifted"]["mean"] == pytest.approx(
            0.5, abs=0.1
        )  # shifts of 0 to 4 columns, 200 draws
        assert saturated["same"] == {"L1": 1, "L2": 0, "L3": 0}
        assert saturated["sharers"]["L1"] == shadows["sharers"]["L3"] == 1
        assert found["sharers"]["mass"]["none"] == 0
        assert found["sharers"]["codes"]["none"] == 5 / 8

    def test_a_book_used_alike_everywhere(self):
        zones = halves()
        stripes = np.repeat(np.arange(8)[:, None], 8, axis=1)
        choices = {"L1": [stripes * 0], "L2": [stripes * 0], "L3": [stripes * 0], "H": [stripes]}
        found = by_zone([zones], choices, 8, 0)
        assert found["information"] == pytest.approx(0, abs=1e-12)
        for zone in ("saturated", "shadows"):
            assert found["zones"][zone]["quarters"] == found["expected"] == [0.25] * 4
            assert found["zones"][zone]["perplexity"] == pytest.approx(8)
            assert found["zones"][zone]["used"] == 1
            assert found["zones"][zone]["sharers"]["none"] == 7 / 8
            assert found["zones"][zone]["same"]["L1"] == found["zones"][zone]["same_by_chance"]["L1"] == 1 / 8

    def test_mixed_cells_are_counted_apart(self):
        zones = halves()
        zones[0] = MIXED
        hdr = np.where(zones == MIXED, 7, 0)
        found = by_zone([zones], {"L1": [hdr], "H": [hdr]}, 8, 0)
        assert found["zones"]["mixed"]["vectors"] == 8
        assert found["zones"]["mixed"]["quarters"] == [0, 0, 0, 1]
        assert found["expected"] == [1, 0, 0, 0]
        assert found["rule"] == {"dark": 0.1, "bright": 0.95, "majority": 0.75, "cell": 8}

    def test_several_images_of_several_sizes_add_up(self):
        stream = np.random.default_rng(0)
        zones = [stream.integers(-1, 3, shape) for shape in ((3, 4), (5, 2))]
        hdr = [stream.integers(0, 8, one.shape) for one in zones]
        found = by_zone(zones, {"L1": hdr, "H": hdr}, 8, 0)
        assert sum(zone["vectors"] for zone in found["zones"].values()) == 22
        table = sum(contingency(one, codes // 2, (3, 4)) for one, codes in zip(zones, hdr, strict=True))
        assert found["information"] == pytest.approx(mutual_information(table))

    def test_no_zone_at_all(self):
        found = by_zone([np.full((2, 2), MIXED)], {"L1": [np.zeros((2, 2), int)], "H": [np.zeros((2, 2), int)]}, 4, 0)
        assert found["expected"] is None
        assert found["information"] == found["cramers_v"] == 0
