"""Tables of the parameter file: forms of rows, and where labels come from."""

import pytest
import yaml

from bench.core.errors import UsageError
from bench.core.params import load


@pytest.fixture
def tables(write_params, small_params):
    """Load parameters with these tables."""

    def make(content):
        return load(write_params(yaml.safe_dump(small_params | {"tables": content})))

    return make


@pytest.mark.parametrize(
    "rows",
    [
        {"AHDRNet": "ahdrnet", "Proposed": "proposed"},
        ["ahdrnet", {"Proposed": "proposed"}],
        [{"AHDRNet": "ahdrnet", "Proposed": "proposed"}],
    ],
)
def test_rows_are_a_mapping_or_a_list_and_the_card_gives_the_label(tables, rows):
    params = tables({"1": {"rows": rows}})
    assert list(params.rows(1).items()) == [("AHDRNet", "ahdrnet"), ("Proposed", "proposed")]
    assert type(params).model_validate(params.model_dump(mode="json")) == params


def test_the_variant_gives_the_label_where_two_rows_would_share_the_cards(tables, small_params):
    small_params["variants"]["again"] = small_params["variants"]["ahdrnet"]
    assert tables({"2": {"rows": ["ahdrnet"], "controls": ["again"]}}).controls(2) == {"again": "again"}
    assert tables({"2": {"rows": ["again", {"AHDRNet": "ahdrnet"}]}}).rows(2) == {
        "again": "again",
        "AHDRNet": "ahdrnet",
    }


def test_numbers_need_no_quotes_and_each_table_is_optional(tables):
    params = tables({3: {"rows": ["proposed"]}})
    assert list(params.tables.paper) == [3] and params.rows(3) == {"OLC (proposed)": "proposed"}
    assert params.rows(1) == params.controls(2) == {}
    assert list(tables({}).tables.paper) == []


def test_two_rows_of_one_label_are_refused(tables):
    with pytest.raises(UsageError, match="two rows are called 'A'"):
        tables({"1": {"rows": [{"A": "ahdrnet"}], "controls": {"A": "proposed"}}})
