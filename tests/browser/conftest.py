"""A browser without network, and the pages of two simulated studies: a small one, and one of 30,000 items.

The stage needs Chromium and its driver (Debian: `chromium chromium-driver`) and, for the accessibility check, axe-core,
which `make test-browser` puts into `tests/.cache/axe`. Where they are absent the tests fail, or are skipped if that is
meant (see `absent`).
"""

import json
import os
import shutil
from pathlib import Path

import pytest

from absent import absent
from looked import HOSTILE, item, spec, write_shard, write_study
from simulated import make_study, with_evidence, write_browsed

CACHE = Path(__file__).resolve().parents[1] / ".cache"


@pytest.fixture(scope="session")
def axe():
    """The source of axe-core."""
    path = Path(os.environ.get("POSOLOGIE_AXE", CACHE / "axe" / "axe_playwright_python" / "axe.min.js"))
    if not path.is_file():
        absent("axe", f"no axe-core at {path}; `make test-browser` fetches it")
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def driver():
    """A headless Chromium that is cut off from the network and logs what it asks for."""
    from selenium import webdriver

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver_file = shutil.which("chromedriver")
    if chromium is None or driver_file is None:
        absent("browser", "no Chromium with its driver; on Debian: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=driver_file)
    started = webdriver.Chrome(options=options, service=service)
    started.set_page_load_timeout(60)
    started.set_script_timeout(180)
    started.execute_cdp_cmd("Network.enable", {})
    offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    started.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    yield started
    started.quit()


class Page:
    """A page under test: opened in a known size and colour scheme, with what the browser complained of."""

    def __init__(self, driver, path):
        self.driver, self.path = driver, path

    def open(self, *, width=1280, height=900, scheme="light", fragment="", media=""):
        """Open the page anew."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        features.append({"name": "prefers-reduced-motion", "value": "reduce"})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features, "media": media})
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.driver.get("about:blank")
        self.driver.get(self.path.as_uri() + fragment)
        return self

    def run(self, script, *arguments):
        """Run a script in the page and return what it returns."""
        return self.driver.execute_script(script, *arguments)

    def find(self, selector):
        """Return the first element that a selector matches."""
        return self.driver.find_element("css selector", selector)

    def find_all(self, selector):
        """Return every element that a selector matches."""
        return self.driver.find_elements("css selector", selector)

    def wait(self, condition, seconds=20):
        """Wait until a script returns something true, and return it."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, seconds, poll_frequency=0.02).until(lambda _: self.run(condition))

    def complaints(self):
        """Return what the console said since the page was opened."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self):
        """Return the addresses that the page asked for since it was opened."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]


def _written(study):
    from posologie.report import __main__ as report
    from posologie.report.figures import __main__ as figures

    common = ["--spec", study.report.canonical_json(), "--results", str(study.root)]
    page = study.root / "report" / "index.html"
    (study.root / "spec.json").write_text(study.report.canonical_json(), encoding="utf-8")
    figures.main([*common, "--figures", str(study.root / "figures")])
    report.main([*common, "--report", str(page)])
    write_browsed(study, page.parent / "items" / "index.js")
    return page


@pytest.fixture(scope="session")
def small_page(driver, tmp_path_factory):
    """The report of a demonstration, with all that can stand beside an item."""
    study = make_study(tmp_path_factory.mktemp("small"), demonstration=True)
    return Page(driver, _written(with_evidence(study)))


@pytest.fixture(scope="session")
def large_page(driver, tmp_path_factory):
    """The report of a study of 30,000 items and 8 models, without its tables."""
    root = tmp_path_factory.mktemp("large")
    return Page(driver, _written(make_study(root, choices=30_000, open_questions=0, permutations=0, tables=())))


@pytest.fixture(scope="session")
def lone_page(driver, small_page, tmp_path_factory):
    """The small report made once more, with its items inside, and sent alone."""
    from posologie.report import __main__ as report

    folder = tmp_path_factory.mktemp("alone")
    root = small_page.path.parents[1]
    spec = json.loads((root / "spec.json").read_text(encoding="utf-8"))
    report.main(["--spec", json.dumps(spec), "--results", str(root), "--report", str(folder / "index.html")])
    return Page(driver, folder / "index.html")


@pytest.fixture(scope="session")
def look_pages(driver, tmp_path_factory):
    """The pages about the data of a study with a hostile item, long texts and rejects."""
    from posologie.look.__main__ import main

    root = write_study(tmp_path_factory.mktemp("look") / "looked")
    long = item(2, context="Un cas clinique très long. " * 200, question="https://example.org/" + "a" * 300 + " ?")
    rejects = [("train.jsonl", row, "no gold label", "<b>x</b>", '{"q": "' + "z" * 400 + '"}') for row in range(4)]
    write_shard(root, [HOSTILE, long, *(item(number) for number in range(10, 40))], rejects)
    facts = root / "look" / "facts.json"
    main(["--spec", spec().canonical_json(), "--results", str(root), "--facts", str(facts)])
    return {name: Page(driver, facts.parent / f"{name}.html") for name in ("index", "native")}


@pytest.fixture
def page(small_page):
    """The small page, opened on a wide screen in light colours."""
    return small_page.open()
