"""Why is my Q different?: the table, its sentences and the picture, of invented values."""

import csv
from dataclasses import replace

import pytest

from bench.report.protocols.why import PUBLISHED, ScoredSetting, ScoredSettings, findings, listing, table
from bench.report.protocols.why_figure import why_figure
from bench.report.table.writers import to_csv, to_markdown


def setting(name, group, values, against="base", **changes):
    plain = ScoredSetting(
        name, group, against, "2.2.2", "sRGB-display", "x 1", 26.7627, 26.7627, "prediction-first", "none", "Q", values
    )
    return plain._replace(**changes)


@pytest.fixture
def found():
    settings = (
        setting("base", PUBLISHED, {"one": 60.0, "two": 65.0}),
        setting("other", PUBLISHED, {"one": 90.0, "two": 89.0}, ppd=5.8),
        setting("cropped", PUBLISHED, {"two": 50.0}),
        setting("light", "encoding", {"one": 64.0, "two": 66.0}, encoding="rgb-bt.709", scale="x 100"),
        setting("brighter", "scale", {"one": 63.0, "two": 66.5}, against="light"),
        setting("swapped", "order", {"one": 60.0, "two": 65.0}),
        setting("older", "version", {"one": 20.0, "two": 30.0}, unit="Q_MOS"),
    )
    return ScoredSettings("places", ("one", "two"), 4, (320, 224), settings, "not photometric")


def test_values_and_differences_stand_in_the_table(found):
    text = to_markdown(table(found))
    assert "| base | sRGB-display, x 1, 26.76 ppd | 60.00 | 65.00 |" in text
    assert "| other | sRGB-display, x 1, 5.80 ppd (26.76 at 1500x1000) | 90.00 (+30.00) | 89.00 (+24.00) |" in text
    assert "| brighter | sRGB-display, x 1, 26.76 ppd | 63.00 (-1.00) | 66.50 (+0.50) |" in text
    assert "| older | sRGB-display, x 1, 26.76 ppd | 20.00 | 30.00 |" in text, "another unit has no difference"
    assert "One step from light: how bright that light is" in text
    assert "4 scenes of places (320x224 pixels)" in text


def test_a_setting_without_a_value_says_why(found):
    rows = list(csv.DictReader(to_csv(table(found)).splitlines()))
    lacking = [row for row in rows if not row["value"]]
    assert [(row["setting"], row["prediction"]) for row in lacking] == [("cropped", "one")]
    assert "can't be applied" in lacking[0]["note"]
    assert {row["difference"] for row in rows if row["setting"] in ("base", "older")} == {""}


def test_findings_tell_the_span_the_largest_steps_and_changed_orders(found):
    span, steps, orders = findings(found)
    assert span.endswith("of two by 39.0 points: 50.0 under cropped, 89.0 under other.")
    assert "encoding +4.0 (light), scale -1.0 (brighter); below 0.05: order." in steps
    assert orders == "1 of the 1 other published settings order these predictions in another way than base: other."


def test_one_prediction_is_a_list(found):
    alone = replace(found, predictions=("two",))
    lines = listing(alone)
    assert [line["difference"] for line in lines] == ["-", "+24.00", "-15.00", "+1.00", "+0.50", "+0.00", "-"]
    assert [line["from"] for line in lines[3:5]] == ["base", "light"]
    assert len(findings(alone)) == 2, "one prediction has no order"


@pytest.mark.parametrize("count", [1, 7])
def test_a_figure_needs_no_step(found, count):
    assert why_figure(replace(found, settings=found.settings[:count]))[:4] == b"\x89PNG"
