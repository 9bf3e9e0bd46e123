"""Metrics as functions: every registered one takes all layouts, and a gradient leaves its value as it is."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

import bench.metrics
from bench.core.errors import UsageError
from bench.core.registry import metrics, protocols, sections
from bench.metrics import PsnrMu, hdrvdp2, psnr_l, psnr_mu, ssim_mu
from bench.metrics.functional.metrics import MEASURES, measured
from bench.metrics.functional.similarity import similarity_map, smooth_similarity_map, volume_map
from bench.metrics.functional.window import WindowSettings
from bench.metrics.protocol import Protocol

HOLDER = {"psnr-mu-tanh": "ntire21"}
"""A protocol for metrics that whole-float doesn't have."""


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    truth = (0.05 + 0.95 * rng.random((2, 24, 31, 3)) ** 2).astype(np.float32)
    return (truth * rng.normal(1, 0.05, truth.shape)).astype(np.float32), truth


def _held(name):
    """A protocol with the metric, its sections' defaults where no protocol here has them."""
    held = protocols[HOLDER.get(name, "whole-float")]
    if name in held.metrics:
        return held
    content = {part: {} for part in metrics[name].sections} | held.model_dump()
    return Protocol.model_validate(content | {"metrics": [*held.metrics, name]})


def _planes(batch):
    return torch.from_numpy(batch).permute(0, 3, 1, 2)


@pytest.mark.parametrize("name", metrics)
def test_all_layouts_give_what_the_protocol_gives(name, images):
    rule, function = _held(name), getattr(bench.metrics, name.replace("-", "_"))
    if metrics[name].missing:
        pytest.skip(metrics[name].missing)
    expected = [rule.only([name]).evaluate(*pair, trusted=True)[name] for pair in zip(*images, strict=True)]
    batch = function(*map(_planes, images), protocol=rule)
    assert batch.dtype == torch.float64
    assert batch.tolist() == expected
    pred, truth = (image[0] for image in images)
    forms = [(pred, truth), (_planes(images[0])[0], truth), (pred, np.moveaxis(truth, -1, 0)), (pred.tolist(), truth)]
    for form in forms:
        found = function(*form, protocol=rule)
        assert found.shape == ()
        assert found.item() == expected[0]


@pytest.mark.parametrize("name", MEASURES)
def test_plain_settings_give_what_the_protocol_gives(name, images):
    """The wheel's way: the protocol as a mapping, and nothing of the benchmark."""
    rule = _held(name)
    expected = [rule.only([name]).evaluate(*pair, trusted=True)[name] for pair in zip(*images, strict=True)]
    assert measured(name, *map(_planes, images), protocol=rule.model_dump()).tolist() == expected


@pytest.mark.parametrize("name", MEASURES)
def test_defaults_are_the_sections_defaults(name, images):
    pred, truth = (image[0] for image in images)
    assert measured(name, pred, truth) == getattr(bench.metrics, name.replace("-", "_"))(pred, truth)
    for part in metrics[name].sections:
        assert MEASURES[name]({part: sections[part].load()().model_dump()})


@pytest.mark.parametrize("name", MEASURES)
def test_a_gradient_leaves_the_value_and_is_the_slope(name, images):
    pred, truth = (_planes(batch)[0].double() for batch in images)
    function = getattr(bench.metrics, name.replace("-", "_"))
    given = pred.clone().requires_grad_()
    value = function(given, truth)
    assert value.detach().item() == pytest.approx(function(pred, truth).item(), abs=1e-9)
    value.backward()
    assert given.grad.isfinite().all()
    step = 1e-4 * given.grad / given.grad.abs().max()
    slope = (function(pred + step, truth) - function(pred - step, truth)) / 2
    assert slope.item() == pytest.approx((step * given.grad).sum().item(), rel=0.02)


@pytest.mark.parametrize(
    "rules",
    [
        {"psnr": {"peak": "max-of-truth"}, "mu": {"constant": 500.0, "negative": "nan"}},
        {"ssim": {"clip": "both", "channels": "volume", "area": "replicate", "window": {"kind": "uniform", "size": 7}}},
        {"ssim": {"window": {"sample_covariance": True}, "peak": "range-of-truth"}},
    ],
)
def test_settings_hold_with_a_gradient_too(rules, images):
    pred, truth = (image[0] for image in images)
    for function in (psnr_mu, ssim_mu):
        plain = function(pred, truth, protocol=rules)
        followed = function(torch.from_numpy(pred).requires_grad_(), truth, protocol=rules)
        assert followed.requires_grad
        assert followed.item() == pytest.approx(plain.item(), abs=1e-9)
        assert measured({psnr_mu: "psnr-mu", ssim_mu: "ssim-mu"}[function], pred, truth, protocol=rules) == plain


@pytest.mark.parametrize("area", ["valid", "replicate"])
@pytest.mark.parametrize("channels", ["separate", "volume"])
def test_the_smooth_map_is_the_map(area, channels):
    x, y = torch.rand(2, 3, 15, 14, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rules = {"peak": 1.0, "window": WindowSettings(size=5), "area": area, "channels": channels}
    torch.testing.assert_close(smooth_similarity_map(x, y, **rules), similarity_map(x, y, **rules), rtol=0, atol=1e-12)
    small = x[:, :6, :7].clone().requires_grad_()
    assert gradcheck(lambda one: smooth_similarity_map(one, y[:, :6, :7], **rules).mean(), small)
    assert volume_map(x, y, peak=1.0, window=WindowSettings(size=5)).shape == (15, 14)


def test_identical_images_have_a_gradient_of_zero(images):
    given = torch.from_numpy(images[1][0]).requires_grad_()
    value = psnr_l(given, images[1][0])
    value.backward()
    assert value == torch.inf
    assert not given.grad.any()


def test_what_has_no_gradient_gives_its_value_all_the_same(images):
    pred, truth = (image[0] for image in images)
    given = torch.from_numpy(pred).requires_grad_()
    rounded = psnr_mu(given, truth, protocol="safnet-matlab")  # to RGBE
    assert not rounded.requires_grad
    assert rounded == psnr_mu(pred, truth, protocol="safnet-matlab")
    assert not psnr_mu(given, truth, mask=np.ones(truth.shape[:2], bool)).requires_grad
    with torch.no_grad():
        assert not psnr_mu(given, truth).requires_grad


def test_a_mask_counts_as_before(images):
    pred, truth = (image[0] for image in images)
    mask = np.zeros(truth.shape[:2], bool)
    mask[:, :9] = True
    assert psnr_l(pred, truth, mask=mask).item() == pytest.approx(psnr_l(pred[:, :9], truth[:, :9]).item(), abs=1e-9)


def test_hdrvdp2_is_its_package_and_its_function(images):
    from bench.metrics.hdrvdp2 import hdrvdp2 as function

    pred, truth = (image[0] for image in images)
    q = function(pred, truth, color_encoding="sRGB-display", pixels_per_degree=26.7627, maps=False).q
    assert hdrvdp2(pred, truth).item() == q
    assert hdrvdp2.hdrvdp2 is function


@pytest.mark.parametrize("function", [psnr_mu, lambda *images, **how: measured("psnr-mu", *images, **how)])
def test_bad_input_ends_in_a_sentence(function, images):
    pred, truth = map(_planes, images)
    bad = [
        ((pred, truth[0]), {}, r"prediction is a batch of 2, the truth a single image"),
        ((pred[:0], truth[:0]), {}, r"a batch without an image"),
        ((pred.permute(0, 2, 3, 1), truth), {}, r"a single image, the truth a batch|looks like a batch"),
        ((pred[0, 0], truth[0, 0]), {}, r"expected \(height, width, 3\)"),
        ((pred * torch.nan, truth), {}, r"NaN or infinite"),
        ((pred.byte(), truth.byte()), {}, r"holds uint8"),
        ((pred, truth), {"protocol": {"mu": {"constnat": 1}}}, "constnat"),
        ((pred, truth), {"protocol": {"mu": {"constant": -1}}}, r"mu.constant"),
        ((pred, truth), {"protocol": {"psnr": None}}, "psnr"),
    ]
    for given, how, said in bad:
        with pytest.raises(UsageError, match=said):
            function(*given, **how)


def test_the_wheel_says_what_only_the_benchmark_can(images):
    pred, truth = map(_planes, images)
    for rules, said in (
        ({"region": {"crop": 50}}, r"region\.crop is 50, but images are compared as they are"),
        ({"values": {"quantise": "rgbe"}}, r"values\.quantise is 'rgbe'"),
        ({"ssim": {"window": {"size": 4}}}, r"ssim\.window\.size is 4; expected an odd number"),
        ({"ssim": {"area": "same"}}, r"ssim\.area is 'same'; expected 'valid' or 'replicate'"),
        ({"ssim": 5}, r"section ssim is 5; expected a mapping"),
    ):
        with pytest.raises(UsageError, match=said):
            measured("ssim-l", pred, truth, protocol=rules)
    with pytest.raises(UsageError, match=r"lacks diagonal_inches"):
        measured("hdrvdp2", pred, truth, protocol={"hdrvdp2": {"pixels_per_degree": {"resolution": "image"}}})
    with pytest.raises(UsageError, match="no metric is called 'psnr'"):
        measured("psnr", pred, truth)


def test_the_benchmark_takes_protocols_or_settings(images):
    pred, truth = map(_planes, images)
    with pytest.raises(UsageError, match="a protocol or settings"):
        psnr_mu(pred, truth, protocol="safnet", peak=2.0)
    with pytest.raises(UsageError, match="expected one, its name, or a mapping"):
        psnr_mu(pred, truth, protocol=3)
    with pytest.raises(UsageError, match="no protocol is called"):
        psnr_mu(pred, truth, protocol="safnte")
    with pytest.raises(UsageError, match="has no section pu21"):
        bench.metrics.psnr_pu(pred, truth, protocol="safnet")
    assert isinstance(protocols["safnet"], Protocol)
    with pytest.raises(AttributeError):
        _ = bench.metrics.NoMetric


def test_a_running_mean_is_the_mean(images):
    metric = PsnrMu(protocol="whole-float")
    with pytest.raises(UsageError, match="PsnrMu has seen no image"):
        metric.compute()
    metric.update(*(batch[0] for batch in images))
    metric.update(*map(_planes, images))
    each = psnr_mu(*map(_planes, images), protocol="whole-float")
    assert metric.compute().item() == pytest.approx((2 * each[0] + each[1]).item() / 3, abs=1e-12)
    metric.reset()
    metric.update(*(batch[1] for batch in images))
    assert metric.compute() == each[1]
