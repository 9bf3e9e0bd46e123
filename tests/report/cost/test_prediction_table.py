"""Time and memory: the table of kept rows, and the Pareto figures beside scores."""

import csv
import io

import pytest

from bench.report.cost import predictions
from bench.report.cost.predictions import PredictionTiming
from bench.report.figures import pareto
from bench.report.table.writers import to_csv, to_markdown


def row(name, preset="narrow", height=20, width=50, **changes):
    blank = PredictionTiming(name, name.title(), name, preset, height, width, "A processor", "cpu", 2, 3, "stamp")
    measured = {"seconds": (0.2, 0.1, 0.4), "memory": 3 * 10**9, "rest": 10**9, "parameters": 250_000, "frozen": 0}
    return blank._replace(**{**measured, **changes})


def failed(name, reason="out of memory", **changes):
    return row(name, seconds=(), memory=None, rest=None, parameters=None, frozen=None, reason=reason, **changes)


def table(measured, timings, outdated=()):
    return predictions.table(measured().params, timings, outdated)


def cells(made):
    return list(csv.DictReader(io.StringIO(to_csv(made))))


def test_the_median_counts_for_a_million_pixels():
    assert row("a").per_megapixel == pytest.approx(200)


def test_rows_hold_what_was_measured(measured):
    (found,) = cells(table(measured, [row("ahdrnet", frozen=50_000)]))
    assert found["seconds_per_megapixel"] == "200.000000" and float(found["seconds"]) == 0.2
    assert (float(found["seconds_least"]), float(found["seconds_most"]), found["timed"]) == (0.1, 0.4, "3")
    assert (float(found["params_m"]), float(found["frozen_m"])) == (0.25, 0.05)
    assert (float(found["memory_gb"]), float(found["rest_gb"])) == (3, 1)
    assert (found["device"], found["threads"], found["size"], found["note"]) == ("A processor", "2", "20x50", "")


def test_a_failed_method_has_its_reason_in_its_row(measured):
    made = table(measured, [row("ahdrnet"), failed("full")])
    assert "out of memory" in cells(made)[1]["note"]
    assert "out of memory" in to_markdown(made) and "A processor, 2 CPU threads" in to_markdown(made)


def test_sizes_are_panels_from_small_to_large(measured):
    made = table(measured, [row("ahdrnet", height=1000), row("ahdrnet"), row("full")])
    assert made.panels == ["20x50", "1000x50"] and made.headings["20x50"] == "20x50 pixels"


def test_what_older_code_took_is_marked(measured):
    old = row("full")
    first, second = cells(table(measured, [row("ahdrnet"), old], [old]))
    assert predictions.OLD_CODE in second["note"] and predictions.OLD_CODE not in first["note"]


@pytest.fixture
def panels(monkeypatch):
    """Catch what is drawn."""
    caught = {}

    def draw(panels, reach, caption=""):
        caught.update(panels=panels, caption=caption)
        return {"png": b"picture"}

    monkeypatch.setattr(predictions, "pareto_figure", draw)
    return caught


def test_time_and_size_are_drawn_at_the_largest_size(measured, panels):
    found = measured()
    rows = [row(name, height=height) for height in (20, 200) for name in ("ahdrnet", "full")]
    rows += [failed("triangle-merge", height=200)]
    assert predictions.timed(found.params, rows, found.results, "panoramas") == {"png": b"picture"}
    time, size = panels["panels"]
    assert [point.label for point in time.points] == ["AHDRNet", "Proposed"] and "200x50" in time.cost
    assert [point.cost for point in time.points] == pytest.approx([20, 20])
    assert [point.cost for point in size.points] == [0.25, 0.25]
    assert [point.value for point in time.points] == pytest.approx([33.1, 34.2])
    assert "whole-float@1" in panels["caption"] and "A processor, 2 CPU threads" in panels["caption"]
    assert "Reference only (not measured)" in panels["caption"]


def test_scores_of_another_preset_are_no_points(measured, panels):
    found = measured()
    rows = [row("ahdrnet", preset="published"), row("full")]
    assert predictions.timed(found.params, rows, found.results, "panoramas") is None
    assert predictions.timed(found.params, [], found.results, "panoramas") is None


def test_the_page_has_what_no_machine_changes(measured, panels):
    (figure,) = predictions.figures(measured(), ["panoramas"])
    assert figure.name == "pareto_parameters" and "cost predictions" in figure.caption
    ((panel,)) = panels["panels"]
    costs = {point.label: (point.cost, point.kind) for point in panel.points}
    assert costs["AHDRNet"] == (0.123456, pareto.LEARNED)
    assert costs["Reference only"] == (0, pareto.PLAIN)


def test_frozen_parameters_that_the_axis_leaves_out_are_told(measured, panels):
    (figure,) = predictions.figures(measured(), ["panoramas"])
    told = "Not counted: frozen parameters, Proposed 0.065 M."
    assert told in figure.caption and panels["caption"].startswith(told)
    assert predictions.uncounted({"AHDRNet": 0, "other": None}) == ""
    found = measured()
    rows = [row("ahdrnet"), row("full", frozen=50_000)]
    predictions.timed(found.params, rows, found.results, "panoramas")
    assert "frozen parameters, Proposed 0.050 M." in panels["caption"]


def test_networks_of_unknown_size_are_no_points(measured, panels):
    found = measured()
    del found.cards["ahdrnet--panoramas--s0"]
    predictions.figures(found, ["panoramas"])
    assert "AHDRNet" not in [point.label for point in panels["panels"][0].points]
    found.cards.clear()
    assert predictions.figures(found, ["panoramas"]) == []


def test_methods_after_the_paper_have_another_mark(monkeypatch):
    class Card:
        trains, after_paper = True, True

    monkeypatch.setattr(predictions, "methods", {"younger": Card()})
    assert predictions.kind("younger") == pareto.AFTER
    assert predictions.kind("unknown") == pareto.LEARNED
