"""The report: everything that it should say is on the page, safely; and a real browser finds nothing to complain of."""

import base64
import io
import json
import shutil
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from augsearch.evidence.report.figures import chance
from augsearch.evidence.report.joint import joint_lead, joint_sections
from augsearch.evidence.report.page import page as page_of
from augsearch.evidence.report.page import render
from augsearch.evidence.report.sections import all_figures, sections
from augsearch.evidence.report.strips import examples, strips
from augsearch.evidence.report.svg import standalone
from tests.report_samples import CASES, EVIL, evidence, joint


class Reader(HTMLParser):
    """The text of each heading, what stands in bold, the elements that there are, and what they point to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text: dict[str, list[str]] = {"h2": [], "strong": [], "li": [], "text": []}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag in self.text:
            self.text[tag].append("")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] in self.text and not self.text[self.tags[-1]][-1]:
            self.text[self.tags[-1]][-1] = data


@pytest.fixture(scope="module")
def page() -> str:
    whole = evidence()
    return render(whole, sections(whole))


def test_the_page_says_all_that_there_is(page: str) -> None:
    read = Reader(page)
    assert read.text["h2"] == [
        "Result",
        "What it says",
        "The searches",
        "What the searches promised",
        "The policies that were found",
        "Which operations matter",
        "Mistakes, before and after",
        "What it cost",
        "How to make it again",
    ]
    assert read.text["strong"] == ["87.0 ± 2.0"]
    assert "tuun and none differ by 7.0 points, n\u00a0=\u00a05" in read.text["li"]
    assert "git checkout 0123456789ab" in page
    assert "originals" not in page  # their rule was not asked for
    assert "0123456789abcdef" * 4 in page


def test_what_is_not_there_is_left_out() -> None:
    bare = evidence(whole=False)
    titles = Reader(render(bare, sections(bare))).text["h2"]
    assert {"Result", "The searches", "Which operations matter"} <= set(titles)
    assert not {"What it says", "What the searches promised", "Mistakes, before and after"} & set(titles)


def test_a_table_without_searches_has_a_page() -> None:
    """`search.methods: []`, published policies alone."""
    whole = evidence()
    assert whole.optimism is not None
    fixed = replace(whole, searches=(), optimism=whole.optimism.iloc[:0])
    titles = Reader(render(fixed, sections(fixed))).text["h2"]
    assert titles == ["Result", "What it says", "Mistakes, before and after", "What it cost", "How to make it again"]


@pytest.fixture(scope="module")
def joint_page() -> str:
    both = joint()
    return page_of(both.experiment.name, joint_lead(both), joint_sections(both))


def test_cases_share_a_page(joint_page: str) -> None:
    read = Reader(joint_page)
    assert read.text["h2"] == ["Result", "What it says", "What the searches promised", "What it cost", "How to make it again"]
    assert read.text["strong"] == ["87.0 ± 2.0", "87.0 ± 2.0"]
    for case in CASES:
        assert f"{case}: tuun and none differ by 7.0 points, n\u00a0=\u00a05" in read.text["li"]
        assert f"Tuun &lt;script&gt;alert(1)&lt;/script&gt;, {case}" in joint_page
        assert f"experiments/runs/both/{case}/reports/index.html" in joint_page
    assert "script" not in read.tags
    assert all(link.startswith("data:") for link in read.links)


def test_names_are_text_and_never_markup(page: str) -> None:
    read = Reader(page)
    assert "script" not in read.tags
    assert EVIL not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 3  # a class, an arm, the settings


def test_the_page_points_to_nothing_outside(page: str) -> None:
    assert all(link.startswith("data:") for link in Reader(page).links)
    assert "url(" not in page
    assert "@import" not in page


def test_every_figure_is_a_drawing_by_itself() -> None:
    whole = evidence()
    figures = {figure.name: ET.fromstring(standalone(figure.svg)) for figure in all_figures(sections(whole))}
    assert set(figures) == {
        "results-parts___bolts",
        "differences-accuracy",
        "search-trials",
        "search-seconds",
        "schedule-pba-probability",
        "schedule-pba-magnitude",
        "importance",
        "recall",
        "confusion-before",
        "confusion-after",
    }
    words = {element.text for element in figures["recall"].iter("{http://www.w3.org/2000/svg}text")}
    assert {"bolt", EVIL, "0"} <= words
    assert all(figure[-1].tag.startswith("{http://www.w3.org/2000/svg}") for figure in figures.values())


def test_luck_is_where_the_best_of_so_many_random_trials_lies() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(80, 3, 50)
    low, high = chance(scores, 20, 0.95)
    best = np.maximum.accumulate(rng.choice(scores, (20000, 20)), axis=1)
    inside = ((best >= low) & (best <= high)).mean(0)
    assert (inside >= 0.945).all()
    assert inside[0] < 0.98
    assert (np.diff(low) >= 0).all()


def test_strips_show_the_images_and_one_row_for_each_sub_policy() -> None:
    whole = evidence()
    first = whole.searches[0].found
    assert first is not None
    rows = strips(first, whole.images)
    assert [len(row.label) for row in rows] == [1, 2, 2]
    _, _, data = rows[0].uri.partition(",")
    with Image.open(io.BytesIO(base64.b64decode(data))) as original:
        assert original.size == (8 * 13 - 1, 12)
        assert np.array_equal(np.asarray(original.convert("RGB"))[:, :12], whole.images[0].transpose(1, 2, 0))


def test_examples_are_of_different_classes() -> None:
    images = np.arange(40, dtype=np.uint8)[:, None, None, None]
    labels = np.repeat(np.arange(20), 2)
    assert (examples(images, labels)[:, 0, 0, 0] // 2).tolist() == [0, 3, 5, 8, 11, 14, 16, 19]
    assert len(examples(images, labels % 3)) == 8


# --- in a browser ----------------------------------------------------------------------------------------

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium, of the dev extras")
    if not (CHROMIUM and DRIVER):
        pytest.skip("needs chromium and chromedriver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (*FLAGS.split(), f"--user-data-dir={profile}"):
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
        try:
            yield driver
        finally:
            driver.quit()


def at_an_address(page: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    file: Path = tmp_path_factory.mktemp("report") / "index.html"
    file.write_text(page)
    return file.as_uri()


@pytest.fixture(scope="module")
def address(page: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    return at_an_address(page, tmp_path_factory)


@pytest.fixture(scope="module")
def joint_address(joint_page: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    return at_an_address(joint_page, tmp_path_factory)


def look(browser: Any, address: str, width: int, scheme: str) -> None:
    """Open the page anew, so wide, in that scheme, with everything unfolded."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(address)
    browser.execute_script("document.querySelectorAll('details').forEach(folded => folded.open = true)")


def test_a_browser_asks_for_nothing_and_has_no_error(browser: Any, address: str) -> None:
    browser.get("about:blank")
    browser.get_log("performance")  # what the browser's own first page asked for
    look(browser, address, 1400, "light")
    asked = [
        message["params"]["request"]["url"]
        for message in (json.loads(entry["message"])["message"] for entry in browser.get_log("performance"))
        if message["method"] == "Network.requestWillBeSent"
    ]
    assert address in asked
    assert {url for url in asked if not url.startswith("data:")} == {address}
    assert browser.get_log("browser") == []


def assert_readable(browser: Any, address: str, width: int) -> None:
    look(browser, address, width, "light")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    beyond = """return [...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll > *') &&
        (e.getBoundingClientRect().right > innerWidth + 0.5 || e.getBoundingClientRect().left < -0.5)).map(e => e.outerHTML)"""
    assert browser.execute_script(beyond) == []
    small = """return [...document.querySelectorAll('.chart text')].map(
        e => 12 * e.ownerSVGElement.getBoundingClientRect().width / e.ownerSVGElement.viewBox.baseVal.width)"""
    assert min(browser.execute_script(small)) > 10  # pixels


def assert_accessible(browser: Any, address: str, width: int, scheme: str) -> None:
    axe = pytest.importorskip("axe_core_python", reason="needs axe-core-python, of the dev extras")
    look(browser, address, width, scheme)
    browser.execute_script((Path(axe.__file__).parent / "axe.min.js").read_text())
    found = browser.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
    assert [(v["id"], [node["html"] for node in v["nodes"]]) for v in found["violations"]] == []
    assert len(found["passes"]) > 15


@pytest.mark.parametrize("width", [400, 1400])
def test_it_is_readable_so_wide(browser: Any, address: str, width: int) -> None:
    assert_readable(browser, address, width)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_it_is_accessible(browser: Any, address: str, width: int, scheme: str) -> None:
    assert_accessible(browser, address, width, scheme)


@pytest.mark.parametrize("width", [400, 1400])
def test_the_page_of_several_cases_is_readable_and_accessible(browser: Any, joint_address: str, width: int) -> None:
    assert_readable(browser, joint_address, width)
    assert_accessible(browser, joint_address, width, "dark")


def test_schemes_differ(browser: Any, address: str) -> None:
    seen = []
    for scheme in ("light", "dark"):
        look(browser, address, 1400, scheme)
        seen.append(browser.execute_script("return getComputedStyle(document.documentElement).backgroundColor"))
    assert seen == ["rgb(255, 255, 255)", "rgb(21, 24, 28)"]


def test_it_prints_light_and_unfolded(browser: Any, address: str) -> None:
    look(browser, address, 1400, "dark")
    browser.execute_script("document.querySelectorAll('details').forEach(folded => folded.open = false)")
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": features})
    assert browser.execute_script("return getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    folded = "return document.querySelector('details:last-of-type pre').getBoundingClientRect().height"
    assert browser.execute_script(folded) > 20
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
