import csv
import io
import itertools
import math
import re

import pandas as pd
import pytest

from bench.io.tables import ScoreRow
from bench.report.protocols import figure as drawing
from bench.report.protocols import protocols
from bench.report.protocols.figure import (
    MOVERS,
    PROPOSED,
    ChartColumn,
    chart_columns,
    charted,
    colours,
    dots,
    movers,
    note,
    path_of,
    protocol_figure,
    shifts,
)
from bench.report.protocols.ranking import SHARED, RankedValue, by_protocol, grids
from bench.report.table.view import view
from bench.report.table.writers import to_csv, to_latex, to_markdown

OWN = "whole-float@1"
FLOORED = ("reference-only", "triangle-merge")


@pytest.fixture
def compared(rows):
    """The invented profile under three more protocols: an equal one, one that reverses, one with another metric."""

    def make(change=lambda row: row):
        whole = [row for row in rows if "@" not in row.metric]
        more = [
            *(row._replace(protocol="equal@1") for row in whole),
            *(row._replace(protocol="turned@2", value=70 - row.value) for row in whole if row.metric == "psnr-mu"),
            *(row._replace(protocol="tanh_1@1", metric="psnr-mu-tanh") for row in whole if row.metric == "psnr-mu"),
            *(row._replace(protocol="tanh_2@1", metric="psnr-mu-tanh") for row in whole if row.metric == "psnr-mu"),
        ]
        scores = pd.DataFrame([change(row) for row in [*rows, *more]], columns=list(ScoreRow._fields))
        results = by_protocol(scores)
        return grids(results, OWN, "panoramas"), results

    return make


def records(table):
    return list(csv.DictReader(io.StringIO(to_csv(table))))


def test_csv_is_tidy_with_value_rank_and_change_in_columns_of_their_own(compared, measured):
    found = records(protocols.table(*compared(), measured()))
    assert list(found[0]) == [
        "dataset", "metric", "method", "variant", "kind", "protocol", "value", "rank", "rank_change", "change_against",
        "scenes", "seeds", "note",
    ]  # fmt: skip
    keyed = {(row["metric"], row["protocol"], row["variant"]): row for row in found}
    assert len(keyed) == len(found)
    best, worst = keyed["psnr-mu", "turned@2", "triangle-merge"], keyed["psnr-mu", "turned@2", "full"]
    assert (best["value"], best["rank"], best["rank_change"], best["kind"]) == ("43.200000", "1", "7", "floor")
    assert (worst["value"], worst["rank"], worst["rank_change"], worst["kind"]) == ("35.800000", "8", "-7", "measured")
    assert keyed["psnr-mu-tanh", "tanh_1@1", "full"]["change_against"] == f"psnr-mu {OWN}"
    assert ("psnr-mu", "tanh_1@1", "full") not in keyed, "of what a protocol doesn't define there is no row"


def test_marks_survive_every_form(compared, measured):
    table = protocols.table(*compared(), measured())
    text, latex = to_markdown(table), to_latex(table)
    assert "35.80 (8 ▼7)" in text
    assert "34.20 (1)" in text
    assert r"35.80 (8 $\bigtriangledown$7)" in latex
    assert r"43.20 (1 $\bigtriangleup$7)" in latex
    assert r"tanh\_1@1" in latex
    assert r"tanh\_1@1" in text
    assert not re.search(r"[▲▼]", latex)
    assert "31.60 (7)" in text  # floors are ranked too


def test_latex_has_a_cell_for_every_column(compared, measured):
    for columns, body in re.findall(
        r"\\begin\{tabular\}\{(.*?)\}(.*?)\\end\{tabular\}", to_latex(protocols.table(*compared(), measured())), re.S
    ):
        for line in body.split(r"\midrule")[1].split(r"\\")[:-1]:
            assert len(re.findall(r"(?<!\\)&", line)) == len(columns) - 1


def test_a_protocol_that_defines_nothing_of_a_panel_is_named_instead_of_a_column_of_dashes(compared, measured):
    table = protocols.table(*compared(), measured())
    mu = next(panel for panel in view(table).panels if panel.heading.startswith("PSNR-μ, dB"))
    assert "not defined by tanh_1@1" in mu.heading
    assert "tanh_1@1" not in [column.key for column in mu.columns]
    assert not [r for r in records(table) if (r["metric"], r["protocol"]) == ("psnr-mu", "tanh_1@1")]


def test_nan_is_shown_with_its_footnote_unranked_and_sorts_last(compared, measured):
    def change(row):
        gone = (row.variant, row.protocol, row.metric) == ("full", "equal@1", "psnr-mu") and row.scene == "sunset-00"
        return row._replace(value=math.nan) if gone else row

    table = protocols.table(*compared(change), measured())
    line = next(line for line in to_markdown(table).splitlines() if "Proposed" in line)
    letter = re.search(r"NaN <sup>(\w)</sup>", line)[1]
    assert f"- <sup>{letter}</sup> NaN on 1 of 2 scores, the public code's own answer" in to_markdown(table)
    row = next(r for r in records(table) if r["variant"] == "full" and r["protocol"] == "equal@1")
    assert (row["value"], row["rank"]) == ("NaN", "")
    mu = view(table).panels[0]
    assert [cell.sort for line in mu.lines for cell in line.cells if cell.text == "NaN"] == [""]


def test_tanh_is_announced_as_another_metric(compared, measured):
    headings = [panel.heading for panel in view(protocols.table(*compared(), measured())).panels]
    (tanh,) = (heading for heading in headings if heading.startswith("PSNR-μ after tanh"))
    assert "another metric than PSNR-μ" in tanh
    assert [heading.split(",")[0] for heading in headings][:2] == ["PSNR-μ", "PSNR-μ after tanh"]


def test_caption_says_that_nothing_is_ranked_across_protocols(compared, measured):
    caption = protocols.table(*compared(), measured()).caption
    for part in ("nothing is ranked across protocols", f"against {OWN}", "one seed", "2 test scenes", "mu-residual"):
        assert part in caption


def test_findings_are_computed(compared, measured):
    made, _ = compared()
    spread, orders, same = protocols.findings(made[0], measured())
    # triangle-merge has 26.8, and 70 - 26.8 turned round.
    assert "by up to 16.40 dB: triangle-merge has 26.80 under equal@1, 43.20 under turned@2" in spread
    assert (
        "The order of the 6 variants (floors left out) differs from that under whole-float@1 for 1 of 2 other" in orders
    )
    assert "turned@2 (Kendall's tau -1.00" in orders
    assert same.startswith("1 of them (equal@1)")


def test_nothing_is_found_where_the_profile_has_no_rank(compared, measured):
    made, _ = compared()
    assert protocols.findings(made[1], measured()) == []


def test_spreads_of_seeds_stand_behind_the_value_and_before_the_rank(compared, measured):
    made, results = compared()
    places = {**made[0].places, ("full", OWN): RankedValue(34.2, 0.25, 1, 0)}
    table = protocols.table([made[0].__class__(**{**made[0].__dict__, "places": places})], results, measured())
    assert "34.20 ± 0.25 (1)" in to_markdown(table)


def test_columns_of_the_chart_join_equal_protocols_and_put_the_likest_first(compared):
    made, _ = compared()
    columns = chart_columns(made[0], ("reference-only", "triangle-merge"))
    assert [stop.protocols for stop in columns] == [(OWN, "equal@1"), ("turned@2",)]
    assert [stop.likeness for stop in columns] == [1.0, -1.0]
    assert columns[0].label == "whole-float\n(= 1 more)"
    assert columns[0].heights["full"] == columns[1].heights["triangle-merge"] == 1


def test_equal_ranks_get_heights_of_their_own(compared):
    made, _ = compared(lambda row: row._replace(value=30.0) if row.variant in ("full", "baseline") else row)
    heights = chart_columns(made[0])[0].heights
    assert sorted(heights.values()) == list(range(1, 9))


def test_lines_stop_where_a_method_has_no_rank(compared):
    def change(row):
        gone = (row.variant, row.protocol, row.metric) == ("full", "turned@2", "psnr-mu")
        return row._replace(value=math.nan) if gone else row

    made, _ = compared(change)
    assert path_of(chart_columns(made[0]), "full") == [(0, 1)]
    assert path_of(chart_columns(made[0]), "triangle-merge") == [(0, 8), (1, 1)]


def test_shifts_are_differences_from_the_profiles_protocol(compared):
    made, _ = compared()
    ((stop, found),) = shifts(made[0])
    assert stop.protocols == ("turned@2",)
    assert found["full"] == pytest.approx(35.8 - 34.2)


def test_figures_hold_only_what_differs(compared):
    made, _ = compared()
    assert {name: [grid.metric.name for grid in found] for name, found in charted(made).items()} == {
        "protocols": ["psnr-mu", "psnr-mu-tanh"]
    }
    first = protocol_figure(made[:2], FLOORED)
    assert first == protocol_figure(made[:2], FLOORED)
    assert first.startswith(b"\x89PNG")


def test_every_other_metric_has_a_figure_of_its_own(compared):
    made, _ = compared(lambda row: row._replace(value=70 - row.value) if row.protocol == "equal@1" else row)
    assert {name: len(found) for name, found in charted(made).items()} == {
        "protocols": 2, "protocols_psnr-l": 1, "protocols_ssim-mu": 1, "protocols_ssim-l": 1
    }  # fmt: skip


def test_equal_protocols_are_counted_above_their_column_and_named_below_the_chart():
    column = ChartColumn(tuple(f"p{i}@1" for i in range(7)), SHARED[0], {}, None)
    assert column.label == "p0\n(= 6 more)"
    assert column.equal == "p0 = p1 = p2 = p3 = p4 = p5 = p6: the same PSNR-μ of every method, to 2 decimals."
    alone = ChartColumn(("ahdrnet-ytzhang99@1",), SHARED[0], {}, None)
    assert (alone.label, alone.equal) == ("ahdrnet-\nytzhang99", "")


def test_those_that_move_most_stand_out_in_the_order_of_the_profile():
    moved = {"a": 0, "b": 1, "c": -5, "d": 2, "e": 3, "f": -3, "g": None}
    columns = [
        ChartColumn(("x@1",), SHARED[0], {name: RankedValue(change=change) for name, change in moved.items()}, None)
    ]
    assert movers(columns, list(moved)) == ["c", "d", "e", "f"]
    assert movers(columns, ["a", "b", "g"]) == ["b"]


def test_few_methods_are_coloured_each_in_its_own(compared):
    made, _ = compared()
    columns = chart_columns(made[0], FLOORED)
    found = colours(made[0], columns, FLOORED, "full")
    assert len(set(found.values())) == len(found) == 3 + len(MOVERS) < len(made[0].variants)
    assert found["full"] == PROPOSED and set(FLOORED) <= set(found)
    assert PROPOSED not in colours(made[0], columns, FLOORED).values()
    told = note(made[0], columns, FLOORED, "full")
    assert told.startswith("In colour: full (the paper's method); reference-only, triangle-merge (floors); ")
    assert "whole-float = equal: the same PSNR-μ" in told
    for name in found:
        assert name in told


def test_no_dot_of_a_row_covers_another(compared):
    made, _ = compared(lambda row: row._replace(value=20.0) if row.protocol == "turned@2" else row)
    moved = [dict.fromkeys(made[0].variants, 1.0)] * 2
    found = list(dots(made[0], moved))
    assert len({(x, y) for x, y, _ in found}) == 2 * len(made[0].variants)
    assert [round(y) for _, y, _ in found] == [0] * len(made[0].variants) + [1] * len(made[0].variants)
    assert [name for *_, name in found[: len(made[0].variants)]] == list(made[0].variants)


@pytest.fixture
def drawn(compared, monkeypatch):
    """The figure of the compared protocols instead of its bytes, laid out."""
    monkeypatch.setattr(drawing, "png", lambda figure: figure)
    figure = protocol_figure(compared()[0][:2], FLOORED, "full")
    figure.draw_without_rendering()
    return figure


def test_texts_of_the_chart_are_readable(drawn):
    bump = drawn.axes[0]
    texts = [text for text in bump.texts if text.get_text()]
    boxes = [text.get_window_extent() for text in texts]
    assert not [1 for a, b in itertools.combinations(boxes, 2) if a.overlaps(b)]
    others = [drawn._supxlabel, drawn.axes[1].xaxis.label, *bump.get_xticklabels(), *drawn.axes[1].get_yticklabels()]
    for box in (*boxes, *(text.get_window_extent() for text in others)):
        assert drawn.bbox.x0 <= box.x0 and box.x1 <= drawn.bbox.x1 and drawn.bbox.y0 <= box.y0
    assert min(text.get_fontsize() for text in texts) >= 7


def test_without_shifts_there_are_ranks_alone(compared, monkeypatch):
    monkeypatch.setattr(drawing, "png", lambda figure: figure)
    made, _ = compared()
    assert len(protocol_figure(made[:2], FLOORED).axes) == 2
    made, _ = compared(lambda row: row._replace(value=70 - row.value) if row.protocol == "turned@2" else row)
    assert len(protocol_figure(made[:2], FLOORED).axes) == 1
    assert shifts(made[1]) == [], "the profile's protocol has no value of it"
