"""The item browser: finds an item among 30,000, filters, and never runs what a model wrote."""

import json
import re
import shutil
import time


def opened(page):
    """Open the browser of a page and wait for its list."""
    page.run("arguments[0].click()", page.find(".browser .open"))
    page.wait("return document.querySelectorAll('.hits button').length > 0")


def search(page, **values):
    """Set fields of the form and return how many items are found."""
    page.run(
        "const form = document.querySelector('.browser form');"
        "for (const [name, value] of Object.entries(arguments[0])) {"
        "  if (typeof value === 'boolean') form.querySelector(name).checked = value; else form[name].value = value; }"
        "form.dispatchEvent(new Event('input', {bubbles: true}));",
        values,
    )
    return int(page.find(".found").text.split(" of ")[0].replace(",", ""))


def test_thirty_thousand_items_open_and_are_searched_at_once(large_page):
    page = large_page.open()
    start = time.monotonic()
    opened(page)
    assert time.monotonic() - start < 5
    assert search(page, words="") == 30_000
    start = time.monotonic()
    assert search(page, words="question 29998 ") == 1
    assert time.monotonic() - start < 1
    page.find(".hits button").click()
    page.wait("return document.querySelector('.item table') !== null")
    assert "Question 29998" in page.find(".item h3").text
    assert page.complaints() == []
    loaded = [url for url in page.requests() if re.search(r"items/\d+\.js$", url)]
    assert len(loaded) == 1


def test_an_item_is_found_by_its_id_and_by_its_address(large_page):
    page = large_page.open()
    opened(page)
    index = (large_page.path.parent / "items" / "index.js").read_text(encoding="utf-8")
    wanted = json.loads(index[len("posologie.index(") : -3])["ids"][12_345]
    assert search(page, words=wanted) == 1
    page.open(fragment=f"#item={wanted}")
    page.wait("return document.querySelector('.item table') !== null")
    assert wanted in page.find(".item .small").text


def test_an_item_is_found_by_an_option_without_its_accents_and_by_the_beginning_of_its_id(page):
    opened(page)
    everything = search(page)
    assert 0 < search(page, words="reponse 7-a") < everything, "Réponse 7-A is an option"
    assert search(page, words="RÉPONSE 7-A") == search(page, words="reponse 7-a")
    page.run("arguments[0].click()", page.find(".hits button"))
    page.wait("return location.hash.includes('item=')")
    wanted = page.run("return new URLSearchParams(location.hash.slice(1)).get('item')")
    assert search(page, words=wanted[:8]) == 1


def test_the_address_leads_back_to_filters_and_item(page):
    opened(page)
    some = search(page, words="question", right="4", **{"[value='1'][name=mark]": True})
    page.run("arguments[0].click()", page.find(".hits button"))
    page.wait("return location.hash.includes('item=')")
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
    page.run("arguments[0].click()", page.find(".hits button"))
    page.wait("return document.querySelector('.item h3') !== null")
    page.wait(
        "const at = document.querySelector('.item h3').getBoundingClientRect();"
        "return at.top >= 0 && at.bottom < innerHeight"
    )
    page.run("arguments[0].click()", page.find(".item .back"))
    page.wait("return document.querySelector('.hits').getBoundingClientRect().top < innerHeight")
    page.open()
    opened(page)
    page.run("arguments[0].click()", page.find(".hits button"))
    page.wait("return document.querySelector('.item h3') !== null")
    assert not page.find(".item .back").is_displayed(), "side by side nothing has to be scrolled"


def test_a_page_that_is_sent_alone_has_its_items_inside_and_no_link_that_leads_nowhere(lone_page, small_page):
    page = lone_page.open()
    page.wait("return document.querySelectorAll('.hits button').length > 0")
    page.run("arguments[0].click()", page.find(".hits button"))
    page.wait("return document.querySelector('.item table') !== null")
    page.wait("return document.querySelectorAll(\"a[href^='../']\").length === 0")
    assert "tables/contrasts.csv" in page.find("#table-effects-mcqa .tools").get_attribute("textContent")
    assert [url for url in page.requests() if "/items/" in url] == []
    page = small_page.open()
    opened(page)
    assert page.run("return document.querySelectorAll(\"a[href^='../']\").length") > 10, "beside its files links stay"


def test_what_was_written_instead_of_an_option_is_shown(page):
    opened(page)
    texts = (page.path.parent / "items" / "0.js").read_text(encoding="utf-8")
    items = json.loads(f"[{texts.removeprefix('posologie.page(').removesuffix(');' + chr(10))}]")[1]
    item, text = next(
        (item, said[0][0]) for item in items if item["options"] for said in item["said"] if said[0][1] is None
    )
    page.open(fragment=f"#item={item['id']}")
    page.wait("return document.querySelector('.item q') !== null")
    assert text[:20].split("\n")[0] in page.find(".item q").text


def test_the_list_goes_through_its_pages(large_page):
    page = large_page.open()
    opened(page)
    first = page.find(".hits button").text
    assert not page.find(".before").is_enabled()
    page.run("arguments[0].click()", page.find(".after"))
    assert page.find(".place").text == "page 2 of 600"
    assert page.find(".hits button").text != first
    page.run("arguments[0].click()", page.find(".before"))
    assert page.find(".hits button").text == first


def test_filters_narrow_and_add_up(page):
    opened(page)
    everything = search(page)
    disagree = search(page, **{"[value='1'][name=mark]": True})
    both = search(page, **{"[value='2'][name=mark]": True})
    assert 0 < both <= disagree < everything
    search(page, **{"[value='1'][name=mark]": False, "[value='2'][name=mark]": False})
    better = search(page, right="4", wrong="0")
    assert 0 < better < everything
    page.find(".hits button").click()
    page.wait("return document.querySelector('.item table') !== null")
    rows = page.find_all(".item tbody tr")
    assert "✗" in rows[0].find_element("css selector", "td").text
    assert "✓" in rows[4].find_element("css selector", "td").text


def test_where_a_judge_and_a_person_differ_can_be_asked_for_where_there_are_both(small_page, judged_page):
    of_judge = "[value='4'][name=mark]"
    opened(small_page.open())
    assert not small_page.find(of_judge).is_displayed()
    opened(judged_page.open())
    assert judged_page.find(of_judge).is_displayed()
    everything = search(judged_page)
    assert everything > 3
    assert search(judged_page, **{of_judge: True}) == 3
    assert len(judged_page.find_all(".hits button")) == 3


def test_a_choice_question_shows_options_gold_and_every_variant_in_the_items_own_letters(page):
    opened(page)
    page.find(".hits button").click()
    page.wait("return document.querySelector('.item table') !== null")
    gold = [option.text[1] for option in page.find_all(".item .gold")]
    assert page.find(".item caption").text.endswith(f"right: {','.join(gold)}")
    rights = page.run(
        "return [...document.querySelectorAll('.item td')].filter((cell) => cell.textContent.includes('✓'))"
        ".map((cell) => cell.textContent.split(' ')[0])"
    )
    assert rights
    assert set(rights) == {",".join(gold)}
    assert page.find_all(".item thead th")[1].text == "original"


def test_answers_under_every_order_are_shown_as_letters_of_the_items_own_order(page):
    opened(page)
    text = (page.path.parent / "items" / "0.js").read_text(encoding="utf-8")
    items = json.loads(f"[{text.removeprefix('posologie.page(').removesuffix(');' + chr(10))}]")[1]
    told_apart = 0
    for number in range(5):
        page.find_all(".hits button")[number].click()
        item = items[number]
        page.wait(
            "const head = document.querySelector('.item h3');"
            f"return head !== null && head.textContent.includes({json.dumps(item['question'][:20])})"
        )
        shown = page.run(
            "return [...document.querySelector('.item .scroll').querySelectorAll('tbody tr')]"
            ".map((row) => [...row.querySelectorAll('td')].map((cell) => cell.textContent.split(' ')[0]))"
        )
        orders = [order for _, order in item["orders"]]
        expected = [
            [
                ",".join("ABCDE"[option] for option in sorted(order[label] for label in labels))
                for order, (_, _, labels, _) in zip(orders, answers, strict=True)
            ]
            for answers in item["said"]
        ]
        assert shown == expected
        ignoring = [
            [",".join("ABCDE"[label] for label in labels) for _, _, labels, _ in answers] for answers in item["said"]
        ]
        told_apart += shown != ignoring
    assert told_apart, "an order that is ignored would have shown"


def test_what_every_model_wrote_to_a_choice_question_can_be_unfolded(page):
    opened(page)
    page.find(".hits button").click()
    page.wait("return document.querySelector('.item details') !== null")
    assert not page.find(".item details td.said").is_displayed()
    page.run("arguments[0].click()", page.find(".item details summary"))
    rows = page.find_all(".item details tbody tr")
    assert len(rows) == 8 * 2, "eight models, two orders of the options"
    assert all(re.search(r"[A-E] \d+ %", row.text) for row in rows)
    assert page.find(".item details td.said").is_displayed()


def test_what_a_model_wrote_is_shown_and_never_run(page):
    opened(page)
    search(page, benchmark=str(page.run("return [...document.querySelector('.browser form').benchmark.options]"
                                        ".find((one) => one.text === 'oeq: open').value")))  # fmt: skip
    page.find(".hits button").click()
    page.wait("return document.querySelector('.item .said') !== null")
    assert "<script>alert(1)</script>" in page.find(".item td.said").text
    assert page.run("return document.querySelectorAll('.item script').length") == 0
    assert page.complaints() == []


def test_without_its_data_the_page_says_so_and_stays_usable(small_page, tmp_path):
    lonely = tmp_path / "index.html"
    lonely.write_bytes(small_page.path.read_bytes())
    page = type(small_page)(small_page.driver, lonely).open()
    page.run("arguments[0].click()", page.find(".browser .open"))
    page.wait("return document.querySelector('.browser .state').textContent.includes('are not here')")
    page.run("arguments[0].click()", page.find("#table-effects-mcqa th button"))
    assert page.find("#table-effects-mcqa th").get_attribute("aria-sort")


def test_texts_of_a_right_to_left_language_are_set_from_the_right(small_page, tmp_path):
    folder = shutil.copytree(small_page.path.parents[1], tmp_path / "study") / small_page.path.parent.name
    file, index_file = folder / "items" / "0.js", folder / "items" / "index.js"
    text = file.read_text(encoding="utf-8")
    number, items = json.loads(f"[{text.removeprefix('posologie.page(').removesuffix(');' + chr(10))}]")
    items[0] |= {"question": "ما العضو الذي يفرز الصفراء؟", "options": ["الكبد", "ATP"], "gold": [0]}
    file.write_text(f"posologie.page({number}, {json.dumps(items)});\n", encoding="utf-8")
    index = json.loads(index_file.read_text(encoding="utf-8").removeprefix("posologie.index(").removesuffix(");\n"))
    index["languages"] = {items[0]["source"]: "ar"}
    index["beginnings"][0] = items[0]["question"]
    index_file.write_text(f"posologie.index({json.dumps(index)});\n", encoding="utf-8")
    page = type(small_page)(small_page.driver, folder / small_page.path.name).open()
    opened(page)
    page.find(".hits button").click()
    page.wait("return document.querySelector('.item table') !== null")
    directions = page.run(
        "return [...document.querySelectorAll('.hits button span, .item h3, .item .options li')].slice(-3)"
        ".concat(document.querySelector('.hits button span')).map((one) => getComputedStyle(one).direction)"
    )
    assert directions == ["rtl", "rtl", "ltr", "rtl"], "question, first option, an abbreviation, the list"
    assert page.find(".item h3").get_attribute("lang") == "ar"
    assert [option.text for option in page.find_all(".item .options li")] == ["(A) الكبد", "(B) ATP"]
    right = page.run(
        "const [title, label] = ['.item h3', '.item .options li bdi']"
        ".map((selector) => document.querySelector(selector).getBoundingClientRect());"
        "return Math.abs(title.right - label.right) < 2"
    )
    assert right, "the label of an option stands at the right, where the question begins"
    assert page.complaints() == []
