"""Figures in the page: values are read, mixes filtered, a range is picked; with mouse, keyboard and finger."""

EFFECTS = "#figure-effects"


def mark(page, row, figure=EFFECTS):
    """Return the first drawn value of a row."""
    return page.find(f"{figure} .mark[data-row='{row}'][data-value]")


def faded(page, figure=EFFECTS):
    """Return the rows of a figure that are out of a filter or range."""
    script = "return [...document.querySelectorAll(arguments[0] + ' .mark.out')].map((one) => one.dataset.row)"
    return set(page.run(script, figure))


def opened(page, figure=EFFECTS):
    """Open the controls of a figure."""
    page.run("document.querySelector(arguments[0] + ' .controls').open = true", figure)


def test_the_value_under_the_pointer_is_shown_and_its_row_stands_out(page):
    from selenium.webdriver.common.action_chains import ActionChains

    assert not page.find(".tip").is_displayed()
    page.run("arguments[0].scrollIntoView({block: 'center'})", page.find(EFFECTS))
    ActionChains(page.driver).move_to_element(mark(page, "SYN")).perform()
    assert page.find(".tip").text == "SYN, all items: −15.0 points [−37.9, +7.9]; not settled"
    on = page.run("return [...document.querySelectorAll('#figure-effects .mark.on')].map((one) => one.dataset.row)")
    assert len(on) == 7, "the row's name, and a point and an interval in each of the three panels"
    assert set(on) == {"SYN"}
    ActionChains(page.driver).move_to_element(page.find("#effects h2")).perform()
    assert not page.find(".tip").is_displayed()


def test_arrow_keys_go_through_the_values(page):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    page.run("arguments[0].focus()", page.find(f"{EFFECTS} .drawing"))
    keys = ActionChains(page.driver)
    keys.send_keys(Keys.ARROW_RIGHT).perform()
    first = page.find(".tip").text
    keys.send_keys(Keys.ARROW_RIGHT).perform()
    assert page.find(".tip").text != first
    keys.send_keys(Keys.ARROW_LEFT).perform()
    assert page.find(".tip").text == first
    keys.send_keys(Keys.ESCAPE).perform()
    assert not page.find(".tip").is_displayed()


def test_a_component_filters_every_figure(page):
    opened(page)
    buttons = page.find_all(f"{EFFECTS} .controls .kinds button")
    assert [button.text for button in buttons] == ["any", "native", "translated", "synthetic"]
    buttons[3].click()
    assert faded(page) == {"NAT", "TRAD", "NAT-TRAD"}
    assert faded(page, "#figure-composition") == {"NAT", "TRAD", "NAT-TRAD"}
    assert faded(page, "#figure-training") == {"NAT", "TRAD", "NAT-TRAD"}
    assert page.find(f"{EFFECTS} .controls summary").text == "Filtered: mixes with synthetic"
    assert buttons[3].get_attribute("aria-pressed") == "true"
    buttons[0].click()
    assert faded(page) == set()


def test_a_range_is_picked_by_numbers_or_drawn_with_the_mouse(page):
    opened(page)
    low, high = page.find_all(f"{EFFECTS} .range input")
    low.send_keys("-3")
    assert page.find(f"{EFFECTS} .picked").text == "3 of 7 from −3: NAT-TRAD, NAT-SYN, ALL"
    high.send_keys("5")
    assert page.find(f"{EFFECTS} .picked").text == "2 of 7 from −3 to 5: NAT-TRAD, ALL"
    assert faded(page) == {"NAT", "TRAD", "SYN", "NAT-SYN", "TRAD-SYN"}
    page.find(f"{EFFECTS} .range button").click()
    assert faded(page) == set()
    page.run("arguments[0].scrollIntoView({block: 'center'})", page.find(EFFECTS))
    left, y = page.run(
        "const one = arguments[0].getBoundingClientRect(); return [(one.left + one.right) / 2 - 4, one.y + 8]",
        mark(page, "NAT-TRAD"),
    )
    moves = [("mousePressed", left), ("mouseMoved", left + 20), ("mouseMoved", left + 70), ("mouseReleased", left + 70)]
    for kind, x in moves:
        event = {"type": kind, "x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1}
        page.driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)
    picked = page.find(f"{EFFECTS} .picked").text
    assert picked.startswith("3 of 7 from −")
    assert picked.endswith(": NAT-TRAD, NAT-SYN, ALL")
    assert page.find_all(f"{EFFECTS} rect.brush") != []
    page.find(f"{EFFECTS} .range button").click()
    assert page.find_all(f"{EFFECTS} rect.brush") == []
    assert page.complaints() == []


def test_a_finger_shows_values_and_scrolls(small_page):
    page = small_page.open(width=390)
    page.run("arguments[0].scrollIntoView({block: 'center'})", page.find("#figure-answer"))
    page.run(
        "const box = arguments[0].getBoundingClientRect(), at = {bubbles: true, clientX: box.x, clientY: box.y};"
        "arguments[0].dispatchEvent(new PointerEvent('pointerdown', {...at, pointerType: 'touch'}));"
        "arguments[0].dispatchEvent(new MouseEvent('click', at));",
        mark(page, "NAT", "#figure-answer"),
    )
    assert page.find(".tip").text.startswith("NAT, all items: −5.0 points")
    box = page.run("const one = document.querySelector('.tip').getBoundingClientRect(); return [one.left, one.right]")
    assert box[0] >= 0
    assert box[1] <= 390
    assert page.find_all("#figure-answer rect.brush") == []
    small_page.open()
