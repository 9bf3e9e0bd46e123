"""Gains over the base of a row's own frames: by hand, in tables, and where there is none."""

from dataclasses import replace

import pytest

from bench.report.results import gains
from bench.report.scores import scored
from bench.report.table.view import view
from bench.report.table.writers import to_markdown
from tests.report.conftest import parameters, records


def by_method(table):
    return {row["method"]: row for row in records(table) if row["dataset"] == "panoramas"}


def test_a_gain_is_the_mean_difference_to_the_base_of_the_same_scenes(measured, rows):
    # The base misses a view, on which the network would gain 100 dB.
    kept = [row for row in rows if (row.variant, row.scene) != ("reference-only", "sunset-00")]
    raised = [
        row._replace(value=row.value + 100) if (row.variant, row.scene) == ("full", "sunset-00") else row
        for row in kept
    ]
    found = gains.gain("full", measured(raised), "panoramas")
    assert (found.base, found.difference.scenes) == ("reference-only", 1)
    assert found.difference.mean == pytest.approx(34.2 - 31.6)
    assert found.words == "+2.60 over reference-only", "one place has no interval"


def test_every_seed_stands_against_the_one_value_of_the_base(measured, rows):
    more = [row._replace(seed=seed, value=row.value + seed) for seed in (1, 2) for row in rows if row.variant == "full"]
    found = gains.gain("full", measured([*rows, *more]), "panoramas")
    assert (found.difference.seeds, found.difference.mean) == (3, pytest.approx(3.6))
    assert found.difference.low < 3.6 < found.difference.high
    assert found.words.startswith("+3.60 [") and found.words.endswith("] over reference-only")


def test_the_column_says_gain_base_and_interval(papers, measured):
    for number, label in ((1, "Proposed"), (2, "OLC (K=1024)"), (3, "7. + PA + FMU + D_VQ + RF")):
        table = scored.table(papers[number], measured())
        # Both views gain alike, so the interval has no width.
        assert by_method(table)[label]["psnr_mu_gain"] == "+2.60 [2.60, 2.60] over reference-only"
        assert "PSNR-μ gain over base, 95 %" in [c.head for panel in view(table).panels for c in panel.columns]
        assert "Every learned row gains over its base." in table.caption
        assert "on the frames that the row's network gets" in to_markdown(table)


@pytest.mark.parametrize(
    ("level", "words"), [(31.6, "+0.00 [0.00, 0.00]"), (31.604, "+0.00 [0.00, 0.00]"), (31.0, "-0.60 [-0.60, -0.60]")]
)
def test_a_row_that_gains_nothing_is_marked_and_the_caption_says_so(papers, measured, rows, level, words):
    idle = [row._replace(value=row.value - 34.2 + level) if row.variant == "full" else row for row in rows]
    table = scored.table(papers[1], measured(idle))
    assert by_method(table)["Proposed"]["psnr_mu_gain"] == f"{words} over reference-only: gains nothing"
    marks = {row.cells["method"]: row.marks.get("psnr_mu_gain") for row in table.rows if row.panel == "panoramas"}
    assert {name for name, mark in marks.items() if mark == "down"} == {"Proposed"}
    assert "These rows gain nothing over their base: Proposed." in table.caption
    assert "gains nothing" in to_markdown(table)


def test_rows_without_training_and_rows_without_a_scored_base_say_why(papers, measured, rows):
    notes = {name: row["note"] for name, row in by_method(scored.table(papers[1], measured())).items()}
    assert "psnr_mu_gain: isn't learned, so there is no base" in notes["triangle-merge"]
    # Without the head on the reference, the base is the one-line rule with its bound, which this profile doesn't run.
    table = scored.table(papers[1], measured(head="published"))
    row = by_method(table)["Proposed"]
    assert row["psnr_mu_gain"] == ""
    assert "psnr_mu_gain: its base, brighter-where-clipped, has no scores in this profile" in row["note"]
    assert "over their base" not in table.caption and "Gain:" not in table.caption


def test_the_base_is_the_variant_that_the_profile_has_of_it(measured, rows):
    variants = parameters().model_dump()["variants"]
    made = measured(
        [row._replace(variant="rule") if row.variant == "triangle-merge" else row for row in rows],
        head="published",
        variants={**variants, "rule": {"method": "brighter-where-clipped"}},
    )
    found = gains.gain("full", made, "panoramas")
    assert (found.base, found.difference.mean) == ("rule", pytest.approx(34.2 - 26.8))


def test_registered_frames_have_a_base_of_their_own(measured):
    made = measured(head="published", register="dis")
    assert gains.missing("full", made, "panoramas").startswith("its base, dis-brighter-where-clipped, has no scores")


def test_a_submission_has_no_known_base(papers, measured, rows):
    made = measured()
    submitted = {("mine", "panoramas"): made.results["full", "panoramas"]}
    row = by_method(scored.table(papers[1], replace(made, submitted=submitted)))["mine"]
    assert row["psnr_mu_gain"] == "" and "psnr_mu_gain: not told by a submission" in row["note"]
