"""What profiles promise of their hours and memory, by the cost model."""

import pytest

from bench.core.params import load
from bench.core.registry import ROOT
from bench.stages.cost import counts
from bench.stages.cost.estimate import overview


def priced(name):
    """Return the profile with first seeds, and what it costs; skipped where networks have changed since the count."""
    params = load(ROOT / "profiles" / name / "params.yaml").first_seeds(1)
    if counts.stale([params])[0]:
        pytest.skip("networks have changed since they were counted: make costs")
    return params, overview(params)


def test_day_is_a_day_of_an_h100_and_five_of_a_3090_ti_and_fits_24_gb():
    params, found = priced("day")
    assert params.precision == "bf16"
    assert 18 < found.hours("h100", "bf16").upper < 22, "some is left for reading, compiling and scoring"
    assert found.hours("3090ti", "bf16").upper < 5 * 24
    assert found.memory("bf16") < 20e9


def test_lab_is_an_hour_of_an_h100():
    _, found = priced("lab")
    assert 0.5 < found.hours("h100", "bf16").upper < 1
