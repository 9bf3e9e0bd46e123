"""Paired tests: which row against which, differences by hand, verdicts, and how tables show them."""

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from bench.core.errors import UsageError
from bench.core.params import load
from bench.io.tables import ScoreRow
from bench.metrics.intervals import Spread
from bench.report.results import paired
from bench.report.results.inputs import Measured, Paper
from bench.report.results.paired import PairedTest, Pairing, compare, difference, pairs, rough, short
from bench.report.results.results import collect
from bench.report.scores import differences, scored
from bench.report.table.writers import to_latex, to_markdown
from bench.stages.reporting.report import read_papers
from tests.report.conftest import frame, records

ROOT = Path(__file__).resolve().parents[3]

BASE = ScoreRow("p", "olc", "a", "panoramas", 0, "panoramas", "x-1", "psnr-mu", 30.0, "whole-float@1")
FLAT = dict.fromkeys(
    ("vanilla-16", "olc-16", "vanilla-32", "full", "hdr-32", "vanilla-32-r", "full-r", "full-random", "step-6",
     "baseline"), 0.0,
)  # fmt: skip
"""Every variant of the invented study at one level."""
NAN, UNCLEAR = math.nan, "not distinguishable"


def against(found, number):
    """Label -> label of the row that it is tested against."""
    papers, measured = found
    return {pair.label: pair.other_label for pair in pairs(papers[number], measured, "panoramas")}


class TestPairs:
    def test_overlapped_rows_of_table_2_meet_the_vanilla_row_that_differs_in_nothing_else(self, study):
        assert against(study(FLAT), 2) == {
            "OLC (K=512)": "Vanilla (K=512)", "OLC (K=1024)": "Vanilla (K=1024)",
            "OLC, restarts": "Vanilla, restarts", "V-HDR": "Vanilla (K=1024)",
        }  # fmt: skip

    def test_rows_of_table_3_meet_the_measured_row_above_and_controls_the_last(self, study):
        assert against(study(FLAT), 3) == {
            "6. + PA + FMU + D_VQ": "1. Baseline",
            "7. + PA + FMU + D_VQ + RF": "6. + PA + FMU + D_VQ",
            "Row 7, random D_VQ": "7. + PA + FMU + D_VQ + RF",
        }

    def test_the_parameter_file_decides_where_it_names_a_row_of_the_same_table(self, study):
        named = {"full": "baseline", "step-6": "vanilla-16", "full-random": "step-6"}
        found = against(study(FLAT, against=named), 3)
        assert found["7. + PA + FMU + D_VQ + RF"] == "1. Baseline"
        assert found["6. + PA + FMU + D_VQ"] == "1. Baseline", "vanilla-16 stands in Table 2 alone"
        assert found["Row 7, random D_VQ"] == "6. + PA + FMU + D_VQ"

    def test_a_control_may_be_tested_against_any_measured_variant(self, study):
        assert against(study(FLAT, against={"full-random": "hdr-32"}), 3)["Row 7, random D_VQ"] == "hdr-32"

    def test_learned_rows_of_table_1_meet_the_best_other_one(self, papers, measured):
        found = {pair.label: pair.other_label for pair in pairs(papers[1], measured(), "panoramas")}
        assert found == {"AHDRNet": "Proposed", "Proposed": "AHDRNet"}
        paper = replace(papers[1], variants={**papers[1].variants, "Third": "vanilla-16", "Merge": "triangle-merge"})
        found = {pair.label: pair.other_label for pair in pairs(paper, measured(), "panoramas")}
        # 34.2, 33.4 and 33.1 dB: all against the best, which meets the runner-up; rows without training aren't tested.
        assert found == {"AHDRNet": "Proposed", "Third": "Proposed", "Proposed": "Third"}

    def test_rows_without_a_measured_counterpart_are_not_tested(self, study):
        levels = {name: 0.0 for name in FLAT if name not in ("vanilla-16", "baseline")}
        assert "OLC (K=512)" not in against(study(levels), 2)
        assert "6. + PA + FMU + D_VQ" not in against(study(levels), 3)
        named = study(levels, against={"full": "vanilla-16"})
        assert "OLC (K=1024)" not in against(named, 2), "named, but not measured"

    def test_the_shipped_study_tests_its_rows_as_the_issue_asks(self):
        params = load(ROOT / "profiles" / "study" / "params.yaml")
        rows = [BASE._replace(variant=variant) for variant in params.variants]
        measured = Measured(params, collect(frame(rows)), {})
        second, third = (
            {p.variant: p.other for p in pairs(paper, measured, "panoramas")} for paper in read_papers(params)[1:]
        )
        assert {"olc-32": "vanilla-32", "olc-64": "vanilla-64", "vhdr-64": "vanilla-64"}.items() <= second.items()
        assert second["olc-64-restart"] == "vanilla-64-restart"
        assert third == {
            "olc-pa-fsm": "olc-baseline", "olc-pa-fsm-vq": "olc-pa-fsm", "olc-64": "olc-pa-fsm-vq",
            "olc-64-random": "olc-64",
        }  # fmt: skip


def measured_of(cells, params):
    rows = [BASE._replace(variant=v, seed=s, scene=n, value=x) for (v, s, n), x in cells.items()]
    return Measured(params, collect(frame(rows)), {})


class TestCompare:
    PAIR = Pairing("A", "a", "B", "b")

    def test_mean_of_the_differences_over_common_seeds_and_scenes(self, measured):
        cells = {
            ("a", 0, "x-1"): 31.0, ("b", 0, "x-1"): 30.0, ("a", 0, "y-1"): 35.0, ("b", 0, "y-1"): 32.0,
            ("a", 1, "x-1"): 30.0, ("b", 1, "x-1"): 30.5, ("a", 1, "y-1"): math.nan, ("b", 1, "y-1"): 10.0,
            ("a", 2, "x-1"): 90.0, ("b", 0, "z-1"): 90.0,
        }  # fmt: skip
        found = compare(self.PAIR, "psnr-mu", measured_of(cells, measured().params), "panoramas")
        # Seed 0: +1 and +3, so 2. Seed 1: -0.5 alone, since y-1 is undefined. Seed 2 and z-1 have one row only.
        assert found.mean == pytest.approx((2 - 0.5) / 2)
        assert (found.seeds, found.places, found.scenes) == (2, 2, 2)

    def test_what_scenes_and_seeds_do_to_both_rows_cancels(self, measured):
        level = {(s, n): 30 + 5 * s + 7 * i for s in range(3) for i, n in enumerate(("x-1", "x-2", "y-1"))}
        cells = {(v, *key): x + (v == "a") for key, x in level.items() for v in "ab"}
        found = compare(self.PAIR, "psnr-mu", measured_of(cells, measured().params), "panoramas")
        assert found == pytest.approx(Spread(1.0, 0.0, 1.0, 1.0, 3, 2, 3, 0.0))

    def test_equal_infinities_are_no_difference_and_unequal_ones_no_test(self, measured):
        cells = {(v, s, n): math.inf for v in "ab" for s in (0, 1) for n in ("x-1", "y-1")}
        assert compare(self.PAIR, "psnr-mu", measured_of(cells, measured().params), "panoramas") is None
        unequal = measured_of({**cells, ("b", 0, "x-1"): 1.0}, measured().params)
        found = compare(self.PAIR, "psnr-mu", unequal, "panoramas")
        assert found.mean == math.inf
        assert not PairedTest(self.PAIR, found, found.p).told

    def test_a_row_without_seeds_stands_beside_every_seed_of_the_other(self, measured):
        cells = {("a", s, n): 30.0 + s + i for s in (0, 1, 2) for i, n in enumerate(("x-1", "y-1", "z-1"))}
        cells |= {("b", None, n): 28.0 + i for i, n in enumerate(("x-1", "y-1"))}
        made = measured_of(cells, measured().params)
        found = compare(self.PAIR, "psnr-mu", made, "panoramas")
        # 2, 3 and 4 dB in the three seeds, of the two scenes that both have.
        assert (found.mean, found.seeds, found.scenes) == (pytest.approx(3), 3, 2)
        assert difference("b", "a", "psnr-mu", made, "panoramas").mean == pytest.approx(-3)
        assert difference("b", "b", "psnr-mu", made, "panoramas").seeds == 1

    def test_nothing_in_common_is_no_difference(self, measured):
        found = measured_of({("a", 0, "x-1"): 1.0, ("b", 1, "x-1"): 1.0}, measured().params)
        assert compare(self.PAIR, "psnr-mu", found, "panoramas") is None
        assert compare(self.PAIR, "hdrvdp2", found, "panoramas") is None


@pytest.mark.parametrize(
    ("spread", "p", "said", "words"),
    [
        (Spread(0.21, 0.1, 0.05, 0.47, 3, 2, 8), 0.02, "better", "+0.21 [0.05, 0.47], p = 0.020: better than row 4"),
        (Spread(-0.21, 0.1, -0.4, -0.05, 3, 2, 8), 0.0, "worse", "-0.21 [-0.40, -0.05], p < 0.001: worse than row 4"),
        (
            Spread(0.21, 0.1, 0.05, 0.47, 3, 2, 8), 0.06, UNCLEAR,
            "+0.21 [0.05, 0.47], p = 0.060: not distinguishable from row 4",
        ),
        (
            Spread(0.0, 0.0, 0.0, 0.0, 3, 2, 8), 1.0, UNCLEAR,
            "+0.00 [0.00, 0.00], p = 1.00: not distinguishable from row 4",
        ),
        (
            Spread(0.21, 0.1, 0.05, 0.47, 1, 2, 8), 0.02, "better",
            "+0.21 [0.05, 0.47], p = 0.020: better than row 4, for these weights",
        ),
        (
            Spread(0.2, 0.1, NAN, NAN, 3, 1, 4), NAN, "one place: not tested",
            "+0.20 against row 4; one place: not tested",
        ),
        (Spread(math.inf, NAN, NAN, NAN, 3, 2, 8), NAN, "infinite: not tested", None),
    ],
)  # fmt: skip
def test_verdicts_and_their_words(spread, p, said, words):
    test = PairedTest(Pairing("5. + PA + FMU", "a", "4. + PA + Concat", "b"), spread, p)
    assert test.verdict == said
    assert test.told == (p == p)
    assert words is None or test.phrase() == words


class TestHolm:
    def test_the_family_is_all_tests_of_a_table(self, study):
        papers, measured = study({**FLAT, "full": 0.014, "olc-16": 0.014, "hdr-32": -0.014})
        found = paired.tests(papers[2], measured, ["panoramas"])
        alone = {place: test.difference.p for place, test in found.items()}
        assert len(found) == 4
        order = sorted(alone, key=alone.get)
        assert found[order[0]].p == pytest.approx(4 * alone[order[0]])
        assert found[order[1]].p == pytest.approx(max(4 * alone[order[0]], 3 * alone[order[1]]))
        assert [found[place].p for place in order] == sorted(found[place].p for place in order)

    def test_panels_are_of_one_family(self, study):
        papers, measured = study({**FLAT, "full": 0.014})
        one = paired.tests(papers[2], measured, ["panoramas"])
        results = {**measured.results, **{(name, "other"): found for (name, _), found in measured.results.items()}}
        both = paired.tests(papers[2], replace(measured, results=results), ["panoramas", "other"])
        place = ("panoramas", "OLC (K=1024)")
        assert (len(one), len(both)) == (4, 8)
        assert both[place].p == pytest.approx(2 * one[place].p)


def test_short_labels_and_few_places():
    assert (short("4. + PA + Concat"), short("OLC (K=512)")) == ("row 4", "OLC (K=512)")
    assert "2 places; with so few, intervals are wide, and a difference seldom shows" in rough([8, 2])
    assert rough([5, 8]) == rough([]) == ""


class TestTables:
    def test_controls_stand_below_marked_and_not_ranked(self, study):
        papers, measured = study({**FLAT, "full-r": 5.0, "vanilla-32": 1.0, "full": 2.0})
        cards = {run: {"variant": entry.variant, "parameters": 1000} for run, entry in measured.params.runs.items()}
        table = scored.table(papers[2], Measured(measured.params, measured.results, cards))
        rows = records(table)
        assert [row["method"] for row in rows][-3:] == ["V-HDR", "Vanilla, restarts", "OLC, restarts"]
        assert [row["kind"] for row in rows] == ["measured"] * 4 + ["control"] * 3
        assert all("paper_hdrvdp2: a control of ours, no row of the paper" in row["note"] for row in rows[4:])
        assert all(row["paper_psnr_mu"] == "" for row in rows[4:])
        marks = {row.cells["method"]: row.marks.get("psnr_mu") for row in table.rows}
        assert {name: mark for name, mark in marks.items() if mark} == {
            "OLC (K=1024)": "best", "Vanilla (K=1024)": "second"
        }  # fmt: skip
        assert "Control rows are ours" in table.caption

    def test_a_control_that_was_not_measured_is_pending_with_its_reason(self, study):
        papers, measured = study({name: 0.0 for name in FLAT if name != "hdr-32"})
        row = next(row for row in records(scored.table(papers[2], measured)) if row["method"] == "V-HDR")
        assert (row["kind"], row["psnr_mu"], row["psnr_mu_difference"]) == ("pending", "", "")
        assert "no scores of it in this profile" in row["note"]

    def test_the_column_and_the_table_of_differences_agree(self, study):
        papers, measured = study({**FLAT, "full": 0.5, "olc-16": -0.5})
        rows = {row["method"]: row for row in records(scored.table(papers[2], measured))}
        tested = {(r["metric"], r["method"]): r for r in records(differences.table(papers[2], measured))}
        for label, said in (("OLC (K=1024)", "better"), ("OLC (K=512)", "worse"), ("V-HDR", "not distinguishable")):
            found = tested["psnr-mu", label]
            assert found["verdict"] == said
            text = f"{float(found['difference']):+z.2f} [{float(found['low']):z.2f}, {float(found['high']):z.2f}], p "
            assert rows[label]["psnr_mu_difference"].startswith(text)
            assert f": {said} " in rows[label]["psnr_mu_difference"]
            assert (float(found["p"]) <= 0.05) == (said != "not distinguishable")
        assert float(tested["psnr-mu", "OLC (K=1024)"]["difference"]) == pytest.approx(0.5, abs=0.01)
        other = tested["ssim-mu", "OLC (K=1024)"]
        assert float(other["low"]) < float(other["high"])
        assert (other["verdict"], other["p"], other["note"]) == ("", "", "p verdict: only PSNR-μ is tested")
        assert (found["seeds"], found["scenes"], found["places"], found["note"]) == ("3", "24", "8", "")
        assert rows["Vanilla (K=512)"]["psnr_mu_difference"] == ""
        assert "psnr_mu_difference: no row to test it against" in rows["Vanilla (K=512)"]["note"]

    def test_every_form_shows_both(self, study):
        papers, measured = study({**FLAT, "full": 0.5})
        for table in (scored.table(papers[3], measured), differences.table(papers[3], measured)):
            text, latex = to_markdown(table), to_latex(table)
            assert "better" in text and "better" in latex and "not distinguishable" in latex
            assert "corrected after Holm over the table's 3 tests" in text
            assert re.sub(r"\\[{}]", "", latex).count("{") == re.sub(r"\\[{}]", "", latex).count("}")
        assert re.search(
            r"\+0\.50 \\\[0\.\d\d, 0\.\d\d\\\], p \\< 0\.001: better than row 6",
            to_markdown(scored.table(papers[3], measured)),
        )

    def test_few_places_make_wide_intervals(self, study):
        papers, measured = study(FLAT, places=2)
        table = differences.table(papers[2], measured)
        assert "show 2 places; with so few, intervals are wide" in table.caption
        assert "intervals are wide" in scored.table(papers[2], measured).caption
        assert {row["note"].partition(";")[0] for row in records(table)} == {"few places: a wide interval"}

    def test_captions_say_what_intervals_cover_and_not_that_one_test_in_twenty_errs(self, study):
        papers, measured = study(FLAT, places=2)
        table = differences.table(papers[2], measured)
        assert "hold the truth in 95 to 100 % of cases with 3 seeds and 2 places and in 92.5 to 97 %" in table.caption
        assert "corrected after Holm over the table's 4 tests of PSNR-μ" in table.caption
        assert "other metrics have no verdict" in table.caption
        assert "one in twenty finds one" not in table.caption

    def test_one_seed_is_tested_over_places_for_these_weights(self, study):
        papers, measured = study({**FLAT, "full": 0.5}, seeds=1)
        table = scored.table(papers[2], measured)
        row = next(row for row in records(table) if row["method"] == "OLC (K=1024)")
        assert re.fullmatch(
            r"\+0\.(49|50|51) \[0\.[45]\d, 0\.[45]\d\], p < 0.001: better than Vanilla \(K=1024\), for these weights",
            row["psnr_mu_difference"],
        )
        assert "±" not in to_markdown(table) and "n = 1, no spread" in table.caption
        assert "Rows of one seed are tested over places, for these weights" in table.caption
        tested = records(differences.table(papers[2], measured))
        assert {row["verdict"] for row in tested if row["metric"] == "psnr-mu"} == {"better", "not distinguishable"}
        assert {row["note"].partition(";")[0] for row in tested} == {"for these weights"}
        assert (
            "interval and p are over places alone, for these weights" in differences.table(papers[2], measured).caption
        )

    def test_one_place_is_not_tested(self, study):
        papers, measured = study({**FLAT, "full": 0.5}, places=1)
        row = next(r for r in records(scored.table(papers[2], measured)) if r["method"] == "OLC (K=1024)")
        assert row["psnr_mu_difference"].endswith("against Vanilla (K=1024); one place: not tested")
        tested = [row for row in records(differences.table(papers[2], measured)) if row["metric"] == "psnr-mu"]
        assert {(row["low"], row["high"], row["p"], row["verdict"]) for row in tested} == {
            ("", "", "", "one place: not tested")
        }
        assert {row["note"] for row in tested} == {"low high p: one place: not tested"}

    def test_table_1_is_tested_against_its_runner_up(self, papers, measured):
        table = scored.table(papers[1], measured())
        rows = {row["method"]: row for row in records(table) if row["dataset"] == "panoramas"}
        # Both views differ by the same 1.1 dB.
        assert rows["Proposed"]["psnr_mu_difference"] == (
            "+1.10 [1.10, 1.10], p < 0.001: better than AHDRNet, for these weights"
        )
        assert rows["AHDRNet"]["psnr_mu_difference"].startswith("-1.10 [-1.10, -1.10], p < 0.001: worse than Proposed")
        assert "no row to test it against" in rows["reference-only"]["note"]
        assert "tested against the best other one, the best row against the runner-up" in table.caption
        assert {row["method"] for row in records(differences.table(papers[1], measured()))} == {"AHDRNet", "Proposed"}

    def test_without_pairs_there_is_no_table(self, study):
        papers, measured = study({"full": 0.0})
        assert differences.table(papers[2], measured) is None

    def test_a_control_under_the_label_of_another_row_is_refused(self, papers):
        with pytest.raises(UsageError, match=r"tables\.2\.controls: 'OLC \(K=512\)' is the label of another row"):
            Paper(2, "t", papers[2].printed, papers[2].variants, {"OLC (K=512)": "full"})
