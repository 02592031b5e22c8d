"""The report in a real browser: without network, on any screen, in both colour schemes, in print."""

import base64
import re
from itertools import pairwise

import pytest


def test_the_page_opens_without_network_and_without_complaint(page):
    assert page.driver.title == "The study “simulated”"
    assert page.complaints() == []
    assert {url.split(":")[0] for url in page.requests()} <= {"file", "data", "about"}


def test_it_is_one_file_of_less_than_six_megabytes(page):
    assert page.path.stat().st_size < 6_000_000
    assert page.run("return document.querySelectorAll('script[src], link[href], img, iframe').length") == 0


def test_contents_lead_to_every_section_and_headings_do_not_skip_a_level(page):
    targets = page.run("return [...document.querySelectorAll('nav a')].map((link) => link.hash.slice(1))")
    assert targets == page.run("return [...document.querySelectorAll('main > section')].map((one) => one.id)")
    levels = page.run("return [...document.querySelectorAll('h1, h2, h3, h4')].map((one) => Number(one.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("width", [390, 768, 1440])
def test_the_first_screen_holds_the_answer_and_on_a_phone_contents_are_closed(small_page, width):
    page = small_page.open(width=width, height=900)
    assert page.find("nav a").is_displayed() == (width > 1000)
    bottom = page.run("return document.querySelector('#answer .answer').getBoundingClientRect().bottom")
    assert bottom < 900
    if width > 390:
        assert page.run("return document.querySelector('#figure-answer svg').getBoundingClientRect().bottom") < 900
        return
    page.find("nav summary").click()
    assert page.find("nav a").is_displayed()


@pytest.mark.parametrize("width", [390, 1440])
def test_the_page_stays_at_its_top_when_the_most_telling_item_is_drawn(page, width):
    page = page.open(width=width, height=900)
    page.run("document.querySelector('.browser').scrollIntoView({block: 'end', behavior: 'instant'})")  # drawn on sight
    page.wait("return document.querySelector('.item table') !== null")
    page = page.open(width=width, height=900)
    page.run("document.querySelector('.browser .open')?.click()")
    page.wait("return document.querySelector('.item table') !== null")
    assert page.run("return window.scrollY") == 0


def test_each_section_opens_with_a_sentence_and_a_figure_before_any_table(page):
    kinds = page.run(
        "return [...document.querySelectorAll('main > section')].map((section) => [section.id,"
        " [...section.querySelectorAll('.lead, figure[id^=figure], .table')].map((one) =>"
        " one.matches('.lead') ? 'lead' : one.matches('figure') ? 'figure' : 'table')])"
    )
    drawn = {name: parts for name, parts in kinds if "figure" in parts}
    assert set(drawn) >= {"answer", "effects", "attribution", "scores", "published", "bias", "composition", "training"}
    for name, drawing in drawn.items():
        assert drawing[: 1 if name == "answer" else 2] == (["figure"] if name == "answer" else ["lead", "figure"]), name


@pytest.mark.parametrize("width", [320, 390, 768, 1280, 1920])
def test_no_screen_scrolls_sideways(small_page, width):
    page = small_page.open(width=width)
    assert page.run("return document.documentElement.scrollWidth") <= width


def test_text_on_a_phone_is_not_smaller_than_thirteen_pixels(small_page):
    page = small_page.open(width=390)
    sizes = page.run(
        "return [...document.querySelectorAll('p, td, th, li, button, label')].filter((one) => one.offsetParent)"
        ".map((one) => parseFloat(getComputedStyle(one).fontSize))"
    )
    assert min(sizes) >= 13


def test_dark_and_light_follow_the_system_and_the_button(small_page):
    def brightness(page):
        colour = page.run("return getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in re.findall(r"\d+", colour)[:3]) / 3

    page = small_page.open(scheme="dark")
    assert brightness(page) < 40
    page = small_page.open(scheme="light")
    assert brightness(page) > 240
    for expected in ("light", "dark"):
        page.find(".theme").click()
        assert page.find(".theme").text == f"Colours: {expected}"
    assert brightness(page) < 40
    page.find(".theme").click()


def test_figures_follow_the_colour_scheme(small_page):
    inks = {}
    for scheme in ("light", "dark"):
        page = small_page.open(scheme=scheme)
        inks[scheme] = page.run("return getComputedStyle(document.querySelector('#figure-effects svg text')).fill")
    assert inks["light"] != inks["dark"]


def test_print_leaves_out_what_paper_cannot_do_and_keeps_every_table(small_page):
    page = small_page.open(media="print", scheme="dark")
    hidden = page.run(
        "return [...document.querySelectorAll('nav, .tools, .theme, .browser')].map((one) => one.offsetParent === null)"
    )
    assert hidden
    assert all(hidden)
    assert page.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    heights = page.run("return [...document.querySelectorAll('details.table tbody')].map((one) => one.offsetHeight)")
    assert min(heights) > 0, "on paper no table can be opened"
    cut = page.run(
        "return [...document.querySelectorAll('.scroll')].filter((one) => one.scrollHeight > one.clientHeight + 1"
        " && getComputedStyle(one).overflowY !== 'visible').length"
    )
    assert cut == 0
    places = page.run(
        "return [...document.querySelectorAll('table.data th')].map((one) => getComputedStyle(one).position)"
    )
    assert set(places) == {"static"}, "a heading that sticks covers the text beside it on paper"
    printed = base64.b64decode(page.driver.print_page())
    assert printed.startswith(b"%PDF")
    small_page.open()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_axe_finds_nothing_serious(small_page, axe, width, scheme):
    page = small_page.open(width=width, scheme=scheme)
    page.run("for (const one of document.querySelectorAll('details')) one.open = true")
    page.run("arguments[0].click()", page.find(".browser .open"))
    page.wait("return document.querySelector('.item table') !== null")
    page.run("for (const one of document.querySelectorAll('.item details')) one.open = true")
    page.wait("return document.querySelector('.item .sent pre') !== null")
    page.run(axe)
    violations = page.driver.execute_async_script(
        "const done = arguments[arguments.length - 1]; axe.run().then((result) => done(result.violations));"
    )
    lines = [
        f"{violation['impact']}: {violation['id']}: {violation['nodes'][0]['html'][:120]}" for violation in violations
    ]
    assert [line for line in lines if line.startswith(("serious", "critical"))] == []


def test_the_keyboard_reaches_the_content_and_sorts_a_table(page):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    ActionChains(page.driver).send_keys(Keys.TAB).perform()
    assert page.run("return document.activeElement.textContent") == "Skip to content"
    page.run("arguments[0].focus()", page.find("#table-effects-mcqa summary"))
    ActionChains(page.driver).send_keys(Keys.ENTER).perform()
    button = page.find("#table-effects-mcqa th:nth-child(3) button")
    page.run("arguments[0].focus()", button)
    ActionChains(page.driver).send_keys(Keys.ENTER).perform()
    assert page.find("#table-effects-mcqa th:nth-child(3)").get_attribute("aria-sort") == "descending"


def test_without_scripts_the_page_still_says_everything(small_page):
    small_page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page = small_page.open()
        assert "points" in page.find("#answer").text
        assert page.find("nav a").rect["height"] > 0
        page.find("#table-effects-mcqa summary").click()
        assert page.find("#table-effects-mcqa tbody").is_displayed()
        assert not page.find("#table-effects-mcqa .tools").is_displayed()
        assert "needs JavaScript" in page.find("#browser").text
    finally:
        small_page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
