from pathlib import Path

import pytest

from bench.core.errors import UsageError
from bench.core.registry import metrics
from bench.provenance import number, values
from bench.provenance.number import labels_of
from tests.report.conftest import parameters

TABLE = """dataset,method,variant,kind,psnr_mu,paper_psnr_mu,scenes,note
hu,1. Baseline,,pending,,43.92,,"variant psnr_mu scenes: not in this version or profile yet"
hu,7. + PA + FMU,olc-64,pending,,44.89,,psnr_mu scenes: no scores of it in this profile
panoramas,1. Baseline,olc-baseline,measured,31.7333,43.92,8,"paper_*: other data, not comparable"
panoramas,7. + PA + FMU,olc-64,measured,31.6562,44.89,8,"paper_*: other data, not comparable"
panoramas,"7, random",olc-random,control,31.1000,,8,paper_psnr_mu: a control of ours
"""


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table3.csv"
    path.write_text(TABLE, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("said", "parts"),
    [
        ("a/table3.csv:olc-64:psnr_mu", ("a/table3.csv", "olc-64", "psnr_mu")),
        ("a/table3.csv:7. + PA + FMU:psnr_mu", ("a/table3.csv", "7. + PA + FMU", "psnr_mu")),
        ("a/table3.csv:two: words:psnr_mu", ("a/table3.csv", "two: words", "psnr_mu")),
        ("a/figures/curves.png", ("a/figures/curves.png", "", "")),
        ("a/figures/crops.webp", ("a/figures/crops.webp", "", "")),
        ("a/viewer/forest-01.js", ("a/viewer/forest-01.js", "", "")),
    ],
)
def test_an_address_has_file_row_and_column(said, parts):
    assert number.split_address(said) == (Path(parts[0]), *parts[1:])


@pytest.mark.parametrize("said", ["table3", "table3.csv:olc-64", "table3.csv::psnr_mu", "table3.csv:olc-64:"])
def test_what_is_no_address_is_answered_with_the_form(said):
    with pytest.raises(UsageError, match="expected FILE:ROW:COLUMN"):
        number.split_address(said)


@pytest.mark.parametrize(
    ("row", "line"),
    [("7. + PA + FMU", 5), ("olc-64", 5), ("7", 5), ("1", 4), ("3", 4), ("5", 6), ("7, random", 6), ("olc-random", 6)],
)
def test_a_row_is_found_by_label_variant_number_or_place(table, row, line):
    """Numbers are those that labels begin with, else places in the file; the measured panel comes first."""
    cell = number.find_cell(table, row, "psnr_mu")
    assert (cell.line, cell.dataset) == (line, "panoramas")


def test_a_data_set_chooses_the_panel(table):
    cell = number.find_cell(table, "olc-64", "psnr_mu", "hu")
    assert (cell.line, cell.text, cell.reason) == (3, "", "no scores of it in this profile")
    assert cell.words.endswith("table3.csv:olc-64:psnr_mu --dataset hu")


def test_the_data_set_is_said_only_where_two_panels_have_the_row(table):
    assert "--dataset" not in number.find_cell(table, "olc-random", "psnr_mu").words
    assert "--dataset panoramas" in number.find_cell(table, "olc-64", "psnr_mu").words


def test_a_metric_names_its_column(table):
    assert number.find_cell(table, "olc-64", "psnr-mu").text == "31.6562"


@pytest.mark.parametrize(
    ("row", "column", "dataset", "meant"),
    [
        ("ocl-64", "psnr_mu", None, "'olc-64'"),
        ("7. + PA + FSM", "psnr_mu", None, "'7. + PA + FMU'"),
        ("olc-64", "psnr_my", None, "'psnr_mu'"),
        ("olc-64", "psnr_mu", "panorama", "'panoramas'"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(table, row, column, dataset, meant):
    with pytest.raises(UsageError) as found:
        number.find_cell(table, row, column, dataset)
    assert f"Did you mean {meant}" in str(found.value)


def test_a_number_beyond_the_rows_is_told(table):
    with pytest.raises(UsageError, match="has 5 rows, none is number 12"):
        number.find_cell(table, "12", "psnr_mu")


def test_an_unknown_file_is_answered_with_its_neighbours(table):
    with pytest.raises(UsageError, match=r"Did you mean 'table3\.csv'"):
        number.read_table(table.with_name("table4.csv"))


@pytest.mark.parametrize("text", ["a,b\n1\n", "a,b\n1,2,3\n", 'a,b\n"1,2\n'])
def test_a_damaged_table_is_told(tmp_path, text):
    path = tmp_path / "table1.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="make the report again"):
        number.read_table(path)


def test_every_registered_metric_has_a_column_that_is_computed_again():
    assert {name.replace("-", "_") for name in metrics} <= set(values.COLUMNS)


def test_a_variant_names_its_row_of_table_1():
    labels = labels_of(parameters(), Path("reports/tiny/tables/table1.csv"))
    assert (labels["full"], labels["reference-only"]) == ("Proposed", "reference-only")
    assert labels_of(parameters(), Path("reports/tiny/tables/masks.csv")) == {}
