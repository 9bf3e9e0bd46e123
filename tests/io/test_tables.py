"""Score files: exact round trips, nothing half-written, sentences for damaged files."""

import csv
import errno
import json
import math
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.core.errors import BenchError, UsageError
from bench.io.files import write_json_atomic, write_text_atomic
from bench.io.tables import COLUMNS, ScoreRow, quoted, read_scores, unquoted, write_scores

ROW = ScoreRow("demo", "cavit", "cavit-16", "panoramas", 0, "panoramas", "NA", "psnr-mu", 0.1 + 0.2, "whole-float@1")


def test_the_file_is_what_the_contract_says(tmp_path):
    path = tmp_path / "new" / "a.csv"
    write_scores(path, [ROW, ROW._replace(seed=None, trainset="", value=math.inf, scene='x, "y"')])
    assert path.read_bytes().decode() == (
        "profile,method,variant,trainset,seed,dataset,scene,metric,value,protocol\n"
        "demo,cavit,cavit-16,panoramas,0,panoramas,NA,psnr-mu,0.30000000000000004,whole-float@1\n"
        'demo,cavit,cavit-16,,,panoramas,"x, ""y""",psnr-mu,inf,whole-float@1\n'
    )


def test_types_after_reading(tmp_path):
    write_scores(tmp_path / "a.csv", [ROW])
    write_scores(tmp_path / "b.csv", [ROW._replace(seed=None, trainset="", value=np.float32(0.5), scene="nan")])
    frame = read_scores([tmp_path / "a.csv", tmp_path / "b.csv"])
    assert tuple(frame.columns) == COLUMNS
    assert frame["scene"].tolist() == ["NA", "nan"]
    assert frame["trainset"].tolist() == ["panoramas", ""]
    assert frame["value"].tolist() == [0.1 + 0.2, 0.5]
    assert frame["seed"].isna().tolist() == [False, True]
    assert frame["value"].dtype == np.float64
    assert str(frame["seed"].dtype) == "Int64"


def test_no_files_give_an_empty_frame_of_the_same_form():
    frame = read_scores([])
    assert tuple(frame.columns) == COLUMNS
    assert len(frame) == 0
    assert frame["value"].dtype == np.float64


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(), min_size=1))
def test_values_come_back_bit_for_bit(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("scores") / "a.csv"
    write_scores(path, [ROW._replace(value=value) for value in values])
    np.testing.assert_array_equal(read_scores([path])["value"].to_numpy(), np.array(values))


def _full_disk(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    write_scores(path, [ROW])
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.write_text", _full_disk)
        with pytest.raises(BenchError, match=r"a\.csv.*No space left on device"):
            write_scores(path, [ROW, ROW])
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.csv"]


def test_a_bad_row_writes_nothing(tmp_path):
    with pytest.raises(ValueError, match="could not convert"):
        write_scores(tmp_path / "a.csv", [ROW, ROW._replace(value="good")])
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda text: "", "columns are absent"),
        (lambda text: text.replace("scene", "image", 1), "expected profile,method"),
        (lambda text: text[:-20], "line 2: 9 cells, expected 10"),
        (lambda text: text.replace("0.3000", "good"), "line 2: .* must be numbers"),
        (lambda text: text.replace(",0,", ",zero,"), "line 2: .* must be numbers"),
        (lambda text: text.replace(",0,", f",{'1' * 20},"), "line 2: the seed is '1{20}'; .* at most 18 digits"),
        (lambda text: text.replace(",0,", f",{'1' * 5000},"), "line 2: the seed is '111"),
        (lambda text: text.replace(",0,", ",-1,"), "line 2: the seed is '-1'"),
        (lambda text: text.replace("0.3000", "9" * 5000 + "x"), "line 2: the value is '999"),
        (lambda text: text.replace("NA", "x" * 200_000), "no CSV file of scores .field larger"),
        (lambda text: text.replace("scene", "\x1b[31m", 1), r"columns are profile.*,\\x1b\[31m,metric"),
    ],
)
def test_a_damaged_file_ends_in_a_sentence(tmp_path, damage, sentence):
    path = tmp_path / "a.csv"
    write_scores(path, [ROW])
    path.write_text(damage(path.read_text()))
    with pytest.raises(UsageError, match=sentence):
        read_scores([path])


def test_a_file_that_is_no_text_or_no_file_ends_in_a_sentence(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"profile\xff")
    os.mkfifo(tmp_path / "b.csv")
    for name, words in (("a.csv", "not UTF-8"), ("b.csv", "a named pipe")):
        with pytest.raises(UsageError, match=words):
            read_scores([tmp_path / name])


FORMULAS = ("=cmd|' /C calc'!A0", "+1+cmd|x", "-2+3", "@SUM(A1)", "\t=1", "'=1", "''@x", "+", "+1 =1", "=1,2", "--")
HARMLESS = ("x", "", "'", "it's", "'x", "-1", "+1.5e-3", "-inf", "+0.21 [0.05, 0.47], p = 0.02", "-2 0 2", "a=b")


def test_no_name_is_a_formula_to_a_spreadsheet_and_it_reads_back_as_it_was(tmp_path):
    path, names = tmp_path / "a.csv", (*FORMULAS, *HARMLESS)
    write_scores(path, [ROW._replace(scene=name, variant=name) for name in names])
    assert read_scores([path])["scene"].tolist() == read_scores([path])["variant"].tolist() == list(names)
    with path.open(newline="") as file:
        cells = [row[6] for row in csv.reader(file)][1:]
    assert cells == [f"'{name}" for name in FORMULAS] + list(HARMLESS)


@given(st.text(alphabet="'=+-@\t\r\n1x "))
def test_quoting_can_be_taken_back(name):
    assert unquoted(quoted(name)) == name


def test_a_missing_file_ends_in_a_sentence(tmp_path):
    with pytest.raises(UsageError, match="can't be read"):
        read_scores([tmp_path / "absent.csv"])


def test_json_is_sorted_indented_and_ends_with_a_newline(tmp_path):
    path = tmp_path / "m.json"
    write_json_atomic(path, {"b": 1.5, "a": {"d": None, "c": "µ"}})
    assert path.read_text(encoding="utf-8").startswith('{\n  "a": {\n    "c": "µ",\n')
    assert path.read_text(encoding="utf-8").endswith("}\n")
    assert list(json.loads(path.read_text(encoding="utf-8"))) == ["a", "b"]
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json_atomic(path, {"a": math.nan})


def test_text_keeps_its_line_ends(tmp_path):
    write_text_atomic(tmp_path / "a.txt", "a\r\nb\n")
    assert (tmp_path / "a.txt").read_bytes() == b"a\r\nb\n"


@pytest.mark.parametrize("value", ["6_6.6", "\u0663\u0664.5", "infinity", "+nan", "1e9999", "0x1p3", "1,5"])
def test_values_are_written_as_python_writes_numbers(tmp_path, value):
    write_scores(tmp_path / "a.csv", [ROW])
    text = (tmp_path / "a.csv").read_text(encoding="utf-8").replace(repr(ROW.value), f'"{value}"')
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"the value is .*; seed and value must be numbers"):
        read_scores([tmp_path / "a.csv"])


@pytest.mark.parametrize(("mark", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_cells_that_are_separated_otherwise_are_told(tmp_path, mark, name):
    (tmp_path / "a.csv").write_text(f"{mark.join(COLUMNS)}\n{mark.join(map(str, ROW))}\n".replace("0.3", "0,3"))
    with pytest.raises(UsageError, match=rf"a\.csv: its cells are separated by {name}; save it with commas"):
        read_scores([tmp_path / "a.csv"])
