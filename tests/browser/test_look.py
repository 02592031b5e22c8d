"""The pages about data in a real browser: on any screen, in both colour schemes, whatever texts the data hold."""

import re

import pytest


@pytest.fixture(params=["index", "native"])
def page(request, look_pages):
    """Each of two pages, not opened yet."""
    return look_pages[request.param]


@pytest.mark.parametrize("width", [320, 390, 768, 1440])
def test_no_screen_scrolls_sideways(page, width):
    page.open(width=width)
    assert page.run("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_opens_without_network_complaint_or_script_of_the_data(page, scheme):
    page.open(scheme=scheme)
    assert page.driver.title.startswith("A look at ")
    assert page.complaints() == []
    assert {url.split(":")[0] for url in page.requests()} <= {"file", "data", "about"}
    colour = page.run("return getComputedStyle(document.body).backgroundColor")
    brightness = sum(int(part) for part in re.findall(r"\d+", colour)[:3]) / 3
    assert brightness < 40 if scheme == "dark" else brightness > 240
    assert page.run("return document.querySelectorAll('main script, main img, main iframe').length") == 0


def test_the_gold_is_marked_in_the_prompt_and_told_from_the_rest_without_colour(look_pages):
    page = look_pages["native"].open()
    turn = page.find(".turn")
    assert "<img src=x onerror=alert(1)>" in turn.text
    assert page.run("return getComputedStyle(document.querySelector('.turn mark'), '::after').content") == '" ✓"'
    assert page.find(".turn mark").text == "<img src=x onerror=alert(1)>"
    assert page.find(".turn ins").text == "B"


def test_doubts_come_before_the_first_section_and_pages_lead_to_each_other(look_pages):
    page = look_pages["index"].open()
    assert page.run(
        "return document.querySelector('.notice').compareDocumentPosition(document.querySelector('section'))"
        " & Node.DOCUMENT_POSITION_FOLLOWING"
    )
    page.find("#table-sources a").click()
    assert page.driver.title == "A look at native"
    page.find(".pages a[href='index.html']").click()
    assert page.driver.title.startswith("A look at the data of")


def test_text_on_a_phone_is_not_smaller_than_thirteen_pixels(page):
    page.open(width=390)
    sizes = page.run(
        "return [...document.querySelectorAll('p, td, th, li, button, .turn')].filter((one) => one.offsetParent)"
        ".map((one) => parseFloat(getComputedStyle(one).fontSize))"
    )
    assert min(sizes) >= 13


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_axe_finds_nothing_serious(page, axe, width, scheme):
    page.open(width=width, scheme=scheme)
    page.run(axe)
    violations = page.driver.execute_async_script(
        "const done = arguments[arguments.length - 1]; axe.run().then((result) => done(result.violations));"
    )
    lines = [
        f"{violation['impact']}: {violation['id']}: {violation['nodes'][0]['html'][:120]}" for violation in violations
    ]
    assert [line for line in lines if line.startswith(("serious", "critical"))] == []
