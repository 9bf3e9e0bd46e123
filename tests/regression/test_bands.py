"""Bands from the spread over seeds."""

import pytest
import yaml

from bench.core.errors import UsageError
from bench.core.params import Regression
from bench.regression.bands import as_yaml, derive
from bench.regression.comparison import compare


@pytest.fixture
def seeds(rows):
    """Rows of ahdrnet with three seeds: the second is better by 0.1 dB, the third worse by 0.25 dB on one scene."""
    own = [row for row in rows if row.variant == "ahdrnet" and row.metric in ("psnr-l", "psnr-mu")]
    steps = {0: 0.0, 1: 0.1, 2: -0.25}
    return [
        row._replace(seed=seed, value=row.value + (step if (row.metric, row.scene) == ("psnr-mu", "forest-01") else 0))
        for seed, step in steps.items()
        for row in own
    ]


def test_a_band_is_twice_the_largest_difference(side, seeds):
    bands = derive(side("base", seeds))
    assert set(bands) == {"psnr-mu"}  # psnr-l doesn't differ between seeds
    assert bands["psnr-mu"].width == pytest.approx(0.7)
    assert bands["psnr-mu"].largest == pytest.approx(0.35)
    assert bands["psnr-mu"].differences == 6
    assert bands["psnr-mu"].typical == pytest.approx(((0.1**2 + 0.25**2 + 0.35**2) / 6) ** 0.5)


@pytest.mark.parametrize(("step", "width"), [(0.123, 0.25), (12.3, 25.0), (0.00123, 0.0025), (1.0, 2.0)])
def test_a_band_is_rounded_up_to_two_digits(side, rows, step, width):
    own = [row for row in rows if row.variant == "ahdrnet" and row.metric == "psnr-mu"]
    other = [row._replace(seed=1, value=row.value + step) for row in own]
    assert derive(side("base", [*own, *other]))["psnr-mu"].width == pytest.approx(width, rel=1e-9)


def test_one_seed_has_another_inside_its_bands(side, seeds):
    base = side("base", seeds)
    widths = {metric: band.width for metric, band in derive(base).items()}
    first, third = ([row._replace(seed=0) for row in seeds if row.seed == seed] for seed in (0, 2))
    assert not compare(side("one", first), side("three", third), "retrained", widths).changes


def test_what_is_printed_is_a_section_of_the_parameter_file(side, seeds):
    text = "\n".join(as_yaml(derive(side("base", seeds)), "reports/study"))
    assert Regression.model_validate(yaml.safe_load(text)["regression"]).retrained == {"psnr-mu": 0.7}


def test_one_seed_gives_no_bands(side, rows):
    with pytest.raises(UsageError, match="has no run with two seeds"):
        derive(side("base", rows))
