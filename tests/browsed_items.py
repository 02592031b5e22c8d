"""The item browser of a page, as tests use it: open it, search, choose an item, read its data."""

import json
from urllib.parse import parse_qs


def opened(page, sort="study"):
    """Open the browser of a page, wait for its first item and sort the list."""
    page.run("arguments[0].click()", page.find(".browser .open"))
    page.wait("return document.querySelector('.item h3') !== null")
    search(page, sort=sort)


def choose(page, number=0):
    """Choose an item of the list, wait until it is shown, and return its id."""
    link = page.find_all(".hits a")[number]
    item = parse_qs(link.get_attribute("href").partition("#")[2])["item"][0]
    page.run("arguments[0].click()", link)
    page.wait(f"return document.querySelector('.item').dataset.item === '{item}'")
    return item


def items_of(page):
    """Return the items of the first data file of a page."""
    text = (page.path.parent / "items" / "0.js").read_text(encoding="utf-8")
    return json.loads(f"[{text.removeprefix('posologie.page(').removesuffix(');' + chr(10))}]")[1]


def search(page, **values):
    """Set fields of the form and return how many items are found."""
    page.run(
        "const form = document.querySelector('.browser form');"
        "for (const [name, value] of Object.entries(arguments[0])) {"
        "  if (typeof value === 'boolean') form.querySelector(name).checked = value; else form[name].value = value; }"
        "form.dispatchEvent(new Event('input', {bubbles: true}));",
        values,
    )
    page.wait(
        "return typeof posologie !== 'undefined' && !document.querySelector('.browser').hasAttribute('aria-busy')"
    )
    return int(page.find(".found").text.split(" of ")[0].replace(",", ""))
