import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bench.report.codebooks.figures import atlas_figure, by_size, codebook_figure, project, sheets
from bench.report.figures.figures import contact_sheet, learning_curves
from bench.report.figures.images import Crop, choose, crop_figure, crops_of, error
from bench.report.figures.style import DPI, NEAR, QUARTERS, TERMS, canvas, picture, png, shrink, webp
from bench.report.page.page import size
from tests.report.conftest import two_codebooks


def pixels(file):
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))


def test_png_is_deterministic_and_names_no_software(codebooks):
    first, second = codebook_figure(codebooks), codebook_figure(codebooks)
    assert first == second
    assert b"matplotlib" not in first.lower()
    assert b"tEXt" not in first


def test_a_plot_has_a_palette_that_shows_no_difference():
    with canvas(4, 3) as figure:
        axes = figure.subplots()
        for colour in TERMS:
            axes.plot(np.random.default_rng(0).random(9), color=colour)
        full = io.BytesIO()
        figure.savefig(full, format="png", dpi=DPI)
        plot = png(figure)
    assert Image.open(io.BytesIO(plot)).mode == "P" and len(plot) < 0.5 * len(full.getvalue())
    difference = pixels(plot).astype(np.float64) - pixels(full.getvalue())
    assert 10 * np.log10(255**2 / np.mean(difference**2)) > NEAR


def test_photographs_in_a_png_keep_all_their_colours():
    noise = np.random.default_rng(0).integers(0, 256, (2 * DPI, 2 * DPI, 3), np.uint8)
    with canvas(2, 2) as figure:
        picture(figure.add_axes((0, 0, 1, 1)), noise)
        assert Image.open(io.BytesIO(png(figure))).mode == "RGB"
        assert len(webp(figure)) < 0.5 * len(png(figure))


@pytest.mark.usefixtures("coarse")
def test_figures_ignore_the_users_settings(codebooks):
    import matplotlib

    expected = atlas_figure(codebooks)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        assert atlas_figure(codebooks) == expected


def test_an_overlapped_codebook_follows_its_vanilla_counterpart(codebooks):
    named = [
        replace(codebook, name=f"{codebook.segments}-32{rest}")
        for rest in ("", "-restart")
        for codebook in codebooks[::-1]
    ]
    found = [codebook.name for codebook in by_size(named)[32]]
    assert found == ["vanilla-32", "olc-32", "vanilla-32-restart", "olc-32-restart"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("vanilla", "olc"), [["vanilla", "olc"]]),
        (("vanilla", "olc", "vhdr"), [["vanilla", "olc", "vhdr"]]),
        (("vanilla", "olc", "vanilla-r", "olc-r", "vhdr"), [["vanilla", "olc", "vhdr"], ["vanilla-r", "olc-r"]]),
        (("a", "b", "c", "d"), [["a", "b", "c"], ["d"]]),
        ((), []),
    ],
)
def test_counterparts_share_a_figure_of_three_codebooks_at_most(codebooks, names, expected):
    made = sheets([replace(codebooks[0], name=name) for name in names])
    assert [[codebook.name for codebook in sheet] for sheet in made] == expected


def test_projection_has_fixed_signs():
    codes = np.random.default_rng(0).normal(size=(40, 8)) * np.arange(1, 9)
    places, shares = project(codes)
    assert places.shape == (40, 2)
    assert shares[0] > shares[1]
    # The sign of an axis doesn't depend on the order of the codes.
    np.testing.assert_allclose(project(codes[::-1])[0][::-1], places, atol=1e-9)


def test_projection_survives_equal_codes():
    places, shares = project(np.ones((8, 4)))
    assert np.isfinite(places).all()
    assert np.isfinite(shares).all()


def test_crops_lie_in_their_areas_and_apart(exhibits):
    exhibit = exhibits["truth"]
    first, second = crops_of(exhibit.scene, exhibit.masks)
    assert (first.shows, second.shows) == ("saturated", "moving")
    for crop in (first, second):
        assert crop.cut(exhibit.masks[crop.shows]).mean() > 0.5
    assert abs(first.top - second.top) >= first.edge or abs(first.left - second.left) >= first.edge


def test_crops_without_any_area_show_the_centre(exhibits):
    scene = exhibits["truth"].scene
    empty = {"moving": np.zeros(scene.frames.shape[1:3], bool)}
    assert crops_of(scene, empty) == [Crop("centre", 17, 25, 14)]


def test_error_is_zero_for_the_truth_and_one_for_black_against_white():
    white = np.ones((2, 2, 3), np.float32)
    assert error(white, white).max() == 0
    np.testing.assert_allclose(error(np.zeros_like(white), white), 1, atol=1e-6)


@pytest.mark.usefixtures("coarse")
@pytest.mark.parametrize("name", ["truth", "no-truth"])
def test_crop_figure(name, exhibits):
    assert pixels(crop_figure(exhibits[name])).std() > 10


@pytest.mark.usefixtures("coarse")
def test_heads_of_crops_say_what_their_numbers_are(exhibits):
    exhibit = replace(exhibits["truth"], values={"floor": 25.123})
    assert exhibit.heads == ["reference frame\nPSNR-μ, whole picture:", "floor\n25.12 dB", "missing\n", "truth\n"]
    assert exhibits["truth"].heads == ["reference frame", "floor", "missing", "truth"]
    assert exhibits["no-truth"].heads == ["reference frame", "floor", "missing"]
    assert size(crop_figure(exhibit))[1] > size(crop_figure(exhibits["truth"]))[1]


def test_scale_comes_from_the_truth_or_the_short_frame(exhibits):
    truth = exhibits["truth"]
    assert truth.scale == pytest.approx(np.percentile(truth.scene.radiance, 99.9))
    assert exhibits["no-truth"].scale == pytest.approx(np.percentile(exhibits["no-truth"].scene.linear[0], 99.9))


def test_chosen_scenes_come_from_different_places_first():
    interest = {"a-1": ("a", 0.9), "a-2": ("a", 0.8), "b-1": ("b", 0.3), "a-3": ("a", 0.1)}
    assert choose(interest, 3) == ["a-1", "b-1", "a-2"]


@pytest.mark.usefixtures("coarse")
def test_learning_curves_leave_gaps_for_values_without_logarithm():
    frame = pd.DataFrame({"step": [1, 2, 3], "total": [1.0, 0.5, float("nan")], "adversarial": [-1.0, -1.0, 0.1]})
    assert pixels(learning_curves({"run": frame}, "loss")).ndim == 3


@pytest.mark.usefixtures("coarse")
def test_seeds_of_a_run_share_a_panel():
    frame = pd.DataFrame({"step": [1, 2, 3], "total": [1.0, 0.5, 0.2]})
    other = frame.assign(total=[0.9, 0.6, 0.1])
    shared = learning_curves({"a--x--s0": frame, "a--x--s1": other}, "loss")
    assert shared != learning_curves({"a--x--s0": frame}, "loss")
    assert shared == learning_curves({"a--x--s1": other, "a--x--s0": frame}, "loss")
    # Five panels need a second row.
    five = [learning_curves({name.format(i): frame for i in range(5)}, "loss") for name in ("a--s{}", "{}--s0")]
    assert size(five[0])[1] < size(five[1])[1]


def test_contact_sheet_is_deterministic():
    frame = np.tile(np.arange(60, dtype=np.uint8)[None, :, None], (40, 1, 3))
    views = [("view", [frame, frame])] * 5
    assert contact_sheet(views) == contact_sheet(views)


def test_shrink_averages_blocks():
    image = np.zeros((4, 4, 3), np.uint8)
    image[:2, :2] = 100
    assert shrink(image, 2)[:, :, 0].tolist() == [[100, 0], [0, 0]]


@pytest.mark.usefixtures("coarse")
def test_measurements_on_held_out_images_are_no_loss_terms():
    frame = pd.DataFrame({"step": [1, 2, 3], "total": [1.0, 0.5, 0.2]})
    observed = pd.concat([frame, pd.DataFrame({"step": [4], "held_out_used_H": [0.5]})])
    assert learning_curves({"run": observed}, "loss") == learning_curves({"run": frame}, "loss")


LONE = (3, 331, 1000)
"""Codes of a large codebook in three of its quarters, so that their colours tell them apart."""


@pytest.fixture(scope="module")
def large():
    """The figure of three codebooks, each with nothing but the lone codes chosen."""
    hits = np.zeros((4, 1024), np.int64)
    hits[:, LONE] = 1
    codes = np.random.default_rng(0).normal(size=(1024, 4)).astype(np.float32)
    return pixels(codebook_figure([replace(two_codebooks()[0], histograms=hits, codes=codes)] * 3)).astype(int)


@pytest.mark.parametrize("code", LONE)
def test_no_code_of_a_large_codebook_falls_between_pixels(code, large):
    below = large[int(0.65 * len(large)) : int(0.93 * len(large))]
    colour = np.array([int(QUARTERS[code // 256][i : i + 2], 16) for i in (1, 3, 5)])
    # A line of about a pixel, partly mixed with the white beside it.
    hit = (np.abs(below - colour).max(-1) < 130) & (np.ptp(below, -1) > 40)
    third = below.shape[1] // 3
    assert all(hit[:, i * third : (i + 1) * third].any() for i in range(3))
