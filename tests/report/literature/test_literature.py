"""What papers printed: the file is sound and sorted, tables are made from it, ranges are those counted by hand.

The ranges and counts below were made from the same sources by somebody else, with another program.
"""

import json
from pathlib import Path

import pytest

from bench.core.errors import UsageError
from bench.report.literature import numbers, section, text
from bench.report.literature.numbers import METRICS, PrintedNumber

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "reports" / "literature"
ROWS, CAUSES = numbers.read(FOLDER), numbers.causes(FOLDER)
HEAD = ",".join(PrintedNumber._fields) + "\n"
LINE = "kalantari,AHDRNet,psnr-mu,43.61,Paper (2020),no,Table 1,unknown,\n"


def test_every_number_has_a_source_and_a_place():
    assert len(ROWS) == 1347 and len({row.source for row in ROWS}) == 30
    assert all(row.source and row.where for row in ROWS)


@pytest.mark.parametrize(
    ("key", "low", "high", "distinct", "sources"),
    [
        (("kalantari", "AHDRNet", "hdrvdp2"), 62.30, 67.50, 4, 8),
        (("kalantari", "DeepHDR", "hdrvdp2"), 60.30, 67.42, 5, 7),
        (("kalantari", "ADNet", "psnr-mu"), 41.80, 44.37, 5, 6),
        (("kalantari", "AHDRNet", "psnr-mu"), 41.87, 43.70, 5, 9),
        (("kalantari", "HDR-Transformer", "psnr-mu"), 43.60, 44.32, 3, 7),
        (("kalantari", "SCTNet", "psnr-pu"), 37.95, 44.27, 2, 2),
        (("kalantari", "AFUNet", "hdrvdp2"), 66.75, 67.68, 2, 3),
        (("kalantari", "AHDRNet", "ssim-l"), 0.9702, 0.9903, 5, 9),
        (("hu", "SCTNet", "hdrvdp2"), 64.84, 77.14, 2, 3),
        (("tel", "HDR-Transformer", "ssim-mu"), 0.9844, 0.9848, 2, 3),
    ],
)
def test_ranges_are_those_counted_by_hand(key, low, high, distinct, sources):
    found = numbers.ranges(ROWS)[key]
    assert (float(found.low), float(found.high), found.distinct, found.sources) == (low, high, distinct, sources)


@pytest.mark.parametrize(("dataset", "same", "several"), [("kalantari", 35, 114), ("hu", 31, 65), ("tel", 39, 40)])
def test_how_many_of_several_sources_print_the_same_digits(dataset, same, several):
    found = [one for key, one in numbers.ranges(ROWS).items() if key[0] == dataset and one.sources > 1]
    assert (sum(one.distinct == 1 for one in found), len(found)) == (same, several)


def test_tables_and_figures_are_those_of_the_numbers(tmp_path):
    """Pictures may differ in bytes between versions of their libraries; that they are made is what counts."""
    for path in section.write(tmp_path, ROWS, CAUSES):
        assert (FOLDER / path.name).exists(), path.name
        if path.suffix == ".md":
            assert path.read_bytes() == (FOLDER / path.name).read_bytes(), "run: python -m bench literature --write"


def test_suspected_copies_count_in_no_range():
    suspects = [row for row in ROWS if row.suspect]
    assert len(suspects) == 8 and {row.dataset for row in suspects} == {"hu"}
    for row in suspects:
        found = numbers.ranges(ROWS).get((row.dataset, row.method, row.metric))
        assert found is None or row.value not in (found.low, found.high)


def test_every_cause_is_about_numbers_that_are_there():
    keys = set(numbers.ranges(ROWS))
    for cause in CAUSES:
        assert any(cause.concerns(key) for key in keys), cause
        for method in filter(None, cause.method.split("|")):
            assert any(cause._replace(method=method).concerns(key) for key in keys), (method, cause)
        assert set(filter(None, cause.metric.split("|"))) <= set(METRICS)


@pytest.mark.parametrize(
    ("word", "name"), [("ahdrnet", "AHDRNet"), ("cavit", "HDR-Transformer"), ("hdr-gan", "HDR-GAN"), ("sen2012", "Sen")]
)
def test_methods_are_found_by_our_names(word, name):
    assert {row.method for row in numbers.chosen(ROWS, method=word)} == {name}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (LINE * 2, "line 3: it stands twice"),
        (LINE.replace("kalantari", "tel") + LINE, "line 3: it stands twice, or not in order"),
        (LINE.replace("43.61", "4e9"), "is no number"),
        (LINE.replace("43.61", "nan"), "is no number"),
        (LINE.replace("psnr-mu", "ssim-mu"), "can't be an SSIM"),
        (LINE.replace("psnr-mu", "psnr-nu"), "psnr-mu"),
        (LINE.replace("Paper (2020)", ""), "must all be told"),
        (LINE.replace("unknown", "perhaps"), "retrained"),
        (LINE.replace(",unknown,", ",unknown"), "8 cells"),
        ('"', "no CSV"),
    ],
)
def test_a_damaged_file_is_told_with_the_line(tmp_path, lines, said):
    (tmp_path / numbers.PRINTED).write_text(HEAD + lines)
    with pytest.raises(UsageError, match=said):
        numbers.read(tmp_path)


def test_the_command_prints_numbers_range_and_causes(bench):
    said = bench("literature", "--method", "ahdrnet", "--metric", "hdrvdp2", "--dataset", "kalantari").stdout
    assert said.startswith("kalantari, AHDRNet, hdrvdp2: 62.30 to 67.50, apart by 5.2\n")
    assert "SelfHDR" in said and "  why: pixels per degree differ" in said
    found = json.loads(bench("literature", "--method", "sctnet", "--dataset", "tel", "--json").stdout)
    assert {row["method"] for row in found} == {"SCTNet"}


@pytest.mark.parametrize(
    ("words", "said"), [((), "name a --method"), (("--method", "ahdrnt"), "AHDRNet"), (("--dataset", "hux"), "hu")]
)
def test_unknown_names_are_told_with_near_ones(bench, words, said):
    answer = bench("literature", *words)
    assert answer.returncode == 2 and said in answer.stderr


def test_a_cell_keeps_its_columns():
    row = PrintedNumber("kalantari", "X", "psnr-mu", "40.00", "A | B", "no", "Table 1", "no", "")
    lines = text.document(["kalantari"], {"kalantari": [row]}, ()).splitlines()
    line = next(line for line in lines if "A \\| B" in line)
    assert line.count("|") - line.count("\\|") == 8


def test_what_others_print_is_said_in_half_a_sentence():
    found = numbers.ranges(ROWS)
    assert numbers.elsewhere(found["kalantari", "AHDRNet", "hdrvdp2"]) == (
        "8 sources print 62.30 to 67.50 (4 different values)"
    )
    assert numbers.elsewhere(numbers.Range("1.00", "1.00", 1, 3)) == "3 sources print 1.00"
    assert numbers.elsewhere(numbers.Range("1.00", "1.00", 1, 1)).startswith("no other source is known")


def test_labels_of_the_papers_table_find_their_method():
    names = sorted({row.method for row in ROWS})
    assert [numbers.named(label, names) for label in ("NHDRNet", "ahdrnet", "Proposed")] == [
        "NHDRRNet",
        "AHDRNet",
        None,
    ]
