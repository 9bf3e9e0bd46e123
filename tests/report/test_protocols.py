import csv
import io
import math
import re

import pandas as pd
import pytest

from bench.io.tables import ScoreRow
from bench.report import protocols
from bench.report.protocol_figure import charted, path_of, protocol_figure, shifts, stops
from bench.report.ranking import Place, by_protocol, grids
from bench.report.view import view
from bench.report.writers import to_csv, to_latex, to_markdown

OWN = "whole-float@1"


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
    undefined = keyed["psnr-mu", "tanh_1@1", "full"]
    assert (undefined["value"], undefined["rank"]) == ("", "")
    assert undefined["note"].startswith("value rank rank_change: this protocol doesn't define the metric")


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
    undefined = [r for r in records(table) if (r["metric"], r["protocol"]) == ("psnr-mu", "tanh_1@1")]
    assert undefined
    for row in undefined:
        assert row["value"] == ""
        assert "this protocol doesn't define the metric" in row["note"]


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
    assert "The order of the 6 learned rows differs from that under whole-float@1 for 1 of 2 other protocols" in orders
    assert "turned@2 (Kendall's tau -1.00" in orders
    assert same.startswith("1 of them (equal@1)")


def test_nothing_is_found_where_the_profile_has_no_rank(compared, measured):
    made, _ = compared()
    assert protocols.findings(made[1], measured()) == []


def test_spreads_of_seeds_stand_behind_the_value_and_before_the_rank(compared, measured):
    made, results = compared()
    places = {**made[0].places, ("full", OWN): Place(34.2, 0.25, 1, 0)}
    table = protocols.table([made[0].__class__(**{**made[0].__dict__, "places": places})], results, measured())
    assert "34.20 ± 0.25 (1)" in to_markdown(table)


def test_columns_of_the_chart_join_equal_protocols_and_put_the_likest_first(compared):
    made, _ = compared()
    columns = stops(made[0], ("reference-only", "triangle-merge"))
    assert [stop.protocols for stop in columns] == [(OWN, "equal@1"), ("turned@2",)]
    assert [stop.likeness for stop in columns] == [1.0, -1.0]
    assert columns[0].label == "whole-float\n= equal"
    assert columns[0].heights["full"] == columns[1].heights["triangle-merge"] == 1


def test_equal_ranks_get_heights_of_their_own(compared):
    made, _ = compared(lambda row: row._replace(value=30.0) if row.variant in ("full", "baseline") else row)
    heights = stops(made[0])[0].heights
    assert sorted(heights.values()) == list(range(1, 9))


def test_lines_stop_where_a_method_has_no_rank(compared):
    def change(row):
        gone = (row.variant, row.protocol, row.metric) == ("full", "turned@2", "psnr-mu")
        return row._replace(value=math.nan) if gone else row

    made, _ = compared(change)
    assert path_of(stops(made[0]), "full") == [(0, 1)]
    assert path_of(stops(made[0]), "triangle-merge") == [(0, 8), (1, 1)]


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
    first = protocol_figure(made[:2], ("reference-only",))
    assert first == protocol_figure(made[:2], ("reference-only",))
    assert first.startswith(b"\x89PNG")


def test_long_families_are_counted():
    from bench.report.protocol_figure import Stop
    from bench.report.ranking import SHARED

    names = tuple(f"p{i}@1" for i in range(7))
    assert Stop(names, SHARED[0], {}, None).label == "p0\n= p1\n= p2\n= 4 more"
    assert Stop(("ahdrnet-ytzhang99@1",), SHARED[0], {}, None).label == "ahdrnet-\nytzhang99"
