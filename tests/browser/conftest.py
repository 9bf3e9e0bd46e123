"""A headless Chromium of this machine; without one, or without selenium, its tests are skipped."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.report.conftest import reported  # noqa: F401

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars", "--disable-extensions")


@pytest.fixture(scope="session")
def chromium() -> Iterator[object]:
    """The browser of this process, a selenium driver that logs what it asks for."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="no selenium; pip install -e '.[browser]'")
    found = next(filter(None, map(shutil.which, NAMES)), None)
    driver = shutil.which("chromedriver")
    if not found or not driver:
        pytest.skip("no Chromium with its chromedriver on this machine")
    options = webdriver.ChromeOptions()
    options.binary_location = found
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    service = webdriver.chrome.service.Service(driver, log_output=os.devnull)
    browser = webdriver.Chrome(options=options, service=service)
    yield browser
    browser.quit()


class Screen:
    """A browser with a window of one size that opens files from disk."""

    def __init__(self, driver) -> None:
        self.driver = driver

    def open(self, page: Path, width: int = 1400, height: int = 900, scheme: str = "light", fragment: str = "") -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        calm = {"name": "prefers-reduced-motion", "value": "reduce"}  # clicks don't wait for a smooth scroll
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}, calm]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        self.driver.get_log("performance")
        self.driver.get(page.resolve().as_uri() + fragment)

    def js(self, script: str, *values: object):
        return self.driver.execute_script(script, *values)

    def one(self, selector: str):
        return self.driver.find_element("css selector", selector)

    def all(self, selector: str):
        return self.driver.find_elements("css selector", selector)


@pytest.fixture
def screen(chromium) -> Screen:
    return Screen(chromium)
