import math
import re
from dataclasses import replace

import pytest

from bench.core.errors import BenchError
from bench.report.codebooks import tables
from bench.report.results.caption import of_codebooks
from bench.report.results.inputs import Paper
from bench.report.scores import masks, names, scored
from bench.report.table.kinds import KINDS
from bench.report.table.table import Column, Row, Table, rank
from bench.report.table.view import page_view, view
from bench.report.table.writers import tex, to_csv, to_latex, to_markdown
from tests.report.conftest import parameters, records

SCORES = ["psnr_mu", "psnr_l", "psnr_pu", "ssim_mu", "ssim_l", "ssim_pu", "hdrvdp2"]
SIZES = ["macs_256_g", "macs_full_g", "published_params_m", "published_macs_256_g", "published_macs_full_g"]
INSIDE = ["psnr_mu_saturated", "psnr_mu_moving"]
CONTRACT = [
    "dataset", "method", "kind", "params_m", *SCORES, *INSIDE, "psnr_mu_gain", "psnr_mu_difference",
    *(f"paper_{name}" for name in SCORES), "scenes", "seeds", "protocol", "note",
]  # fmt: skip


@pytest.mark.parametrize("number", [1, 2, 3])
def test_csv_contract(number, papers, measured):
    rows = records(scored.table(papers[number], measured()))
    size = CONTRACT.index("params_m") + 1
    named = [*CONTRACT[:2], "variant", *CONTRACT[2:]]
    expected = [*CONTRACT[:size], *SIZES, *CONTRACT[size:]] if number == 1 else named
    assert list(rows[0]) == expected
    assert {row["kind"] for row in rows} <= KINDS.keys()


@pytest.mark.parametrize("number", [1, 2, 3])
def test_areas_are_columns_where_the_rows_hold_their_scores(number, papers, measured, rows):
    """The invented profile has saturated and moving areas; an engine knows what is uncovered, other sets nothing."""
    plain = scored.table(papers[number], measured([row for row in rows if "@" not in row.metric]))
    assert not {column.key for column in plain.columns} & {*INSIDE, "psnr_mu_uncovered"}
    assert "Inside areas" not in plain.caption
    known = [row._replace(metric="psnr-mu@uncovered", value=row.value - 5) for row in rows if row.metric == "psnr-mu"]
    table = scored.table(papers[number], measured([*rows, *known]))
    assert [column.key for column in table.columns if column.key in (*INSIDE, "psnr_mu_uncovered")] == [
        *INSIDE, "psnr_mu_uncovered"
    ]  # fmt: skip
    row = next(row for row in records(table) if row["method"] in ("Proposed", "OLC (K=1024)", *papers[3].own)
               and row["psnr_mu"] == "34.2000")  # fmt: skip
    assert [row[key] for key in (*INSIDE, "psnr_mu_uncovered")] == ["28.2000", "30.2000", "29.2000"]
    shown = view(table)
    heads = {panel.heading: [column.head for column in panel.columns] for panel in shown.panels}
    assert {"PSNR-μ saturated", "PSNR-μ moving", "PSNR-μ uncovered"} <= set(heads["Measured here on panoramas"])
    assert "another frame doesn't show what the reference shows (uncovered)" in table.caption
    assert "uncovered" not in scored.table(papers[number], measured()).caption


def test_an_area_that_one_data_set_lacks_goes_from_its_panel(papers, measured, rows):
    known = [row._replace(metric="psnr-mu@uncovered") for row in rows if row.metric == "psnr-mu"]
    other = [row._replace(dataset="kalantari", trainset=row.trainset and "kalantari") for row in rows]
    sets = {"datasets": {"panoramas": {}, "kalantari": {}}, "evaluate": ["panoramas", "kalantari"]}
    table = scored.table(papers[1], measured([*rows, *known, *other], **sets))
    heads = {panel.heading: [column.head for column in panel.columns] for panel in view(table).panels}
    assert "PSNR-μ uncovered" in heads["Measured here on panoramas"]
    assert "PSNR-μ uncovered" not in heads["Measured here on kalantari"]
    assert "PSNR-μ moving" in heads["Measured here on kalantari"]
    row = next(row for row in records(table) if (row["dataset"], row["method"]) == ("kalantari", "Proposed"))
    assert "psnr_mu_uncovered: no scene has such an area, or it wasn't scored" in row["note"]


def test_table_1_says_how_published_scores_were_chosen(papers, measured):
    text = to_markdown(scored.table(papers[1], measured()))
    for part in (
        "Published scores of AFUNet, CA-ViT, SCTNet are of the best epoch on the test set, ours of the last step",
        "43.6 dB PSNR-μ for CA-ViT's 44.2 to 44.3", "about 43.8 dB PSNR-μ for ADNet's 44.37",
        "43.82 / 41.52 dB PSNR-μ / PSNR-l for SCTNet's 44.4 to 44.5 / 42.3",
    ):  # fmt: skip
        assert part in text
    assert "best epoch" not in scored.table(papers[3], measured()).caption


@pytest.mark.parametrize("number", [1, 2, 3])
def test_every_empty_cell_has_its_reason(number, papers, measured):
    for row in records(scored.table(papers[number], measured())):
        explained = {word for part in row["note"].split("; ") for word in part.split(":")[0].split()}
        assert {name for name, value in row.items() if value == "" and name != "note"} <= explained


def test_kinds_of_table_1(papers, measured):
    rows = records(scored.table(papers[1], measured()))
    kinds = {(row["dataset"], row["method"]): row["kind"] for row in rows}
    assert [row["method"] for row in rows][:3] == ["reference-only", "triangle-merge", "Sen"]
    assert kinds["panoramas", "triangle-merge"] == "floor"
    assert kinds["panoramas", "AHDRNet"] == kinds["panoramas", "Proposed"] == "measured"
    assert kinds["panoramas", "CA-ViT"] == "pending"
    assert kinds["panoramas", "HyHDRNet"] == kinds["hu", "HyHDRNet"] == "published"
    assert ("hu", "reference-only") not in kinds
    assert not any(dataset == "kalantari" for dataset, _ in kinds)


def test_paper_values_stand_apart_from_ours(papers, measured):
    table = scored.table(papers[1], measured())
    row = next(r for r in records(table) if (r["dataset"], r["method"]) == ("panoramas", "AHDRNet"))
    assert (row["psnr_mu"], row["paper_psnr_mu"]) == ("33.1000", "43.70")
    assert "other data, not comparable" in row["note"]
    assert "paper on Kalantari (other data, not comparable)" in to_markdown(table)
    assert "paper on Kalantari (other data, not comparable)" in to_latex(table)


def test_measuring_on_the_papers_own_data_makes_no_such_warning(papers, measured, rows):
    mapped = [row._replace(dataset="kalantari", trainset=row.trainset and "kalantari") for row in rows]
    sets = {"datasets": {"panoramas": {}, "kalantari": {}}, "evaluate": ["kalantari"]}
    table = scored.table(papers[1], measured(mapped, **sets, train={"kalantari": [0]}))
    found = {row["method"]: row for row in records(table) if row["dataset"] == "kalantari"}
    assert found["Proposed"]["kind"] == "measured"
    assert not any("not comparable" in row["note"] for row in found.values())


def test_an_added_method_gets_a_row_of_its_own(papers, measured):
    paper = papers[1]
    added = Paper(1, paper.title, paper.printed, {**paper.variants, "My net": "baseline"})
    row = next(r for r in records(scored.table(added, measured())) if r["method"] == "My net")
    assert (row["dataset"], row["kind"], row["psnr_mu"]) == ("panoramas", "measured", "32.9000")
    assert "paper_hdrvdp2: no such row in the paper" in row["note"]


def test_a_method_without_training_says_what_it_ran_as(papers, measured):
    def note(**variant):
        found = measured(variants={**parameters().model_dump()["variants"], "triangle-merge": variant})
        return next(row for row in records(scored.table(papers[1], found)) if row["method"] == "triangle-merge")["note"]

    made = note(method="sen2012", preset="normal", options={"max_side": 512})
    assert "Sen (re-implementation): preset normal, max_side 512" in made
    assert "preset" not in note(method="triangle-merge", preset="none"), "it has neither presets nor options"
    assert "thresholds were chosen among seven pairs on training views" in note(method="flow-merge", preset="none")


def test_suspected_copy_errors_are_marked_and_shown_as_printed(papers, measured):
    rows = records(scored.table(papers[1], measured()))
    sen = next(row for row in rows if (row["dataset"], row["method"]) == ("hu", "Sen"))
    assert sen["paper_hdrvdp2"] == "59.38"
    assert "paper_ssim_pu paper_hdrvdp2: suspected copy error" in sen["note"]


def test_table_2_names_variant_and_size_of_codebook(papers, measured):
    rows = {row["method"]: row for row in records(scored.table(papers[2], measured()))}
    assert rows["OLC (K=1024)"]["variant"] == "full"
    assert "K = 32, in the place of the paper's 1024" in rows["OLC (K=1024)"]["note"]


def test_people_read_the_true_number_of_codes_and_the_papers_word_for_fsm(papers, measured):
    made = measured()
    known = names.names(made)
    assert known == {
        "Vanilla (K=512)": "Vanilla (K=32)", "OLC (K=512)": "OLC (K=32)", "Vanilla (K=1024)": "Vanilla (K=32)",
        "OLC (K=1024)": "OLC (K=32)", "7. + PA + FMU + D_VQ + RF": "7. + PA + FSM + D_VQ + RF",
    }  # fmt: skip
    second, third = (names.told(scored.table(papers[number], made), made, known) for number in (2, 3))
    text = to_markdown(second)
    assert "OLC (K = 32, in the place of the paper's 1024)" in text and "OLC (K=1024)" not in text
    assert {row["method"] for row in records(second)} == set(papers[2].own), "the CSV keeps the labels"
    assert "7. + PA + FSM + D\\_VQ + RF <sup>" in to_markdown(third)
    assert "the paper's table prints FMU" in to_markdown(third) and "FMU" not in to_csv(third).partition("note")[0]
    assert made.label("vanilla-32") == "Vanilla (K=32) · vanilla-32"


def test_equal_columns_of_a_group_share_one():
    columns = (Column("m", "m"), *(Column(name, name, "g", 1) for name in "abc"))
    rows = (Row("p", {"m": "x", "a": 1.0, "b": 2.0, "c": 1.04}), Row("p", {"m": "y", "a": 3.0, "b": 3.0, "c": 3.0}))
    apart, together = (view(Table("t", "t", "t", columns, rows, shared=group)).panels[0] for group in ("", "g"))
    assert [column.head for column in apart.columns] == ["m", "a", "b", "c"]
    assert [column.head for column in together.columns] == ["m", "a = c", "b"]
    assert [[cell.text for cell in line.cells] for line in together.lines] == [["x", "1.0", "2.0"], ["y", "3.0", "3.0"]]
    assert together.groups[-1].span == 2


def test_the_page_shows_what_a_table_names_first_and_hides_what_is_more():
    columns = (
        Column("data", "data", shown=False), Column("m", "m"), Column("kind", "kind"), Column("s", "size", more=True),
        Column("a", "a", "g", 1), Column("b", "b", "g", 1),
    )  # fmt: skip
    row = Row("p", {"m": "x", "kind": "floor", "a": 1.0, "b": 2.0, "data": "d", "s": "small"})
    (panel,) = page_view(Table("t", "t", "One. Two.", columns, (row,), first=("b",))).panels
    assert [column.key for column in panel.columns] == ["m", "b", "a", "s"]
    assert panel.switched and panel.lines[0].kind == "floor"
    assert Table("t", "t", "One (v. 2.2). Two.", columns, (row,)).gist == "One (v. 2.2)."


def test_best_and_second_among_measured_learned_rows_only(papers, measured, rows):
    # A floor above all networks must not be marked, nor take a mark away.
    raised = [row._replace(value=99.0) if row.variant == "reference-only" else row for row in rows]
    table = scored.table(papers[1], measured(raised))
    marks = {row.cells["method"]: row.marks.get("psnr_mu") for row in table.rows if row.panel == "panoramas"}
    assert {name: mark for name, mark in marks.items() if mark} == {"Proposed": "best", "AHDRNet": "second"}
    text, latex = to_markdown(table), to_latex(table)
    assert "**34.20**" in text
    assert "<u>33.10</u>" in text
    assert r"\textbf{34.20}" in latex
    assert r"\underline{33.10}" in latex
    assert not re.search(r"\*\*4\d\.\d\d\*\*", text)


def test_rank_ties_share_a_mark_and_unequal_protocols_stay_apart():
    column = Column("x", "x", digits=1, better="higher")
    made = [
        Row("p", {"x": x, "protocol": p}, ranked=True) for x, p in ((1.01, "a"), (0.99, "a"), (0.5, "a"), (9.0, "b"))
    ]
    assert [row.marks.get("x") for row in rank(made, [column], ["protocol"])] == ["best", "best", "second", None]


def test_mixed_protocols_are_refused(papers, measured, rows):
    mixed = [row._replace(protocol="sctnet@1") if row.variant == "ahdrnet" else row for row in rows]
    with pytest.raises(BenchError, match="can't stand in one table"):
        scored.table(papers[1], measured(mixed))


def test_caption_says_under_what_the_numbers_were_made(papers, measured):
    caption = scored.table(papers[1], measured()).caption
    for part in (
        "Profile tiny", "panoramas", "2 test scenes of 2 places", "n = 1, no spread", "whole-float@1", "mu-residual",
        "random-vgg16 (seeded)", "60 steps at batch 4", "40 steps at batch 4", "narrow",
    ):  # fmt: skip
        assert part in caption


def test_spread_is_shown_for_several_seeds(papers, measured, rows):
    more = [*rows, *(row._replace(seed=1, value=row.value + 1) for row in rows if row.variant == "full")]
    table = scored.table(papers[1], measured(more))
    # Drawing two of the seeds (0, +1) and two of the places (-1, +1): variance 1/8 + 1/2. 2000 draws hit it to 3 %.
    error = re.search(r"34\.70 ± (\d\.\d\d)", to_markdown(table))[1]
    assert float(error) == pytest.approx(math.sqrt(5 / 8), rel=0.03, abs=0.005)
    assert rf"34.70 $\pm$ {error}" in to_latex(table)
    assert "standard error over seeds and scenes" in table.caption
    assert "2000 bootstrap means, for each of which seeds, then places, then the views" in table.caption
    assert "33.10 ±" not in to_markdown(table)


def test_nothing_measured_leaves_the_printed_blocks(papers, measured):
    made = measured([])
    rows = records(scored.table(papers[1], made))
    assert {row["dataset"] for row in rows} == {"kalantari", "hu"}
    assert {row["kind"] for row in rows} == {"pending", "published"}


def test_masks_table_marks_controls_and_ranks_them_not(study):
    _, measured = study({"vanilla-32": 0.0, "full": 1.0, "full-r": 5.0})
    cards = {run: {"variant": entry.variant} for run, entry in measured.params.runs.items()}
    found = masks.table(replace(measured, cards=cards))
    kinds = {row.cells["variant"]: (row.cells["kind"], row.marks.get("psnr_mu", "")) for row in found.rows}
    assert kinds == {"full": ("measured", "best"), "vanilla-32": ("measured", "second"), "full-r": ("control", "")}
    assert found.rows[-1].cells["variant"] == "full-r"
    assert [measured.kind(name) for name in ("full", "full-r")] == ["measured", "control"]
    assert "Control rows are ours" in found.caption


def test_captions_of_codebooks_say_under_what_they_were_made():
    params = parameters()
    text = of_codebooks(params, {}, ["courtyard", "sunset"])
    assert text == (
        "Profile tiny, perceptual backbone random-vgg16, codebooks 40 steps at batch 4, codes from U(-1/K, 1/K), "
        "held-out scenes of 2 places"
    )
    assert "perceptual backbone vgg16 (file)," in of_codebooks(params, {"a": {"perceptual": "vgg16 (file)"}}, [])
    for table in (tables.codebooks([], text), tables.parts([], text)):
        assert table.caption.startswith(text)


def test_masks_table(measured):
    table = masks.table(measured())
    row = next(r for r in records(table) if r["variant"] == "full")
    assert (row["psnr_mu"], row["psnr_mu_saturated"]) == ("34.2000", "28.2000")
    assert (row["scenes"], row["scenes_moving"]) == ("2", "1")
    assert "scenes_uncovered psnr_mu_uncovered psnr_l_moving psnr_l_uncovered: no scene" in row["note"]
    assert row["scenes_uncovered"] == ""
    heads = [column.head for panel in view(table).panels for column in panel.columns]
    assert "moving" in heads and "uncovered" not in heads


def test_masks_table_shows_what_is_uncovered_where_a_set_tells_it(measured, rows):
    known = [
        row._replace(metric=f"{row.metric}@uncovered", value=math.nan if row.scene == "sunset-00" else 20.0)
        for row in rows
        if row.metric in ("psnr-mu", "psnr-l")
    ]
    table = masks.table(measured([*rows, *known]))
    row = next(r for r in records(table) if r["variant"] == "full")
    assert (row["psnr_mu_uncovered"], row["psnr_l_uncovered"], row["scenes_uncovered"]) == ("20.0000", "20.0000", "1")
    heads = [column.head for panel in view(table).panels for column in panel.columns]
    assert heads.count("uncovered") == 3
    assert "another frame doesn't show what the reference shows there" in table.caption


def test_inspection_tables_survive_missing_values():
    kinds = {"H": {"used": 0.5, "quarters": [0.25] * 4}}
    report = {"codebook": "c", "segments": "olc", "codes": 8, "images": 1, "vectors": 4, "kinds": kinds}
    (row,) = records(tables.codebooks([report], "tiny"))
    assert (row["used"], row["perplexity"], row["hits_q4"]) == ("0.50000", "", "0.25000")
    assert "not reported" in row["note"]
    (row,) = records(tables.parts([{"run": "r", "codes": 8}], "tiny"))
    assert row["psnr_mu"] == ""


def test_an_empty_cell_without_a_reason_is_refused():
    with pytest.raises(BenchError, match="without a reason"):
        Table("t", "t", "t", (Column("x", "x"),), (Row("p", {"x": None}),))


def test_markdown_escapes_pipes_and_latex_its_specials():
    table = Table("t", "a|b", "50 % of x_1", (Column("x", "x|y"),), (Row("p", {"x": "A|B_{c}&d"}),))
    line = next(line for line in to_markdown(table).splitlines() if "A" in line)
    assert len(re.findall(r"(?<!\\)\|", line)) == 2
    assert r"A\textbar{}B\_\{c\}\&d" in to_latex(table)
    assert tex("μ ± 5%") == r"$\mu$ $\pm$ 5\%"
    assert tex("in `mu-residual`, `a_b`") == r"in \texttt{mu-residual}, \texttt{a\_b}"


@pytest.mark.parametrize("number", [1, 2, 3])
def test_latex_is_balanced(number, papers, measured):
    text = to_latex(scored.table(papers[number], measured()))
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")
    for block in re.findall(r"\\begin\{tabular\}\{(.*?)\}(.*?)\\end\{tabular\}", text, re.DOTALL):
        body = block[1].split(r"\midrule")[1]
        for line in body.split(r"\\")[:-1]:
            assert len(re.findall(r"(?<!\\)&", line)) == len(block[0]) - 1


def test_dashes_carry_letters_of_their_reasons(papers, measured):
    shown = view(scored.table(papers[1], measured()))
    letters = {letter for letter, _ in shown.footnotes}
    for panel in shown.panels:
        for line in panel.lines:
            used = {letter for cell in line.cells for letter in cell.letters.split(",") if letter}
            assert used <= letters
            if any(cell.text == "\u2013" for cell in line.cells):
                assert used


def test_the_page_says_of_the_papers_numbers_what_others_print(papers, measured):
    """On demand, and of Table 1 alone: files hold the paper's numbers as they are."""
    table = scored.table(papers[1], measured())
    shown = page_view(table)
    said = {
        (line.cells[0].text, column.key): cell.reason
        for panel in shown.panels[:1]  # beside what is measured stands the first block, Kalantari's
        for line in panel.lines
        for column, cell in zip(panel.columns, line.cells, strict=True)
        if column.group == "paper" and cell.text != "\u2013"
    }
    assert "8 sources print 62.30 to 67.50 (4 different values)" in said["AHDRNet", "paper_hdrvdp2"]
    assert said["Proposed", "paper_hdrvdp2"] == ""
    assert "Point at a number of the paper" in table.caption and "sources print" not in to_csv(table)
    assert "sources print" not in to_markdown(table)
    assert not any(row.hints for row in scored.table(papers[2], measured()).rows)
