import base64
import io
import re
from html.parser import HTMLParser

import pytest
from PIL import Image

from bench.core.decisions import decisions
from bench.core.errors import BenchError
from bench.report.page import page
from bench.report.page.page import Figure, Page, PageSection, data_uri, render, size
from bench.report.scores import differences, scored, support

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Checker(HTMLParser):
    """Collects resources, ids and links, and sees that every element is closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.resources, self.ids, self.links, self.tags = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append(tag)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if tag == "a" else []
        self.resources += [found[key] for key in ("src", "href") if key in found and tag != "a"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parsed(html):
    checker = Checker()
    checker.feed(html)
    assert checker.open == []
    return checker


@pytest.fixture
def html(reported):
    return (reported[1] / "index.html").read_text(encoding="utf-8")


def test_page_parses_and_loads_nothing(html):
    checker = parsed(html)
    assert checker.resources
    assert all(resource.startswith("data:") for resource in checker.resources)
    assert not re.search(r"@import|url\(|https?://", html)
    assert len(checker.ids) == len(set(checker.ids))
    assert {link.removeprefix("#") for link in checker.links} <= set(checker.ids)


def test_page_has_all_sections_and_every_decision(html, reported):
    for anchor in [
        "table1",
        "table2",
        "table3",
        "masks",
        "protocols",
        "codebooks",
        "crops",
        "views",
        "curves",
        "repeat",
    ]:
        assert f'id="{anchor}"' in html
    for decision in decisions(reported[0]):
        assert f"<code>{decision.field}</code>" in html


def test_page_tells_kinds_by_text_and_colour(html):
    for kind in ("measured", "floor", "published", "pending"):
        assert f'<span class="kind {kind}">{kind}</span>' in html
    assert "make repro" in html
    assert "prefers-color-scheme: dark" in html


def test_controls_tests_and_what_they_support_on_the_page(study):
    levels = dict.fromkeys(("vanilla-32", "full", "hdr-32", "step-6", "full-random"), 0.0)
    papers, measured = study({**levels, "full": 0.5})
    tables = [scored.table(papers[2], measured), differences.table(papers[2], measured)]
    supported = support.section(list(papers.values()), measured, {})
    html = render(Page(measured.params, {}, sections=[PageSection("table2", "Table 2", tables=tables), supported]))
    parsed(html)
    assert html.count("<details>") == 1, "the paired differences alone are folded"
    assert '<span class="kind control">control</span>' in html
    assert re.search(r"\+0\.50 \[0\.4\d, 0\.5\d\], p &lt; 0.001: better than Vanilla \(K=1024\)", html)
    assert '<span class="up">better</span>' in html
    assert "What these data do and don&#39;t support about OLC, D_VQ and RF" in html
    assert " ± " in html


def test_a_row_that_gains_nothing_stands_out_on_the_page(papers, measured, rows):
    idle = [row._replace(value=row.value - 5) if row.variant == "full" else row for row in rows]
    made = measured(idle)
    html = render(Page(made.params, {}, sections=[PageSection("t", "t", tables=[scored.table(papers[1], made)])]))
    parsed(html)
    assert '<span class="down">-2.40 [-2.40, -2.40] over reference-only: gains nothing</span>' in html
    assert "These rows gain nothing over their base: Proposed." in html


def test_values_are_escaped(reported):
    nasty = "<script>alert('x')</script> & \"more\""
    html = render(Page(reported[0], {"fact": nasty}, [nasty], [PageSection("s", nasty, missing=[nasty])]))
    assert "<script>alert" not in html
    parsed(html)


def test_names_of_code_are_set_as_code_and_still_escaped():
    assert page.code("in `mu-residual` & `<b>`") == "in <code>mu-residual</code> &amp; <code>&lt;b&gt;</code>"


def test_a_page_over_five_megabytes_is_refused(reported, monkeypatch):
    monkeypatch.setattr(page, "LIMIT", 1000)
    figure = Figure("big", (reported[1] / "figures" / "curves.png").read_bytes(), "t", "c")
    with pytest.raises(BenchError, match="largest picture is big"):
        render(Page(reported[0], {}, sections=[PageSection("s", "s", figures=[figure])]))


def test_plots_travel_without_loss_and_photographs_as_they_are(reported):
    folder = reported[1] / "figures"
    plot, photographs = (sorted(folder.glob(f"c*.{ending}"))[0].read_bytes() for ending in ("png", "webp"))
    on_page = [base64.b64decode(data_uri(one).removeprefix("data:image/webp;base64,")) for one in (plot, photographs)]
    drawn, shown = (Image.open(io.BytesIO(one)).convert("RGB") for one in (plot, on_page[0]))
    assert drawn.tobytes() == shown.tobytes() and len(on_page[0]) < len(plot)
    assert on_page[1] == photographs
    assert size(plot) == drawn.size and size(photographs) == Image.open(io.BytesIO(photographs)).size
    assert [Figure("f", picture, "", "").file for picture in (plot, photographs)] == ["f.png", "f.webp"]
