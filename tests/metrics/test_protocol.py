"""Protocols: what the default computes, what the schema refuses, what a reader is shown."""

import math
import shutil
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
from pydantic import BaseModel, ValidationError

from bench.core.errors import UsageError
from bench.core.registry import ROOT, protocols
from bench.core.scene import Scene
from bench.metrics.functional.fidelity import psnr, ssim
from bench.metrics.protocol import Protocol, load
from bench.metrics.pu21 import pu21_psnr, pu21_psnr_y, pu21_ssim

FILE = ROOT / "bench/metrics/protocols/whole-float.yaml"


FOUR = ("psnr-l", "psnr-mu", "ssim-l", "ssim-mu")


@pytest.fixture
def default():
    return protocols["whole-float"]


@pytest.fixture
def plain(default):
    """The default without models of vision."""
    return _variant(default, metrics=FOUR)


def _variant(protocol, **sections):
    content = protocol.model_dump()
    merged = {k: {**content[k], **v} if isinstance(v, dict) else v for k, v in sections.items()}
    return Protocol.model_validate({**content, **merged})


def _images(seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.random((24, 30, 3)).astype(np.float32)
    return np.maximum(truth + rng.normal(0, 0.05, truth.shape), 0).astype(np.float32), truth


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
    assert default.id == "whole-float@1"  # the settings of its first four metrics are those of its first version
    assert (default.region.crop, default.region.resize) == (0, "none")
    assert (default.values.precision, default.values.clip, default.values.quantise) == ("float32", "none", "none")
    assert (default.mu.constant, default.psnr.peak, default.ssim.peak) == (5000, 1, 1)
    window = default.ssim.window
    assert (window.kind, window.size, window.sigma, window.sample_covariance) == ("gaussian", 11, 1.5, False)
    assert (default.ssim.area, default.ssim.channels) == ("valid", "separate")
    assert (default.pu21.variant, default.pu21.peak_luminance) == ("banding_glare", 4000)
    assert (default.hdrvdp2.version, default.hdrvdp2.pixels_per_degree) == ("2.2.2", 26.7627)


def test_evaluate_gives_all_metrics(default, vision):
    pred, truth = _images()
    scores = default.evaluate(pred, truth)
    assert tuple(scores) == default.metrics == (*FOUR, "psnr-pu", "psnr-pu-y", "ssim-pu", "hdrvdp2")
    assert scores["psnr-l"] == psnr(pred.astype(np.float64), truth.astype(np.float64), peak=1.0)
    assert scores["ssim-l"] == ssim(pred.astype(np.float64), truth.astype(np.float64), peak=1.0)
    for name, score in (("psnr-pu", pu21_psnr), ("psnr-pu-y", pu21_psnr_y), ("ssim-pu", pu21_ssim)):
        assert scores[name] == score(pred, truth, peak_luminance=4000.0)
    assert scores["hdrvdp2"] == 50
    assert len(vision) == 1


def test_negative_values_count_as_zero_in_the_mu_domain_only(plain):
    pred, truth = np.full((12, 12, 3), -0.5), np.zeros((12, 12, 3))
    scores = plain.evaluate(pred, truth, trusted=True)
    assert scores["psnr-mu"] == math.inf
    assert scores["psnr-l"] == pytest.approx(20 * math.log10(2))
    public = _variant(plain, mu={"negative": "nan"}).evaluate(pred, truth, trusted=True)
    assert math.isnan(public["psnr-mu"])
    assert math.isnan(public["ssim-mu"])
    assert public["psnr-l"] == scores["psnr-l"]


def test_both_images_are_rounded_to_float32(plain):
    _, truth = _images()
    assert plain.evaluate(truth.astype(np.float64) * (1 + 1e-10), truth)["psnr-l"] == math.inf
    with pytest.raises(UsageError, match=r"prediction holds 1 values beyond 3\.4e38"):
        plain.evaluate(np.where(truth == truth.max(), 1e300, truth.astype(np.float64)), truth)


def test_clip_and_crop(plain):
    pred, truth = _images()
    clipped = _variant(plain, values={"clip": "prediction"}).evaluate(pred, truth)
    assert clipped == plain.evaluate(np.clip(pred, 0, 1), truth)
    shifted = _variant(plain, values={"clip": "both", "clip_high": None})
    positive = shifted.evaluate(pred - 0.1, truth - 0.1, trusted=True)
    assert positive == plain.evaluate(np.maximum(pred - 0.1, 0), np.maximum(truth - 0.1, 0))
    cropped = _variant(plain, region={"crop": 5}).evaluate(pred, truth)
    assert cropped == plain.evaluate(pred[5:-5, 5:-5], truth[5:-5, 5:-5])
    with pytest.raises(UsageError, match="crops 12 px"):
        _variant(plain, region={"crop": 12}).evaluate(pred, truth)


def test_resizing_is_opencvs(plain):
    pred, truth = _images()
    found = _variant(plain, region={"resize": "bilinear", "scale": 0.7}).evaluate(pred, truth)
    small = [cv2.resize(image, (21, 17), interpolation=cv2.INTER_LINEAR) for image in (pred, truth)]
    assert found == pytest.approx(plain.evaluate(*small), abs=1e-5)


def test_a_peak_from_the_truth(plain):
    pred, truth = (0.25 * image for image in _images())
    found = _variant(plain, psnr={"peak": "max-of-truth"}).evaluate(pred, truth, trusted=True)
    assert found["psnr-l"] == pytest.approx(plain.evaluate(pred / truth.max(), truth / truth.max())["psnr-l"], abs=1e-4)
    with pytest.raises(UsageError, match="takes the truth's largest value as peak"):
        _variant(plain, psnr={"peak": "max-of-truth"}).evaluate(pred, 0 * truth, trusted=True)


def test_a_protocol_returns_only_what_it_defines(default):
    pred, truth = _images()
    assert list(_variant(default, metrics=["psnr-mu"], masks={"metrics": []}).evaluate(pred, truth)) == ["psnr-mu"]


@pytest.mark.usefixtures("vision")
def test_evaluate_scene_adds_masked_scores(default):
    scene = _scene(lambda light: light.astype(np.float32), moved=True)
    pred = scene.radiance.copy()
    pred[:20, :20] += 0.1
    scores = default.evaluate_scene(pred, scene)
    names = {"psnr-l", "psnr-mu", "ssim-mu"}
    assert set(scores) == {*default.metrics} | {f"{n}@{m}" for n in names for m in ("saturated", "moving")}
    assert scores["psnr-l@saturated"] == pytest.approx(20, abs=1e-4)
    assert scores["psnr-l@moving"] == math.inf
    assert scores["ssim-mu@saturated"] < scores["ssim-mu"] < 1
    for region in ({"crop": 3}, {"resize": "bilinear", "scale": 0.5}):
        changed = _variant(default, region=region).evaluate_scene(pred, scene)
        assert changed["psnr-l@saturated"] == pytest.approx(20, abs=0.5)
    pu = _variant(default, masks={"metrics": ["ssim-pu", "psnr-pu", "psnr-pu-y"]}).evaluate_scene(pred, scene)
    assert pu["ssim-pu@saturated"] < pu["ssim-pu"] < 1
    assert pu["psnr-pu@moving"] == pu["psnr-pu-y@moving"] == math.inf


def test_an_empty_mask_gives_nan_and_a_scene_without_truth_a_sentence(plain):
    scene = _scene(lambda light: light.astype(np.float32))
    assert math.isnan(plain.evaluate_scene(scene.radiance, scene)["psnr-mu@moving"])
    with pytest.raises(UsageError, match="'test-01' has no truth"):
        plain.evaluate_scene(scene.radiance, _scene(None))
    with pytest.raises(UsageError, match="'test-01': the prediction has shape"):
        plain.evaluate_scene(scene.radiance[1:], scene)


def test_scores_where_uncovered_are_there_if_the_scene_knows(plain):
    scene = _scene(lambda light: light.astype(np.float32))
    pred = scene.radiance.copy()
    pred[5:15, 30:40] += 0.1
    area = np.zeros((40, 50), bool)
    assert not any("@uncovered" in name for name in plain.evaluate_scene(pred, scene))
    area[5:15, 30:40] = True
    scores = plain.evaluate_scene(pred, replace(scene, uncovered=area))
    assert {name for name in scores if name.endswith("@uncovered")} == {
        f"{name}@uncovered" for name in ("psnr-l", "psnr-mu", "ssim-mu")
    }
    assert scores["psnr-l@uncovered"] == pytest.approx(20, abs=1e-4)
    cropped = _variant(plain, region={"crop": 3}).evaluate_scene(pred, replace(scene, uncovered=area))
    assert cropped["psnr-l@uncovered"] == pytest.approx(20, abs=1e-4)
    # As for the other masks: no pixel, no value.
    none = plain.evaluate_scene(pred, replace(scene, uncovered=np.zeros((40, 50), bool)))
    assert math.isnan(none["psnr-mu@uncovered"])
    assert none["psnr-mu"] == scores["psnr-mu"]


def test_protocols_cant_be_changed_in_place(default):
    with pytest.raises(ValidationError, match="frozen"):
        default.psnr.peak = 2.0


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("sigma: 1.5", "sgima: 1.5", "ssim.window.sgima: unknown key"),
        ("size: 11", "size: 10", "size 10 has no centre"),
        ("resize: none", "resize: 960x1440", "region.resize: expected 'none' or 'bilinear', got '960x1440'"),
        ("scale: 1.0}", "scale: 0.96}", "scale 0.96 needs resize: bilinear"),
        ("quantise: none", "quantise: jpeg", "values.quantise: expected .*'rgbe' or 'png16', got 'jpeg'"),
        ("peak: 1.0", "peak: largest", "psnr.peak: expected .*a number .* got 'largest'"),
        ("crop: 0", "crop: {centre: [960]}", "region.crop.*centre"),
        ("crop: 0", "crop: [1, -2]", "region.crop"),
        ("composite: null", "composite: {dark: 0.2}", "values.composite.bright: missing"),
        ("  peak: 1.0", "  peak: widest", "ssim.peak: expected .*'range-of-truth'"),
        (
            "scale: 1.0\n",
            "scale: {truth_maximum: 0}\n",
            "hdrvdp2.scale.*truth_maximum: expected a number greater than 0",
        ),
        ("order: prediction-first", "order: either", "hdrvdp2.order: expected 'prediction-first' or 'truth-first'"),
        ("luminance: 4000.0", "luminance: {own_maximum: 4000.0}", "pu21.peak_luminance.*unknown key"),
        ("channels: separate", "channels: volume", "needs area: replicate"),
        ("arithmetic: float64", "arithmetic: float32-direct", "needs channels: volume"),
        ("metrics: [psnr-l, psnr-mu, ssim-mu]", "metrics: [hdrvdp2]", "hdrvdp2 has no value inside a mask"),
        ("pu21: {variant: banding_glare, peak_luminance: 4000.0}", "pu21: null", "psnr-pu needs the section pu21"),
        ("variant: banding_glare", "variant: glare", "pu21.variant: .*, got 'glare'"),
        ("pixels_per_degree: 26.7627", "pixels_per_degree: {diagonal_inches: 24.0}", "pixels_per_degree.*: missing"),
        ("schema_version: 1\n", "", "schema_version: missing"),
        (
            "[psnr-l, psnr-mu, ssim-l, ssim-mu, psnr-pu, psnr-pu-y, ssim-pu, hdrvdp2]",
            "[psnr-y]",
            "metrics.0: no metric is called 'psnr-y'. Did you mean 'psnr-l'",
        ),
        ("name: whole-float", "name: Whole", "name: expected text that matches .*, got 'Whole'"),
        ("ssim-l, ssim-mu, psnr-pu,", "ssim-l, psnr-pu,", "yaml: masks.metrics: ssim-mu isn't among the protocol's"),
        ("{crop: 0", "{crop: [", "not valid YAML"),
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
    with pytest.raises(UsageError, match="holds nothing; expected a mapping"):
        load(tmp_path / "empty.yaml")


def _leaves(section, prefix=""):
    for name in type(section).model_fields:
        value = getattr(section, name)
        yield from _leaves(value, f"{prefix}{name}.") if isinstance(value, BaseModel) else [prefix + name]


@pytest.mark.parametrize("name", protocols)
def test_describe_shows_every_setting_and_the_libraries(name):
    text = protocols[name].describe()
    assert all(f"\n{leaf} " in text for leaf in _leaves(protocols[name]))
    assert protocols[name].source in text
    assert "torch 2." in text


def test_loading_a_protocol_needs_no_torch():
    code = (
        "import sys; from bench.core.registry import protocols; protocols['whole-float']; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_protocol_of_some_metrics_gives_the_same_numbers():
    whole = protocols["whole-float"]
    truth = np.random.default_rng(0).random((24, 32, 3), dtype=np.float32)
    every, some = (one.evaluate(0.9 * truth, truth) for one in (whole, whole.only(["psnr-l", "psnr-mu"])))
    assert some == {name: every[name] for name in ("psnr-l", "psnr-mu")}
    assert whole.only([]) is whole and whole.only(["psnr-mu"]).id == whole.id
    assert not whole.only(["psnr-mu"]).masks.metrics
    with pytest.raises(UsageError, match="no metric of protocol whole-float is called 'psnr-my'"):
        whole.only(["psnr-my"])


def test_one_bad_file_is_told_and_the_others_are_listed_and_used(tmp_path, monkeypatch, bench, capsys):
    for name in ("whole-float", "sctnet"):
        shutil.copy(protocols.folder / f"{name}.yaml", tmp_path)
    (tmp_path / "bad.yaml").write_bytes(b"name: \xff")
    monkeypatch.setattr(type(protocols), "folder", tmp_path)
    answer = bench("protocol", "list")
    assert answer.returncode == 0 and "whole-float" in answer.stdout and "sctnet" in answer.stdout
    assert answer.stderr == f"left out: protocol file {tmp_path}/bad.yaml: not UTF-8 text (byte 6); save it as UTF-8.\n"
    assert [protocol.name for protocol in protocols.sound()] == ["sctnet", "whole-float"]
    assert "left out: protocol file" in capsys.readouterr().err


@pytest.mark.parametrize("crop", ["5", True, 5.0])
def test_values_are_of_the_kind_that_is_written(plain, crop):
    with pytest.raises(ValidationError, match="expected an integer such as 3"):
        _variant(plain, region={"crop": crop})
