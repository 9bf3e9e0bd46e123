"""Captions say under what a number was made."""

import pytest

from bench.core.tables import Tables
from bench.report.table.caption import settings


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"OLC (K=512)": "full"}, ["codebooks of K=32 in rows called K=512"]),
        ({"OLC (K=32)": "full"}, []),
        ({"OLC": "full"}, []),
        ({}, []),
    ],
)
def test_other_numbers_of_codes_than_a_rows_name_tells_are_said(tiny, rows, said):
    tables = Tables.model_validate({"2": {"rows": rows}})
    found = settings(tiny.model_copy(update={"tables": tables}), {})
    assert [words for words in found if words.startswith("codebooks ")] == said
