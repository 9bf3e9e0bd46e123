"""The parts of HDR-VDP-2, each against recorded tables of the reference, a library, or the slow program."""

import numpy as np
import pytest
import torch
from pyrtools.pyramids import SteerablePyramidSpace
from pyrtools.pyramids.filters import parse_filter

from bench.core.errors import UsageError
from bench.metrics.hdrvdp2 import csf, display, optics, pixels_per_degree, pyramid, receptors, taps
from bench.metrics.hdrvdp2.resize import resized, weights
from bench.metrics.hdrvdp2.strips import strips

CPU = torch.device("cpu")


def test_taps_are_those_of_the_library():
    library = parse_filter("sp3_filters", normalize=False)
    for ours, name in ((taps.HIGH_PASS, "hi0filt"), (taps.LOW_PASS, "lo0filt"), (taps.SHRINK, "lofilt")):
        np.testing.assert_array_equal(ours, library[name])
    for index, band in enumerate(taps.BANDS):
        np.testing.assert_array_equal(band, library["bfilts"][:, index].reshape(9, 9, order="F"))


@pytest.mark.parametrize("shape", [(40, 64), (97, 141), (17, 18)])
def test_bands_are_those_of_the_library(shape):
    plane = np.random.default_rng(0).standard_normal(shape)
    library = SteerablePyramidSpace(plane, height="auto", order=3)
    found = pyramid.split(torch.from_numpy(plane))
    assert len(found) == library.num_scales + 2
    expected = {
        "high": [library.pyr_coeffs["residual_highpass"]],
        "low": [library.pyr_coeffs["residual_lowpass"]],
        **{level: [library.pyr_coeffs[level, o] for o in range(4)] for level in range(library.num_scales)},
    }
    for band, key in zip(found, ["high", *range(library.num_scales), "low"], strict=True):
        np.testing.assert_allclose(band.numpy(), np.stack(expected[key]), atol=1e-12)


@pytest.mark.parametrize("shape", [(40, 64), (97, 141)])
def test_bands_are_put_together_as_slowly_as_possible(oracle, shape):
    rng = np.random.default_rng(1)
    bands = [torch.from_numpy(rng.standard_normal(b.shape)) for b in pyramid.split(torch.zeros(shape).double())]
    expected = oracle.rebuild([list(band.numpy()) for band in bands])
    np.testing.assert_allclose(pyramid.join(bands).numpy(), expected, atol=1e-11)


def test_a_pyramid_nearly_gives_its_image_back():
    plane = torch.randn(96, 128, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    error = (pyramid.join(pyramid.split(plane)) - plane)[24:-24, 24:-24]
    assert float(error.abs().max()) < 0.05


@pytest.mark.parametrize(("size", "height"), [((17, 17), 1), ((16, 400), 0), ((34, 40), 2), ((1000, 1500), 6)])
def test_height(size, height):
    assert pyramid.height(*size) == height


@pytest.mark.parametrize(("before", "after"), [(97, 49), (49, 97), (40, 20), (20, 40), (31, 31), (385, 13), (3, 200)])
def test_resizing_is_matlabs(oracle, before, after):
    plane = np.random.default_rng(before).standard_normal((before, 23))
    expected = oracle.imresize(plane, (after, 9))
    np.testing.assert_allclose(resized(torch.from_numpy(plane), (after, 9)).numpy(), expected, atol=1e-13)
    np.testing.assert_allclose(weights(before, after).sum(axis=1), 1, atol=1e-14)


def test_half_of_a_ramp_by_hand():
    # Halving with the stretched cubic kernel of 8 taps: the middle of a ramp stays a ramp, at the middles of pairs.
    half = resized(torch.arange(32.0).double()[:, None], (16, 1))[4:12, 0]
    np.testing.assert_allclose(half.numpy(), np.arange(8.5, 24, 2), atol=1e-12)


def test_strips_cover_every_line_once():
    cut = list(strips(1000, 1500, CPU))
    assert [line for part in cut for line in range(1000)[part]] == list(range(1000))
    assert len(cut) > 1
    assert list(strips(1000, 1500, torch.device("meta"))) == [slice(0, 1000)]


def test_pixels_per_degree(tables):
    geometries = {
        "d24_1920x1080_05": (24, (1920, 1080), 0.5),
        "d24_1500x1000_05": (24, (1500, 1000), 0.5),
        "d28_1500x1000_055": (28, (1500, 1000), 0.55),
        "d30_3840x2160_05": (30, (3840, 2160), 0.5),
        "d24_300x200_05": (24, (300, 200), 0.5),
        "d21_1920x1080_1": (21, (1920, 1080), 1.0),
    }
    found = {name: pixels_per_degree(*geometry) for name, geometry in geometries.items()}
    assert found == pytest.approx(tables["ppd"], rel=1e-12)
    with pytest.raises(UsageError, match="expected positive numbers"):
        pixels_per_degree(0, (1500, 1000), 0.5)
    with pytest.raises(UsageError, match="expected positive numbers"):
        pixels_per_degree(24, (1500, 1000), float("inf"))


def test_transfer_function(tables):
    # A lattice of one row whose columns are these frequencies isn't regular: the constants are compared instead.
    rho = np.array(tables["mtf"]["rho"])
    value = sum(a * np.exp(-b * rho) for a, b in zip(optics.WEIGHTS, optics.DECAYS, strict=True))
    np.testing.assert_allclose(value, tables["mtf"]["value"], rtol=1e-12)
    lattice = optics.Lattice(2, 3, 30.0, CPU)
    np.testing.assert_allclose(
        lattice.unfold(lattice.frequencies()).numpy(), np.array(tables["cycdeg_4x6_30ppd"])[:, :4], rtol=1e-12
    )
    rho = lattice.unfold(lattice.frequencies()).numpy()
    expected = sum(a * np.exp(-b * rho) for a, b in zip(optics.WEIGHTS, optics.DECAYS, strict=True))
    np.testing.assert_allclose(optics.transfer(lattice).numpy(), expected, rtol=1e-14)


def test_contrast_sensitivity(tables):
    known = tables["ncsf"]
    rho = np.array(known["rho"], float)
    for luminance, row in zip(known["lum"], known["S"], strict=True):
        np.testing.assert_allclose(csf.sensitivity(rho, np.log10(luminance)), row, rtol=1e-10)
        logs = torch.tensor(luminance, dtype=torch.float64).log10()
        np.testing.assert_allclose(csf.on_lattice(torch.from_numpy(rho), logs).numpy(), row, rtol=1e-10)
    assert csf.sensitivity(0.0, 1.0) == 0
    assert csf.on_lattice(torch.zeros(2).double(), torch.tensor(1.0).double()).tolist() == [0, 0]


def test_receptors(tables):
    known = tables["sens"]
    luminance = np.array(known["lum"], float)
    np.testing.assert_allclose(receptors.joint_sensitivity(luminance), known["joint_rod_cone"], rtol=1e-10)
    np.testing.assert_allclose(receptors.rod_sensitivity(luminance), known["rod"], rtol=1e-10, atol=1e-12)
    known = tables["photoreceptor"]
    logs = torch.tensor(known["log10_lum"], dtype=torch.float64)
    for table, name in zip(receptors.tables(torch.float64, CPU), ("cone", "rod"), strict=True):
        np.testing.assert_allclose(table(logs).numpy(), known[name], rtol=1e-9, atol=1e-12)
        ends = table(torch.tensor([-9.0, 9.0]).double()).tolist()
        assert ends == pytest.approx([0, known[name][-1]], rel=1e-12)


def test_spectral_matrices(tables):
    for display_name in ("ccfl-lcd", "led-lcd", "crt"):
        key = display_name.replace("-", "_")
        for encoding, prefix in (("rgb-bt.709", "rgb"), ("luminance", "luminance")):
            known = np.atleast_2d(tables["M"][f"{prefix}_{key}"])[:, [0, 1, 3]]
            np.testing.assert_allclose(display.spectral_matrix(encoding, display_name), known, rtol=1e-14)
    assert display.spectral_matrix("XYZ", None) == display.spectral_matrix("sRGB-display", "ccfl-lcd")
    known = np.array(tables["M"]["luminance_d65"])[[0, 1, 3]]
    np.testing.assert_array_equal(display.spectral_matrix("luma-display", None), [known])


def test_display_models_by_hand():
    def light(value, encoding):
        planes = [torch.tensor([[value]], dtype=torch.float64)] * (1 if encoding == "luma-display" else 3)
        return [float(plane) for plane in display.emitted(planes, encoding)]

    assert light(1.0, "luma-display") == [100]
    assert light(0.5, "luma-display")[0] == pytest.approx(99 * 0.5**2.2 + 1, rel=1e-15)
    assert light(0.5, "sRGB-display")[1] == pytest.approx(99 * (0.555 / 1.055) ** 2.4 + 1, rel=1e-15)
    assert light(0.04, "sRGB-display")[2] == pytest.approx(99 * 0.04 / 12.92 + 1, rel=1e-15)
    assert light(-0.04, "sRGB-display")[2] == pytest.approx(1 - 99 * 0.04 / 12.92, rel=1e-15)
    assert light(1.5, "sRGB-display")[0] == pytest.approx(99 * (1.555 / 1.055) ** 2.4 + 1, rel=1e-15)
    assert light(2.0, "XYZ")[0] == pytest.approx(2 * (3.240708 - 1.537259 - 0.498570), rel=1e-15)
    assert light(float("nan"), "sRGB-display") == light(float("nan"), "rgb-bt.709") == [1e-5] * 3
