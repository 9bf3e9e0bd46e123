"""Bands from the spread over seeds."""

import math

import pytest

from bench.core.errors import UsageError
from bench.core.params import Regression
from bench.core.reading import parse_yaml
from bench.regression.bands import as_yaml, derive, into
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


def many(rows, runs):
    """Say that so many networks gave these rows."""
    return [row._replace(variant=f"{row.variant}-{i}") for i in range(runs) for row in rows]


def test_a_band_is_twice_the_largest_difference(side, seeds):
    bands = derive(side("base", many(seeds, 3)), least=False)
    assert set(bands.scenes) == set(bands.means) == {"psnr-mu"}  # psnr-l doesn't differ between seeds
    scene, mean = bands.scenes["psnr-mu"], bands.means["psnr-mu"]
    assert (scene.width, mean.width) == (pytest.approx(0.7), pytest.approx(0.35))
    assert (scene.largest, mean.largest) == (pytest.approx(0.35), pytest.approx(0.175))
    assert (scene.differences, mean.differences) == (18, 9)
    assert scene.typical == pytest.approx(((0.1**2 + 0.25**2 + 0.35**2) / 6) ** 0.5)
    assert mean.typical == pytest.approx(((0.1**2 + 0.25**2 + 0.35**2) / 3) ** 0.5 / 2)


def test_few_differences_are_trusted_less(side, seeds):
    bands = derive(side("base", seeds), least=False)
    scene, mean = bands.scenes["psnr-mu"], bands.means["psnr-mu"]
    assert (scene.differences, scene.width) == (6, pytest.approx(1.4))  # 4 times
    assert (mean.differences, mean.width) == (3, pytest.approx(0.7))  # twice the largest of a scene


def test_a_set_of_one_scene_has_the_bands_of_its_scene(side, seeds):
    bands = derive(side("base", many([row for row in seeds if row.scene == "forest-01"], 3)), least=False)
    assert bands.means["psnr-mu"].width == bands.scenes["psnr-mu"].width == pytest.approx(0.7)


@pytest.mark.parametrize(("step", "width"), [(0.123, 0.25), (12.3, 25.0), (0.00123, 0.0025), (1.0, 2.0)])
def test_a_band_is_rounded_up_to_two_digits(side, rows, step, width):
    own = [row for row in rows if row.variant == "ahdrnet" and row.metric == "psnr-mu"]
    other = [row._replace(seed=1, value=row.value + step) for row in own]
    found = derive(side("base", many([*own, *other], 4)), least=False)
    assert found.scenes["psnr-mu"].width == pytest.approx(width, rel=1e-9)


def test_one_seed_has_another_inside_its_bands(side, seeds):
    bands = section(derive(side("base", seeds)))
    first, third = ([row._replace(seed=0) for row in seeds if row.seed == seed] for seed in (0, 2))
    assert not compare(side("one", first), side("three", third), "retrained", bands).changes


def section(bands):
    """Return bands as the parameter file holds them."""
    return Regression.model_validate(parse_yaml(as_yaml(bands, "reports/study"), "bands")["regression"])


@pytest.mark.parametrize("step", [0.1, 3e-6, 4e7])
def test_what_is_printed_is_a_section_of_the_parameter_file(side, rows, step):
    own = [row for row in rows if row.variant == "ahdrnet" and row.metric == "psnr-mu"]
    names = ("psnr-mu", "psnr-mu@uncovered", *(f"psnr-mu@a-mask-with-a-long-name-{i}" for i in range(9)))
    made = [row._replace(seed=seed, metric=name, value=seed * step) for seed in (0, 1) for name in names for row in own]
    text = as_yaml(derive(side("base", many(made, 4)), least=False), "reports/study")
    assert max(map(len, text.splitlines())) <= 120
    assert section(derive(side("base", many(made, 4)), least=False)) == Regression(
        retrained=dict.fromkeys(names, 2 * step), retrained_means=dict.fromkeys(names, 2 * step)
    )


NEW = "# New.\nregression:\n  retrained: {\n    psnr-mu: 1\n  }\n  retrained_means: {\n    psnr-mu: 0.5\n  }\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("profile: a\n", f"profile: a\n\n{NEW}"),
        ("profile: a\n\n# Old:\n# two lines.\nregression:\n  retrained: {a: 1}\n", f"profile: a\n\n{NEW}"),
        (
            "a: 1\n\n# Old.\nregression:\n  retrained:\n    a: 1\n\n# Of b.\nb: 2\n",
            f"a: 1\n\n{NEW}\n# Of b.\nb: 2\n",
        ),
        ("regression: {\n  retrained: {a: 1}\n}\nb: 2\n", f"{NEW}b: 2\n"),
    ],
)
def test_the_section_takes_the_place_of_the_old_one_in_a_parameter_file(before, after):
    assert into(before, NEW) == after


def test_no_band_is_narrower_than_other_networks_move(side, seeds):
    made = [
        row._replace(metric=name) for name in ("psnr-mu@moving", "delta-e") for row in seeds if row.metric == "psnr-mu"
    ]
    bands = derive(side("base", many(made, 3)))
    assert {name: band.width for name, band in bands.scenes.items()} == {"psnr-mu@moving": 1.8, "delta-e": 0.7}
    assert {name: band.width for name, band in bands.means.items()} == {"psnr-mu@moving": 0.4, "delta-e": 0.35}
    assert "None is below what other networks moved by" in as_yaml(bands, "base").replace("\n# ", " ")


def test_rows_that_stand_twice_give_no_bands(side, seeds):
    with pytest.raises(UsageError, match=r"rows stand twice, such as psnr-mu of ahdrnet--panoramas--s0 on forest-01"):
        derive(side("base", [*seeds, next(row for row in seeds if row.metric == "psnr-mu")]))


def test_seeds_without_numbers_give_no_bands(side, seeds):
    empty = [row._replace(value=math.nan if row.seed else row.value) for row in seeds if row.seed != 2]
    with pytest.raises(UsageError, match="has no run with two seeds"):
        derive(side("base", empty))


def test_one_seed_gives_no_bands(side, rows):
    with pytest.raises(UsageError, match="has no run with two seeds"):
        derive(side("base", rows))
