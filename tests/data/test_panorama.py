"""Panoramas: where directions fall, what counts as damage, and sentences for files of another kind."""

from pathlib import Path

import numpy as np
import pytest

from bench.core.errors import UsageError
from bench.data.camera import Pose
from bench.data.panorama import Panorama, flaws, load, luminance, mend
from bench.io.radiance import write_exr

SHIPPED = Path(__file__).resolve().parents[2] / "datasets" / "panoramas"


@pytest.fixture
def smooth() -> Panorama:
    rows, columns = np.meshgrid(np.arange(64), np.arange(128), indexing="ij")
    log = np.stack([np.sin(2 * np.pi * columns / 128), rows / 64, np.ones(rows.shape)], axis=-1)
    return Panorama("smooth", log, np.zeros((64, 128), bool))


def test_the_centre_column_lies_ahead_and_the_seam_is_closed(smooth: Panorama) -> None:
    ahead, behind = (Pose(yaw, 0).to_world(np.array([0.0, 0.0, 1.0])) for yaw in (0, 180))
    np.testing.assert_allclose(np.log(smooth.sample(ahead)), smooth.log[31:33, 63:65].mean(axis=(0, 1)), atol=1e-9)
    seam = smooth.log[31:33][:, [0, -1]].mean(axis=(0, 1))
    np.testing.assert_allclose(np.log(smooth.sample(behind)), seam, atol=1e-9)


def test_poles_are_sampled(smooth: Panorama) -> None:
    up = np.log(smooth.sample(np.array([0.0, 1.0, 0.0])))
    assert up[1] == 0  # the top row


def test_interpolation_stays_between_neighbours() -> None:
    log = np.zeros((64, 128, 3))
    log[32, 64] = 9  # one lamp
    panorama = Panorama("lamp", log, np.zeros((64, 128), bool))
    directions = Pose(3, -2).to_world(np.random.default_rng(0).normal((0, 0, 1), 0.05, (500, 3)))
    values = panorama.sample(directions)
    assert values.min() >= 1
    assert values.max() <= np.exp(9)


def test_flaws_cover_the_light_and_its_surroundings_over_the_seam() -> None:
    light = np.ones((64, 128))
    light[33, 2] = 100
    marked = flaws(light, 50)
    assert marked[33, 2]
    assert marked[33, -1]
    assert marked[16:56, :24].all()
    assert not marked[:, 40:100].any()


def test_holes_beside_a_light_are_filled_and_the_rest_is_kept() -> None:
    pixels = np.full((32, 64, 3), 0.5, np.float32)
    pixels[10, 10] = 400
    pixels[10, 12] = 0
    pixels[12, 10, 1] = 1e-4
    mended = mend(pixels)
    expected = np.full_like(pixels, 0.5)
    expected[10, 10] = 400
    np.testing.assert_array_equal(mended, expected)


def test_a_dark_area_is_no_hole() -> None:
    pixels = np.full((32, 64, 3), 1.0, np.float32)
    pixels[8:20, 8:30] = 1e-3
    np.testing.assert_array_equal(mend(pixels), pixels)


def test_shipped_panoramas_are_capped_and_finite() -> None:
    panorama = load(SHIPPED, "sunrise", 4.0)
    light = luminance(np.exp(panorama.log))
    assert np.isfinite(panorama.log).all()
    assert light.max() <= 4.01 * np.percentile(light, 99.99)
    assert 0 < panorama.flawed.mean() < 0.02


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "page.exr").write_text("<html>")
    with pytest.raises(UsageError, match=r"page\.exr: not an OpenEXR file"):
        load(tmp_path, "page", 4.0)
    with pytest.raises(UsageError, match=r"panorama 'city': no file .*Panoramas there: page"):
        load(tmp_path, "city", 4.0)
    write_exr(tmp_path / "square.exr", np.ones((64, 64, 3), np.float32))
    with pytest.raises(UsageError, match="64x64 pixels; an equirectangular panorama is twice as wide as high"):
        load(tmp_path, "square", 4.0)
    write_exr(tmp_path / "black.exr", np.zeros((64, 128, 3), np.float32))
    with pytest.raises(UsageError, match="no light at all"):
        load(tmp_path, "black", 4.0)
