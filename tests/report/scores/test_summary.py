"""The page's first finding, from rows of Table 1."""

import pytest

from bench.report.scores.summary import findings
from bench.report.table.table import Column, Row, Table


def table(**rows):
    """Name -> (kind, PSNR-mu); learned rows are ranked."""
    made = [
        Row("hall", {"method": name, "kind": kind.removeprefix("learned "), "psnr_mu": value, "scenes": 3},
            ranked=kind.startswith("learned "))
        for name, (kind, value) in rows.items()
    ]  # fmt: skip
    return Table("table1", "", "", (Column("method", "method"),), tuple(made))


LEARNED = {"a": ("learned measured", 43.1), "b": ("learned measured", 44.2)}
FLOOR = {"dark": ("floor", 27.09)}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({}, "."),
        (FLOOR, "; the floors: dark 27.09 dB."),
        ({"rule": ("measured", 45.0), "older": ("measured", 30.0), **FLOOR},
         ". Without training, rule reaches 45.00 dB; none of 2 learned rows lie above it; the floors: dark 27.09 dB."),
        ({"rule": ("measured", 43.5)}, ". Without training, rule reaches 43.50 dB; 1 of 2 learned rows lies above it."),
    ],
)  # fmt: skip
def test_rows_without_training_are_named_beside_the_learned_ones(rows, said):
    (found,) = findings(table(**LEARNED, **rows))
    assert found == f"On hall, learned rows of Table 1 reach 43.10 to 44.20 dB PSNR-μ (mean of 3 scenes){said}"


def test_nothing_is_said_where_nothing_learned_was_measured():
    assert findings(table(rule=("measured", 45.0), **FLOOR)) == []
