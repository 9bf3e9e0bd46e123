"""Sen 2012 as a whole: scenes of known truth, options, progress."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bench.color.transfer import mu_law
from bench.core.errors import UsageError
from bench.core.registry import methods
from bench.core.scene import GAMMA, Scene
from methods.sen2012 import method

SEN = methods["sen2012"]


def bracket(light, times=(1.0, 4.0, 16.0), name="scene", reference=1):
    """A noise-free scene of 16 bits from one radiance (H, W, 3) a frame, or one for all."""
    lights = np.broadcast_to(light, (len(times), *np.shape(light)[-3:]))
    encoded = [np.clip(one * time, 0, 1) ** (1 / GAMMA) for one, time in zip(lights, times, strict=True)]
    codes = np.round(np.stack(encoded) * 65535).astype(np.uint16)
    return Scene(name, codes, np.array(times), reference, np.asarray(lights[reference], np.float32))


def psnr_mu(pred, truth):
    return -10 * np.log10(np.mean((mu_law(pred) - mu_law(truth)) ** 2, dtype=np.float64))


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
        saturated = (moving.frames[1] == 65535).all(-1)
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
        codes = np.repeat(np.round(smooth(30, 40, 0)[None] * 65535).astype(np.uint16), 3, 0)
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
            ("normal", {"sweeps": 9}, "no option of sen2012 is called 'sweeps'"),
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
