"""Sen 2012: its parts against hand-computed and brute-force values, and the whole on scenes of known truth."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bench.color.transfer import mu_law
from bench.core.errors import UsageError
from bench.core.registry import methods
from bench.core.scene import GAMMA, Scene
from methods.sen2012 import field, method, pyramid
from methods.sen2012.exposure import Reference, exposed, merge, radiance

SEN = methods["sen2012"]


def textured(height, width, seed=0):
    """(height, width, 3) in [0, 1]: smooth light with detail of a few pixels."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3))
    for cell in (2, 4, 16):
        coarse = rng.random((height // cell + 2, width // cell + 2, 3)).repeat(cell, 0).repeat(cell, 1)
        picture += coarse[:height, :width] / 3
    return picture.astype(np.float32)


def bracket(light, times=(1.0, 4.0, 16.0), name="scene", reference=1):
    """A noise-free scene of 16 bits from one radiance (H, W, 3) a frame, or one for all."""
    lights = np.broadcast_to(light, (len(times), *np.shape(light)[-3:]))
    encoded = [np.clip(one * time, 0, 1) ** (1 / GAMMA) for one, time in zip(lights, times, strict=True)]
    codes = np.round(np.stack(encoded) * 65535).astype(np.uint16)
    return Scene(name, codes, np.array(times), reference, np.asarray(lights[reference], np.float32))


def psnr_mu(pred, truth):
    return -10 * np.log10(np.mean((mu_law(pred) - mu_law(truth)) ** 2, dtype=np.float64))


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
        np.testing.assert_allclose(exposed(radiance(picture, 4.0), 4.0), picture, atol=1e-6)
        assert exposed(radiance(picture, 1.0), 1e6).max() == 1


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


def smooth(height, width, seed):
    """Texture of natural scales, (height, width, 3) in [0, 1], mean 0.5."""
    rng, picture = np.random.default_rng(seed), np.zeros((height, width, 3))
    for sigma, share in ((1.2, 0.25), (3, 0.35), (8, 0.4)):
        noise = gaussian_filter(rng.normal(size=(height, width, 3)), (sigma, sigma, 0))
        picture += share * noise / noise.std()
    return np.clip(0.5 + 0.22 * picture, 0, 1)


def disc(shift, size=(96, 128), radius=20):
    """Radiance of a textured bright disc in front of a dim wall, moved by `shift` (rows, columns)."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    distance = np.hypot(rows - size[0] / 2 - shift[0], columns - size[1] / 2 - shift[1])
    inside = np.clip(radius - distance, 0, 1)[..., None]
    whole = size[0] + 20, size[1] + 20
    parts = 0.02 + 0.12 * smooth(*whole, 0), 0.4 + 0.6 * smooth(*whole, 3)
    wall, bright = (np.roll(part, shift, (0, 1))[10 : 10 + size[0], 10 : 10 + size[1]] for part in parts)
    return inside * bright + (1 - inside) * wall


@pytest.fixture(scope="module")
def moving():
    """The disc, with everything in the picture moved between the frames."""
    return bracket(np.stack([disc((4, -6)), disc((0, 0)), disc((-4, 4))]), name="disc")


@pytest.fixture(scope="module")
def solved(moving):
    return SEN.predict(moving, "normal")


class TestScenes:
    def test_a_saturated_disc_is_filled_from_the_short_frame(self, moving, solved):
        saturated = (moving.codes[1] == 65535).all(-1)
        assert 0.05 < saturated.mean() < 0.2
        assert psnr_mu(solved[saturated], moving.radiance[saturated]) > 30
        assert np.median(np.abs(solved[saturated] / moving.radiance[saturated] - 1)) < 0.03
        assert np.corrcoef(solved[saturated].ravel(), moving.radiance[saturated].ravel())[0, 1] > 0.8
        for floor in ("triangle-merge", "reference-only"):
            assert psnr_mu(solved, moving.radiance) > psnr_mu(methods[floor].predict(moving), moving.radiance) + 10

    def test_a_static_stack_gives_the_plain_merge(self):
        scene = bracket(disc((0, 0)))
        found, plain = SEN.predict(scene, "normal"), methods["triangle-merge"].predict(scene)
        assert psnr_mu(found, plain) > 45
        assert psnr_mu(found, scene.radiance) > 45

    def test_identical_frames_give_the_triangle_merge(self):
        codes = np.repeat(np.round(textured(30, 40)[None] * 65535).astype(np.uint16), 3, 0)
        scene = Scene("same", codes, np.ones(3), 1)
        np.testing.assert_allclose(SEN.predict(scene), methods["triangle-merge"].predict(scene), rtol=1e-5, atol=1e-7)

    def test_well_exposed_pixels_are_the_reference_s(self, moving, solved):
        good = ((moving.ldr[1] > 0.1) & (moving.ldr[1] < 0.9)).all(-1)
        np.testing.assert_allclose(solved[good], moving.linear[1][good], rtol=1e-6)

    def test_the_same_bits_again_on_any_number_of_threads(self, moving, solved):
        np.testing.assert_array_equal(SEN.predict(moving, "normal", threads=1), solved)

    def test_other_seeds_and_scenes_have_their_own_random_streams(self):
        codes = np.random.default_rng(0).integers(0, 65535, (3, 24, 30, 3), np.uint16)
        scene, renamed = (Scene(name, codes, np.array([1.0, 4, 16]), 1) for name in ("one", "other"))
        first = SEN.predict(scene)
        assert (SEN.predict(renamed) != first).any()
        assert (SEN.predict(scene, seed=1) != first).any()

    def test_mode_high_solves_it_too(self, moving):
        found = SEN.predict(moving, "high")
        assert psnr_mu(found, moving.radiance) > psnr_mu(methods["reference-only"].predict(moving), moving.radiance) + 4

    def test_a_smaller_side_is_solved_and_filled_at_full_size(self, moving, solved):
        found, alone = SEN.predict(moving, "normal", max_side=96), methods["reference-only"].predict(moving)
        assert found.shape == solved.shape
        assert psnr_mu(found, moving.radiance) > psnr_mu(alone, moving.radiance) + 5
        assert (found != solved).any()

    @pytest.mark.parametrize("preset", ["normal", "high"])
    @pytest.mark.parametrize(
        ("times", "reference"), [((1.0, 4.0), 0), ((1.0, 4.0), 1), ((1.0, 2.0, 4.0, 8.0, 16.0), 2)]
    )
    def test_brackets_of_other_lengths(self, times, reference, preset):
        scene = bracket(disc((0, 0), (40, 56), 9), times, reference=reference)
        found = SEN.predict(scene, preset)
        assert found.dtype == np.float32
        assert np.isfinite(found).all()
        alone = methods["reference-only"].predict(scene)
        assert psnr_mu(found, scene.radiance) > psnr_mu(alone, scene.radiance) - 0.1

    def test_one_frame_is_the_reference(self):
        scene = bracket(disc((0, 0)), (1.0,), reference=0)
        np.testing.assert_array_equal(SEN.predict(scene), methods["reference-only"].predict(scene))

    @pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 13), (5, 40)])
    def test_any_size(self, size):
        codes = np.random.default_rng(0).integers(0, 255, (3, *size, 3), np.uint8)
        found = SEN.predict(Scene("odd", codes, np.array([1.0, 4, 16]), 1))
        assert found.shape == (*size, 3)
        assert np.isfinite(found).all() and (found >= 0).all()


class TestUse:
    def test_options_reach_the_constructor(self):
        made = SEN.load()(**{**SEN.presets["high"], "max_side": 300})
        assert made.high
        assert made.max_side == 300

    @pytest.mark.parametrize(
        ("preset", "options", "said"),
        [
            ("hihg", {}, "no preset of sen2012 is called 'hihg'. Did you mean 'high'"),
            ("", {"mode": "medium"}, "no mode is called 'medium'; there are normal and high"),
            ("", {"max_side": -1}, "max_side -1"),
            ("normal", {"sweeps": 9}, "unexpected keyword argument 'sweeps'"),
        ],
    )
    def test_mistakes_are_sentences(self, moving, preset, options, said):
        with pytest.raises(UsageError, match=said):
            SEN.predict(moving, preset, **options)

    def test_methods_without_presets_take_any_name_and_no_options(self, moving):
        floor = methods["triangle-merge"]
        np.testing.assert_array_equal(floor.predict(moving, "none"), floor.predict(moving))
        with pytest.raises(UsageError, match=r"triangle-merge.*takes no arguments"):
            floor.predict(moving, "none", max_side=3)

    def test_progress_is_said_in_plain_lines_of_long_scenes_only(self, moving, monkeypatch, capsys):
        SEN.predict(moving, "normal", max_side=40)
        assert capsys.readouterr().err == ""
        monkeypatch.setattr(method, "LONG", 0)
        SEN.predict(moving, "normal", max_side=40)
        assert capsys.readouterr().err.startswith("sen2012 disc: 200/200, ")

    def test_ticks_follow_the_work(self):
        assert list(method._ticks([1, 1, 2], 4)) == list(range(1, method.TICKS + 1))
        assert list(method._ticks([3, 10**6], 10**6 + 3)) == list(range(1, method.TICKS + 1))
