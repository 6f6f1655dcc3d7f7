# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The page in a headless browser: it loads alone, filters, flips. Skipped where there is no Chromium with driver."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from anomalib_stage.files.atomic import write_file
from anomalib_stage.files.pixels import encode_png
from anomalib_stage.preview.preview import preview

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EVIL = "<script>alert(1)</script>"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
DEFECT_NAMES = ["scratch", "hole", "stain", "hole", "good"]


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed (pip install .[test])")
    browser = next((found for found in map(shutil.which, BROWSERS) if found), None)
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip(f"no headless browser: {'chromedriver' if browser else ' or '.join(BROWSERS)} is not on the PATH")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1"):
        options.add_argument(argument)
    if getattr(os, "geteuid", lambda: 1)() == 0:
        options.add_argument("--no-sandbox")  # Chromium refuses its sandbox to root
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(driver))
    started.set_window_size(1280, 900)
    yield started
    started.quit()


@pytest.fixture(scope="module")
def page_file(tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five rows of three defects and ``good``, one of a file with a name that is HTML."""
    folder = tmp_path_factory.mktemp("page")
    for seed, name in enumerate(["a.png", "b.png", f"{EVIL}.png"]):
        # smooth, so that a picture drawn half a pixel further is still the same
        ramp = np.add.outer(np.linspace(60, 120, 64), np.linspace(0, 40 + 20 * seed, 64)).astype(np.uint8)
        write_file(folder / "good" / name, encode_png(np.repeat(ramp[..., None], 3, axis=2)))
    preview(
        data=folder / "good",
        out=folder / "grid.png",
        html=folder / "page.html",
        weights=str(tiny_bundle_path),
        defects=DEFECT_NAMES,
        count=len(DEFECT_NAMES),
        sampling_steps=4,
        device="cpu",
    )
    return folder / "page.html"


@pytest.fixture
def page(driver: Any, page_file: Path) -> Any:
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    driver.get(page_file.as_uri())
    return driver


def find(page: Any, css: str) -> list[Any]:
    return page.find_elements("css selector", css)


def shown(page: Any) -> list[str]:
    """Kinds of the rows that can be seen."""
    return [row.get_attribute("data-defect") for row in find(page, ".row") if row.is_displayed()]


def look(element: Any) -> np.ndarray:
    """Take a picture of an element, without its frame."""
    pixels = cv2.imdecode(np.frombuffer(element.screenshot_as_png, np.uint8), cv2.IMREAD_COLOR)
    return pixels[4:-4, 4:-4].astype(int)


def changed(one: np.ndarray, other: np.ndarray) -> int:
    """Count the pixels that differ plainly; the sizes of the pictures may differ by a rounded pixel."""
    height, width = min(one.shape[0], other.shape[0]), min(one.shape[1], other.shape[1])
    assert abs(one.shape[0] - other.shape[0]) <= 1
    return int((np.abs(one[:height, :width] - other[:height, :width]).max(axis=2) > 12).sum())


def frames(page: Any) -> tuple[Any, Any, Any]:
    """The clean picture, the one that flips and the closer one of a row with an anomaly."""
    found = find(page, ".row[data-defect=stain] .frame")
    return found[0], found[2], found[4]


def test_it_loads_without_complaint_and_without_a_network(page: Any) -> None:
    assert page.get_log("browser") == []
    fetched = page.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert [name for name in fetched if not name.startswith("data:")] == []
    assert page.execute_script("return [...document.images].every((image) => image.naturalWidth > 0)")
    assert page.title == "anomalib-stage preview"
    assert shown(page) == DEFECT_NAMES


def test_a_kind_hides_the_rows_of_the_others(page: Any) -> None:
    choices = {choice.get_attribute("data-defect"): choice for choice in find(page, ".defects input")}
    choices["hole"].click()
    assert shown(page) == ["hole", "hole"]
    assert find(page, ".count")[0].text == "2 of 5 rows"
    choices["stain"].click()
    assert shown(page) == ["stain"]
    choices[None].click()
    assert shown(page) == DEFECT_NAMES
    assert page.get_log("browser") == []


def test_kinds_can_be_chosen_with_the_keyboard(page: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    find(page, ".defects input")[0].send_keys(Keys.ARROW_RIGHT)
    assert shown(page) == ["good"]


def test_a_flip_shows_the_clean_picture_in_place_of_the_synthetic_one(page: Any) -> None:
    clean, flip, _ = frames(page)
    before, where, truth = look(flip), flip.rect, look(clean)
    assert changed(before, truth) > 100
    flip.click()
    assert changed(look(flip), truth) == 0
    assert flip.rect == where
    assert flip.get_attribute("aria-pressed") == "true"
    flip.click()
    assert changed(look(flip), before) == 0


def test_flips_work_from_the_keyboard_one_and_all(page: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    find(page, "button.flip")[0].send_keys(Keys.ENTER)
    pressed = [button.get_attribute("aria-pressed") for button in find(page, "button.flip")]
    assert pressed == ["true", *["false"] * 4]
    find(page, "body")[0].send_keys("f")
    assert all(button.get_attribute("aria-pressed") == "true" for button in find(page, "button.flip"))
    assert find(page, ".all")[0].get_attribute("aria-pressed") == "true"
    find(page, ".all")[0].click()
    assert all(button.get_attribute("aria-pressed") == "false" for button in find(page, "button.flip"))


def test_the_closer_look_flips_with_its_row(page: Any) -> None:
    _, flip, near = frames(page)
    before = look(near)
    near.click()
    assert changed(look(near), before) > 100
    assert flip.get_attribute("aria-pressed") == "true"


def test_markup_in_a_file_name_is_text(page: Any) -> None:
    assert any(source.text == f"{EVIL}.png" for source in find(page, ".source"))
    assert len(find(page, "script")) == 1


@pytest.mark.parametrize("width", [1280, 1024, 700])
def test_nothing_is_wider_than_the_window(page: Any, width: int) -> None:
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )
    try:
        assert page.execute_script("return document.documentElement.scrollWidth") <= width
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_it_is_dark_where_the_system_is(page: Any) -> None:
    def ground() -> int:
        pixels = cv2.imdecode(np.frombuffer(page.get_screenshot_as_png(), np.uint8), cv2.IMREAD_GRAYSCALE)
        return int(np.median(pixels[:, :8]))

    scheme = {"name": "prefers-color-scheme"}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme | {"value": "light"}]})
    assert ground() > 200
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme | {"value": "dark"}]})
    assert ground() < 60
