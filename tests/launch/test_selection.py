"""Which stages belong to a table, and in which order tables, seeds and data sets come."""

import pytest

from bench.core.errors import UsageError
from bench.core.params import load
from bench.core.registry import ROOT
from bench.launch.selection import ranked

PAPER = load(ROOT / "profiles" / "paper" / "params.yaml")
STUDY = load(ROOT / "profiles" / "study" / "params.yaml")


def evaluations(ranks):
    return {stage.removeprefix("evaluate@"): rank for stage, rank in ranks.items() if stage.startswith("evaluate@")}


def test_two_tables_hold_their_rows_and_the_floors_with_what_looks_into_them():
    ranks = ranked(PAPER, [2, 3])
    variants = {PAPER.evaluations[key].variant for key in evaluations(ranks)}
    rows = {variant for number in (2, 3) for variant in PAPER.rows(number).values()}
    assert variants == rows | set(PAPER.tables.floors)
    assert {"inspect_codebook@vanilla-512--kalantari--s0", "inspect_network@olc-1024--kalantari--s0"} <= ranks.keys()
    assert "sizes" not in ranks


def test_tables_come_in_their_order_on_the_first_set_and_then_on_others():
    ranks = evaluations(ranked(PAPER, [2, 3, 1]))
    order = [
        "olc-512--kalantari--s0--kalantari",  # Table 2
        "olc-pa--kalantari--s0--kalantari",  # Table 3
        "afunet--kalantari--s0--kalantari",  # Table 1
        "olc-1024--hu--s0--hu",
        "cavit--hu--s0--hu",
    ]
    assert [ranks[key] for key in order] == sorted({ranks[key] for key in order})
    assert ranks["olc-1024--kalantari--s0--hu"] == ranks["olc-1024--hu--s0--hu"], "it needs the second set, too"
    turned = evaluations(ranked(PAPER, [1, 3, 2]))
    assert turned["afunet--kalantari--s0--kalantari"] < turned["olc-512--kalantari--s0--kalantari"]


def test_first_seeds_come_before_second_ones():
    ranks = evaluations(ranked(STUDY))
    first = [rank for key, rank in ranks.items() if key.rpartition("--")[0].endswith("--s0")]
    second = [rank for key, rank in ranks.items() if key.rpartition("--")[0].endswith("--s1")]
    assert max(first) < min(second)
    assert set(ranks) == set(STUDY.evaluations), "without tables everything is wanted"
    fewer = evaluations(ranked(STUDY.first_seeds(2)))
    assert set(fewer) == {key for key in ranks if not key.rpartition("--")[0].endswith("--s2")}


def test_a_table_that_the_profile_lacks_is_refused():
    params = PAPER.model_copy(update={"tables": PAPER.tables.model_copy(update={"second": None})})
    with pytest.raises(UsageError, match=r"profiles/paper/params\.yaml has no Table 2; it has 1, 3\.$"):
        ranked(params, [1, 2])
