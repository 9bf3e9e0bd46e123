"""The viewer as people use it: opened from disk, by mouse, keys and fingers, and by links into it."""

import json
import time

import numpy as np
import pytest

from bench.core.seeding import generator
from bench.report.viewer import packing
from bench.report.viewer.viewer import Listed, ViewedScene, render, script
from tests.report.conftest import parameters
from tests.report.scenes import HEIGHT, WIDTH, scene
from tests.shared import shared

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium isn't installed; pip install -e '.[browser]'")
ActionChains, Keys = webdriver.ActionChains, webdriver.Keys

METHODS = {"ahdrnet": 0.002, "full": 0.001, "triangle-merge": 0.05}
"""Variant -> its noise."""
SCORES = {name: {"psnr-mu": 40 - 100 * noise, "ssim-mu": 0.99 - noise} for name, noise in METHODS.items()}
SAID = "document.getElementById('said').textContent"
MEANS = """
draw();
const canvas = panels[arguments[0]].firstElementChild, { width, height } = canvas;
const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
const mean = (from, to) => {
  let sum = 0, n = 0;
  for (let y = 0; y < height; y += 3) for (let x = Math.floor(from * width); x < Math.floor(to * width); x += 3) {
    const at = 4 * (y * width + x);
    sum += data[at] + data[at + 1] + data[at + 2];
    n += 3;
  }
  return sum / n;
};
return [mean(0, 0.33), mean(0.67, 1), mean(0, 1)];
"""
SCENES = {"courtyard-00": "test", "sunset-00": "test", "street-00": "no-truth"}


def predictions(given):
    light = given.linear[0] if given.radiance is None else given.radiance
    noise = {name: generator(6, name).normal(0, scale, light.shape) for name, scale in METHODS.items()}
    return {name: np.clip(light + one, 0, 1).astype(np.float32) for name, one in noise.items()}


def fill(folder):
    for name, split in SCENES.items():
        given = scene(name, truth=split == "test")
        seen = {method: np.full((HEIGHT, WIDTH), 0.4) for method in METHODS} if split == "test" else {}
        (folder / f"{name}.js").write_bytes(script(ViewedScene(name, given, predictions(given), seen)))
    listed = [Listed(name, "panoramas", split, SCORES if split == "test" else {}) for name, split in SCENES.items()]
    labels = {"ahdrnet": "AHDRNet", "full": "Proposed", "triangle-merge": "triangle-merge"}
    (folder / "index.html").write_text(render(parameters(), labels, listed), encoding="utf-8")


@pytest.fixture(scope="session")
def page(tmp_path_factory):
    return shared(tmp_path_factory, "viewer", fill) / "index.html"


@pytest.fixture
def viewer(screen, page):
    """Open the page and wait until a scene is there."""

    def opened(fragment="", **size):
        screen.open(page.with_name("none.html"))  # or another fragment would not load the page again
        screen.open(page, fragment=fragment, **size)
        return ready(screen)

    return opened


def ready(screen):
    until(
        screen,
        "return scene !== null && scene.name === state.scene && document.getElementById('said').textContent === ''",
    )
    return screen


def until(screen, condition):
    end = time.monotonic() + 10
    while not screen.js(condition):
        assert time.monotonic() < end, screen.js(f"return {SAID}")
        time.sleep(0.02)


def address(screen):
    until(screen, "return !writing")  # when a movement has ended
    return dict(part.split("=") for part in screen.js("return location.hash.slice(1)").split("&"))


def press(screen, *keys):
    ActionChains(screen.driver).send_keys(*keys).perform()
    ready(screen)


def pixels(screen, panel=0):
    """Mean of the left and the right third of a panel, and of all of it."""
    return screen.js(MEANS, panel)


def test_it_opens_from_disk_and_asks_no_net(viewer):
    screen = viewer()
    log = [json.loads(entry["message"])["message"] for entry in screen.driver.get_log("performance")]
    asked = [one["params"]["request"]["url"] for one in log if one["method"] == "Network.requestWillBeSent"]
    assert {url.partition(":")[0] for url in asked} <= {"file", "data", "blob"}
    scripts = [url.rpartition("/")[2] for url in asked if url.endswith(".js")]
    assert scripts == ["courtyard-00.js"], "only the scene that is looked at is read"
    assert screen.js("return [state.a, state.b, state.mode]") == ["reference", "full", "slider"]
    assert not [entry for entry in screen.driver.get_log("browser") if "index.html" in entry["message"]]


def test_the_browser_reads_the_numbers_that_were_packed(viewer):
    screen = viewer("#scene=sunset-00")
    given = scene("sunset-00")
    wanted = {"reference": given.linear[1], "truth": given.radiance, **predictions(given)}
    for name, light in wanted.items():
        found = screen.js("return [...scene.pictures.get(arguments[0]).values]", name)
        assert np.array_equal(np.reshape(found, light.shape), packing.codes(light))
    assert set(screen.js("return [...scene.seen.get('full')]")) == {6}
    short = np.reshape(screen.js("return [...scene.pictures.get('short').values]"), given.radiance.shape)
    assert np.abs(short - 255 * given.ldr[0]).mean() < 4


def test_the_divider_is_dragged_and_moved_by_keys(viewer):
    screen = viewer("#scene=sunset-00&a=truth&b=long&tone=mu")
    apart = pixels(screen)
    divider = screen.one("#divider")
    width = screen.js("return panels[0].getBoundingClientRect().width")
    ActionChains(screen.driver).drag_and_drop_by_offset(divider, int(width * 0.4), 0).perform()
    assert divider.get_attribute("aria-valuenow") == "90"
    assert float(address(screen)["split"]) == pytest.approx(0.9, abs=0.005)
    truth = pixels(screen)
    assert truth[0] == pytest.approx(apart[0]) and abs(truth[1] - apart[1]) > 1
    divider.send_keys(Keys.HOME, Keys.ARROW_RIGHT)
    assert screen.js("return state.split") == pytest.approx(0.02)
    assert screen.js("return state.scene") == "sunset-00", "arrows belong to the divider here"
    assert abs(pixels(screen)[0] - apart[0]) > 10


def test_all_panels_share_zoom_and_movement(viewer):
    screen = viewer("#scene=sunset-00&mode=side&third=1&a=truth&b=full")
    panels = screen.all(".panel")
    assert all(panel.is_displayed() for panel in panels)
    box = panels[1].rect
    wheel = {
        "type": "mouseWheel",
        "x": box["x"] + box["width"] / 4,
        "y": box["y"] + box["height"] / 2,
        "deltaX": 0,
        "deltaY": -600,
    }
    screen.driver.execute_cdp_cmd("Input.dispatchMouseEvent", wheel)
    until(screen, "return state.zoom === 4")
    views = screen.js("return panels.map((p) => { const v = view(p); return [v.scale, v.x, v.y]; })")
    assert views[0] == views[1] == views[2] and views[0][1] < 0.5, "what is under the pointer stays there"
    assert (
        abs(pixels(screen, 0)[2] - pixels(screen, 2)[2]) < 0.01 and abs(pixels(screen, 0)[2] - pixels(screen, 1)[2]) < 3
    )
    ActionChains(screen.driver).click_and_hold(panels[0]).move_by_offset(-80, 0).release().perform()
    assert screen.js("return view(panels[2]).x") > views[0][1]
    assert address(screen)["zoom"] == "4"
    screen.one("#fit").click()
    assert screen.js("return [state.zoom, view(panels[1]).x]") == [1, 0.5]


def test_a_link_shows_the_same_again(viewer):
    link = (
        "scene=sunset-00&a=ahdrnet&b=triangle-merge&mode=side&zoom=3&x=0.4&y=0.6&ev=-1.5&tone=srgb&map=error&limit=0.1"
    )
    screen = viewer(f"#{link}")
    assert address(screen) == dict(part.split("=") for part in link.split("&"))
    assert [screen.one(f"#{name}").get_attribute("value") for name in ("scene", "a", "b", "ev")] == [
        "sunset-00", "ahdrnet", "triangle-merge", "-1.5",
    ]  # fmt: skip
    assert screen.one("#legend").is_displayed() and "0.1" in screen.one("#legend").text
    screen.js("location.hash = 'scene=courtyard-00&a=truth&b=short&mode=flicker'")  # as a link on the same page would
    until(screen, "return state.scene === 'courtyard-00'")
    ready(screen)
    assert address(screen) == {"scene": "courtyard-00", "a": "truth", "b": "short", "mode": "flicker", "zoom": "1"}


@pytest.mark.parametrize(
    "link", ["scene=nowhere&a=nobody&b=", "mode=x&zoom=0&ev=99&split=a&map=7", "scene=%E0%A4%A", "&=&"]
)
def test_a_broken_link_shows_what_there_is(viewer, link):
    screen = viewer(f"#{link}")
    assert screen.js("return [state.scene, state.a, state.b, state.mode, state.zoom, state.ev]") == [
        "courtyard-00", "reference", "full", "slider", 1, 0,
    ]  # fmt: skip


def test_keys(viewer):
    screen = viewer()
    state = lambda *names: screen.js("return arguments[0].map((name) => state[name])", names)  # noqa: E731
    press(screen, Keys.ARROW_RIGHT)
    assert state("scene") == ["sunset-00"]
    press(screen, Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert state("scene", "b") == ["street-00", "full"]
    press(screen, Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    assert state("scene", "a", "b") == ["courtyard-00", "reference", "ahdrnet"]
    ActionChains(screen.driver).key_down(Keys.SHIFT).send_keys(Keys.ARROW_UP).key_up(Keys.SHIFT).perform()
    assert state("a", "b") == ["short", "ahdrnet"]
    press(screen, "x")
    assert state("a", "b") == ["ahdrnet", "short"]
    press(screen, "+", "+", "-", "]", "]", "[", "t", "e")
    assert state("zoom", "ev", "tone", "map") == [1.5, 0.5, "mu", "error"]
    x = screen.js("return view(panels[0]).x")
    press(screen, "d")
    assert screen.js("return view(panels[0]).x") > x
    press(screen, "0", "v", "v", "3")
    assert state("zoom", "map", "mode") == [1, "none", "side"]
    press(screen, "?")
    assert screen.one("#help").is_displayed()
    press(screen, Keys.ESCAPE)
    assert not screen.one("#help").is_displayed()


def test_space_flickers_between_a_and_b(viewer):
    screen = viewer("#scene=courtyard-00&a=truth&b=long")
    press(screen, " ")
    first = screen.one("#panel-0").text
    before = pixels(screen)[2]
    press(screen, " ")
    assert "truth" in first and "long frame" in screen.one("#panel-0").text
    assert abs(pixels(screen)[2] - before) > 3
    press(screen, " ")
    assert screen.one("#panel-0").text == first and pixels(screen)[2] == before
    screen.one("#auto").click()
    until(screen, "return flipped")
    until(screen, "return !flipped")
    press(screen, "1")
    assert not screen.js("return timer"), "another mode ends it"


@pytest.mark.parametrize("tone", ["local", "mu", "srgb"])
def test_the_exposure_brightens_all_pictures(viewer, tone):
    screen = viewer(f"#mode=side&a=truth&b=full&tone={tone}&ev=-2")
    dark = [pixels(screen, panel)[2] for panel in (0, 1)]
    slider = screen.one("#ev")
    slider.send_keys(*[Keys.ARROW_RIGHT] * 8)
    assert screen.js("return state.ev") == 0 and screen.one("#ev-said").text == "0 EV"
    bright = [pixels(screen, panel)[2] for panel in (0, 1)]
    assert all(one > other + 5 for one, other in zip(bright, dark, strict=True))


def test_maps_lie_over_methods_and_nothing_else(viewer):
    screen = viewer("#scene=courtyard-00&mode=side&a=truth&b=triangle-merge&map=error&strength=100&limit=0.01")
    assert pixels(screen, 1)[2] > 60, "it is noisy"
    screen.js("set({ b: 'full', limit: 0.5 })")
    assert pixels(screen, 1)[2] < 12, "hardly any error, on a wide scale"
    screen.js("set({ map: 'seen', a: 'short' })")
    assert screen.js("return [mapOf('full')[0], mapOf('short'), mapOf('truth')]") == [pytest.approx(0.4), None, None]
    assert "no map of this one" in screen.one("#panel-0").text
    press(screen, Keys.ARROW_LEFT)
    assert screen.js("return state.scene") == "street-00"
    assert "no map without truth" in screen.one("#panel-1").text
    assert not screen.one('input[value="error"]').is_enabled() and not screen.one("#legend").is_displayed()
    assert "no truth, so no scores" in screen.one("#note").text


def test_scores_stand_beside_the_pictures(viewer):
    screen = viewer("#a=triangle-merge&b=full")
    rows = [row.text.split("\n") for row in screen.all("#scores tbody tr")]
    assert [row[2] for row in rows][:3] == ["Proposed", "AHDRNet", "triangle-merge"]
    assert screen.one("#scores tfoot").text == "B \u2212 A +4.90 +0.0490"
    screen.all("#scores tbody tr")[1].find_elements("css selector", "button")[1].click()
    assert screen.js("return [state.b, document.activeElement.dataset.key]") == ["ahdrnet", "b:ahdrnet"]


def test_two_fingers_enlarge(viewer):
    screen = viewer("#scene=sunset-00", width=390, height=844)
    box = screen.one("#panel-0").rect

    def touch(kind, *spots):
        points = [
            {"x": box["x"] + box["width"] * x, "y": box["y"] + box["height"] / 2, "id": i} for i, x in enumerate(spots)
        ]
        screen.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 0.4)
    touch("touchStart", 0.4, 0.6)
    for spread in (0.15, 0.2, 0.25, 0.3):
        touch("touchMove", 0.5 - spread, 0.5 + spread)
    touch("touchEnd")
    assert screen.js("return state.zoom") == pytest.approx(3, abs=0.1)
    assert not screen.js("return fingers.size")


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (800, "dark"), (390, "light")])
def test_it_fits_every_width_and_the_dark(viewer, width, scheme):
    screen = viewer("#mode=side&map=error", width=width, scheme=scheme)
    assert screen.js("return document.documentElement.scrollWidth") <= width
    assert screen.one("#panel-0").rect["y"] < 330
    paper = screen.js("return getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(20, 23, 26)") == (scheme == "dark")


def test_a_script_that_is_missing_is_named(screen, page, tmp_path):
    (tmp_path / "index.html").write_bytes(page.read_bytes())
    screen.open(tmp_path / "index.html")
    until(screen, f"return {SAID}.includes('courtyard-00.js')")
