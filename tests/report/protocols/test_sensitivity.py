import pytest

from bench.core import layout
from bench.core.errors import UsageError
from bench.io.tables import read_scores, write_scores
from bench.report.results.inputs import Measured
from bench.report.results.results import collect
from bench.stages.reporting import sensitivity
from tests.report.conftest import parameters, score_rows, sensitivity_rows
from tests.shared import undrawn


@pytest.fixture
def section(tmp_path, monkeypatch):
    """Make the page's section from files of every cell, after a change of the rows that are written (None: no file)."""
    monkeypatch.chdir(tmp_path)
    undrawn(monkeypatch)

    def make(change=lambda rows: rows, mine=lambda rows: rows, **changes):
        params = parameters(**changes)
        for cell, rows in score_rows().items():
            write_scores(layout.scores(params, cell), mine(rows))
            other = change(sensitivity_rows(mine(rows)))
            if other is not None:
                write_scores(layout.sensitivity(params, cell), other)
        scores = read_scores(sorted((params.work / "scores").glob("*.csv")))
        return sensitivity.section(params, scores, Measured(params, collect(scores), {}))

    return make


def test_table_figures_and_findings(section):
    made = section(sensitivity=["whole-float", "equal", "turned"])
    assert [table.name for table in made.tables] == ["protocols"]
    assert [figure.name for figure in made.figures] == ["protocols"]
    assert len(made.findings) == 3
    assert made.missing == []


def test_without_files_there_is_only_a_sentence(section):
    made = section(lambda rows: None)
    assert (made.tables, made.figures) == ((), ())
    assert made.missing[0].startswith("No other protocol was scored")
    assert "No file in work/tiny/sensitivity" in made.missing[1]
    assert "ahdrnet--panoramas--s0--panoramas" in made.missing[1]


def test_one_protocol_only(section):
    made = section(lambda rows: [row for row in rows if row.protocol == "whole-float@1"], sensitivity=["whole-float"])
    assert made.missing == ["No other protocol was scored in this profile, so there is nothing to compare."]


def test_equal_protocols_make_a_table_and_no_figure(section):
    made = section(lambda rows: [row for row in rows if row.protocol != "turned@2"], sensitivity=["equal"])
    assert (len(made.tables), made.figures) == (1, [])
    assert made.missing == ["No figure: these protocols give every method the same values, to the digits shown."]


def test_a_cell_without_its_file_is_named_and_its_cells_are_dashes(section):
    made = section(lambda rows: None if rows[0].variant == "ahdrnet" else rows, sensitivity=["equal"])
    assert made.missing == [
        "No file in work/tiny/sensitivity, so only whole-float@1 scores: ahdrnet--panoramas--s0--panoramas."
    ]
    row = next(row for row in made.tables[0].rows if row.cells["method"] == "AHDRNet")
    assert row.cells["whole-float@1"] == pytest.approx(33.1)
    assert row.remarks["equal@1"] == "not scored under this protocol"


def test_a_protocol_that_scored_nothing_is_named(section):
    made = section(sensitivity=["equal", "lrt-hdr"])
    assert made.missing == ["No prediction could be scored under lrt-hdr, though the parameter file asks for it."]


def test_a_protocol_that_refuses_some_scenes_is_told(section):
    made = section(
        lambda rows: [row for row in rows if row.protocol != "turned@2" or row.scene != "sunset-00"],
        sensitivity=["turned"],
    )
    assert made.missing == ["Under turned@2 only 1 of 2 scenes could be scored; its means are of those."]


def test_the_profiles_protocol_comes_from_its_own_scores(section):
    made = section(
        lambda rows: [r._replace(value=1.0) if r.protocol == "whole-float@1" else r for r in rows],
        sensitivity=["equal"],
    )
    row = next(row for row in made.tables[0].rows if row.cells["method"] == "AHDRNet")
    assert row.cells["whole-float@1"] == row.cells["equal@1"] == pytest.approx(33.1)


def test_a_damaged_file_ends_in_one_sentence(section):
    section()
    path = layout.sensitivity(parameters(), "reference-only--panoramas")
    path.write_text(path.read_text()[:-30])
    scores = read_scores(sorted((parameters().work / "scores").glob("*.csv")))
    with pytest.raises(UsageError, match="cells, expected 10; the file may be cut off"):
        sensitivity.section(parameters(), scores, Measured(parameters(), collect(scores), {}))


def test_two_data_sets_have_panels_and_figures_of_their_own(section):
    made = section(
        mine=lambda rows: [*rows, *(row._replace(dataset="hu", value=row.value + 1) for row in rows)],
        datasets={"panoramas": {}, "hu": {}},
        evaluate={"untrained": ["panoramas", "hu"], "panoramas": ["panoramas"]},
        sensitivity=["turned"],
    )
    assert {panel.partition("/")[0] for panel in made.tables[0].panels} == {"panoramas", "hu"}
    assert [figure.name for figure in made.figures] == ["protocols", "protocols_hu"]
    assert {sentence.split(",")[0] for sentence in made.findings} >= {"On panoramas", "On hu"}
