"""Error and visibility maps: pictures with a colour bar each, of any prediction."""

import io

import numpy as np
import pytest
from PIL import Image

from bench.report.figures.images import SceneMaps, map_figure
from tests.shared import coarse

pytestmark = pytest.mark.usefixtures("coarse")


@pytest.fixture(scope="module")
def maps():
    rng = np.random.default_rng(0)
    truth = rng.random((30, 40, 3), np.float32)
    visibility = np.zeros((30, 40))
    visibility[10:20] = 1
    return SceneMaps(truth * np.float32(0.9), truth, visibility, "hall-1: a.exr")


def pixels(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


@pytest.fixture(scope="module")
def drawn(maps):
    with pytest.MonkeyPatch.context() as patch:
        coarse(patch)
        return map_figure(maps)


def test_equal_maps_are_equal_bytes(maps, drawn):
    assert map_figure(maps) == drawn


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"prediction": np.ones((30, 40, 3), np.float32)}, "upper left"),
        ({"visibility": np.ones((30, 40))}, "lower right"),
        ({"prediction": np.zeros((30, 40, 3), np.float32)}, "lower left"),
    ],
    ids=["prediction", "visibility", "error"],
)
def test_each_input_has_its_panel(maps, drawn, change, place):
    before, after = pixels(drawn), pixels(map_figure(maps._replace(**change)))
    assert before.shape == after.shape
    rows, columns = (before != after).any(-1).nonzero()
    height, width = before.shape[:2]
    inside = {
        "upper left": (rows < height / 2) & (columns < width / 2),
        "lower left": (rows > height / 2) & (columns < width / 2),
        "lower right": (rows > height / 2) & (columns > width / 2),
    }[place]
    assert inside.sum() > 1000


def test_the_visibility_bar_always_runs_from_0_to_1(maps):
    """Half visible everywhere is drawn in the colour of one half, whatever the rest of the map is."""
    import matplotlib

    image = pixels(map_figure(maps._replace(visibility=np.full((30, 40), 0.5))))
    middle = np.rint(255 * np.array(matplotlib.colormaps["magma"](0.5)[:3]))
    height, width = image.shape[:2]
    assert np.abs(image[int(height * 0.72), int(width * 0.7)] - middle).max() <= 2


@pytest.mark.parametrize(
    "prediction",
    [lambda truth: truth, lambda truth: truth * 0, lambda truth: truth * 1e6, lambda truth: truth - 0.5],
    ids=["exact", "black", "huge", "negative"],
)
def test_any_finite_prediction_is_drawn_without_a_warning(maps, prediction):
    assert map_figure(maps._replace(prediction=prediction(maps.truth).astype(np.float32)))[:4] == b"\x89PNG"


def test_a_missing_visibility_map_has_its_reason(maps, drawn):
    long = "images of 12x12 pixels are too small for HDR-VDP-2, which needs 17 or more on each side. " * 2
    without = pixels(map_figure(maps._replace(visibility=None, reason=long)))
    assert (without != pixels(drawn)).any()
