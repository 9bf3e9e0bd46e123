"""Tables and sentences about what HDR images draw on; sentences follow the numbers in every case."""

import copy
import csv
import io

import numpy as np
import pandas as pd
import pytest

from bench.metrics.combination import by_zone
from bench.metrics.zones import ZoneRule
from bench.report.codebooks import figures, tables
from bench.report.codebooks.figures import (
    kinds_figure,
    observed,
    observed_curves,
    overlap_figure,
    quantised_after,
    zones_figure,
)
from bench.report.codebooks.findings import lowest_seed, sentences
from bench.report.codebooks.section import section
from bench.report.figures.style import KIND_COLOURS
from bench.report.table.writers import to_csv, to_latex, to_markdown
from tests.report.conftest import two_codebooks
from tests.shared import coarse

pytestmark = pytest.mark.usefixtures("coarse")

OBSERVED = {"step": [1, 2, 3], "total": [1.0, 0.5, 0.2], "held_out_used_H": [None, 0.5, 0.75]}
"""A codebook's learning curve with measurements on held-out images from the second row on."""


def records(table):
    return list(csv.DictReader(io.StringIO(to_csv(table))))


@pytest.fixture
def reports(codebooks):
    return [copy.deepcopy(dict(codebook.report)) for codebook in codebooks]


@pytest.fixture
def olc(reports):
    return reports[1]


def change(report, seed, **facts):
    """The same codebook of another seed, with other facts about its zones."""
    name = f"{report['codebook'].rpartition('--')[0]}--s{seed}"
    return copy.deepcopy(report) | {"codebook": name, "seed": seed, "zones": report["zones"] | facts}


class TestTables:
    @pytest.fixture
    def made(self, reports):
        return {table.name: table for table in tables.claim(reports, "tiny")}

    def test_every_table_is_written_in_every_form(self, made):
        assert list(made) == ["codebooks_claim", "codebooks_zones", "codebooks_sharers", "codebooks_overlap"]
        for table in made.values():
            assert to_markdown(table).startswith(f"**{table.title}**")
            assert "tabular" in to_latex(table)
            assert "2 images, 144 vectors" in table.caption

    def test_pairs_of_kinds(self, made, olc):
        rows = [row for row in records(made["codebooks_overlap"]) if row["segments"] == "olc"]
        assert [(row["first"], row["second"]) for row in rows][:3] == [("L1", "L2"), ("L1", "L3"), ("L1", "H")]
        assert float(rows[0]["jaccard"]) == pytest.approx(olc["overlap"]["jaccard"][0][1], abs=1e-5)
        assert float(rows[1]["jaccard"]) == float(rows[1]["shared"]) == float(rows[1]["same"]) == 0

    def test_zones_and_the_row_without_them(self, made, olc):
        rows = {row["zone"]: row for row in records(made["codebooks_zones"]) if row["segments"] == "olc"}
        assert list(rows) == ["shadows", "mid", "saturated", "mixed", "all but mixed"]
        assert sum(int(row["n_vectors"]) for zone, row in rows.items() if zone != "all but mixed") == 144
        assert float(rows["all but mixed"]["hits_q1"]) == pytest.approx(olc["zones"]["expected"][0], abs=1e-5)
        for row in rows.values():
            # Five digits each, four of them.
            assert sum(float(row[f"hits_q{i}"]) for i in range(1, 5)) == pytest.approx(1, abs=4e-5)

    def test_sharers_sum_to_one(self, made):
        keys = list(tables.SHARERS.values())
        assert keys[0] == "codes_none"
        assert keys[-1] == "codes_l1_l2_l3"
        for row in records(made["codebooks_sharers"]):
            assert sum(float(row[key]) for key in keys) == pytest.approx(1, abs=8e-5)  # as above, eight of them
            assert (row["same_l1"] == "") == (row["of"] == "codes of the codebook")

    def test_the_claim_s_row_holds_what_was_measured(self, made, olc):
        (row,) = (row for row in records(made["codebooks_claim"]) if row["segments"] == "olc")
        half = olc["zones"]["zones"]["saturated"]["half"]
        assert float(row["saturated_half"]) == pytest.approx(half["share"], abs=1e-5)
        assert float(row["saturated_high"]) == pytest.approx(half["shifted"]["high"], abs=1e-5)
        assert float(row["information"]) == pytest.approx(olc["zones"]["information"], abs=1e-6)

    def test_the_claim_s_heads_say_what_each_column_is(self, made):
        head = next(line for line in to_markdown(made["codebooks_claim"]).splitlines() if line.startswith("| codebook"))
        found = [cell.strip() for cell in head.split(r" | ")]
        shares = [f"used by no frame: share of {what}" for what in ("HDR vectors", "codes")]
        assert found[3:7] == [*shares, "bits", "bits by chance (95 %)"]
        saturated = "saturated, in Q1+Q2:"
        parts = ("share", "by chance, low", "by chance, high")
        assert found[8:11] == [f"{saturated} {part}" for part in parts]
        for told in ("Used by no frame:", "By chance:", "Bits:"):
            assert told in made["codebooks_claim"].caption

    def test_a_zone_without_cells_has_dashes_with_a_reason(self, olc):
        olc["zones"]["zones"]["shadows"] = {"vectors": 0}
        made = {table.name: records(table) for table in tables.claim([olc], "tiny")}
        (row,) = (row for row in made["codebooks_zones"] if row["zone"] == "shadows")
        assert (row["hits_q1"], row["n_vectors"]) == ("", "0")
        assert "no cell of this zone" in row["note"]
        assert made["codebooks_claim"][0]["shadows_half"] == ""

    def test_older_inspections_give_no_tables(self):
        assert tables.claim([{"codebook": "c"}], "tiny") == []

    def test_captions_state_the_zones_rule(self, made):
        for name in ("codebooks_claim", "codebooks_zones", "codebooks_sharers"):
            assert "at least 0.95 of full scale (242 of 255" in made[name].caption
            assert "below 0.1 (26 of 255)" in made[name].caption
            assert "if 75% of its pixels" in made[name].caption

    def test_quantisation_error_of_an_unused_quarter_is_a_dash(self, olc):
        rows = {row["image_kind"]: row for row in records(tables.codebooks([olc], "tiny"))}
        assert rows["L1"]["error_q4"] == ""
        assert "error_q3 error_q4: no vector chose this quarter" in rows["L1"]["note"]
        assert float(rows["H"]["error_q4"]) == pytest.approx(olc["kinds"]["H"]["quarters_error"][3], abs=1e-6)


class TestSentences:
    def half(self, report, zone, share):
        report["zones"]["zones"][zone]["half"] |= {"share": share, "shifted": {"low": 0.4, "mean": 0.5, "high": 0.6}}
        return sentences([report])[0]

    @pytest.mark.parametrize(
        ("share", "verdict"),
        [(0.61, "more than chance"), (0.6, "not distinguishable from chance"), (0.39, "less than chance")],
    )
    def test_zones(self, reports, share, verdict):
        for report in reports:
            n = report["zones"]["zones"]["saturated"]["vectors"]
            told = self.half(report, "saturated", share)
            assert f"In saturated cells ({n} vectors) {share:.1%} chose Q1, Q2, the half" in told
            assert f"40.0% to 60.0%: {verdict}. In mid-tone" in told

    @pytest.mark.parametrize("alone", [0.0, 0.04, 0.05, 0.5])
    def test_codes_that_no_frame_uses(self, olc, alone):
        olc["zones"]["sharers"]["mass"]["none"] = alone
        told = sentences([olc])[0]
        assert f"{1 - alone:.1%} of their vectors chose codes that LDR frames of the same images use too, " in told
        assert f" too, {alone:.1%} codes that no frame uses, which are " in told

    @pytest.mark.parametrize(("bits", "words"), [(0.3, "more than chance"), (0.1, "not distinguishable from chance")])
    def test_association(self, olc, bits, words):
        olc["zones"] |= {"information": bits, "information_shifted": {"mean": 0.1, "high": 0.2}, "cramers_v": 0.25}
        told = f"share {bits:.3f} bits (Cramér's V 0.25); 95 % of shifts stay below 0.200: {words}."
        assert told in sentences([olc])[0]

    def test_empty_zones(self, olc):
        olc["zones"]["zones"] |= {"shadows": {"vectors": 0}, "saturated": {"vectors": 0}}
        told = sentences([olc])[0]
        assert "There are no shadow cells." in told
        assert "There are no saturated cells." in told
        assert "nothing can be said about zones and quarters" in told

    @pytest.mark.parametrize(
        ("bits", "words"), [(0.3, "0.300 against 0.200, higher"), (0.1, "lower"), (0.2001, "equal")]
    )
    def test_segments_against_none(self, reports, bits, words):
        vanilla, olc = (
            change(report, 0, information=value) for report, value in zip(reports, (0.2, bits), strict=True)
        )
        told = sentences([vanilla, olc])[-1]
        assert told.startswith("olc-32--panoramas against its vanilla counterpart")
        assert "n = 1 seed, no spread" in told
        assert words in told.split(";")[0]

    def test_several_seeds_count_their_agreement(self, reports):
        values = {0: (0.2, 0.3), 1: (0.2, 0.1), 2: (0.2, 0.5)}
        found = [
            change(report, seed, information=bits)
            for seed, pair in values.items()
            for report, bits in zip(reports, pair, strict=True)
        ]
        *_, told, rest = sentences(found)
        assert "means of n = 3 seeds" in told
        assert "0.300 against 0.200, higher (higher in 2 of 3 seeds)" in told
        assert rest == "Figures of codebooks show the lowest seed of each."
        assert [report["seed"] for report in lowest_seed(found)] == [0, 0]

    def test_seeds_of_a_codebook_are_summed_up_together(self, olc):
        def zones(report, share, bits, alone):
            half = {"frame": "L1", "share": share, "shifted": {"low": 0.4, "mean": 0.5, "high": 0.6}}
            empty = {"shadows": {"vectors": 0}}
            saturated = {"saturated": report["zones"]["zones"]["saturated"] | {"half": half}}
            return {
                "zones": report["zones"]["zones"] | saturated | empty,
                "information": bits,
                "information_shifted": {"mean": 0.1, "high": 0.2},
                "cramers_v": 0.25,
                "sharers": {"mass": {"none": alone}, "codes": {"none": 0.5}},
            }

        planted = [(0.7, 0.3, 0.1), (0.5, 0.1, 0.2), (0.3, 0.3, 0.6)]
        found = [change(olc, seed, **zones(olc, *facts)) for seed, facts in enumerate(planted)]
        told = sentences(found)[0]
        assert told.startswith("olc-32--panoramas (olc, n = 3 seeds, 144 vectors of 2 images each): HDR images use ")
        assert "70.0% (40.0% to 90.0%) of their vectors chose codes that LDR frames" in told
        assert "50.0% (30.0% to 70.0%) chose Q1, Q2, the half that an overlapped codebook gives L1; zone maps" in told
        assert "40.0% to 60.0%: more than chance in 1 and less in 1 of 3 seeds. In mid-tone" in told
        assert "There are no shadow cells. Zone and quarter share 0.233 (0.100 to 0.300) bits" in told
        assert told.endswith("95 % of shifts stay below 0.200: more than chance in 2 of 3 seeds.")

    def test_a_codebook_without_counterpart_is_compared_with_none(self, reports):
        vanilla, olc = reports
        assert len(sentences([olc])) == 1
        assert len(sentences([vanilla | {"codes": 16}, olc])) == 2
        assert sentences([]) == []


class TestFigures:
    @pytest.mark.parametrize("draw", [overlap_figure, kinds_figure, zones_figure])
    def test_equal_codebooks_give_equal_bytes(self, draw, codebooks):
        made = draw(codebooks)
        assert draw(codebooks) == made
        assert draw(codebooks[::-1]) != made

    def test_zones_without_cells_are_drawn(self, codebooks):
        empty = by_zone([np.full((2, 2), -1)], {"L1": [np.zeros((2, 2), int)], "H": [np.zeros((2, 2), int)]}, 4, 0)
        codebooks[0].report["zones"] = empty
        assert zones_figure(codebooks[:1]).startswith(b"\x89PNG")


@pytest.fixture
def curve():
    return pd.DataFrame(OBSERVED)


@pytest.fixture
def late(curve):
    """A curve whose run began to quantise after step 2."""
    return curve.assign(codebook=[None, None, 0.1], held_out_used_H=[0.25, 0.5, 0.75])


@pytest.fixture(scope="module")
def drawn():
    """The codebooks' section without learning curves and, undrawn, with one: seconds that several tests look at."""
    codebooks, curve = two_codebooks(), pd.DataFrame(OBSERVED)
    with pytest.MonkeyPatch.context() as patch:
        coarse(patch)
        bare = section("tiny", codebooks, [], {})
        patch.setattr(figures, "png", lambda figure: b"undrawn")
        return {"bare": bare, "observed": section("tiny", codebooks, [], {codebooks[0].name: curve})}


@pytest.fixture
def undrawn(drawn, monkeypatch):
    """Leave plots undrawn: what is asked of the section is in its captions. `drawn` is made before."""
    monkeypatch.setattr(figures, "png", lambda figure: b"undrawn")


class TestOverTraining:
    def test_quantisation_begins_before_the_first_codebook_term(self, curve, late):
        assert quantised_after(late) == 2
        assert quantised_after(curve) is None
        assert quantised_after(curve.assign(codebook=0.1)) is None
        assert quantised_after(curve.assign(codebook=None)) is None

    def test_what_was_measured_before_is_grey_behind_a_dashed_line(self, late, monkeypatch):
        monkeypatch.setattr(figures, "png", lambda figure: figure)
        figure = observed_curves({"a": late})
        used = {tuple(line.get_xdata()): line.get_color() for line in figure.axes[0].lines}
        assert used[1, 2] == figures.EARLY
        assert used[3,] == KIND_COLOURS["H"]
        assert (2, 2) in used
        assert [text.get_text() for text in figure.legends[0].get_texts()][-1] == "quantisation begins"

    def test_a_run_that_always_quantised_has_neither(self, curve, monkeypatch):
        monkeypatch.setattr(figures, "png", lambda figure: figure)
        figure = observed_curves({"a": curve})
        assert figures.EARLY not in {line.get_color() for line in figure.axes[0].lines if len(line.get_xdata())}
        assert len(figure.legends[0].get_texts()) == 4

    @pytest.mark.usefixtures("undrawn")
    def test_the_caption_tells_it_where_it_is_so(self, drawn, codebooks, late):
        after = section("tiny", codebooks, [], {codebooks[0].name: late})
        captions = [one.figures[-1].caption for one in (drawn["observed"], after)]
        assert ["Dashed line" in caption for caption in captions] == [False, True]


class TestSection:
    @pytest.mark.usefixtures("undrawn")
    def test_curves_over_training_appear_where_they_were_measured(self, drawn, codebooks, curve):
        plain = section("tiny", codebooks, [], {codebook.name: curve[["step", "total"]] for codebook in codebooks})
        assert "observed_codebooks" not in {figure.name for figure in plain.figures}
        assert drawn["observed"].figures[-1].name == "observed_codebooks"
        assert observed(curve)
        assert not observed(curve[["step", "total"]])

    def test_gaps_between_measurements_are_passed_over(self, curve):
        assert observed_curves({"a": curve}) == observed_curves({"a": curve.dropna()})

    def test_figures_of_equal_codebooks(self, drawn):
        names = [figure.name for figure in drawn["bare"].figures]
        assert names == ["fig7_k32", "atlas_k32", "kinds_k32", "overlap_k32", "zones_k32"]

    def test_other_seeds_enter_the_means_of_tables_alone(self, drawn, codebooks):
        other = [codebook for codebook in codebooks if codebook.segments == "olc"]
        report = change(dict(other[0].report), 1)
        more = [*codebooks, other[0].__class__(**{**other[0].__dict__, "name": report["codebook"], "report": report})]
        made = section("tiny", more, [], {})
        assert made.figures[0].picture == drawn["bare"].figures[0].picture
        table = made.tables[0]
        assert [row.cells["seeds"] for row in table.rows] == [1] * 4 + [2] * 4
        assert len({row["codebook"] for row in records(table)}) == 3, "the CSV holds each seed"

    def test_nothing_inspected(self):
        made = section("tiny", [], [], {}, ["why"])
        assert not made.tables
        assert not made.figures
        assert made.missing == ["why"]


def test_the_rule_is_told_in_code_values():
    text = tables.rule([{"zones": {"rule": ZoneRule(dark=0.2)._asdict()}}])
    assert "below 0.2 (51 of 255)" in text
