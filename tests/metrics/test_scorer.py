"""Many protocols on one pair, and what HDR-VDP-2 is handed."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from bench.core.errors import UsageError
from bench.core.registry import metrics, protocols
from bench.metrics.functional import similarity
from bench.metrics.hdrvdp2 import hdrvdp2, pixels_per_degree
from bench.metrics.rounding import rgbe
from bench.metrics.scorer import Scorer, preparation, score
from bench.metrics.viewing import Display, visibility
from bench.stages.scoring import score_cache


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    truth = rng.random((120, 130, 3)).astype(np.float32)
    return (truth + rng.normal(0, 0.02, truth.shape)).astype(np.float32), truth


@pytest.mark.usefixtures("vision")
def test_all_at_once_gives_what_each_gives(images):
    rules = [rule for name, rule in protocols.items() if name != "deephdrvideo" and not rule.values.composite]
    scorer = Scorer(*images)
    for rule in sorted(rules, key=preparation):
        assert scorer.scores(rule) == pytest.approx(rule.evaluate(*images, trusted=True), abs=0, nan_ok=True)


def test_shared_work_is_done_once(images, monkeypatch):
    calls = []
    original = similarity.similarity_map
    monkeypatch.setattr(similarity, "similarity_map", lambda *a, **k: calls.append(k) or original(*a, **k))
    names = ("hdr-transformer", "safnet", "sctnet", "rfg-hdr", "afunet")
    scorer = Scorer(*images)
    for rule in sorted((protocols[name] for name in names), key=preparation):
        scorer.scores(rule)
    assert len(calls) == 4  # linear and mu, for the first family and for RFG-HDR's window


def test_a_non_finite_prediction_is_refused_whatever_the_protocol(images):
    pred, truth = images
    broken = pred.copy()
    broken[0, 0, 0] = np.nan  # inside the border that lrt-hdr crops
    for rule in protocols.values():
        with pytest.raises(UsageError, match="prediction holds 1 values that are NaN or infinite"):
            rule.evaluate(broken, truth)


def _call(name, images, vision):
    scores = protocols[name].evaluate(*images, trusted=True)
    assert scores["hdrvdp2"] == 50
    (call,) = vision
    return call


def test_the_default_hands_linear_values_to_hdrvdp2(images, vision):
    call = _call("whole-float", images, vision)
    np.testing.assert_array_equal(call.test.numpy(), images[0].astype(np.float64))
    np.testing.assert_array_equal(call.reference.numpy(), images[1].astype(np.float64))
    assert call.options == {
        "color_encoding": "sRGB-display", "pixels_per_degree": 26.7627, "surround_l": 1e-5, "maps": False,
        "precision": "fast",
    }  # fmt: skip


def test_a_preset_hands_over_what_its_script_does(images, vision):
    call = _call("lrt-hdr", images, vision)
    np.testing.assert_array_equal(call.test.numpy(), 65535.0 * images[0][50:-50, 50:-50].astype(np.float64))
    assert (call.options["color_encoding"], call.options["pixels_per_degree"]) == ("rgb-bt.709", 30)


def test_a_display_that_follows_the_image(images, vision):
    call = _call("safnet-matlab", images, vision)
    assert call.options["pixels_per_degree"] == Display(
        diagonal_inches=28, resolution="image", distance_m=0.55
    ).pixels_per_degree(130, 120)
    assert float(call.test.max()) <= 1  # clipped, then rounded to RGBE


@pytest.mark.parametrize(
    ("diagonal", "resolution", "distance", "expected"),
    [
        (24, (1920, 1080), 0.5, 32.4529519503),
        (24, (1500, 1000), 0.5, 26.7626964626),
        (28, (1500, 1000), 0.55, 25.3423652421),
        (30, (3840, 2160), 0.5, 52.7224414273),
        (24, (300, 200), 0.5, 5.3525392925),
        (21, (1920, 1080), 1.0, 72.4898739568),
    ],
)
def test_pixels_per_degree_are_the_reference_programs(diagonal, resolution, distance, expected):
    fixed = Display(diagonal_inches=diagonal, resolution=resolution, distance_m=distance)
    assert fixed.pixels_per_degree(7, 5) == pytest.approx(expected, abs=1e-9)
    own = Display(diagonal_inches=diagonal, resolution="image", distance_m=distance)
    assert own.pixels_per_degree(*resolution) == pytest.approx(expected, abs=1e-9)


def test_hdrvdp2_gives_the_reference_programs_q(pytestconfig):
    """Golden cases p14_1 and p15_1; whole-float's ppd is that of p15_1 to 5 digits."""
    folder = pytestconfig.rootpath / "tests/metrics/hdrvdp2/golden/pairs"
    cases = (("p14_unit_ghost", "deephdrvideo", 96.165129849903), ("p15_unit_noise", "whole-float", 74.823863298935))
    for pair, name, expected in cases:
        with np.load(folder / f"{pair}.npz") as file:
            pred, truth = (file[key].astype(np.float32) for key in ("test", "reference"))
        rule = protocols[name].only(["hdrvdp2"])
        assert rule.evaluate(pred, truth)["hdrvdp2"] == pytest.approx(expected, abs=1e-4)


def test_a_black_prediction_has_no_tanh_score_where_its_percentile_divides(images):
    _, truth = images
    black = np.zeros_like(truth)
    assert math.isnan(protocols["adnet-validation"].evaluate(black, truth, trusted=True)["psnr-mu-tanh"])
    assert math.isfinite(protocols["ntire21"].evaluate(black, truth, trusted=True)["psnr-mu-tanh"])


@pytest.mark.parametrize(
    ("name", "scale", "crop", "settings"),
    [
        ("whole-float", 1, 0, {"color_encoding": "sRGB-display", "pixels_per_degree": 26.7627}),
        (
            "deephdrvideo", 1, 0,
            {"color_encoding": "sRGB-display", "pixels_per_degree": pixels_per_degree(24, (150, 130), 0.5)},
        ),
        (
            "safnet-matlab", 1, 0,
            {"color_encoding": "sRGB-display", "pixels_per_degree": pixels_per_degree(28, (150, 130), 0.55)},
        ),
        ("lrt-hdr", 65535, 50, {"color_encoding": "rgb-bt.709", "pixels_per_degree": 30}),
    ],
)  # fmt: skip
def test_the_map_is_of_what_the_score_is_of(name, scale, crop, settings):
    """The same images, scaled and cropped as the protocol says, under the same conditions."""
    rng = np.random.default_rng(0)
    truth = rng.random((130, 150, 3)).astype(np.float32) ** 3
    pred = np.clip(truth * rng.normal(1, 0.05, truth.shape), 0, 1).astype(np.float32)
    rule = protocols[name]
    scorer = Scorer(pred, truth)
    x, y = (image.astype(np.float64) for image in (pred, truth))
    if rule.values.quantise == "rgbe":
        x, y = (rgbe(torch.from_numpy(image.astype(np.float32))).numpy().astype(np.float64) for image in (x, y))
    x, y = (image[crop : 130 - crop, crop : 150 - crop] * scale for image in (x, y))
    expected = hdrvdp2(x, y, **settings)
    np.testing.assert_allclose(visibility(scorer.pair(rule), rule).numpy(), expected.p_map, atol=1e-6)
    assert scorer.scores(rule)["hdrvdp2"] == pytest.approx(expected.q, abs=1e-6)


def test_a_protocol_without_viewing_conditions_has_no_map(images):
    with pytest.raises(UsageError, match="safnet@1 says nothing of HDR-VDP-2's viewing conditions"):
        visibility(Scorer(*images).pair(protocols["safnet"]), protocols["safnet"])


def test_a_metric_whose_library_is_missing_is_left_out(images, monkeypatch):
    card = replace(metrics["psnr-l"], needs=("no_such_library",))
    rule = protocols["safnet"]
    key = partial(score_cache.key, "prediction", "truth", rule, False, "cpu")
    before = key()
    monkeypatch.setitem(metrics.every, "psnr-l", card)
    assert list(Scorer(*images).scores(rule)) == ["psnr-mu"]
    assert key() != before  # else the gap would stay when the library comes
    with pytest.raises(UsageError, match="psnr-l needs no_such_library, which isn't installed"):
        score(card, *images)


def test_what_has_no_value_inside_a_mask_refuses_one(images):
    with pytest.raises(UsageError, match="hdrvdp2 has no value inside a mask"):
        score(metrics["hdrvdp2"], *images, mask=np.ones(images[0].shape[:2], bool))
