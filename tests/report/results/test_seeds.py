"""Runs of several seeds: their common name, and tables of means over them."""

import math

import pytest

from bench.report.results.seeds import families, over_seeds, seedless
from bench.report.table.table import Column, Row, Table
from bench.report.table.writers import to_markdown
from tests.report.conftest import records

COLUMNS = (
    Column("run", "run"), Column("kind", "kind"), Column("value", "value", "", 2), Column("count", "count", "", 0),
    Column("note", "note", shown=False),
)  # fmt: skip


def made(*rows):
    cells = [dict(zip(("run", "kind", "value", "count"), row, strict=True)) | {"note": ""} for row in rows]
    remarks = [{"value": "nothing there"} if one["value"] is None else {} for one in cells]
    return Table("t", "T", "Caption.", COLUMNS, tuple(Row("all", *pair) for pair in zip(cells, remarks, strict=True)))


@pytest.mark.parametrize(
    ("name", "family"),
    [("olc-64--pan--s0", "olc-64--pan"), ("a--s12", "a"), ("a--s0--pan", "a--s0--pan"), ("a", "a")],
)
def test_names_without_seed(name, family):
    assert seedless(name) == family


def test_families_keep_their_order_and_sort_their_seeds_as_numbers():
    names = ["b--s10", "a--s1", "b--s9", "a--s0", "c"]
    assert families(names) == {"b": ["b--s9", "b--s10"], "a": ["a--s0", "a--s1"], "c": ["c"]}


def test_one_seed_leaves_rows_and_says_so():
    table = made(("a--s0", "L1", 1.0, 5), ("a--s0", "H", 2.0, 5), ("b--s0", "H", 2.0, 5))
    found = over_seeds(table, "run")
    assert (found.rows, found.columns, found.tidy) == (table.rows, table.columns, None)
    assert found.caption == "Caption. One seed of each (n = 1, no spread)."


def test_means_and_standard_errors_by_hand():
    table = made(("a--s0", "L1", 1.0, 5), ("b--s0", "L1", 7.0, 5), ("a--s1", "L1", 2.0, 5), ("a--s2", "L1", 6.0, 5))
    found = over_seeds(table, "run")
    first, second = found.rows
    # 1, 2 and 6 have mean 3 and variance (4 + 1 + 9) / 2 = 7.
    assert first.cells == {"run": "a", "seeds": 3, "kind": "L1", "value": 3.0, "count": 5}
    assert first.spreads == {"value": pytest.approx(math.sqrt(7 / 3))}
    assert (second.cells["seeds"], second.cells["value"], second.spreads) == (1, 7.0, {})
    assert "| a | 3 | L1 | 3.00 ± 1.53 | 5 |" in to_markdown(found)
    assert "Means over seeds" in found.caption


def test_rows_of_different_kinds_stay_apart_and_the_csv_holds_each_seed():
    table = made(("a--s0", "L1", 1.0, 5), ("a--s0", "H", 2.0, 5), ("a--s1", "L1", 3.0, 5), ("a--s1", "H", 4.0, 6))
    found = over_seeds(table, "run")
    assert [(row.cells["kind"], row.cells["value"]) for row in found.rows] == [("L1", 2.0), ("H", 3.0)]
    assert found.rows[1].cells["count"] == 5.5
    assert [row["run"] for row in records(found)] == ["a--s0", "a--s0", "a--s1", "a--s1"]


def test_seeds_without_a_value_are_counted_and_explained():
    table = made(("a--s0", "H", None, 5), ("a--s1", "H", 3.0, 5), ("b--s0", "H", None, 5), ("b--s1", "H", None, 5))
    some, none = over_seeds(table, "run").rows
    assert (some.cells["value"], some.remarks["value"]) == (3.0, "mean of 1 of 2 seeds; else: nothing there")
    assert (none.cells["value"], none.remarks["value"]) == (None, "nothing there")
