import os
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from posologie.records.items import Item
from posologie.records.prompting import (
    Lines,
    Prompting,
    assistant_turn,
    chat,
    displayed_gold,
    displayed_order,
    option_order,
    user_turn,
    variants,
)

CASE = Item(
    id="c",
    source="native",
    provenance="native",
    split="test",
    task="mcq",
    question="Quels signes ?",
    context="Une femme tousse.",
    options=("fièvre", "toux", "rash"),
    gold=(0, 2),
    answer="",
    group="g",
)


KNOWN = {
    ("permuted-1", 42): (0, 4, 1, 5, 2, 3),
    ("permuted-2", 42): (4, 3, 0, 5, 1, 2),
    ("permuted-1", 43): (4, 2, 5, 3, 1, 0),
}
"""Orders of six options of the item 'abc', by variant and seed: changing them would change every permuted prompt."""


def test_the_prompt_is_the_published_one():
    assert user_turn(CASE, (0, 1, 2), Prompting()) == (
        "Quels signes ?\n\nContexte : Une femme tousse.\nChoix de réponses :\n(A) fièvre\n(B) toux\n(C) rash"
    )


def test_a_source_may_have_lines_of_its_own():
    own = Lines(choices_line="Answer choices:", context_line="\n\nContext: {context}")
    asked = user_turn(CASE, (0, 1, 2), Prompting(sources={"native": own}))
    assert asked == "Quels signes ?\n\nContext: Une femme tousse.\nAnswer choices:\n(A) fièvre\n(B) toux\n(C) rash"
    assert user_turn(CASE, (0, 1), Prompting(sources={"other": own})) == user_turn(CASE, (0, 1), Prompting())


def test_the_context_may_follow_the_options():
    prompting = Prompting(context_position="after_options")
    assert user_turn(CASE, (0, 1, 2), prompting).endswith("(C) rash\n\nContexte : Une femme tousse.")


def test_the_gold_follows_the_options():
    assert assistant_turn(CASE, (0, 1, 2), Prompting()) == "A,C"
    assert assistant_turn(CASE, (2, 0, 1), Prompting()) == "A,B"
    assert assistant_turn(CASE, (1, 2, 0), Prompting()) == "B,C"


def test_braces_in_a_text_are_text():
    item = Item(**{name: getattr(CASE, name) for name in CASE.__slots__} | {"options": ("{label}", "{option}", "{x}")})
    assert "(A) {label}\n(B) {option}\n(C) {x}" in user_turn(item, (0, 1, 2), Prompting())


def test_there_is_no_system_turn_unless_one_is_configured():
    assert [turn["role"] for turn in chat(CASE, (0, 1, 2), Prompting())] == ["user"]
    assert [turn["role"] for turn in chat(CASE, (0, 1, 2), Prompting(system="x"))] == ["system", "user"]


@given(st.text(max_size=8), st.integers(2, 26), st.integers(0, 5), st.integers(0, 9))
def test_an_option_order_is_a_permutation_and_its_gold_the_same_options(item_id, count, seed, number):
    order = option_order(item_id, count, f"permuted-{number}", seed)
    assert sorted(order) == list(range(count))
    gold = (0, count - 1)
    assert sorted(order[position] for position in displayed_gold(gold, order)) == list(gold)


def test_the_original_keeps_its_order():
    assert option_order("x", 4, "original", 7) == (0, 1, 2, 3)
    assert variants(2) == ("original", "permuted-1", "permuted-2")


def test_options_that_depend_on_their_place_are_displayed_in_their_own_order():
    free = Item(**{name: getattr(CASE, name) for name in CASE.__slots__} | {"options": tuple("abcdefgh")})
    bound = Item(**{name: getattr(free, name) for name in CASE.__slots__} | {"meta": {"position_dependent": True}})
    assert [displayed_order(bound, variant, 42) for variant in variants(3)] == [tuple(range(8))] * 4
    assert displayed_order(free, "permuted-1", 42) == option_order(free.id, 8, "permuted-1", 42) != tuple(range(8))


def test_option_orders_do_not_depend_on_the_hash_seed():
    program = "from posologie.records.prompting import option_order; print(option_order('abc', 10, 'permuted-1', 42))"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(outputs) == 1


def test_every_order_of_three_options_is_about_equally_frequent():
    counts = {}
    for number in range(6000):
        order = option_order(str(number), 3, "permuted-1", 42)
        counts[order] = counts.get(order, 0) + 1
    # Six cells of 1,000 expected: the chi-square statistic exceeds 20.5 with probability 0.001.
    assert sum((count - 1000) ** 2 / 1000 for count in counts.values()) < 20.5


def test_an_option_order_is_what_it_always_was():
    assert option_order("abc", 6, "permuted-1", 42) == KNOWN["permuted-1", 42]
    assert option_order("abc", 6, "permuted-2", 42) == KNOWN["permuted-2", 42]
    assert option_order("abc", 6, "permuted-1", 43) == KNOWN["permuted-1", 43]


def test_an_option_order_depends_on_item_variant_and_seed():
    def orders(**change):
        manner = {"variant": "permuted-1", "seed": 42, "prefix": "item ", **change}
        prefix, variant, seed = manner["prefix"], manner["variant"], manner["seed"]
        return [option_order(f"{prefix}{number}", 5, variant, seed) for number in range(200)]

    usual = orders()
    # Two independent orders of five options are the same with probability 1/120.
    for other in (orders(variant="permuted-2"), orders(seed=43), orders(prefix="another ")):
        assert sum(order == same for order, same in zip(usual, other, strict=True)) < 12


def test_an_open_question_without_context_is_its_text_alone_and_its_answer_the_reference():
    item = Item(
        **{name: getattr(CASE, name) for name in CASE.__slots__}
        | {"task": "oeq", "options": (), "gold": (), "context": "", "answer": "repos"}
    )
    assert user_turn(item, (), Prompting()) == "Quels signes ?"
    assert assistant_turn(item, (), Prompting()) == "repos"


def test_a_chat_has_the_form_that_chat_templates_take():
    asked = {"role": "user", "content": user_turn(CASE, (0, 1, 2), Prompting())}
    assert chat(CASE, (0, 1, 2), Prompting()) == [asked]
    assert chat(CASE, (0, 1, 2), Prompting(system="Soyez bref.")) == [
        {"role": "system", "content": "Soyez bref."},
        asked,
    ]
