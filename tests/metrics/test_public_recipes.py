"""Presets against the recipes of public code, written out by hand: order, scale, crop, display, pixels per degree."""

import math
import warnings

import cv2
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from bench.core.errors import UsageError
from bench.core.registry import protocols
from bench.core.scene import Scene
from bench.metrics.hdrvdp2 import hdrvdp2
from bench.metrics.protocol import Protocol
from bench.metrics.pu21 import pu21_psnr, pu21_ssim

ROWS, COLUMNS = 200, 300


@pytest.fixture(scope="module")
def pair(golden_pair):
    """A prediction with a ghost and its truth, whose largest value isn't 1: (200, 300, 3) float32."""
    pred, truth = golden_pair("p1_ghost")
    assert truth.shape == (ROWS, COLUMNS, 3)
    return pred * np.float32(0.8), truth * np.float32(0.8)


def evaluate(name, pred, truth):
    return protocols[name].evaluate(pred, truth, trusted=True)


def mu(image):
    return np.log1p(5000 * image.astype(np.float64)) / math.log(5001)


def psnr(pred, truth):
    return -10 * math.log10(np.mean((pred.astype(np.float64) - truth) ** 2))


def degrees(diagonal, columns, rows, distance):
    """Pixels per degree on a screen of square pixels: inches, pixels, metres."""
    height = diagonal * 0.0254 * rows / math.hypot(columns, rows)
    return rows / math.degrees(2 * math.atan(height / 2 / distance))


def vision(first, second, encoding, ppd):
    images = first.astype(np.float64), second.astype(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that values up to 1 are dark as cd/m2: a user's recipe has them
        return hdrvdp2(*images, color_encoding=encoding, pixels_per_degree=ppd, maps=False).q


def radiance_file(image):
    """An image after a Radiance .hdr file of OpenCV's."""
    encoded = cv2.imencode(".hdr", np.ascontiguousarray(image[..., ::-1]))[1]
    return cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)[..., ::-1]


def own_percentiles(image):
    values = np.sort(image, axis=None).astype(np.float64)
    rank = round(0.001 * len(values))
    low, high = values[rank - 1], values[-rank]
    return np.maximum((image - low) / (high - low) * 998 + 1, 0)


def test_pixels_per_degree_are_those_of_the_scripts():
    told = {
        "sctnet-matlab": 23.7874, "gmodiff": 21.8218, "selfhdr": 26.7627, "singlehdr": 30, "la-hdr": 59.9442,
        "safnet-matlab": 25.3424, "deephdrvideo": 26.7627, "lrt-hdr": 30, "afunet-issue-5": 50,
    }  # fmt: skip
    assert {name: round(protocols[name].hdrvdp2.density(1500, 1000), 4) for name in told} == told


def test_sctnets_hdrvdp2(pair):
    """Radiance files, the prediction first, a display of 1500x1000 for every image."""
    expected = vision(*map(radiance_file, pair), "sRGB-display", degrees(30, 1500, 1000, 0.55))
    assert evaluate("sctnet-matlab", *pair) == pytest.approx({"hdrvdp2": expected}, abs=1e-9)


def test_sctnets_pu21(pair):
    """8-bit pictures of the mu-law, on a display that reflects and isn't black at 0."""
    black = 10 / math.pi * 0.005 + 55 / 1000
    lights = [(55 - black) * (np.rint(255 * mu(image)) / 255) ** 2.2 + black for image in pair]
    expected = {"psnr-pu": pu21_psnr(*lights), "ssim-pu": pu21_ssim(*lights)}
    assert evaluate("sctnet-pu21", *pair) == pytest.approx(expected, abs=1e-6)
    brighter = evaluate("sctnet-pu21", np.where(pair[1] > 0.7, 9, pair[0]).astype(np.float32), pair[1])
    assert brighter == evaluate("sctnet-pu21", np.where(pair[1] > 0.7, 1, pair[0]).astype(np.float32), pair[1])


def test_selfhdr(pair):
    """The numbers of HDR-Transformer, and HDR-VDP-2 with the truth first by the image's own size."""
    pred, truth = pair
    expected = evaluate("hdr-transformer", pred, truth)
    expected["hdrvdp2"] = vision(truth, pred, "sRGB-display", degrees(24, COLUMNS, ROWS, 0.5))
    assert evaluate("selfhdr", pred, truth) == pytest.approx(expected, abs=1e-9)


def test_gmodiff(pair):
    """The numbers of HDR-Transformer; the others after both images times 1000 / max(truth)."""
    pred, truth = pair
    lights = [image.astype(np.float64) * (1000 / float(truth.max())) for image in pair]
    expected = evaluate("hdr-transformer", pred, truth) | {
        "psnr-pu": pu21_psnr(*lights),
        "ssim-pu": pu21_ssim(*lights),
        "hdrvdp2": vision(*lights, "rgb-bt.709", degrees(30, 1500, 1000, 0.5)),
    }
    assert evaluate("gmodiff", pred, truth) == pytest.approx(expected, abs=1e-9)


def test_singlehdr(pair):
    expected = vision(*map(own_percentiles, pair), "rgb-bt.709", 30)
    assert evaluate("singlehdr", *pair) == pytest.approx({"hdrvdp2": expected}, abs=1e-9)
    pred, truth = pair
    moved = (pred * 0.5 + 0.01).astype(np.float32)
    assert evaluate("singlehdr", moved, truth)["hdrvdp2"] == pytest.approx(expected, abs=0.01)


def test_la_hdr(pair):
    """Each image over its own maximum, times 4000; rows and columns exchanged."""
    pred, truth = pair
    lights = [image.astype(np.float64) / image.max() * 4000 for image in pair]
    expected = vision(*lights, "rgb-bt.709", degrees(21, ROWS, COLUMNS, 1))
    assert evaluate("la-hdr", pred, truth) == pytest.approx({"hdrvdp2": expected}, abs=1e-9)
    assert evaluate("la-hdr", pred / 4, truth) == pytest.approx({"hdrvdp2": expected}, abs=1e-9)


def test_a_users_call_on_afunets_outputs(pair):
    expected = vision(*pair, "rgb-bt.709", 50)
    assert evaluate("afunet-issue-5", *pair) == pytest.approx({"hdrvdp2": expected}, abs=1e-9)


@pytest.mark.parametrize("name", ["gmodiff", "la-hdr"])
def test_a_maximum_of_nothing_is_refused(name, pair):
    black = np.zeros_like(pair[0])
    with pytest.raises(UsageError, match=r"is scaled by its largest value, but no value is above 0"):
        protocols[name].only(["hdrvdp2"]).evaluate(black, black, trusted=True)


def test_percentiles_of_one_value_are_refused(pair):
    flat = np.full_like(pair[0], 0.5)
    with pytest.raises(UsageError, match=r"the prediction has one value from its percentile 0\.1"):
        evaluate("singlehdr", flat, pair[1])


@pytest.mark.parametrize(("size", "window"), [((1000, 1500), np.s_[20:980, 30:1470]), ((980, 600), np.s_[10:970, :])])
def test_the_centre_of_deephdr_and_hdr_gan(size, window):
    """960x1440 of 1000x1500; of an image with fewer columns, all of them."""
    rng = np.random.default_rng(0)
    truth = rng.random((*size, 3), dtype=np.float32)
    pred = np.clip(truth + 0.01, 0, 1).astype(np.float32)
    pred[0], pred[:, 0] = 0, 0
    expected = psnr(mu(pred[window]), mu(truth[window]))
    assert evaluate("deephdr", pred, truth)["psnr-mu"] == pytest.approx(expected, abs=1e-6)
    found = protocols["hdr-gan"].only(["psnr-l"]).evaluate(pred, truth, trusted=True)
    assert found["psnr-l"] == pytest.approx(psnr(pred[window], truth[window]), abs=1e-6)


def test_rows_and_columns_can_be_cropped_apart(pair):
    content = protocols["safnet"].model_dump()
    content["region"]["crop"] = [3, 70]
    rule, (pred, truth) = Protocol.model_validate(content), pair
    expected = psnr(pred[3:-3, 70:-70], truth[3:-3, 70:-70])
    assert rule.evaluate(pred, truth, trusted=True)["psnr-l"] == pytest.approx(expected, abs=1e-6)
    content["region"]["crop"] = [3, 150]
    with pytest.raises(UsageError, match="crops 3 and 150 px on every side of 200x300: none are left"):
        Protocol.model_validate(content).evaluate(pred, truth, trusted=True)


def test_wavelet_hdr(pair):
    """scikit-image without a range for floats, as version 0.17 takes it; 100 dB for identical images."""
    pred, truth = pair
    options = {"channel_axis": 2, "data_range": 2}
    expected = {
        "psnr-l": psnr(pred, truth),
        "psnr-mu": psnr(mu(pred), mu(truth)),
        "ssim-l": structural_similarity(pred.astype(np.float64), truth.astype(np.float64), **options),
        "ssim-mu": structural_similarity(mu(pred), mu(truth), **options),
    }
    assert evaluate("wavelet-hdr", pred, truth) == pytest.approx(expected, abs=1e-6)
    assert evaluate("wavelet-hdr", truth, truth)["psnr-l"] == 100


@pytest.fixture
def bracket(pair):
    """A function: index of the reference -> the truth's scene of three exposures."""

    def made(reference):
        times = np.array([1.0, 4.0, 16.0])
        light = np.clip(pair[1] * times[:, None, None, None], 0, 1) ** (1 / 2.2)
        return Scene("test", np.rint(255 * light).astype(np.uint8), times, reference, pair[1])

    return made


@pytest.mark.parametrize("reference", range(3))
def test_hdrflow(reference, pair, bracket):
    """The reference frame where it is well exposed, then the range of the truth for SSIM."""
    (pred, truth), scene = pair, bracket(reference)
    frame = scene.frames[reference] / 255
    luma = frame @ [0.299, 0.587, 0.114]
    dark, bright = (luma < 0.2) & (reference < 2), (luma > 0.8) & (reference > 0)
    assert (bool(dark.any()), bool(bright.any())) == (reference < 2, reference > 0)
    merged = np.where((dark | bright)[..., None], pred, frame**2.2 / scene.times[reference])
    expected = {}
    for name, x, y in (("l", merged, truth), ("mu", mu(merged), mu(truth))):
        x, y = x.astype(np.float64), y.astype(np.float64)
        expected[f"psnr-{name}"] = psnr(x, y)
        expected[f"ssim-{name}"] = structural_similarity(x, y, channel_axis=2, data_range=y.max() - y.min())
    found = protocols["hdrflow"].evaluate_scene(pred, scene, trusted=True)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-5)


def test_what_needs_frames_says_so(pair):
    with pytest.raises(UsageError, match=r"hdrflow@1 composes a prediction with the reference frame.*evaluate_scene"):
        protocols["hdrflow"].evaluate(*pair)


def test_the_range_of_a_truth_without_one_is_refused(bracket, pair):
    scene = bracket(1)
    flat = Scene("flat", scene.frames, scene.times, 1, np.full_like(pair[1], 0.5))
    with pytest.raises(UsageError, match="largest value less its smallest as its range, but they are equal"):
        protocols["hdrflow"].only(["ssim-l"]).evaluate_scene(pair[0], flat, trusted=True)


def test_release_2_2_0_is_another_number(pair):
    content = protocols["afunet-issue-5"].model_dump()
    content["hdrvdp2"]["version"] = "2.2.0"
    (found,) = Protocol.model_validate(content).evaluate(*pair, trusted=True).values()
    assert 0 <= found <= 100
    assert found != pytest.approx(evaluate("afunet-issue-5", *pair)["hdrvdp2"], abs=1)
