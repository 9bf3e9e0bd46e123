"""Anyone's bracket: what in a folder is a frame and what its truth, and which frames of many cover the range."""

import numpy as np
import pytest

from bench.core.scene import Scene
from bench.data.layouts.places import natural
from bench.data.user_bracket import covering, find_truth, list_frames
from tests.data import builders

KNOWN = ("truth.exr", "Truth.HDR", "HDRImg.hdr", "hdr_img.hdr", "ref_hdr_aligned.hdr", "ref_hdr_aligned_linear.hdr",
         "GT.exr", "ground_truth.hdr")  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_a_truth_by_any_known_name_is_none_of_the_frames(tmp_path, name):
    for file in ("1.png", "2.png", name):
        (tmp_path / file).touch()
    assert [path.name for path in list_frames(tmp_path)] == ["1.png", "2.png"]
    assert find_truth(tmp_path) == tmp_path / name


def test_of_several_truths_ours_comes_first_and_a_picture_is_none(tmp_path):
    for file in ("HDRImg.hdr", "truth.hdr", "truth.exr", "gt.png"):
        (tmp_path / file).touch()
    assert find_truth(tmp_path).name == "truth.exr"
    (tmp_path / "truth.exr").unlink()
    (tmp_path / "truth.hdr").unlink()
    assert find_truth(tmp_path).name == "HDRImg.hdr"


@pytest.mark.parametrize(
    "names", [("\u00b20.png", "\u00b21.png"), ("\u0663.png", "\u0664.png"), ("2.png", "10.png"), ("x\u2460", "x\u2461")]
)
def test_digits_of_every_script_are_sorted(names):
    first, second = names
    assert sorted([second, first], key=natural) == [first, second]


def bracket(evs, peak=1.0, floor=0.0):
    """Frames of radiance from `floor` to `peak` times what the shortest holds."""
    light = floor + builders.light() * (peak - floor)
    frames = np.stack([builders.frame(light, 2.0 ** (ev - evs[0])) for ev in evs])
    return Scene("s", frames, 2.0 ** (np.array(evs, float) - evs[0]), (len(evs) - 1) // 2)


class TestCovering:
    def test_the_short_one_tells_the_highlights_and_not_the_longest_three_are_taken(self):
        scene = bracket(range(7), peak=0.9)
        chosen = covering(scene)
        assert chosen[0] == 0, "the second frame is saturated already"
        assert scene.times[chosen[2]] / scene.times[chosen[0]] >= 16

    def test_needlessly_short_frames_are_left_out(self):
        chosen = covering(bracket(range(9), peak=0.05, floor=0.04))
        assert chosen[0] == 4 and chosen[2] == 8, "four EV below the top, nothing is saturated"

    def test_the_shortest_is_taken_where_all_are_saturated(self):
        assert covering(bracket(range(7), peak=4.0))[0] == 0

    @pytest.mark.parametrize("evs", [(0, 1, 2, 3, 4), (0, 2, 4, 6), (0, 3, 6, 9), (0, 0.1, 0.2, 0.3), (0, 8, 9, 10)])
    def test_three_different_frames_in_order(self, evs):
        for peak in (0.02, 0.5, 4.0):
            short, middle, long = covering(bracket(evs, peak=peak))
            assert 0 <= short < middle < long < len(evs)
