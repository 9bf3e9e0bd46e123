"""Parts of Sen 2012 against hand-computed and brute-force values."""

import numpy as np
import pytest
import torch

from bench.color.exposure import encode, linearise
from bench.core.registry import methods
from bench.core.scene import GAMMA
from methods.sen2012 import field, pyramid
from methods.sen2012.exposure import Reference, merge


def textured(height, width, seed=0):
    """(height, width, 3) in [0, 1]: smooth light with detail of a few pixels."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3))
    for cell in (2, 4, 16):
        coarse = rng.random((height // cell + 2, width // cell + 2, 3)).repeat(cell, 0).repeat(cell, 1)
        picture += coarse[:height, :width] / 3
    return picture.astype(np.float32)


def search(a, b, patch, *, sweeps, window=field.EVERYWHERE, start=None):
    found = start or field.identity(a.shape, patch)
    wanted = np.ones(field.corners(a.shape, patch), bool)
    for turn in range(sweeps):
        for task in field.tasks(
            found, field.rows(a), field.rows(b), wanted, patch,
            turn=turn, window=window, random=True, seed=turn, fresh=turn == 0,
        ):  # fmt: skip
            task()
    return found


def test_it_takes_as_many_threads_as_the_stage_was_given(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    assert methods["sen2012"].load()().threads == 5
    assert methods["sen2012"].load()(threads=3).threads == 3


def brute_force(a, b, patch):
    windows = [np.lib.stride_tricks.sliding_window_view(x.astype(np.float64), (patch, patch), (0, 1)) for x in (a, b)]
    flat_a, flat_b = (w.reshape(w.shape[0] * w.shape[1], -1) for w in windows)
    return ((flat_a[:, None] - flat_b[None]) ** 2).sum(-1).min(1).reshape(windows[0].shape[:2])


class TestField:
    def test_a_translation_is_recovered_exactly(self):
        big = textured(150, 110)
        found = search(big[10:140, 10:100], big[3:133, 21:111], 7, sweeps=4)
        shift = found.matches - field.identity((130, 90), 7).matches
        inside = shift[:-8, 12:]  # where the match lies in the other picture
        wanted = np.broadcast_to([7, -11], inside.shape)
        np.testing.assert_array_equal(inside, wanted)
        assert found.cost[:-8, 12:].max() == 0

    def test_costs_are_distances_that_no_search_can_beat(self):
        a, b = textured(22, 26), textured(22, 26, seed=1)
        found, best = search(a, b, 5, sweeps=30), brute_force(a, b, 5)
        windows = [np.lib.stride_tricks.sliding_window_view(x, (5, 5), (0, 1)).astype(np.float64) for x in (a, b)]
        matched = windows[1][found.matches[..., 0], found.matches[..., 1]]
        cost = ((windows[0] - matched) ** 2).sum((2, 3, 4))
        np.testing.assert_allclose(found.cost, cost, rtol=1e-5)
        assert (found.cost > best * (1 - 1e-5)).all()
        assert found.cost.mean() < 1.03 * best.mean()  # of pictures that share nothing, the hardest case

    def test_a_window_limits_the_displacement(self):
        a, b = textured(30, 30), textured(30, 30, seed=1)
        found = search(a, b, 7, sweeps=2, window=3)
        assert np.abs(found.matches - field.identity(a.shape, 7).matches).max() == 3

    def test_unwanted_patches_keep_their_match(self):
        a, b = textured(30, 30), textured(30, 30, seed=1)
        found, wanted = field.identity(a.shape, 7), np.zeros((24, 24), bool)
        wanted[5:9, 4:8] = True
        for task in field.tasks(
            found, field.rows(a), field.rows(b), wanted, 7,
            turn=0, window=field.EVERYWHERE, random=True, seed=0, fresh=True,
        ):  # fmt: skip
            task()
        moved = (found.matches != field.identity(a.shape, 7).matches).any(-1)
        assert moved.any()
        assert not moved[~wanted].any()

    def test_a_field_is_carried_with_its_displacements(self):
        coarse = field.identity((20, 30, 3), 7)
        coarse.matches[..., 0] = np.minimum(coarse.matches[..., 0] + 2, 13)
        fine = field.carried(coarse, (40, 60), 7)
        shift = fine.matches - field.identity((40, 60), 7).matches
        assert fine.matches.shape == (34, 54, 2)
        assert (shift[:20, :, 0] == 4).all()
        assert (shift[..., 1] == 0).all()

    def test_patches_that_hold_a_pixel_are_those_around_it(self):
        pixels = np.zeros((12, 15), bool)
        pixels[6, 7] = True
        wanted = np.zeros((6, 9), bool)
        wanted[0:6, 1:8] = True
        np.testing.assert_array_equal(field.overlapping(pixels, 7), wanted)

    def test_usage_counts_the_wanted_patches_of_each_match(self):
        found = field.identity((3, 3, 3), 2)
        found.matches[:] = [[[0, 0], [0, 0]], [[0, 0], [1, 1]]]
        wanted = np.array([[True, True], [False, True]])
        np.testing.assert_array_equal(field.usage(found, wanted), [[2, 2], [2, 1]])


class TestVotes:
    def test_two_patches_by_hand(self):
        """Patches of 1x2 in a row of 3: the middle pixel gets both votes."""
        from methods.sen2012 import kernels

        source = np.arange(9, dtype=np.float32).reshape(1, 9)
        matches = np.array([[[0, 1], [0, 0]]], np.int32)
        # kernels take square patches: a picture of one row has patches of one pixel, so use 2x2 of a doubled row
        doubled = np.vstack([source, source])
        colours, total = np.zeros((2, 9), np.float32), np.zeros((2, 3), np.float32)
        kernels.vote(doubled, matches, np.array([[0.5, 2.0]], np.float32), False, colours, total)
        np.testing.assert_array_equal(total, [[0.5, 2.5, 2]] * 2)
        wanted = [1.5, 2, 2.5, 3 + 0, 3.5 + 2, 4 + 4, 6, 8, 10]
        np.testing.assert_array_equal(colours, [wanted] * 2)

    def test_backward_votes_go_from_the_patch_to_its_match(self):
        from methods.sen2012 import kernels

        source = np.arange(18, dtype=np.float32).reshape(2, 9)
        matches = np.array([[[0, 1], [0, 0]]], np.int32)
        colours, total = np.zeros((2, 9), np.float32), np.zeros((2, 3), np.float32)
        kernels.vote(source, matches, np.array([[1.0, 0.0]], np.float32), True, colours, total)
        np.testing.assert_array_equal(total, [[0, 1, 1]] * 2)
        np.testing.assert_array_equal(colours[:, 3:], source[:, :6])


class TestMerge:
    def reference(self, values, times=(1.0, 4.0, 16.0), index=1):
        return Reference(np.array(values, np.float32)[:, None, None] * np.ones((1, 1, 3), np.float32), times, index)

    def test_trust_falls_from_the_valid_range_to_the_ends(self):
        trust = self.reference([0, 0.05, 0.1, 0.5, 0.9, 0.95, 1]).trust[:, 0, 0]
        np.testing.assert_allclose(trust, [0, 0.5, 1, 1, 1, 0.5, 0], atol=1e-5)

    def test_a_ramp_without_a_frame_to_fill_it_is_dropped(self):
        ends = [0.05, 0.95]
        np.testing.assert_allclose(self.reference(ends, (1.0, 4.0), 1).trust[:, 0, 0], [1, 0.5], atol=1e-5)
        np.testing.assert_allclose(self.reference(ends, (1.0, 4.0), 0).trust[:, 0, 0], [0.5, 1], atol=1e-5)

    def test_a_bright_pixel_is_blended_and_the_consistency_rule_keeps_it(self):
        """At 0.95 half is the reference; a short frame below 0.9^2.2 / 4 contradicts that it is bright."""
        reference = self.reference([0.95])
        own, level = 0.95**GAMMA / 4, 0.9**GAMMA / 4
        for light, consistent, wanted in (
            (0.6, True, (own + 0.6) / 2), (0.5 * level, True, own), (0.5 * level, False, (own + 0.5 * level) / 2),
        ):  # fmt: skip
            short = np.full((1, 1, 3), light ** (1 / GAMMA), np.float32)
            found = merge(reference, {0: short, 2: np.ones_like(short)}, consistent=consistent)
            np.testing.assert_allclose(found, np.full((1, 1, 3), wanted), rtol=1e-4)

    def test_a_dark_pixel_is_blended_and_the_consistency_rule_keeps_it(self):
        reference = self.reference([0.05])
        own, level = 0.05**GAMMA / 4, 0.1**GAMMA / 4
        for light, consistent, wanted in (
            (0.5 * level, True, (own + 0.5 * level) / 2), (2 * level, True, own), (2 * level, False, own / 2 + level),
        ):  # fmt: skip
            long = np.full((1, 1, 3), (16 * light) ** (1 / GAMMA), np.float32)
            found = merge(reference, {0: np.zeros_like(long), 2: long}, consistent=consistent)
            np.testing.assert_allclose(found, np.full((1, 1, 3), wanted), rtol=1e-4)

    def test_several_frames_of_a_side_are_averaged_by_triangle_weights(self):
        reference = self.reference([1.0], (1.0, 2.0, 4.0), 2)
        latent = {0: np.full((1, 1, 3), 0.5, np.float32), 1: np.full((1, 1, 3), 0.75, np.float32)}
        wanted = (0.5**GAMMA + 0.5 * 0.75**GAMMA / 2) / 1.5
        np.testing.assert_allclose(merge(reference, latent, consistent=False), np.full((1, 1, 3), wanted), rtol=1e-3)

    def test_exposing_undoes_the_radiance_map(self):
        picture = textured(5, 7)
        np.testing.assert_allclose(encode(linearise(picture, 4.0), 4.0), picture, atol=1e-6)
        assert encode(linearise(picture, 1.0), 1e6).max() == 1


class TestPyramid:
    def test_ten_scales_from_35_rows_for_the_full_size(self):
        sizes = pyramid.sizes((1000, 1500))
        assert (len(sizes), sizes[0], sizes[-1]) == (10, (35, 52), (1000, 1500))
        factors = np.divide([rows for rows, _ in sizes[1:]], [rows for rows, _ in sizes[:-1]])
        np.testing.assert_allclose(factors, 1.45, atol=0.03)
        assert pyramid.iterations(10) == [50, 45, 40, 35, 30, 25, 20, 15, 10, 5]

    @pytest.mark.parametrize(("shape", "count"), [((1, 1), 1), ((35, 80), 1), ((40, 56), 2), ((176, 256), 10)])
    def test_small_pictures_have_fewer_scales(self, shape, count):
        sizes = pyramid.sizes(shape)
        assert len(sizes) == count
        assert sizes[-1] == shape
        assert len(set(sizes)) == count

    def test_max_side_ends_the_pyramid_early(self):
        assert pyramid.sizes((1000, 1500), 750)[-1] == (500, 750)
        assert pyramid.sizes((100, 150), 750)[-1] == (100, 150)

    def test_resizing_keeps_a_flat_picture_and_the_range(self):
        flat = np.full((50, 70, 3), 0.25, np.float32)
        np.testing.assert_allclose(pyramid.resized(flat, (35, 49)), np.full((35, 49, 3), 0.25), atol=1e-6)
        step = np.zeros((50, 70, 3), np.float32)
        step[:, 35:] = 1
        found = pyramid.resized(step, (99, 140))
        assert found.min() == 0
        assert found.max() == 1
