"""Protocols: what the default computes, what the schema refuses, what a reader is shown."""

import math
import subprocess
import sys

import numpy as np
import pytest
import yaml
from pydantic import BaseModel, ValidationError

from bench.core.errors import UsageError
from bench.core.registry import ROOT, protocols
from bench.core.scene import Scene
from bench.metrics.fidelity import psnr, ssim
from bench.metrics.protocol import Protocol, load

FILE = ROOT / "bench/metrics/protocols/whole-float.yaml"


@pytest.fixture
def default():
    return protocols["whole-float"]


def _variant(protocol, **sections):
    return Protocol.model_validate({**protocol.model_dump(), **sections})


def _images(seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.random((24, 30, 3)).astype(np.float32)
    return (truth + rng.normal(0, 0.05, truth.shape)).astype(np.float32), truth


def _scene(radiance, moved=False):
    rng = np.random.default_rng(1)
    times = np.array([1.0, 4.0, 16.0])
    light = np.broadcast_to(rng.uniform(0.02, 0.1, (40, 50, 3)), (3, 40, 50, 3)).copy()
    light[:, :20, :20] = 0.9  # saturates the middle and the long frame
    if moved:
        light[0, 22:38, 25:45] = 0.6
    codes = np.rint(255 * np.clip(light * times[:, None, None, None], 0, 1) ** (1 / 2.2)).astype(np.uint8)
    return Scene("test-01", codes, times, 1, radiance(light[1]) if radiance else None)


def test_the_default_states_what_the_design_states(default):
    assert default.id == "whole-float@1"
    assert (default.region.crop, default.region.resize) == (0, "none")
    assert (default.values.precision, default.values.clip, default.values.quantise) == ("float32", "none", "none")
    assert (default.mu.constant, default.psnr.peak, default.ssim.peak) == (5000, 1, 1)
    window = default.ssim.window
    assert (window.kind, window.size, window.sigma, window.sample_covariance) == ("gaussian", 11, 1.5, False)
    assert default.ssim.area == "valid"
    assert (default.pu21.variant, default.pu21.cd_m2) == ("banding_glare", 4000)
    assert (default.hdrvdp2.version, default.hdrvdp2.pixels_per_degree) == ("2.2.2", 26.7627)


def test_the_file_writes_every_setting_out(default):
    # What a file leaves to a default could change its meaning without a change of the file.
    assert yaml.safe_load(FILE.read_text()) == default.model_dump(mode="json")


def test_evaluate_gives_the_four_metrics(default):
    pred, truth = _images()
    scores = default.evaluate(pred, truth)
    assert list(scores) == ["psnr-l", "psnr-mu", "ssim-l", "ssim-mu"]
    assert scores["psnr-l"] == psnr(pred, truth, peak=1.0)
    assert scores["ssim-l"] == ssim(pred, truth, peak=1.0)


def test_negative_values_count_as_zero_in_the_mu_domain_only(default):
    pred, truth = np.full((12, 12, 3), -0.5), np.zeros((12, 12, 3))
    scores = default.evaluate(pred, truth)
    assert scores["psnr-mu"] == math.inf
    assert scores["psnr-l"] == pytest.approx(20 * math.log10(2))


def test_both_images_are_rounded_to_float32(default):
    _, truth = _images()
    assert default.evaluate(truth.astype(np.float64) * (1 + 1e-10), truth)["psnr-l"] == math.inf


def test_clip_and_crop(default):
    pred, truth = _images()
    clipped = _variant(default, values={"clip": "prediction"}).evaluate(pred, truth)
    assert clipped == default.evaluate(np.clip(pred, 0, 1), truth)
    cropped = _variant(default, region={"crop": 5}).evaluate(pred, truth)
    assert cropped == default.evaluate(pred[5:-5, 5:-5], truth[5:-5, 5:-5])
    with pytest.raises(UsageError, match="crops 12 px"):
        _variant(default, region={"crop": 12}).evaluate(pred, truth)


def test_a_protocol_returns_only_what_it_defines(default):
    pred, truth = _images()
    assert list(_variant(default, metrics=["psnr-mu"]).evaluate(pred, truth)) == ["psnr-mu"]


def test_evaluate_scene_adds_masked_scores(default):
    scene = _scene(lambda light: light.astype(np.float32), moved=True)
    pred = scene.radiance.copy()
    pred[:20, :20] += 0.1
    scores = default.evaluate_scene(pred, scene)
    names = {"psnr-l", "psnr-mu", "ssim-mu"}
    assert set(scores) == {*names, "ssim-l"} | {f"{n}@{m}" for n in names for m in ("saturated", "moving")}
    assert scores["psnr-l@saturated"] == pytest.approx(20, abs=1e-4)
    assert scores["psnr-l@moving"] == math.inf
    assert scores["ssim-mu@saturated"] < scores["ssim-mu"] < 1
    cropped = _variant(default, region={"crop": 3}).evaluate_scene(pred, scene)
    assert cropped["psnr-l@saturated"] == pytest.approx(20, abs=1e-4)


def test_an_empty_mask_gives_nan_and_a_scene_without_truth_a_sentence(default):
    scene = _scene(lambda light: light.astype(np.float32))
    assert math.isnan(default.evaluate_scene(scene.radiance, scene)["psnr-mu@moving"])
    with pytest.raises(UsageError, match="'test-01' has no truth"):
        default.evaluate_scene(scene.radiance, _scene(None))
    with pytest.raises(UsageError, match="'test-01': the prediction has shape"):
        default.evaluate_scene(scene.radiance[1:], scene)


def test_protocols_cant_be_changed_in_place(default):
    with pytest.raises(ValidationError, match="frozen"):
        default.psnr.peak = 2.0


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("sigma: 1.5", "sgima: 1.5", "ssim.window.sgima: no such setting"),
        ("size: 11", "size: 10", "size 10 has no centre"),
        ("resize: none", "resize: 960x1440", "region.resize: Input should be 'none', not '960x1440'"),
        ("quantise: none", "quantise: rgbe", "values.quantise: Input should be 'none', not 'rgbe'"),
        ("peak: 1.0", "peak: max-of-truth", "psnr.peak: .* not 'max-of-truth'"),
        ("schema_version: 1\n", "", "schema_version: missing"),
        ("[psnr-l, psnr-mu, ssim-l, ssim-mu]", "[psnr-y]", "metrics.0: .* not 'psnr-y'"),
        ("{crop: 0", "{crop: [", "is not valid YAML"),
        ("name: whole-float", "name: other", "calls itself 'other'"),
    ],
)
def test_a_bad_file_ends_in_a_sentence(tmp_path, old, new, sentence):
    path = tmp_path / "whole-float.yaml"
    path.write_text(FILE.read_text().replace(old, new, 1))
    with pytest.raises(UsageError, match=sentence):
        load(path)


def test_an_absent_or_empty_file_ends_in_a_sentence(tmp_path):
    with pytest.raises(UsageError, match="can't be read"):
        load(tmp_path / "absent.yaml")
    (tmp_path / "empty.yaml").write_text("")
    with pytest.raises(UsageError, match="file: Input should be a valid dictionary"):
        load(tmp_path / "empty.yaml")


def _leaves(section, prefix=""):
    for name in type(section).model_fields:
        value = getattr(section, name)
        yield from _leaves(value, f"{prefix}{name}.") if isinstance(value, BaseModel) else [prefix + name]


def test_describe_shows_every_setting_and_what_is_missing(default):
    text = default.describe()
    assert all(f"\n{leaf} " in text for leaf in _leaves(default))
    assert "26.7627" in text
    assert "torch 2." in text
    assert "needs the PU21 metric, not in this version" in text


def test_loading_a_protocol_needs_no_torch():
    code = (
        "import sys; from bench.core.registry import protocols; protocols['whole-float']; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
