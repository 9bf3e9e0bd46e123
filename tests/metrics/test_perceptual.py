"""Metrics of other packages: what they are handed, and, where they are installed, that they give what they give."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bench.core.errors import UsageError
from bench.core.registry import metrics
from bench.metrics import colorvideovdp, library
from bench.metrics.pair import ImagePair
from bench.metrics.protocol import Protocol
from bench.metrics.scorer import Scorer, score

NAMES = ("flip", "cvvdp")
ABOUT = {"schema_version": 1, "name": "own", "version": 1, "title": "own", "source": "own"}


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    truth = rng.random((40, 52, 3)).astype(np.float32) ** 2
    return (truth * rng.normal(1, 0.1, truth.shape)).clip(0).astype(np.float32), truth


def _protocol(*names, **sections):
    return Protocol.model_validate({**ABOUT, "metrics": names, "masks": {"metrics": []}, **sections})


def _called(name, images, **sections):
    pair = ImagePair(*map(torch.from_numpy, images))
    return metrics[name].load()(pair, _protocol(name, **sections))


@pytest.fixture
def stated(monkeypatch):
    """Both packages are there, in the releases that protocols state by default."""
    releases = {"flip-evaluator": "1.7", "cvvdp": "0.5.7"}
    monkeypatch.setattr(library, "version", releases.__getitem__)
    return releases


def test_flip_is_handed_the_truth_first_and_the_settings(images, stated, monkeypatch):
    calls = []

    def evaluate(reference, test, dynamic_range, **options):
        calls.append((reference, test, dynamic_range, options))
        return None, 0.25, None

    monkeypatch.setitem(sys.modules, "flip_evaluator", SimpleNamespace(evaluate=evaluate))
    exposures = {"start": -2.0, "stop": 1.5, "count": 4}
    assert _called("flip", images, flip={"pixels_per_degree": 30.0, "exposures": exposures}) == 0.25
    ((reference, test, dynamic_range, options),) = calls
    np.testing.assert_array_equal(reference, images[1])
    np.testing.assert_array_equal(test, images[0])
    assert dynamic_range == "HDR"
    assert options["parameters"] == {
        "ppd": 30.0, "tonemapper": "aces", "startExposure": -2.0, "stopExposure": 1.5, "numExposures": 4,
    }  # fmt: skip


def test_colorvideovdp_is_handed_light_and_the_display(images, stated, monkeypatch):
    made = {}

    class Model:
        def __init__(self, **options):
            made.update(options)

        def predict(self, pred, truth, dim_order):
            made.update(pred=pred, truth=truth, dim_order=dim_order)
            return torch.tensor(9.5), {}

    package = SimpleNamespace(
        cvvdp=Model,
        vvdp_display_photo_eotf=lambda peak, **how: {"peak": peak, **how},
        vvdp_display_geometry=lambda size, **how: {"size": size, **how},
    )
    monkeypatch.setitem(sys.modules, "pycvvdp", package)
    colorvideovdp._model.cache_clear()
    assert _called("cvvdp", images, cvvdp={"peak_luminance": 1000.0, "display_peak": 1500.0}) == 9.5
    colorvideovdp._model.cache_clear()
    np.testing.assert_array_equal(made["pred"], images[0] * np.float32(1000))
    np.testing.assert_array_equal(made["truth"], images[1] * np.float32(1000))
    assert made["dim_order"] == "HWC"
    assert made["display_geometry"] == {"size": [52, 40], "ppd": 26.7627}
    assert made["display_photometry"]["peak"] == 1500.0
    assert made["display_photometry"]["source_colorspace"] == "BT.709-linear"


@pytest.mark.parametrize("name", NAMES)
def test_another_release_is_refused(name, images, stated, monkeypatch):
    for package in stated:
        stated[package] = "0.1"
    monkeypatch.setitem(sys.modules, "flip_evaluator", SimpleNamespace())
    with pytest.raises(UsageError, match=r"the protocol states .*, but here is 0\.1"):
        _called(name, images)


@pytest.mark.parametrize("name", NAMES)
def test_an_absent_package_leaves_a_gap_that_names_the_extra(name, images):
    if not metrics[name].missing:
        pytest.skip(f"{name}'s package is installed")
    assert metrics[name].missing.endswith("which isn't installed; try: pip install -e '.[perceptual]'")
    assert list(Scorer(*images).scores(_protocol("psnr-mu", name))) == ["psnr-mu"]
    with pytest.raises(UsageError, match=r"perceptual"):
        score(metrics[name], *images)


@pytest.mark.skipif(bool(metrics["flip"].missing), reason=f"flip {metrics['flip'].missing}")
def test_flip_is_the_packages(images):
    import flip_evaluator

    pred, truth = images
    for settings, options in (
        ({}, {"ppd": 67.0206}),
        ({"tonemapper": "hable", "pixels_per_degree": 30.0}, {"ppd": 30.0, "tonemapper": "hable"}),
    ):
        _, expected, _ = flip_evaluator.evaluate(truth, pred, "HDR", parameters=options)
        found = Scorer(pred, truth).scores(_protocol("flip", flip=settings))["flip"]
        assert found == pytest.approx(expected, abs=1e-6)
    assert Scorer(truth, truth).scores(_protocol("flip"))["flip"] == 0


@pytest.mark.skipif(bool(metrics["cvvdp"].missing), reason=f"cvvdp {metrics['cvvdp'].missing}")
def test_colorvideovdp_is_the_packages(images):
    import pycvvdp

    pred, truth = images
    shown = pycvvdp.vvdp_display_photo_eotf(4000, contrast=1e6, source_colorspace="BT.709-linear", k_refl=0.005)
    seen = pycvvdp.vvdp_display_geometry([52, 40], ppd=26.7627)
    model = pycvvdp.cvvdp(display_photometry=shown, display_geometry=seen, quiet=True, device=torch.device("cpu"))
    expected, _ = model.predict(4000 * pred, 4000 * truth, dim_order="HWC")
    found = Scorer(pred, truth).scores(_protocol("cvvdp"))["cvvdp"]
    assert found == pytest.approx(float(expected), abs=1e-6)
    assert found < 10
    assert Scorer(truth, truth).scores(_protocol("cvvdp"))["cvvdp"] == pytest.approx(10, abs=1e-6)
