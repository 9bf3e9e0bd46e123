import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from bench.core.decisions import decisions
from bench.core.errors import BenchError
from bench.report.figures.style import SCALE
from bench.report.page import page
from bench.report.page.chart import chart
from bench.report.page.page import FRONT, HOMES, Figure, Front, Page, PageFinding, PageSection, data_uri, render, size
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
    return (reported[1] / FRONT).read_text(encoding="utf-8")


def texts(folder):
    """File -> text of every page of a report."""
    paths = [folder / FRONT, *sorted(folder.glob("pages/*.html"))]
    return {str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in paths}


def front(page):
    return render(page)[FRONT]


def test_pages_parse_and_ask_the_net_for_nothing(reported):
    folder, found = reported[1], texts(reported[1])
    checkers = {file: parsed(text) for file, text in found.items()}
    for file, checker in checkers.items():
        base = folder / Path(file).parent
        assert not re.search(r"@import|url\(", found[file])
        local = [resource for resource in checker.resources if not resource.startswith("data:")]
        assert all((base / resource).is_file() for resource in local), file
        assert len(checker.ids) == len(set(checker.ids))
        for link in checker.links:
            if link.startswith("https://arxiv.org/abs/"):
                continue
            target, _, anchor = link.partition("#")
            place = (base / target).resolve() if target else folder.resolve() / file
            assert place.exists(), (file, link)
            inside = str(place.relative_to(folder.resolve()))
            if not inside.startswith("viewer/"):  # its anchors say what it opens with
                assert not anchor or anchor in checkers[inside].ids, (file, link)
    assert sum(len(checker.resources) > 1 for checker in checkers.values()) > 4, "pictures are there"


def test_every_section_has_its_page_and_every_page_the_contents(reported):
    found = texts(reported[1])
    for anchor in ("table1", "table2", "table3", "chart", "found", "crop", "repeat"):
        assert f'id="{anchor}"' in found[FRONT]
    for anchor in ("masks", "differences", "sizes", "support", "protocol", "protocols", "codebooks", "recipes", "crops",
                   "views", "curves", "decisions"):  # fmt: skip
        name, _ = HOMES[anchor]
        assert f'<section id="{anchor}">' in found[f"pages/{name}.html"], anchor
    for file, text in found.items():
        (contents,) = re.findall(r'<nav class="contents".*?</nav>', text, re.S)
        assert contents.count("<a ") == len(found) + 1, "and the viewer"
        assert contents.count('aria-current="page"') == 1, file
    for decision in decisions(reported[0]):
        assert f"<code>{decision.field}</code>" in found["pages/decisions.html"]


def test_the_front_shows_the_chart_findings_and_crops(html):
    marks = re.findall(r'<i class="dot ([a-z-]+)" style', html)
    assert set(marks) == {"learned", "floor"} and len(marks) == 4, "AHDRNet, Proposed and two floors, by PSNR alone"
    rows = re.findall(r'<tr><th scope="row"[^>]*>([^<]+)', html.split('id="chart"')[1].split("</table>")[0])
    assert rows == ["Proposed", "AHDRNet", "reference-only", "triangle-merge"], "the highest on top"
    assert html.count("<li>") >= 4 and "has the highest PSNR-μ on panoramas" in html
    assert re.search(r'<img class="photographs" src="figures/crops_panoramas_test_[\w-]+\.webp"', html)


def test_pages_tell_kinds_by_text_and_colour(html):
    for kind in ("measured", "floor", "published", "pending"):
        assert f'<span class="kind {kind}">{kind}</span>' in html
    assert '<span class="kind floor">floor</span></th>' in html
    assert "make repro" in html
    assert "prefers-color-scheme: dark" in html


def test_sizes_and_the_papers_columns_stand_behind_a_switch(html):
    head = html.split('id="table1-values"')[1].split("</thead>")[0]
    head = head.replace("\N{NON-BREAKING HYPHEN}", "-")
    heads = re.findall(r'<th scope="col" class="([^"]*)"><button type="button">([^<]+)', head)
    names = [name for _, name in heads]
    assert names[:4] == ["method", "PSNR-μ", "HDR-VDP-2", "PSNR-l"]
    hidden = [name for (classes, name) in heads if "more" in classes.split()]
    assert {"params (M)", "PSNR-μ difference, 95 %"} <= set(hidden)
    assert sum("of-paper" in classes and "more" in classes for classes, _ in heads) == 7
    assert "PSNR-μ" not in {name for (classes, name) in heads if "more" in classes and "of-paper" not in classes}


def test_a_page_that_compares_images_is_linked_where_it_is_there(reported):
    figure = Figure("crops_a", (reported[1] / "figures" / "curves.png").read_bytes(), "panoramas, hall-01", "c")
    crops = PageSection("crops", "Crops", figures=[figure])
    made = Page(reported[0], {}, Front(crop=figure, scene="hall-01"), [crops], "viewer.html")
    pages = render(made)
    assert 'href="viewer.html#scene=hall-01"' in pages[FRONT]
    assert 'href="viewer.html">Compare images' in pages[FRONT]
    assert 'href="../viewer.html">Compare images' in pages["pages/crops.html"]
    assert not any("viewer.html" in text for text in render(replace(made, viewer="")).values())


def test_an_empty_profile_still_has_a_sound_front(reported):
    (text,) = [made for file, made in render(Page(reported[0], {})).items() if file == FRONT]
    parsed(text)
    assert 'id="chart"' not in text and 'id="found"' not in text and "<figure" not in text


def test_controls_tests_and_what_they_support_on_the_page(study):
    levels = dict.fromkeys(("vanilla-32", "full", "hdr-32", "step-6", "full-random"), 0.0)
    papers, measured = study({**levels, "full": 0.5})
    tables = [scored.table(papers[2], measured), differences.table(papers[2], measured)]
    supported = support.section(list(papers.values()), measured, {})
    made = render(Page(measured.params, {}, sections=[PageSection("table2", "Table 2", tables=tables), supported]))
    html = "".join(made.values())
    assert list(made) == [FRONT, "pages/support.html", "pages/decisions.html"]
    for text in made.values():
        parsed(text)
    assert html.count("<details>") == 1, "the paired differences alone are folded"
    assert '<span class="kind control">control</span>' in html
    assert re.search(r"\+0\.50 \[0\.4\d, 0\.5\d\], p &lt; 0.001: better than Vanilla \(K=1024\)", html)
    assert '<span class="up">better</span>' in html
    assert "What these data do and don&#39;t support about OLC, D_VQ and RF" in html
    assert " ± " in html


def test_a_row_that_gains_nothing_stands_out_on_the_page(papers, measured, rows):
    idle = [row._replace(value=row.value - 5) if row.variant == "full" else row for row in rows]
    made = measured(idle)
    html = front(Page(made.params, {}, sections=[PageSection("t", "t", tables=[scored.table(papers[1], made)])]))
    parsed(html)
    assert '<span class="down">-2.40 [-2.40, -2.40]: gains nothing</span>' in html
    assert 'title="over reference-only"' in html
    assert "These rows gain nothing over their base: Proposed." in html


def test_values_are_escaped(reported):
    nasty = "<script>alert('x')</script> & \"more\""
    opening = Front(nasty, nasty, findings=[PageFinding(nasty, "#s", nasty)], links={nasty: "#s"})
    html = front(Page(reported[0], {"fact": nasty}, opening, [PageSection("s", nasty, missing=[nasty], text=nasty)]))
    assert "<script>alert" not in html
    parsed(html)


def test_names_of_code_are_set_as_code_and_still_escaped():
    assert page.code("in `mu-residual` & `<b>`") == "in <code>mu-residual</code> &amp; <code>&lt;b&gt;</code>"


def test_a_front_that_would_be_slow_to_open_is_refused(reported, monkeypatch):
    monkeypatch.setattr(page, "LIMIT", 1000)
    with pytest.raises(BenchError, match=r"front would be 0\.0 MB.* name fewer rows"):
        render(Page(reported[0], {}))


def test_the_chart_marks_what_isnt_trained_and_what_others_submitted(papers, measured, rows):
    """Intervals are over places; a row of one place has none."""
    made = measured(rows)
    found = {"theirs": made.results["full", "panoramas"]}
    made = replace(made, submitted={(name, "panoramas"): result for name, result in found.items()})
    drawn = chart(papers[1], scored.table(papers[1], made), made)
    marks = {line.name: line.mark for line in drawn.lines}
    assert marks == {
        "Proposed": "learned", "theirs": "submitted", "AHDRNet": "learned", "reference-only": "floor",
        "triangle-merge": "floor",
    }  # fmt: skip
    (bar,) = drawn.lines[0].bars
    assert bar.low < bar.at < bar.high and bar.text == "34.20"
    assert all(0 <= at <= 100 for axis in drawn.axes for at, _ in axis.ticks)
    alone = measured([row for row in rows if row.scene == "sunset-00"])
    single = chart(papers[1], scored.table(papers[1], alone), alone)
    assert all(bar.low is None for line in single.lines for bar in line.bars)
    few = measured([row for row in rows if row.variant == "full"])
    assert chart(papers[1], scored.table(papers[1], few), few) is None


def test_plots_travel_without_loss_and_photographs_as_they_are(reported):
    folder = reported[1] / "figures"
    plot, photographs = (sorted(folder.glob(f"c*.{ending}"))[0].read_bytes() for ending in ("png", "webp"))
    on_page = [base64.b64decode(data_uri(one).removeprefix("data:image/webp;base64,")) for one in (plot, photographs)]
    drawn, shown = (Image.open(io.BytesIO(one)).convert("RGB") for one in (plot, on_page[0]))
    assert drawn.tobytes() == shown.tobytes() and len(on_page[0]) < len(plot)
    assert on_page[1] == photographs
    for picture in (plot, photographs):
        assert size(picture) == tuple(edge // SCALE for edge in Image.open(io.BytesIO(picture)).size)
    assert [Figure("f", picture, "", "").file for picture in (plot, photographs)] == ["f.png", "f.webp"]
