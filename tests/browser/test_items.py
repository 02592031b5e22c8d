"""The item browser finds an item among 30,000, filters, sorts, selects and saves."""

import csv
import io
import json
import re
import shutil
import time
from urllib.parse import urlencode

from browsed_items import choose, items_of, opened, search


def test_the_first_of_thirty_thousand_items_is_there_within_two_seconds_and_they_are_searched_at_once(large_page):
    page = large_page.open()
    start = time.monotonic()
    page.run("document.querySelector('.browser').scrollIntoView()")
    page.wait("return document.querySelector('.item h3') !== null")
    assert time.monotonic() - start < 2
    assert search(page, words="") == 30_000
    page.wait("return document.querySelector('.browser form').sort.value === 'disagreement'")
    assert "4 of 8 right" in page.find(".hits a").text
    start = time.monotonic()
    assert search(page, words="question 29998 ") == 1
    assert time.monotonic() - start < 1
    choose(page)
    assert page.complaints() == []
    loaded = [url for url in page.requests() if re.search(r"items/\d+\.js$", url)]
    assert len(loaded) == 2, "the file of the most telling item, and that of the one found"


def test_an_item_is_found_by_its_id_and_by_its_address(large_page):
    page = large_page.open()
    opened(page)
    index = (large_page.path.parent / "items" / "index.js").read_text(encoding="utf-8")
    item_id = json.loads(index[len("posologie.index(") : -3])["ids"][12_345]
    assert search(page, words=item_id) == 1
    page.open(fragment=f"#item={item_id}")
    page.wait(f"return document.querySelector('.item').dataset.item === '{item_id}'")
    assert item_id in page.find(".item h3 + .small").text


def test_an_item_is_found_by_an_option_without_its_accents_and_by_the_beginning_of_its_id(page):
    opened(page)
    everything = search(page)
    assert 0 < search(page, words="reponse 7-a") < everything, "Réponse 7-A is an option"
    assert search(page, words="RÉPONSE 7-A") == search(page, words="reponse 7-a")
    choose(page)
    item_id = page.run("return new URLSearchParams(location.hash.slice(1)).get('item')")
    assert search(page, words=item_id[:8]) == 1


def test_the_address_leads_back_to_filters_and_item(page):
    opened(page)
    some = search(page, words="question", right="4", **{"[value='1'][name=mark]": True})
    choose(page)
    title, address = page.find(".item h3").text, page.run("return location.hash")
    page.open(fragment=address)
    page.wait("return document.querySelector('.item h3') !== null")
    assert page.find(".item h3").text == title
    assert search(page) == some
    assert page.run("return document.querySelector('.browser form').right.value") == "4"
    assert page.find("[value='1'][name=mark]").is_selected()


def test_on_a_phone_an_item_that_is_tapped_comes_into_sight_and_leads_back_to_the_list(small_page):
    page = small_page.open(width=390, height=800)
    opened(page)
    choose(page)
    page.wait(
        "const at = document.querySelector('.item h3').getBoundingClientRect();"
        "return at.top >= 0 && at.bottom < innerHeight"
    )
    page.run("arguments[0].click()", page.find(".item .back"))
    page.wait("return document.querySelector('.hits').getBoundingClientRect().top < innerHeight")
    page.open()
    opened(page)
    choose(page)
    assert not page.find(".item .back").is_displayed(), "side by side nothing has to be scrolled"


def test_a_page_that_is_sent_alone_has_its_items_inside_and_no_link_that_leads_nowhere(lone_page, small_page):
    page = lone_page.open()
    page.wait("return document.querySelectorAll('.hits a').length > 0")
    choose(page)
    page.wait("return document.querySelectorAll(\"a[href^='../']\").length === 0")
    assert "tables/contrasts.csv" in page.find("#table-effects-mcqa .tools").get_attribute("textContent")
    assert [url for url in page.requests() if "/items/" in url] == []
    page = small_page.open()
    opened(page)
    assert page.run("return document.querySelectorAll(\"a[href^='../']\").length") > 10, "beside its files links stay"


def test_the_list_goes_through_its_pages(large_page):
    page = large_page.open()
    opened(page)
    first = page.find(".hits a").text
    assert not page.find(".before").is_enabled()
    page.run("arguments[0].click()", page.find(".after"))
    assert page.find(".place").text == "page 2 of 600"
    assert page.find(".hits a").text != first
    page.run("arguments[0].click()", page.find(".before"))
    assert page.find(".hits a").text == first


def test_filters_narrow_and_add_up(page):
    opened(page)
    everything = search(page)
    disagree = search(page, **{"[value='1'][name=mark]": True})
    both = search(page, **{"[value='2'][name=mark]": True})
    assert 0 < both <= disagree < everything
    search(page, **{"[value='1'][name=mark]": False, "[value='2'][name=mark]": False})
    better = search(page, right="4", wrong="0")
    assert 0 < better < everything
    choose(page)
    rows = page.find_all(".item tbody tr")
    assert "✗" in rows[0].find_element("css selector", "td").text
    assert "✓" in rows[4].find_element("css selector", "td").text


def test_the_browser_opens_on_the_item_on_which_the_models_disagree_most(page):
    page.run("document.querySelector('.browser').scrollIntoView()")
    page.wait("return document.querySelector('.item h3') !== null")
    assert page.run("return location.hash") == "", "nobody chose the item"
    rights = page.run(
        "return [...document.querySelectorAll('.hits small')].map((one) => one.textContent)"
        ".filter((text) => text.includes('right')).map((text) => Number(text.match(/(\\d) of 8/)[1]))"
    )
    apart = [right * (8 - right) for right in rights]
    assert apart == sorted(apart, reverse=True)
    assert page.find(".item").get_attribute("data-item") in page.find(".hits a").get_attribute("href")
    search(page, sort="difficulty")
    hardest = page.run("return [...document.querySelectorAll('.hits small')].map((one) => one.textContent)")
    known = [int(re.search(r"(\d) of 8", text)[1]) for text in hardest if "right" in text]
    assert known == sorted(known)
    search(page, sort="flips")
    shares = [int(hit.text.rpartition(" ")[2]) for hit in page.find_all(".hits small")]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > shares[-1]


def test_keys_lead_through_the_items_and_select_them(page):
    from selenium.webdriver.common.keys import Keys

    opened(page)
    first = choose(page)
    links = [link.get_attribute("href").partition("item=")[2].partition("&")[0] for link in page.find_all(".hits a")]
    page.find(".hits a").send_keys("j")
    page.wait(f"return document.querySelector('.item').dataset.item === '{links[1]}'")
    page.driver.switch_to.active_element.send_keys("x")
    assert page.find(".chosen").text == "1 selected"
    page.driver.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    page.wait(f"return document.querySelector('.item').dataset.item === '{links[2]}'")
    assert page.driver.switch_to.active_element.get_attribute("aria-current") == "true", "the focus goes along"
    for _ in range(2):
        page.driver.switch_to.active_element.send_keys("k")
    page.wait(f"return document.querySelector('.item').dataset.item === '{first}'")
    page.driver.switch_to.active_element.send_keys("/")
    words = page.driver.switch_to.active_element
    assert words.get_attribute("name") == "words"
    words.send_keys("jx")
    assert page.find(".chosen").text == "1 selected", "what is typed into a field is no key"
    page.run("document.querySelector('.theme').focus()")
    page.driver.switch_to.active_element.send_keys("x")
    assert page.find(".chosen").text == "1 selected", "outside the browser the keys are not its own"


def saved(page, folder, button):
    """Press a button that saves a file, and return the file's text."""
    arguments = {"behavior": "allow", "downloadPath": str(folder), "eventsEnabled": False}
    page.driver.execute_cdp_cmd("Browser.setDownloadBehavior", arguments)
    page.run("arguments[0].click()", page.find(f".selection .{button}"))
    deadline = time.monotonic() + 10
    while not (files := [path for path in folder.iterdir() if path.suffix == f".{button}"]):
        assert time.monotonic() < deadline, "nothing was saved"
        time.sleep(0.02)
    return files[0].read_text(encoding="utf-8")


def test_a_selection_is_saved_without_formulas_cited_and_found_again(small_page, tmp_path):
    folder = shutil.copytree(small_page.path.parents[1], tmp_path / "study") / small_page.path.parent.name
    items = items_of(small_page)
    chosen = [item for item in items if item["options"]][:2]
    chosen[0]["question"] = '=HYPERLINK("https://example.org";"x") <img src=x onerror=alert(1)>'
    chosen[0]["said"][0][0][0] = "@SUM(A1)"
    (folder / "items" / "0.js").write_text(f"posologie.page(0, {json.dumps(items)});\n", encoding="utf-8")
    page = type(small_page)(small_page.driver, folder / small_page.path.name).open()
    opened(page)
    for picked in chosen:
        search(page, words=picked["id"])
        page.run("arguments[0].click()", page.find(".hits input"))
    (tmp_path / "saved").mkdir()
    data = json.loads(saved(page, tmp_path / "saved", "json"))
    ids = ",".join(item["id"] for item in chosen)
    assert [item["id"] for item in data["items"]] == ids.split(",")
    assert data["items"][0]["question"] == chosen[0]["question"], "JSON computes nothing: the text is as it is"
    assert len(data["items"][0]["answers"]) == 8 * 2
    assert data["items"][0]["prompts"][0]["orders"]["original"][0] == {
        "role": "system", "content": "Réponds par la lettre.",
    }  # fmt: skip
    assert data["citation"].startswith(
        f"Items {ids.replace(',', ', ')} of “simulated” (items {data['identity']}), posologie "
    )
    assert data["citation"].endswith(f"report/index.html#items={ids}")
    rows = list(csv.DictReader(io.StringIO(saved(page, tmp_path / "saved", "csv").removeprefix("\ufeff"), newline="")))
    assert len(rows) == 2 * 8 * 2
    assert rows[0]["question"] == "'" + chosen[0]["question"]
    assert rows[0]["text"] == "'@SUM(A1)"
    assert {row["item"] for row in rows} == set(ids.split(","))
    page.open(fragment=f"#items={ids}")
    page.wait("return document.querySelector('.item h3') !== null")
    assert page.find(".found").text.startswith("2 of ")
    assert page.find(".chosen").text == "2 selected"
    assert page.complaints() == []


def test_an_item_that_two_benchmarks_ask_has_an_address_in_each(small_page, tmp_path):
    folder = shutil.copytree(small_page.path.parents[1], tmp_path / "study") / small_page.path.parent.name
    file = folder / "items" / "index.js"
    index = json.loads(file.read_text(encoding="utf-8").removeprefix("posologie.index(").removesuffix(");\n"))
    twice = index["ids"][0]
    last = max(row for row, place in enumerate(index["benchmark"]) if place != index["benchmark"][0])
    index["ids"][last] = twice
    file.write_text(f"posologie.index({json.dumps(index)});\n", encoding="utf-8")
    page = type(small_page)(small_page.driver, folder / small_page.path.name)
    for row in (0, last):
        address = urlencode({"item": twice, "of": index["benchmarks"][index["benchmark"][row]]})
        page.open(fragment=f"#{address}")
        page.wait("return document.querySelector('.item h3') !== null")
        assert index["benchmarks"][index["benchmark"][row]].split(": ")[1] in page.find(".item h3 + .small").text
        assert address in page.find(".hits a[aria-current]").get_attribute("href")


def test_without_its_data_the_page_says_so_and_stays_usable(small_page, tmp_path):
    lonely = tmp_path / "index.html"
    lonely.write_bytes(small_page.path.read_bytes())
    page = type(small_page)(small_page.driver, lonely).open()
    page.run("arguments[0].click()", page.find(".browser .open"))
    page.wait("return document.querySelector('.browser .state').textContent.includes('could not be loaded')")
    page.run("arguments[0].click()", page.find("#table-effects-mcqa th button"))
    assert page.find("#table-effects-mcqa th").get_attribute("aria-sort")
