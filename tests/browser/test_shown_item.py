"""What the item browser shows of one item, and that it never runs what a model wrote."""

import json
import re
import shutil

from browsed_items import choose, items_of, opened, search


def test_what_was_written_instead_of_an_option_is_shown(page):
    opened(page)
    items = items_of(page)
    item, text = next(
        (item, answers[0][0]) for item in items if item["options"] for answers in item["said"] if answers[0][1] is None
    )
    page.open(fragment=f"#item={item['id']}")
    page.wait("return document.querySelector('.item q') !== null")
    assert text[:20].split("\n")[0] in page.find(".item q").text


def test_where_a_judge_and_people_differ_can_be_asked_for_and_both_stand_side_by_side(page):
    opened(page)
    assert search(page, **{"[value='4'][name=mark]": True}) == 1
    choose(page)
    heads = [cell.text for cell in page.find_all(".item thead th")]
    assert heads[2:4] == ["judge strict", "people, mean rating"]
    row = page.find_all(".item tbody tr")[0]
    assert [cell.text for cell in row.find_elements("css selector", "td.differs")] == ["right", "0.25"]
    assert len(page.find_all(".item td.differs")) == 2
    assert "A judge disagrees with the human raters" in page.find(".item .short-of-it").text


def test_training_items_near_an_item_are_shown_with_the_mixes_that_hold_them(page):
    opened(page)
    assert search(page, **{"[value='8'][name=mark]": True}) == 1
    choose(page)
    page.run("for (const one of document.querySelectorAll('.item details')) one.open = true")
    held, left_out = page.find_all(".item .near > li")
    assert held.text.startswith("In training mixes NAT, ALL\nnearly the same text · similarity 0.91 · the same answer")
    assert left_out.text.startswith("Left out of every mix by screening\nthe same text")
    assert "<b>sur</b>" in held.text
    search(page, **{"[value='8'][name=mark]": False})
    choose(page, 5)
    assert "Neither screening nor the audits" in page.find(".item").text


def test_the_prompt_is_shown_as_it_was_sent_under_every_order(page):
    opened(page)
    item = next(item for item in items_of(page) if item["id"] == choose(page))
    page.run("for (const one of document.querySelectorAll('.item details')) one.open = true")
    page.wait("return document.querySelector('.item .sent pre') !== null")
    for number, (_, order) in enumerate(item["orders"]):
        page.run(
            "const select = document.querySelector('.item details select');"
            "select.value = arguments[0]; select.dispatchEvent(new Event('input', {bubbles: true}));",
            str(number),
        )
        lines = [f"({letter}) {item['options'][option]}" for letter, option in zip("ABCDE", order, strict=True)]
        expected = "\n".join([item["question"], "Choix de réponses :", *lines])
        shown = page.run("return [...document.querySelectorAll('.item .sent pre')].map((one) => one.textContent)")
        assert shown == ["Réponds par la lettre.", expected]


def test_a_choice_question_shows_options_gold_and_every_variant_in_the_items_own_letters(page):
    opened(page)
    choose(page)
    gold = [option.text[1] for option in page.find_all(".item > .options .gold")]
    assert page.find(".item .caption").text.endswith(f"right: {','.join(gold)}")
    rights = page.run(
        "return [...document.querySelectorAll('.item td')].filter((cell) => cell.textContent.includes('✓'))"
        ".map((cell) => cell.textContent.split(' ')[0])"
    )
    assert rights
    assert set(rights) == {",".join(gold)}
    assert page.find_all(".item thead th")[1].text == "original"


def test_answers_under_every_order_are_shown_as_letters_of_the_items_own_order(page):
    opened(page)
    items = items_of(page)
    told_apart = 0
    for number in range(5):
        choose(page, number)
        item = items[number]
        shown = page.run(
            "return [...document.querySelector('.item .scroll').querySelectorAll('tbody tr')]"
            ".map((row) => [...row.querySelectorAll('td.choice')].map((cell) => cell.textContent.split(' ')[0]))"
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
    choose(page)
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
    choose(page)
    assert "<script>alert(1)</script>" in page.find(".item td.said").text
    assert page.run("return document.querySelectorAll('.item script').length") == 0
    assert page.complaints() == []


def test_texts_of_a_right_to_left_language_are_set_from_the_right(small_page, tmp_path):
    folder = shutil.copytree(small_page.path.parents[1], tmp_path / "study") / small_page.path.parent.name
    file, index_file = folder / "items" / "0.js", folder / "items" / "index.js"
    number, items = 0, items_of(small_page)
    items[0] |= {"question": "ما العضو الذي يفرز الصفراء؟", "options": ["الكبد", "ATP"], "gold": [0]}
    file.write_text(f"posologie.page({number}, {json.dumps(items)});\n", encoding="utf-8")
    index = json.loads(index_file.read_text(encoding="utf-8").removeprefix("posologie.index(").removesuffix(");\n"))
    index["languages"] = {items[0]["source"]: "ar"}
    index["beginnings"][0] = items[0]["question"]
    index_file.write_text(f"posologie.index({json.dumps(index)});\n", encoding="utf-8")
    page = type(small_page)(small_page.driver, folder / small_page.path.name).open()
    opened(page)
    choose(page)
    directions = page.run(
        "return [...document.querySelectorAll('.hits a span, .item h3, .item > .options li')].slice(-3)"
        ".concat(document.querySelector('.hits a span')).map((one) => getComputedStyle(one).direction)"
    )
    assert directions == ["rtl", "rtl", "ltr", "rtl"], "question, first option, an abbreviation, the list"
    assert page.find(".item h3").get_attribute("lang") == "ar"
    assert [option.text for option in page.find_all(".item > .options li")] == ["(A) الكبد", "(B) ATP"]
    right = page.run(
        "const [title, label] = ['.item h3', '.item > .options li bdi']"
        ".map((selector) => document.querySelector(selector).getBoundingClientRect());"
        "return Math.abs(title.right - label.right) < 2"
    )
    assert right, "the label of an option stands at the right, where the question begins"
    assert page.complaints() == []
