"""Captions say under what a number was made."""

from types import SimpleNamespace

import pytest
from pydantic import BaseModel

from bench.core.registry import protocols
from bench.core.simulation import Simulation
from bench.core.tables import Tables
from bench.report.results import caption
from bench.report.scores import scored

DEFAULT = protocols["whole-float"]


class Screen(BaseModel):
    """Settings of an invented section of a protocol."""

    version: str = "2.2.2"
    pixels_per_degree: float = 26.7627
    peak_luminance: float = 4000.0
    quantise: str | None = None


@pytest.fixture
def invented(monkeypatch):
    """A protocol with both sections, whatever the real ones are called."""
    protocol = SimpleNamespace(metrics=("psnr-pu", "hdrvdp2"), pu21=Screen(), hdrvdp2=Screen(version="3"))
    monkeypatch.setattr(caption, "protocol_of", lambda identity: protocol)


def test_a_protocol_is_found_by_name_and_version():
    assert caption.protocol_of(DEFAULT.id) == DEFAULT
    assert caption.protocol_of(f"{DEFAULT.name}@99") is None
    assert caption.protocol_of("gone@1") is None


def test_why_a_metric_is_absent():
    assert caption.absent("no-such-metric", DEFAULT.id) == f"protocol {DEFAULT.id} doesn't define it"
    assert caption.absent("psnr-l", DEFAULT.id) == f"not scored under {DEFAULT.id}"
    assert caption.absent("psnr-l", "gone@1") == "not scored under gone@1"


def test_settings_follow_the_protocols_fields(invented, measured):
    text = caption.conditions("any@1", ["psnr-pu", "ssim-pu", "psnr-pu@moving", "hdrvdp2"], measured().params)
    assert "PU21 (psnr-pu, ssim-pu): version 2.2.2, pixels per degree 26.7627, peak luminance 4000 cd/m2" in text
    assert "HDR-VDP-2: version 3, pixels per degree 26.7627" in text
    assert "quantise" not in text


@pytest.mark.parametrize(("name", "habit"), [("whole-float", True), ("lrt-hdr", False)])
def test_where_hdrvdp2_is_not_photometric_tables_and_protocols_say_so(measured, name, habit):
    said = caption.conditions(protocols[name].id, ["hdrvdp2"], measured().params)
    assert ("HDR-VDP-2 isn't photometric here" in said) == habit
    assert "sRGB-display decodes gamma, even from linear values: the field's habit, and not photometric" in (
        protocols[name].describe()
    )


def test_nothing_is_said_of_metrics_that_were_not_scored(invented, measured):
    assert caption.conditions("any@1", ["psnr-mu", "ssim-l"], measured().params) == ""
    assert "HDR-VDP-2" not in caption.conditions("any@1", ["psnr-pu"], measured().params)


def test_small_views_do_not_compare_with_the_papers_figures(measured):
    small = measured(simulate=Simulation().model_dump()).params
    assert "on views of 320x224 pixels it doesn't compare with the paper's figures for 1500x1000" in caption.caution(
        small
    )
    assert "only pictures of one size" in caption.caution(measured().params)


@pytest.mark.parametrize(
    ("registers", "words"),
    [
        ([], "frames as taken;"),
        (["dis"], "frames registered by DIS flow, so that alignment (PA) has little left to do;"),
        (["dis", "homography"], "has little left to do and registered by a homography;"),
    ],
)
def test_a_caption_says_which_frames_networks_got(measured, papers, registers, words):
    made = measured()
    runs = list(made.cards)[:2]
    cards = {run: {**made.cards[run], "register": name} for run, name in zip(runs, registers, strict=False)}
    assert words in "; ".join(caption.settings(made.params, cards)) + ";"
    assert "frames as taken" in scored.table(papers[1], made).caption


def test_without_cards_the_parameters_tell_the_frames(measured):
    assert caption.made_with(measured(register="dis").params, {})["frames"].startswith("registered by DIS flow")


def test_columns_of_pu21_and_hdrvdp2_are_filled_and_explained(papers, measured, rows):
    base = [row for row in rows if row.metric == "psnr-mu"]
    more = [row._replace(metric=name, value=value) for row in base for name, value in
            (("psnr-pu", 36.5), ("ssim-pu", 0.98765), ("hdrvdp2", 61.25))]  # fmt: skip
    under = [row._replace(protocol=DEFAULT.id) for row in [*rows, *more]]
    table = scored.table(papers[1], measured(under))
    row = next(row for row in table.rows if row.cells["method"] == "AHDRNet" and row.panel == "panoramas")
    assert (row.cells["psnr_pu"], row.cells["ssim_pu"], row.cells["hdrvdp2"]) == pytest.approx((36.5, 0.98765, 61.25))
    assert f"HDR-VDP-2: version {DEFAULT.hdrvdp2.version}" in table.caption
    assert f"pixels per degree {DEFAULT.hdrvdp2.pixels_per_degree:g}" in table.caption
    assert f"variant {DEFAULT.pu21.variant}" in table.caption
    assert "4000" in table.caption


def test_an_empty_column_says_what_is_true(papers, measured, rows):
    under = [row._replace(protocol="gone@1") for row in rows]
    row = next(r for r in scored.table(papers[1], measured(under)).rows if r.cells["method"] == "AHDRNet")
    assert row.remarks["hdrvdp2"] == row.remarks["psnr_pu"] == "not scored under gone@1"
    nan = [row._replace(metric="hdrvdp2", value=float("nan")) for row in under if row.metric == "psnr-mu"]
    row = next(r for r in scored.table(papers[1], measured([*under, *nan])).rows if r.cells["method"] == "AHDRNet")
    assert row.remarks["hdrvdp2"] == "undefined on every scene"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"OLC (K=512)": "full"}, ["codebooks of K = 32 in the place of the paper's 512"]),
        ({"OLC (K=32)": "full"}, []),
        ({"OLC": "full"}, []),
        ({}, []),
    ],
)
def test_other_numbers_of_codes_than_a_rows_name_tells_are_said(tiny, rows, said):
    tables = Tables.model_validate({"2": {"rows": rows}})
    found = caption.settings(tiny.model_copy(update={"tables": tables}), {})
    assert [words for words in found if words.startswith("codebooks ")] == said
