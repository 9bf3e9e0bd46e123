"""Registration: motions that are known are found, what can't be found changes nothing, and every run agrees."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bench.color import registration
from bench.color.registration import (
    find_ecc,
    find_homography,
    grey,
    matched,
    plausible,
    project,
    re_expose,
    register,
    warp,
)
from bench.core.errors import UsageError
from bench.core.scene import Scene

MOTIONS = [registration.flow, registration.homography, registration.ecc, registration.mtb]
PAIRS = {registration.mtb: registration.unmatched}
TIMES = np.array([1.0, 4.0, 16.0])
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def light():
    """Relative radiance with detail at many scales, (240, 320, 3), 0 to 1: a third of it clips the long frame."""
    noise = np.random.default_rng(0)
    height = sum(size * gaussian_filter(noise.normal(size=(240, 320)), size) for size in (1, 2, 4, 8, 16))
    height = (height - height.min()) / np.ptp(height)
    return np.stack([height**4, height**4.5, height**5], -1)


def bracket(moments, dtype=np.uint16):
    full = np.iinfo(dtype).max
    ldr = [np.clip(moment * time, 0, 1) ** (1 / 2.2) for moment, time in zip(moments, TIMES, strict=True)]
    return Scene("made", np.round(full * np.stack(ldr)).astype(dtype), TIMES, 1)


def shifted(light, rows, columns):
    """A bracket of 180x250 pixels whose short frame shows what lies `rows` down and `columns` to the right."""
    crops = [light[30 + k * rows :, 30 + k * columns :][:180, :250] for k in (1, 0, -1)]
    return bracket(crops)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_exposure_becomes_what_the_longer_one_stores(light, dtype):
    scene, full = bracket([light] * 3, dtype), np.iinfo(dtype).max
    raised = re_expose(scene.frames[0], 1.0, 4.0)
    assert raised.dtype == dtype
    # Half a code of the short frame becomes 4^(1/2.2) = 1.88 of one; the other's rounding adds half a code, ours too.
    assert np.abs(raised.astype(int) - scene.frames[1]).max() <= 2
    assert re_expose(np.array([0, full], dtype), 4.0, 1.0).tolist() == [0, round(full * 0.25 ** (1 / 2.2))]
    assert re_expose(np.array([0, full], dtype), 1.0, 4.0).tolist() == [0, full]


def test_the_same_exposure_leaves_every_code():
    frames = np.arange(65536, dtype=np.uint16)
    np.testing.assert_array_equal(re_expose(frames, 4.0, 4.0), frames)


def test_pairs_are_matched_at_the_longer_of_both_exposures(light):
    scene = bracket([light] * 3)
    for index, longer in ((0, 1), (2, 2)):
        reference, other = matched(scene, index)
        assert reference.dtype == np.uint8
        assert np.abs(reference.astype(int) - other).max() <= 1
        assert np.abs(reference.astype(int) - grey(scene.frames[longer])).max() <= 1


@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize(("rows", "columns"), [(3, -5), (-7, 12)])
def test_a_shift_is_found(light, motion, rows, columns):
    scene = shifted(light, rows, columns)
    for index, sign in ((0, -1), (2, 1)):
        moved = motion(*PAIRS.get(motion, matched)(scene, index)) - registration.still(180, 250)
        inner = moved[30:-30, 30:-30]
        np.testing.assert_allclose(np.median(inner, (0, 1)), [sign * columns, sign * rows], atol=0.05)
        assert np.abs(inner - [sign * columns, sign * rows]).max() < 0.75


@pytest.mark.parametrize("motion", MOTIONS)
def test_registered_frames_show_the_reference(light, motion):
    """What lies inside is that of an unmoved bracket; what doesn't is the reference at the frame's exposure."""
    scene, still = shifted(light, 4, -6), shifted(light, 0, 0)
    found = register(scene, motion, PAIRS.get(motion, matched))
    assert found.frames.dtype == np.uint16
    np.testing.assert_array_equal(found.frames[1], scene.frames[1])
    inner = np.s_[:, 12:-12, 12:-12]
    error = np.abs(found.frames[inner].astype(float) - still.frames[inner]) / 65535
    before = np.abs(scene.frames[inner].astype(float) - still.frames[inner]) / 65535
    assert error.mean() < 0.1 * before.mean()
    # The short frame shows what lies 4 lower and 6 to the left: its scene's top rows and right columns are missing.
    wanted = re_expose(scene.frames[1], 4.0, 1.0)
    np.testing.assert_array_equal(found.frames[0, :3, :244], wanted[:3, :244])
    np.testing.assert_array_equal(found.frames[0, :, -5:], wanted[:, -5:])


@pytest.mark.parametrize("find", [find_homography, find_ecc])
def test_a_homography_is_recovered(light, find):
    wanted = np.array([[1.01, 0.015, 3.0], [-0.012, 0.99, -4.0], [1e-5, -2e-5, 1.0]])
    picture = np.rint(255 * (np.clip(light.mean(-1) * 4, 0, 1) ** (1 / 2.2))).astype(np.uint8)
    # warpPerspective reads the source at the matrix's image of each pixel: the picture at x is the other at wanted x.
    other = cv2.warpPerspective(
        picture, wanted, picture.shape[::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    error = project(find(picture, other), 240, 320) - project(wanted, 240, 320)
    assert np.hypot(*error[20:-20, 20:-20].reshape(-1, 2).T).max() < 0.5


def test_pixels_are_read_where_the_positions_say():
    frames = np.random.default_rng(1).integers(0, 65535, (9, 11, 3), np.uint16)
    positions = registration.still(9, 11) + np.array([2, -1], np.float32)
    moved, inside = warp(frames, positions)
    np.testing.assert_array_equal(moved[1:, :-2], frames[:-1, 2:])
    assert inside[1:, :-2].all() and not inside[0].any() and not inside[:, -2:].any()


def test_positions_that_are_no_number_lie_outside():
    positions = registration.still(4, 5)
    positions[1, 2], positions[3, 0] = np.nan, np.inf
    _, inside = warp(np.zeros((4, 5, 3), np.uint8), positions)
    assert np.argwhere(~inside).tolist() == [[1, 2], [3, 0]]


@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 13), (33, 45), (64, 1)])
@pytest.mark.parametrize("value", [0, 255, None])
def test_pictures_without_a_hold_keep_their_size_and_type(motion, size, value):
    noise = np.random.default_rng(0).integers(0, 255, (3, *size, 3), np.uint8)
    frames = noise if value is None else np.full_like(noise, value)
    found = register(Scene("odd", frames, TIMES, 1), motion, PAIRS.get(motion, matched))
    assert found.frames.shape == frames.shape and found.frames.dtype == np.uint8
    if value is not None:
        np.testing.assert_array_equal(found.frames, frames)


def test_uncovered_pixels_are_the_references_and_stay():
    frames = np.random.default_rng(0).integers(0, 255, (3, 33, 45, 3), np.uint8)
    area = np.random.default_rng(1).random((33, 45)) < 0.3
    found = register(Scene("odd", frames, TIMES, 1, uncovered=area), registration.ecc)
    np.testing.assert_array_equal(found.uncovered, area)


@pytest.mark.parametrize("motion", [registration.homography, registration.ecc])
def test_frames_without_anything_in_common_stay_where_they_are(motion):
    noise = np.random.default_rng(0).integers(0, 255, (3, 90, 120, 3), np.uint8)
    scene = Scene("noise", noise, TIMES, 1)
    np.testing.assert_array_equal(register(scene, motion, PAIRS.get(motion, matched)).frames, noise)


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        (np.eye(3), True),
        ([[1, 0, 20], [0, 1, -15], [0, 0, 1]], True),
        ([[1, 0, 60], [0, 1, 0], [0, 0, 1]], False),
        ([[-1, 0, 99], [0, 1, 0], [0, 0, 1]], False),
        ([[1.6, 0, 0], [0, 1.6, 0], [0, 0, 1]], False),
        ([[1, 0, 0], [0, 1, 0], [-0.02, 0, 1]], False),
        ([[1, 0, np.nan], [0, 1, 0], [0, 0, 1]], False),
    ],
)
def test_motions_of_no_handheld_camera_are_told(matrix, expected):
    assert plausible(np.array(matrix, float), 80, 100) is expected


@pytest.mark.parametrize("motion", MOTIONS)
def test_the_result_depends_on_no_number_of_threads(light, motion):
    scene, before = shifted(light, 3, 5), cv2.getNumThreads()
    results = []
    try:
        for threads in (1, 2, 1):
            cv2.setNumThreads(threads)
            results.append(register(scene, motion, PAIRS.get(motion, matched)).frames)
            assert cv2.getNumThreads() == threads
    finally:
        cv2.setNumThreads(before)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_a_read_only_scene_is_registered_and_left_alone(light):
    scene = shifted(light, 2, 2)
    scene.frames.setflags(write=False)
    before = scene.frames.copy()
    register(scene, registration.flow)
    np.testing.assert_array_equal(scene.frames, before)


def test_any_number_of_frames_and_any_reference(light):
    scene = shifted(light, 3, 3)
    two = replace(scene, frames=scene.frames[:2], times=TIMES[:2], reference=0)
    found = register(two, registration.flow)
    np.testing.assert_array_equal(found.frames[0], two.frames[0])
    assert found.frames.shape == two.frames.shape


def test_registrations_have_names(light):
    scene = shifted(light, 2, 2)
    assert registration.registered(scene, "none") is scene
    for name, motion in (("dis", registration.flow), ("homography", registration.homography)):
        found = registration.registered(scene, name)
        np.testing.assert_array_equal(found.frames, register(scene, motion).frames)
    with pytest.raises(UsageError, match="no registration is called 'ecc'"):
        registration.registered(scene, "ecc")


def test_opencv_is_imported_on_use_only():
    line = "import sys, bench.color.registration; assert 'cv2' not in sys.modules and 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", line], cwd=ROOT, check=True, timeout=60)
