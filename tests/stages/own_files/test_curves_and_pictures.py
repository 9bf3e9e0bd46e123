"""`merge --curve`, `--tonemap`, `exposure-fusion` and `view`: cameras' curves, and pictures for people to look at."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from bench.core.errors import UsageError
from bench.core.scene import GAMMA, Scene
from bench.data import checks
from bench.io.camera import EXIF_FOLDER
from bench.io.radiance import read_exr, read_rgbe, write_exr
from bench.stages.own_files import curves, display, merge
from bench.stages.own_files.merge import MergeRequest


def camera(linear):
    """A camera's curve: sRGB's with an S on top, as JPEG engines have it. (...) in [0, 1] -> [0, 1]."""
    x = np.clip(linear, 0, 1)
    shown = np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.maximum(x, 1e-12) ** (1 / 2.4) - 0.055)
    return 0.55 * shown + 0.45 * shown**2 * (3 - 2 * shown)


STEPS = np.linspace(0, 1, 200_001)
TRUE = np.interp(np.arange(256) / 255, camera(STEPS), STEPS)
"""The linear value of each code of that camera, by inverting the curve itself."""


def bracket(encode, times=(1.0, 4.0, 16.0), seed=0, shift=0):
    """Frames of a smooth scene of 9 stops with detail, 8 bits, with the noise of 20,000 electrons."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:160, :240]
    stops = -4.5 + 2.2 * (np.sin(rows / 31) + np.sin(columns / 47 + 1)) + 0.4 * rng.normal(size=(160, 240))
    light = np.minimum(2.0 ** stops[..., None] * np.array([1.0, 0.8, 0.5]), 1)
    frames = []
    for index, time in enumerate(times):
        seen = np.roll(light, shift * (index - 1), axis=1) * time
        seen = np.clip(seen, 0, 1)
        seen = np.clip(seen + rng.normal(size=seen.shape) * np.sqrt(seen / 20_000 + 1e-7), 0, 1)
        frames.append(np.rint(255 * encode(seen)).astype(np.uint8))
    return Scene("bracket", np.stack(frames), np.array(times), 1, None, {}), light


def error(curve):
    """EV between a curve and the true one, scale aside: a bracket tells ratios of light alone."""
    away = np.log2(curve[16:241] / TRUE[16:241])
    return np.abs(away - np.median(away)).max()


@pytest.mark.parametrize("shift", [0, 7])
@pytest.mark.parametrize("seed", range(3))
def test_an_estimated_curve_is_within_a_tenth_of_a_stop_of_the_camera_s(seed, shift):
    scene, _ = bracket(camera, seed=seed, shift=shift)
    assert error(curves.estimated(scene)) < 0.1
    assert error((np.arange(256) / 255) ** GAMMA) > 0.3  # what is assumed without it


def test_sixteen_bits_give_the_same_curve():
    scene, _ = bracket(camera)
    wide = replace(scene, frames=scene.frames.astype(np.uint16) * 257)
    np.testing.assert_array_equal(curves.estimated(wide), curves.estimated(scene))


def test_srgb_is_that_of_its_standard():
    """Three codes by hand after IEC 61966-2-1: 10/255/12.92 and ((c + 0.055) / 1.055) ** 2.4."""
    curve = curves.curve_of(bracket(camera)[0], "srgb")
    assert curve[10] == pytest.approx(10 / 255 / 12.92) and curve[255] == 1
    assert curve[128] == pytest.approx(0.21586050, abs=1e-8)


def test_a_static_bracket_is_in_step_once_its_curve_is_known():
    scene, _ = bracket(lambda x: camera(x) ** 1.5)
    assert "another curve" in checks.check_steps(scene, "the frames")
    known = curves.recoded(scene, curves.curve_of(scene, "estimate"))
    assert known.frames.dtype == np.uint16 and checks.check_steps(known, "the frames") == checks.PASSED


def test_recoded_frames_decode_to_the_light_that_fell():
    scene, light = bracket(camera)
    known = curves.recoded(scene, TRUE)
    linear = (known.frames[1] / 65535) ** GAMMA / 4
    inside = (scene.frames[1] > 20) & (scene.frames[1] < 235)
    assert np.median(np.abs(np.log2(linear[inside] / light[inside]))) < 0.03


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda scene: replace(scene, times=np.array([1, 1.4, 2.0])), "must span 2 EV"),
        (lambda scene: replace(scene, frames=np.zeros_like(scene.frames)), "too few different values"),
    ],
)
def test_frames_without_a_curve_are_told(change, said):
    scene, _ = bracket(camera)
    with pytest.raises(UsageError, match=said):
        curves.estimated(change(scene))


@pytest.mark.parametrize("name", display.TONEMAPS)
class TestToneMappings:
    def test_dark_and_bright_are_seen_together(self, name):
        """Of 9 stops of light the picture uses most of its range, is monotone on average, and is white nowhere much."""
        _, light = bracket(camera)
        shown = display.tone_mapped(light.astype(np.float32), name)
        assert shown.shape == light.shape and shown.dtype == np.uint8
        grey, level = shown.mean(axis=-1), np.log2(light.mean(axis=-1))
        thirds = [grey[level <= np.quantile(level, 1 / 3)].mean(), grey[level >= np.quantile(level, 2 / 3)].mean()]
        assert thirds[1] - thirds[0] > 60 and (shown == 255).mean() < 0.1 and grey.min() < 60

    def test_scale_makes_no_difference(self, name):
        _, light = bracket(camera)
        one, other = (display.tone_mapped((light * k).astype(np.float32), name) for k in (1, 64))
        assert np.abs(one.astype(int) - other).max() <= 2

    @pytest.mark.parametrize("value", [0.0, 0.5])
    def test_flat_pictures_stay_flat(self, name, value):
        shown = display.tone_mapped(np.full((24, 32, 3), value, np.float32), name)
        assert shown.std() == 0

    def test_nan_is_refused(self, name):
        with pytest.raises(UsageError, match="NaN"):
            display.tone_mapped(np.full((8, 8, 3), np.nan, np.float32), name)


def test_a_dark_thing_before_a_bright_wall_has_no_halo():
    rows, columns = np.mgrid[:480, :640]
    light = np.where(np.hypot(rows - 240, columns - 200) < 60, 0.01, 0.2) + np.where(columns > 500, 0.8, 0)
    shown = display.tone_mapped(np.repeat(light[..., None], 3, axis=2).astype(np.float32), "local").astype(int)
    wall = shown[:, :480][np.hypot(rows - 240, columns - 200)[:, :480] > 64]
    assert np.ptp(wall) <= 4  # of 255; it was 14, with a ring lighter than the wall


@pytest.fixture
def photographs(tmp_path):
    """A bracket as JPEGs of a camera with that curve, whose EXIF names a place, an owner and a serial number."""
    scene, _ = bracket(lambda x: camera(x) ** 1.5)
    paths = []
    for index, frame in enumerate(scene.frames):
        exif = Image.Exif()
        exif[0x010F], exif[0x013B], exif[0x8298] = "Maker", "Somebody", "Somebody's"
        exif.get_ifd(EXIF_FOLDER).update(
            {0x829A: float(scene.times[index] / 256), 0x829D: 4.0, 0x8827: 100, 0xA430: "Owner", 0xA431: "Serial 7"}
        )
        exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0)})
        paths.append(tmp_path / f"shot{index}.jpg")
        Image.fromarray(frame).save(paths[-1], quality=98, exif=exif)
    return tuple(paths)


@pytest.fixture
def ask(workshop, monkeypatch):
    monkeypatch.chdir(workshop.folder)
    return lambda frames, **more: merge.run(workshop.params, MergeRequest(frames=frames, **more))


def test_the_note_on_a_doubtful_curve_says_what_to_do_and_doing_it_silences_it(ask, photographs, tmp_path, capsys):
    words = {"method": "triangle-merge", "out": tmp_path / "out.exr", "force": True}
    ask(photographs, **words)
    assert "with --curve estimate" in capsys.readouterr().out
    ask(photographs, **words, curve="estimate")
    said = capsys.readouterr().out
    assert "curve: estimated from the frames" in said and "note:" not in said


def test_a_preview_keeps_the_shot_and_nobody_s_name_or_place(ask, photographs, tmp_path):
    for name in ("p.png", "p.jpg"):
        ask(photographs, method="triangle-merge", out=tmp_path / "out.exr", preview=tmp_path / name, force=True)
        with Image.open(tmp_path / name) as picture:
            tags = picture.getexif()
            inside = tags.get_ifd(EXIF_FOLDER)
        assert tags[0x010F] == "Maker" and inside[0x8827] == 100 and float(inside[0x829D]) == 4
        assert not {0x013B, 0x8298, 0x8825} & set(tags) and not {0x829A, 0xA430, 0xA431, 0x927C} & set(inside)


def test_a_radiance_picture_holds_what_an_exr_does(ask, photographs, tmp_path):
    for name in ("out.exr", "out.hdr"):
        ask(photographs, method="triangle-merge", out=tmp_path / name)
    np.testing.assert_allclose(read_rgbe(tmp_path / "out.hdr"), read_exr(tmp_path / "out.exr"), atol=1 / 128)


def test_exposure_fusion_writes_a_picture_and_says_what_it_is(ask, photographs, tmp_path, capsys):
    ask(photographs, method="exposure-fusion", out=tmp_path / "fused.jpg")
    assert "for display only" in capsys.readouterr().out
    with Image.open(tmp_path / "fused.jpg") as picture:
        pixels = np.asarray(picture)
    assert pixels.shape == (160, 240, 3) and 60 < pixels.mean() < 200


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"method": "exposure-fusion", "out": "fused.exr"}, ".png or .jpg"),
        ({"method": "exposure-fusion", "out": "fused.png", "preset": "x"}, "leave --weights"),
        ({"method": "triangle-merge", "out": "out.png"}, ".exr or .hdr"),
        ({"method": "triangle-merge", "out": "out.exr", "curve": "estmate"}, "estimate"),
        ({"method": "triangle-merge", "out": "out.exr", "tonemap": "reinhart"}, "reinhard"),
        ({"method": "exposure-fusoin", "out": "out.exr"}, "exposure-fusion"),
    ],
)
def test_what_cannot_be_merged_so_is_said(ask, photographs, tmp_path, words, said):
    with pytest.raises(UsageError, match=said):
        ask(photographs, **{**words, "out": tmp_path / words["out"]})
    assert not (tmp_path / words["out"]).exists()


def test_linear_frames_have_no_curve(ask, tmp_path):
    paths = []
    for index, time in enumerate((1.0, 4.0, 16.0)):
        paths.append(tmp_path / f"shot{index}.exr")
        write_exr(paths[-1], np.full((16, 16, 3), 0.02 * time, np.float32))
    with pytest.raises(UsageError, match="linear and have no curve"):
        ask(tuple(paths), method="triangle-merge", out=tmp_path / "out.exr", exposures="1,4,16", curve="srgb")


class TestView:
    @pytest.fixture
    def light(self, tmp_path):
        _, light = bracket(camera)
        write_exr(tmp_path / "light.exr", light.astype(np.float32))
        return tmp_path / "light.exr"

    def test_a_file_is_shown(self, bench, light, tmp_path):
        answer = bench("view", str(light), "-o", str(tmp_path / "light.png"), "--tonemap", "drago")
        assert answer.returncode == 0 and "240x160, drago" in answer.stdout
        with Image.open(tmp_path / "light.png") as picture:
            assert picture.size == (240, 160)
        again = bench("view", str(light), "-o", str(tmp_path / "light.png"))
        assert again.returncode == 2 and "--force" in again.stderr

    @pytest.mark.parametrize(
        ("words", "said"),
        [(("-o", "x.exr"), ".png or .jpg"), (("-o", "x.png", "--tonemap", "nono"), "reinhard")],
    )
    def test_what_cannot_be_is_said(self, bench, light, words, said):
        answer = bench("view", str(light), *words)
        assert answer.returncode == 2 and said in answer.stderr

    def test_no_radiance_is_said(self, bench, tmp_path):
        answer = bench("view", str(tmp_path / "none.exr"), "-o", str(tmp_path / "x.png"))
        assert answer.returncode == 2 and "none.exr" in answer.stderr

    def test_nan_is_black_and_told(self, light, tmp_path, capsys):
        pixels = read_exr(light)
        pixels[3, 4] = np.nan
        write_exr(tmp_path / "holes.exr", pixels)
        display.view(tmp_path / "holes.exr", tmp_path / "holes.png", "mu-law")
        assert "3 NaN or infinite" in capsys.readouterr().out
        with Image.open(tmp_path / "holes.png") as picture:
            assert np.asarray(picture)[3, 4].max() == 0
