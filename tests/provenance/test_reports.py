"""The tracked reports: every cell of Tables 1 to 3 that holds a number is computed again."""

import functools
from pathlib import Path

import pytest

from bench.core.params import load
from bench.core.registry import ROOT
from bench.provenance import chain, number, values
from bench.provenance.evidence import Evidence

FILES = {"demo": "params.yaml", "study": "profiles/study/params.yaml", "lab": "profiles/lab/params.yaml"}
WORDS = {"dataset", "method", "variant", "kind", "note"}
"""Columns whose cells are no results."""

ON_CARDS = {"params_m", *values.SIZES}
"""Columns that come from files which git doesn't keep; provenance.json repeats them."""


@pytest.fixture(scope="module", params=FILES)
def tracked(request):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        evidence = Evidence(load(Path(FILES[request.param])))
        patch.setattr(evidence, "rows", functools.cache(evidence.rows))  # a row's cells come from the same ones
        yield evidence


def cells(evidence, name):
    file = evidence.params.reports / "tables" / f"{name}.csv"
    rows = number.read_table(file)
    return [number.TableCell(file, line, row, column) for line, row in enumerate(rows, start=2) for column in row]


@pytest.mark.parametrize("name", ["table1", "table2", "table3", "masks"])
def test_every_number_is_computed_again_to_the_printed_digits(tracked, name):
    done, left = 0, set()
    for cell in cells(tracked, name):
        meant = number.of_cell(tracked.params, cell)
        value = values.compute(meant, tracked)
        if not cell.text:
            assert not value.text, cell
        elif value.text:
            older = cell.column in values.PAIRED and not tracked.provenance
            # A version before provenance.json worded its tests otherwise; the mean difference is the same.
            words = (text.split()[0] if older else text for text in (value.text, cell.text))
            assert len({*words}) == 1, (cell.words, value)
            done += 1
        else:
            left.add(cell.column)
    expected = WORDS | (set() if tracked.provenance else ON_CARDS)
    assert left <= expected | (
        {"scenes_saturated", "scenes_moving", "scenes_uncovered", *values.COUNTS} if name == "masks" else set()
    )
    assert done > 50


@pytest.mark.parametrize("name", ["table1", "table2", "table3"])
def test_every_dash_has_its_reason(tracked, name):
    empty = [cell for cell in cells(tracked, name) if not cell.text and cell.column != "note"]
    assert all(cell.reason for cell in empty)


def test_a_number_of_three_seeds_names_their_stages():
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        evidence = Evidence(load(Path(FILES["study"])))
        cell = number.find_cell(evidence.params.reports / "tables" / "table3.csv", "olc-64", "psnr_mu")
        found = chain.of_number(number.of_cell(evidence.params, cell), evidence)
    assert found["value"]["how"] == "mean over 10 scenes, then over seeds 0, 1, 2"
    for seed in (0, 1, 2):
        key = f"olc-64--panoramas--s{seed}--panoramas"
        assert f"profiles/study/dvc.yaml:evaluate@{key}" in found["command"]
        (link,) = [link for link in found["evaluations"] if link["evaluation"] == key]
        assert len(link["scores"]["md5"]) == 32
        assert link["predictions"]["md5"].endswith(".dir")
    recorded = {stage["stage"]: stage["recorded"] for stage in found["stages"]}
    assert recorded["train@olc-64--panoramas--s1"] and all(recorded.values())


def test_a_profile_without_a_lock_says_so():
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        evidence = Evidence(load(Path(FILES["lab"])))
        cell = number.find_cell(evidence.params.reports / "tables" / "table2.csv", "OLC (K=1024)", "hdrvdp2")
        found = chain.of_number(number.of_cell(evidence.params, cell), evidence)
    assert found["value"]["agrees"] is True
    assert any("profiles/lab/dvc.lock isn't tracked" in note for note in found["notes"])
    assert found["trainings"][0]["parameters"]["stage2"]["steps"] == evidence.params.stage2.steps
