"""The report's pages as people see them: sorted, switched, at several widths, in the dark, and without a net."""

import json
import os
from pathlib import Path

import pytest

TABLE = "#table1-values > .scroll"
DASH, HYPHEN = "\N{EN DASH}", "\N{NON-BREAKING HYPHEN}"


@pytest.fixture
def front(reported) -> Path:
    return reported[1] / "index.html"


def column(screen, head):
    """Return the shown cells of the column of Table 1 with this heading."""
    heads = [button.text for button in screen.all(f"{TABLE} thead th")]
    at = next(index for index, text in enumerate(heads) if text.rstrip(" ↓↑").replace(HYPHEN, "-") == head)
    return [row.find_elements("css selector", "th, td")[at].text for row in screen.all(f"{TABLE} tbody tr:not(.more)")]


def numbers(cells):
    return [float(cell) for cell in cells if cell[:1].isdigit()]


def test_a_click_sorts_and_the_next_one_turns_it_round(screen, front):
    screen.open(front)
    button = screen.all(f"{TABLE} thead th button")[1]
    button.click()
    first = column(screen, "PSNR-μ")
    assert numbers(first) == sorted(numbers(first), reverse=True) and len(numbers(first)) == 4
    assert first[-1].startswith(DASH), "dashes stay last"
    assert screen.one(f"{TABLE} th[aria-sort]").get_attribute("aria-sort") == "descending"
    screen.js("arguments[0].focus()", button)
    button.send_keys("\n")
    again = column(screen, "PSNR-μ")
    assert numbers(again) == sorted(numbers(first)) and again[-1].startswith(DASH)


def test_the_chart_sorts_too(screen, front):
    screen.open(front)
    names = [cell.text for cell in screen.all("#chart tbody th")]
    assert names[:2] == ["Proposed", "AHDRNet"]
    screen.one("#chart thead th.num button").click()
    assert [cell.text for cell in screen.all("#chart tbody th")] == names[::-1]


def test_the_switch_shows_sizes_and_the_papers_columns(screen, front):
    screen.open(front)
    hidden = screen.all(f"{TABLE} thead th.more")
    assert len(hidden) == 9 and not any(head.is_displayed() for head in hidden)
    screen.one("#table1-values .switch input").click()
    assert all(head.is_displayed() for head in hidden)
    assert any(row.is_displayed() for row in screen.all(f"{TABLE} tbody tr.row-published"))
    assert not screen.all("#table2-values thead th.more")[0].is_displayed(), "each table has its own"


def test_the_contents_lead_to_every_page_and_back(screen, front):
    screen.open(front)
    names = [link.text for link in screen.all("nav.contents a")]
    assert names[0] == "Results" and {"Protocols", "Codebooks", "Decisions"} <= set(names)
    for index, name in enumerate(names):
        if name in ("Results", "Compare images"):  # the viewer has contents of its own
            continue
        screen.all("nav.contents a")[index].click()
        assert screen.one("h1").text == name
        assert screen.one("nav.contents [aria-current]").text == name
    screen.all("nav.contents a")[0].click()
    assert screen.one("h1").text == "Multi-exposure HDR imaging"


@pytest.mark.parametrize("width", [1400, 800, 390])
def test_scores_are_seen_without_scrolling_sideways(screen, front, width):
    screen.open(front, width)
    assert screen.js("return document.documentElement.scrollWidth") <= width
    edges = screen.js(f"return [...document.querySelectorAll('{TABLE} thead tr:last-child th')].slice(0, 3)"
                      ".map(th => [th.innerText, th.getBoundingClientRect().right])")  # fmt: skip
    assert [name.strip().replace(HYPHEN, "-") for name, _ in edges] == ["method", "PSNR-μ", "HDR-VDP-2"]
    assert all(right <= width for _, right in edges)


def test_a_picture_stands_on_the_first_screen_and_the_front_is_short(screen, front):
    screen.open(front)
    box = screen.js(
        "const b = document.querySelector('#chart tbody').getBoundingClientRect(); return [b.top, b.bottom]"
    )
    assert 0 < box[0] < box[1] < 900
    assert screen.js("return document.documentElement.scrollHeight") <= 4 * 900


def test_headings_and_names_stay_in_sight(screen, front):
    screen.open(front, 390, 500)
    screen.one("#table1-values .switch input").click()
    box = "const s = document.querySelector(arguments[0]); const b = s.getBoundingClientRect();"
    head, name, scroll = f"{TABLE} thead th:nth-child(2)", f"{TABLE} tbody th", TABLE
    before = screen.js(f"{box} return b.left", name), screen.js(f"{box} return b.top", head)
    screen.js(f"{box} s.scrollLeft = 300; s.scrollTop = 100", scroll)
    assert screen.js(f"{box} return s.scrollLeft > 200 && s.scrollTop > 50", scroll)
    assert before == pytest.approx((screen.js(f"{box} return b.left", name), screen.js(f"{box} return b.top", head)))


def test_dark_pages_are_dark(screen, front):
    shades = {}
    for scheme in ("light", "dark"):
        screen.open(front, scheme=scheme)
        colour = screen.js("const c = getComputedStyle(document.body); return [c.backgroundColor, c.color]")
        shades[scheme] = [sum(map(int, text.strip("rgb()").split(", "))) / 765 for text in colour]
    assert shades["light"][0] > 0.95 and shades["light"][1] < 0.25
    assert shades["dark"][0] < 0.15 and shades["dark"][1] > 0.8


def test_nothing_is_asked_of_the_net_and_every_picture_is_there(screen, reported):
    pages = [reported[1] / "index.html", *sorted(reported[1].glob("pages/*.html"))]
    for page in pages:
        screen.open(page)
        screen.js("document.querySelectorAll('img').forEach(i => i.loading = 'eager')")
        asked = [json.loads(entry["message"])["message"] for entry in screen.driver.get_log("performance")]
        sent = [one["params"]["request"]["url"] for one in asked if one["method"] == "Network.requestWillBeSent"]
        assert sent and all(url.startswith(("file:", "data:")) for url in sent), page
        loaded = (
            "const done = arguments[0]; Promise.all([...document.images].map(i => i.decode().then(() => true, "
            "() => i.src))).then(done)"
        )
        assert set(screen.driver.execute_async_script(loaded)) <= {True}
        errors = [entry for entry in screen.driver.get_log("browser") if entry["level"] == "SEVERE"]
        assert not errors


def test_a_figure_opens_at_full_size(screen, front):
    screen.open(front)
    shown = screen.one("#crop img")
    natural = screen.js("return [arguments[0].naturalWidth, +arguments[0].getAttribute('width')]", shown)
    assert natural[0] in (2 * natural[1], 2 * natural[1] + 1)
    assert screen.one("#crop a.picture").get_attribute("href").endswith(Path(shown.get_attribute("src")).name)


def test_a_note_opens_where_its_letter_is_clicked(screen, front):
    screen.open(front)
    letter = next(link for link in screen.all(f"{TABLE} tbody th sup a") if link.is_displayed())
    note = screen.one(letter.get_attribute("href")[letter.get_attribute("href").index("#") :])
    assert not note.is_displayed() and letter.get_attribute("title")
    letter.click()
    assert note.is_displayed()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(screen, reported, scheme):
    """`npm install axe-core`, then AXE_CORE=node_modules/axe-core/axe.min.js; its licence keeps it out of here."""
    if not os.environ.get("AXE_CORE"):
        pytest.skip("AXE_CORE doesn't name axe.min.js")
    axe = Path(os.environ["AXE_CORE"]).read_text(encoding="utf-8")
    for page in (reported[1] / "index.html", *sorted(reported[1].glob("pages/*.html"))):
        screen.open(page, scheme=scheme)
        screen.js(axe)
        run = "const done = arguments[0]; axe.run().then(r => done(r.violations.map(v => [v.impact, v.id])))"
        found = screen.driver.execute_async_script(run)
        assert not [one for one in found if one[0] in ("serious", "critical")], page
