import json
from dataclasses import replace

import pytest

from bench.core import layout
from bench.core.errors import UsageError
from bench.io.tables import read_scores, write_scores
from bench.report.results.results import collect
from bench.report.scores import masks, scored
from bench.report.scores.summary import findings
from bench.report.table.writers import to_markdown
from bench.stages.reporting import report, submitted
from bench.stages.scoring import summarize
from tests.report.conftest import frame, records
from tests.shared import undrawn


def submission(rows, name="my-net", **changes):
    """Rows of a submission that is 3 better than the profile's best network."""
    best = [row for row in rows if row.variant == "full"]
    changed = {"method": "submitted", "variant": name, "trainset": "", "seed": None, **changes}
    return [row._replace(value=row.value + 3, **changed) for row in best]


def save(rows, name="my-net"):
    write_scores(layout.submissions() / f"{name}.csv", rows)


@pytest.fixture
def scores(rows, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return frame(rows)


def with_submitted(measured, rows):
    return replace(measured, submitted=collect(frame(rows)))


def test_no_folder_and_other_files_are_fine(scores):
    assert submitted.read(scores) == ({}, [])
    layout.submissions().mkdir(parents=True)
    (layout.submissions() / "README.md").write_text("not a score")
    assert submitted.read(scores) == ({}, [])


def test_a_submission_of_the_profiles_data_and_protocol_is_read(scores, rows):
    save(submission(rows))
    found, notes = submitted.read(scores)
    assert found["my-net", "panoramas"].values["psnr-mu"] == pytest.approx(37.2)
    assert notes == []


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"protocol": "sctnet@1"}, "panoramas of profile tiny under sctnet@1"),
        ({"dataset": "hu"}, "hu of profile tiny under whole-float@1"),
        ({"profile": "smoke"}, "panoramas of profile smoke under whole-float@1"),
    ],
)
def test_rows_of_another_protocol_data_set_or_profile_stay_out_with_a_note(scores, rows, changes, where):
    save([*submission(rows), *(row._replace(value=1.0) for row in submission(rows, **changes))])
    save(submission(rows, "other", **changes), "other")
    found, notes = submitted.read(scores)
    assert list(found) == [("my-net", "panoramas")]
    assert found["my-net", "panoramas"].values["psnr-mu"] == pytest.approx(37.2)
    assert [note.split(" for ")[0].rpartition(" ")[2] for note in notes] == ["my-net", "other"]
    here = "here is panoramas of profile tiny under whole-float@1"
    assert all(f"for {where} stand in no table: {here}" in note for note in notes)


def test_damaged_files_end_in_one_sentence(scores, rows):
    path = layout.submissions() / "my-net.csv"
    save([])
    header = path.read_bytes()
    for content, message in (
        (header, "holds no score"),
        (header + b"a,b\n", "2 cells, expected 10"),
        (b"\xff\xfe\x00broken", r"my-net\.csv: not UTF-8 text"),
        (b"name,score\n", "columns are name,score"),
    ):
        path.write_bytes(content)
        with pytest.raises(UsageError, match=message):
            submitted.read(scores)


@pytest.mark.parametrize("changes", [{"method": "ahdrnet"}, {"variant": "full"}])
def test_rows_that_call_themselves_otherwise_are_refused(scores, rows, changes):
    save([*submission(rows), *submission(rows, **changes)])
    with pytest.raises(UsageError, match=r"expected 'submitted' and 'my-net', the file's name"):
        submitted.read(scores)


def test_row_of_table_1_stands_last_is_ranked_and_told_apart(papers, measured, rows):
    made = with_submitted(measured(), submission(rows))
    table = scored.table(papers[1], made)
    own = [row for row in records(table) if row["dataset"] == "panoramas"]
    assert (own[-1]["method"], own[-1]["kind"], own[-1]["psnr_mu"]) == ("my-net", "submitted", "37.2000")
    assert "paper_psnr_mu" in own[-1]["note"]
    assert "params_m psnr_mu_gain: not told by a submission" in own[-1]["note"]
    marks = {row.cells["method"]: row.marks.get("psnr_mu") for row in table.rows if row.panel == "panoramas"}
    assert (marks["my-net"], marks["Proposed"], marks["AHDRNet"]) == ("best", "second", None)
    assert "| my-net" in to_markdown(table)
    assert "Submitted rows are others' results" in table.caption
    assert "Submitted" not in scored.table(papers[1], measured()).caption
    assert not any(row["kind"] == "submitted" for row in records(scored.table(papers[2], made)))


def test_a_submission_named_like_a_variant_of_ours_changes_nothing_of_it(papers, measured, rows):
    made = with_submitted(measured(), submission(rows, "full"))
    values = {row["method"]: row["psnr_mu"] for row in records(scored.table(papers[1], made)) if row["psnr_mu"]}
    assert (values["Proposed"], values["full"]) == ("34.2000", "37.2000")


def test_a_submission_of_fewer_scenes_is_not_ranked(papers, measured, rows):
    part = [row for row in submission(rows) if row.scene == "sunset-00"]
    made = with_submitted(measured(), part)
    for table in (scored.table(papers[1], made), masks.table(made)):
        (row,) = (row for row in table.rows if row.cells["kind"] == "submitted")
        assert row.marks == {}
        assert "scored on 1 scenes, 2 were measured here; not ranked" in row.note


def test_masks_table_holds_submissions_that_were_scored_inside_masks(measured, rows):
    whole = [row for row in submission(rows, "bare") if "@" not in row.metric]
    found = records(masks.table(with_submitted(measured(), [*submission(rows), *whole])))
    (row,) = (row for row in found if row["kind"] == "submitted")
    assert (row["variant"], row["psnr_mu_saturated"], row["scenes_moving"]) == ("my-net", "31.2000", "1")


def test_the_pages_sentence_on_learned_rows_leaves_submissions_out(papers, measured, rows):
    made = with_submitted(measured(), submission(rows))
    assert findings(scored.table(papers[1], made)) == findings(scored.table(papers[1], measured()))


def test_page_and_files(bare, rows, monkeypatch):
    undrawn(monkeypatch)
    save([*submission(rows), *submission(rows, protocol="sctnet@1")])
    summarize.run(bare)
    report.run(bare)
    html = (bare.reports / "index.html").read_text(encoding="utf-8")
    assert '<span class="kind submitted">submitted</span></th>' in html
    assert "Rows of the submission my-net for panoramas of profile tiny under sctnet@1 stand in no table" in html
    assert "my-net" not in (bare.reports / "scores.csv").read_text()
    assert "my-net" not in json.loads((bare.reports / "metrics.json").read_text())
    assert len(read_scores([layout.submissions() / "my-net.csv"])) > 0
