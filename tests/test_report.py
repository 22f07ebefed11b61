"""The report: everything that it should say is on the page, safely; and a real browser finds nothing to complain of."""

import base64
import io
import json
import re
import shutil
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from augsearch.evidence.experiments import Case, Experiment
from augsearch.evidence.joining import join
from augsearch.evidence.plots import lineage
from augsearch.evidence.report.charts import chance
from augsearch.evidence.report.strips import examples, strips
from augsearch.settings import load
from tests.report_samples import EVIL, ROOT, population_search, published, published_script, random_policy

CASES = ("small", "large")


class Reader(HTMLParser):
    """The text of each heading, what stands in bold, the elements that there are, and what they point to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.text: dict[str, list[str]] = {"h2": [], "h3": [], "strong": [], "li": [], "p": []}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag in self.text:
            self.text[tag].append("")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] in self.text and not self.text[self.tags[-1]][-1]:
            self.text[self.tags[-1]][-1] = data


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a finished run."""
    folder = tmp_path_factory.mktemp("run")
    published(folder)
    return folder


@pytest.fixture(scope="module")
def page(run: Path) -> str:
    return (run / "reports/index.html").read_text()


@pytest.fixture(scope="module")
def joint_page(run: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of two cases, each the same run."""
    root = tmp_path_factory.mktemp("both")
    for case in CASES:
        shutil.copytree(run, root / case)
    cases = {case: Case(params="", settings=load(ROOT / "params.yaml")) for case in CASES}
    (root / "figures").mkdir()
    (root / "figures/results-of-a-case-that-is-no-more.svg").touch()
    join(Experiment("both", "a bolt in two sizes", "an hour", cases), f"about: {EVIL}\n", root)
    assert {file.name for file in (root / "figures").iterdir()} == {
        f"{kind}.svg" for case in CASES for kind in (f"results-{case}", f"differences-{case}-accuracy")
    }
    assert "| small | 80.0 ± 2.0 | 84.0 ± 2.0 | **87.0 ± 2.0** |" in (root / "results.md").read_text()
    return (root / "index.html").read_text()


def test_the_page_says_all_that_there_is(page: str) -> None:
    read = Reader(page)
    assert read.text["h2"] == [
        "Result",
        "What it says",
        "The searches",
        "What the searches promised",
        "The policies that were chosen",
        "Which operations matter",
        "Mistakes, before and after",
        "What it cost",
        "How to make it again",
    ]
    assert read.text["strong"] == ["87.0 ± 2.0"]
    assert "Tuun beats No Aug by 7.0 points [7.0, 7.0], n\u00a0=\u00a05" in read.text["li"]
    assert "git checkout 0123456789ab" in page
    assert "0123456789abcdef" * 4 in page


def test_without_searches_there_is_still_a_page(tmp_path: Path) -> None:
    """`search.methods: []`, published policies alone."""
    published(tmp_path, searched=False)
    titles = Reader((tmp_path / "reports/index.html").read_text()).text["h2"]
    assert titles == ["Result", "What it says", "Mistakes, before and after", "What it cost", "How to make it again"]


def test_a_users_own_script_has_a_page_in_its_own_unit(tmp_path: Path) -> None:
    published_script(tmp_path)
    page = (tmp_path / "reports/index.html").read_text()
    read = Reader(page)
    assert read.text["h2"] == [
        "Result",
        "What it says",
        "The searches",
        "What the searches promised",
        "The policies that were chosen",
        "Which operations matter",
        "What it cost",
        "How to make it again",
    ]
    assert read.text["strong"] == ["1240 ± 0.02"]
    assert "Tuun beats No Aug by 6 [6, 6], n\u00a0=\u00a05" in read.text["li"]
    assert "in percent" not in page
    assert "held-out" not in page


def test_cases_share_a_page(joint_page: str) -> None:
    read = Reader(joint_page)
    assert read.text["h2"] == ["Result", "What it says", "What the searches promised", "What it cost", "How to make it again"]
    assert read.text["strong"] == ["87.0 ± 2.0", "87.0 ± 2.0"]
    for case in CASES:
        assert f"{case}: Tuun beats No Aug by 7.0 points [7.0, 7.0], n\u00a0=\u00a05" in read.text["li"]
        assert f"&lt;b&gt;mine, {case}" in joint_page
        assert f"{case}/reports/index.html" in joint_page
    assert "script" not in read.tags
    assert all(link.startswith(("data:", "#")) for link in read.links)


def test_names_are_text_and_never_markup(page: str) -> None:
    read = Reader(page)
    assert not {"script", "b"} & set(read.tags)
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 3  # a class, the settings
    assert "&lt;b&gt;mine" in page  # an arm


def test_the_page_points_to_nothing_outside_and_ids_are_its_own(page: str) -> None:
    read = Reader(page)
    inside = [link.removeprefix("#") for link in read.links if not link.startswith("data:")]
    inside += re.findall(r"url\(#?(.*?)\)", page)
    assert len(inside) > 20
    assert set(inside) <= set(read.ids)
    assert len(set(read.ids)) == len(read.ids)
    assert "@import" not in page


def test_every_figure_is_a_drawing_by_itself(run: Path) -> None:
    drawings = {file.stem: ET.parse(file).getroot() for file in (run / "reports/figures").glob("*.svg")}
    assert set(drawings) == {
        "results-parts___bolts",
        "differences-accuracy",
        "search-trials",
        "search-seconds",
        "population-pba",
        "schedule-pba-probability",
        "schedule-pba-magnitude",
        "importance",
        "recall",
        "confusion-before",
        "confusion-after",
    }
    svg = "{http://www.w3.org/2000/svg}"
    words = {element.text for element in drawings["recall"].iter(f"{svg}text")}
    assert {"bolt", EVIL, "$x_0$  螺"} <= words
    for drawing in drawings.values():
        assert drawing.get("role") == "img"
        assert len(drawing.get("aria-label", "")) > 20
        assert "prefers-color-scheme" in str(drawing[0].text)
        styles = " ".join(element.get("style", "") for element in drawing.iter())
        assert "var(--paper)" in styles
        assert not re.search(r"#[0-9a-f]{3}", styles)  # every colour follows the scheme


def test_luck_is_where_the_best_of_so_many_random_trials_lies() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(80, 3, 50)
    low, high = chance(scores, 20, 0.95)
    best = np.maximum.accumulate(rng.choice(scores, (20000, 20)), axis=1)
    inside = ((best >= low) & (best <= high)).mean(0)
    assert (inside >= 0.945).all()
    assert inside[0] < 0.98
    assert (np.diff(low) >= 0).all()


def test_a_population_is_drawn_by_its_rounds_and_never_as_trials(run: Path) -> None:
    """Its members train side by side, to another length: they are no trials one after the other."""
    assert lineage(population_search()["rounds"], 2) == [0, 2, 2]
    words = {
        name: {e.text for e in ET.parse(run / f"reports/figures/search-{name}.svg").iter() if e.tag.endswith("text")}
        for name in ("trials", "seconds")
    }
    assert "PBA" not in words["trials"]
    assert {"PBA", "Tuun", "Random search"} <= words["seconds"]
    assert "pba" not in (run / "reports/search.csv").read_text()


def test_strips_show_the_images_and_one_row_for_each_sub_policy() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (8, 3, 12, 12), np.uint8)
    rows = strips(random_policy(rng), images)
    assert [len(row.label) for row in rows] == [1, 2, 2]
    _, _, data = rows[0].uri.partition(",")
    with Image.open(io.BytesIO(base64.b64decode(data))) as original:
        assert original.size == (8 * 13 - 1, 12)
        assert np.array_equal(np.asarray(original.convert("RGB"))[:, :12], images[0].transpose(1, 2, 0))


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
        e => parseFloat(getComputedStyle(e).fontSize) *
        e.ownerSVGElement.getBoundingClientRect().width / e.ownerSVGElement.viewBox.baseVal.width)"""
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
