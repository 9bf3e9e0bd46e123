"""The parts of HDR-VDP-3, each against recorded tables of the reference, a library, or the slow program."""

import numpy as np
import pytest
import torch
from pyrtools.pyramids.filters import parse_filter

from bench.core.errors import UsageError
from bench.metrics.hdrvdp2.optics import Lattice
from bench.metrics.hdrvdp3 import csf, display, optics, receptors, taps
from bench.metrics.hdrvdp3.smoothing import smoothed
from bench.metrics.hdrvdp3.tasks import TASKS

CPU = torch.device("cpu")


def test_taps_are_those_of_the_library():
    library = parse_filter("sp0_filters", normalize=False)
    for ours, name in ((taps.HIGH_PASS, "hi0filt"), (taps.LOW_PASS, "lo0filt"), (taps.SHRINK, "lofilt")):
        np.testing.assert_array_equal(ours, library[name])
    np.testing.assert_array_equal(taps.BAND, np.reshape(library["bfilts"], (9, 9), order="F"))


def test_what_cones_and_rods_get_of_each_display(table):
    wanted = [row for row in table("matrices") if row["kind"] == "LMSR"]
    assert len(wanted) == 126
    for row in wanted:
        encoding = "luminance" if row["encoding"] == "luminance" else "rgb-native"
        name = row["spectrum"].removesuffix(" (sum)")
        found = display.sensed(encoding, None if name == "d65" else name, float(row["age"]), True)
        expected = [float(row[column]) for column in ("c1", "c2", "c4")]  # L, M, rod
        np.testing.assert_allclose(found[int(row["row"]) - 1], expected, rtol=1e-11)


def test_matrices_to_the_primaries_of_each_display(table):
    wanted = [row for row in table("matrices") if row["kind"] == "to_native"]
    assert len(wanted) == 45
    for row in wanted:
        found = display.to_native(row["encoding"], row["spectrum"])
        np.testing.assert_allclose(found[int(row["row"]) - 1], [float(row[c]) for c in ("c1", "c2", "c3")], rtol=1e-10)
    assert display.to_native("rgb-native", None) is None


def test_transfer_functions(table):
    rho = torch.tensor([float(row["rho"]) for row in table("mtf")], dtype=torch.float64)
    for name in table("mtf")[0]:
        if name != "rho":
            mtf, _, age = name.partition("_age")
            expected = [float(row[name]) for row in table("mtf")]
            found = optics.modulation(rho, mtf, float(age or 24))
            np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10, atol=1e-15)


def test_contrast_sensitivity(table):
    for row in table("ncsf")[::7]:
        observer = csf.Observer(row["mtf"], float(row["age"]), True)
        rho, luminance = (torch.tensor(float(row[key]), dtype=torch.float64) for key in ("rho", "L"))
        found = float(csf.at(rho, luminance.log10(), observer)) if rho > 1e-4 else 0.0
        assert found == pytest.approx(float(row["S"]), rel=1e-10), row


def test_pupils(table):
    for row in table("pupil"):
        luminance = torch.tensor(float(row["L"]), dtype=torch.float64)
        found = float(receptors.pupil(luminance, float(row["area_deg2"]), float(row["age"])))
        assert found == pytest.approx(float(row["diameter_mm"]), rel=1e-12)


@pytest.mark.parametrize(("age", "same"), [(5.0, 20.0), (95.0, 83.0)])
def test_pupils_outside_the_ages_that_were_measured_are_those_at_the_ends(age, same):
    luminance = torch.tensor(30.0, dtype=torch.float64)
    assert receptors.pupil(luminance, 40, age) == receptors.pupil(luminance, 40, same)


def test_responses_of_the_receptors(table):
    cone, rod = receptors.tables(0.0, 0.0, torch.float64, CPU)
    logs = torch.tensor([float(row["log10_L"]) for row in table("photoreceptor")], dtype=torch.float64)
    for found, column in ((cone(logs), "P_C"), (rod(logs), "P_R")):
        np.testing.assert_allclose(found.numpy(), [float(row[column]) for row in table("photoreceptor")], rtol=1e-9)


@pytest.mark.parametrize("edges", ["zero", "repeated"])
@pytest.mark.parametrize("sigma", [0.4, 1.25, 4.25, 4.3, 9.0, 30.0])
def test_smoothing_is_the_references_in_both_of_its_ways(oracle, edges, sigma):
    plane = np.random.default_rng(0).random((23, 150))
    found = smoothed(torch.from_numpy(plane), sigma, edges)
    np.testing.assert_allclose(found.numpy(), oracle.gauss(plane, sigma, edges), atol=1e-13)


@pytest.mark.parametrize("shape", [(9, 9), (10, 15), (16, 21), (31, 64)])
@pytest.mark.parametrize("around", [None, 0.0, 7.5])
@pytest.mark.parametrize("mtf", ["hdrvdp", "cie"])
def test_optics(oracle, shape, around, mtf):
    plane = 100 * np.random.default_rng(0).random(shape)
    quadrant = optics.transfer(Lattice(*shape, 30.0, CPU), mtf, 50.0)
    surround = None if around is None else torch.tensor(around, dtype=torch.float64)
    found = optics.blurred(torch.from_numpy(plane), surround, quadrant)
    np.testing.assert_allclose(found.numpy(), oracle.optics(plane, 30.0, around, mtf, 50.0), atol=1e-11)


def test_quality_and_side_by_side_are_one():
    assert TASKS["quality"] == TASKS["side-by-side"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mask_pp": 1}, "no option of HDR-VDP-3 is called 'mask_pp'"),
        ({"mask_p": "much"}, "option mask_p of HDR-VDP-3 is 'much'; expected a number"),
        ({"mask_p": float("nan")}, "option mask_p of HDR-VDP-3 is nan"),
        ({"do_masking": 0.5}, "option do_masking of HDR-VDP-3 is 0.5; expected True or False"),
        ({"steerpyr_filter": "sp5Filters"}, "expected sp0Filters or sp3Filters"),
    ],
)
def test_options_that_are_none(options, said):
    with pytest.raises(UsageError, match=said):
        TASKS["quality"].with_options(options)


def test_options_take_the_place_of_a_tasks_figures():
    changed = TASKS["quality"].with_options({"do_masking": 0, "mask_self": 2})
    assert (bool(changed.do_masking), changed.mask_self, changed.mask_p) == (False, 2, 0.3424)
