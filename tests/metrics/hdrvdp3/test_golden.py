"""HDR-VDP-3.0.7 against the authors' own program.

Origin of the figures: release 3.0.7 of the authors, run under GNU Octave 7.3 in float64, with MATLAB's `imresize`. Two
independent programs agreed with all of them to 3e-13 in Q and 1.3e-12 in C_max. In case s49 the maps are noise of
rounding, 1e-28. The fast path was observed to move Q by 2.1e-7, P_det by 7e-8 and C_max by 6.3e-7 of it at most; the
interface promises 1e-5.
"""

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from bench.metrics.hdrvdp2.resize import resized
from bench.metrics.hdrvdp3.masking import excesses, mutual_mask
from bench.metrics.hdrvdp3.metric import _seen, _viewing
from bench.metrics.hdrvdp3.pooling import _sensitivity
from bench.metrics.hdrvdp3.vision import bands

GOLDEN = Path(__file__).parent / "golden"
CASES = [row["case_id"] for row in csv.DictReader((GOLDEN / "results.csv").read_text().splitlines())]
NOISE = "s49"
TERMS = ["s01", "s06", "s10", "s12", "s16", "s18", "s22", "s27", "s30", "s37", "s38", "s42", "s43", "s44", "s47", "s48"]
"""Cases of every task, of odd and small sizes, NaN, ages, surrounds and rarer options."""

MAPS = ["s01", "s06", "s13", "s18", "s27", "s38"]


def test_no_case_is_lost():
    assert len(CASES) == 50


@pytest.mark.parametrize("name", CASES)
def test_double_precision(golden, name):
    case = golden(name)
    result = case.result(precision="double")
    for key in ("Q", "Q_JOD", "P_det"):
        assert abs(getattr(result, key) - case[key]) <= 1e-9
    for kind in ("mean", "min", "max"):
        assert getattr(result.P_map, kind)() == pytest.approx(case[f"P_map_{kind}"], abs=1e-9)
    if name == NOISE:
        assert result.C_map.max() < 1e-20
    else:
        assert result.C_max == pytest.approx(case["C_max"], rel=1e-9)
        assert result.C_map.mean() == pytest.approx(case["C_map_mean"], rel=1e-9)
        assert result.C_map.max() == pytest.approx(case["C_map_max"], rel=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_fast(golden, name):
    case = golden(name)
    result = case.result()
    for key in ("Q", "Q_JOD", "P_det"):
        assert abs(getattr(result, key) - case[key]) <= 1e-5
    assert result.C_max == pytest.approx(case["C_max"], rel=1e-5, abs=1e-20)
    assert result.P_map.mean() == pytest.approx(case["P_map_mean"], abs=1e-5)
    if name in MAPS:
        assert case.result(maps=False).Q == result.Q


@pytest.mark.parametrize("name", MAPS)
def test_maps(golden, name):
    """Every third row and column of the recorded maps, which are rounded to float32."""
    result = golden(name).result(precision="double")
    with np.load(GOLDEN / "maps.npz") as maps:
        for key, found in (("P_map", result.P_map), ("C_map", result.C_map)):
            expected = maps[f"{name}_{key}"]
            np.testing.assert_array_less(np.abs(found[::3, ::3] - expected), np.spacing(np.abs(expected)) / 2 + 1e-9)


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.filterwarnings("ignore:HDR-VDP-3 with")
@pytest.mark.filterwarnings("ignore:the .* image holds")
def test_every_term_of_q(golden, name):
    """Norms, means and the error of each sub-band; masks of flat images are noise of rounding."""
    case = golden(name)
    viewing = _viewing(
        *(case.settings[key] for key in ("encoding", "pixels_per_degree", "task", "display", "age", "surround", "mtf")),
        case.settings["options"], "double",
    )  # fmt: skip
    view = _seen(case.test, case.reference, viewing)
    found = bands(view, viewing)
    masks = [mutual_mask(band, 10**viewing.task.masking_norm) for band in found]
    p = 10**viewing.task.mask_p
    terms = iter(case.terms)
    total = 0.0
    for band in found:
        shape = band.reference.shape[-2:]
        changed = resized(view.changed, shape)
        sensitivity = _sensitivity(band, view, viewing, last=band is found[-1])
        d, counted = [], []
        for part, strip in excesses(band, masks, sensitivity, viewing.task):
            d.append(strip.power(1, p).numpy())
            counted.append(strip.power(1, p).numpy() * changed[part].abs().numpy())
        for o in range(len(band.reference)):
            term = {key: float(value) for key, value in next(terms).items() if key != "case_id" and value}
            values, weighted = (np.concatenate([strip[o] for strip in strips]) for strips in (d, counted))
            e = np.mean(weighted**0.8) ** 1.25
            total += e / len(found)
            small = {"D_l2": np.linalg.norm(values), "D_absmax": values.max(), "e": e, "Q_err_part": e / len(found)}
            reference, difference = band.reference[o] / band.scale, band.difference[o] / band.scale
            large = {
                "ref_l2": float(reference.norm()),
                "test_l2": float((reference + difference).norm()),
                "diff_l2": float(difference.norm()),
                "d_mean": float(changed.mean()),
            }
            if viewing.task.do_masking:
                large["m_mean"] = float(masks[band.number - 1][o].mean()) / band.scale
            exact = {"b": band.number, "o": o + 1, "freq": band.frequency, "rows": shape[0], "cols": shape[1]}
            if sensitivity.ndim:
                small["S_mean"] = float(sensitivity.mean())
            assert exact == {key: term[key] for key in exact}
            assert large == pytest.approx({key: term[key] for key in large}, rel=1e-9, abs=1e-8), exact
            assert small == pytest.approx({key: term[key] for key in small}, rel=1e-9, abs=1e-11), exact
    assert next(terms, None) is None
    assert total == pytest.approx(case["Q_err"], rel=1e-9, abs=1e-15)
    assert 6 - math.log(math.exp(-4) + total) == pytest.approx(case["Q"], abs=1e-9)
