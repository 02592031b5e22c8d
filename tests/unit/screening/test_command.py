import random
from dataclasses import replace

import pytest
from screening_made import ASPIRIN, CASE, OPTIONS, STATINS, item

from posologie.prediction.spec import Suite
from posologie.records.files import read_parquet
from posologie.records.items import items_to_table
from posologie.running.errors import InputError
from posologie.screening.spec import Screening, ScreeningSpec


def test_an_item_that_is_tested_on_does_not_stay_in_training(screen):
    leaked = item("a", ASPIRIN, options=OPTIONS)
    tested = item("b", ASPIRIN, options=OPTIONS, source="test-source", split="test")
    clean = item("c", STATINS, options=("Crampes", "Rhabdomyolyse"))
    result = screen([leaked, clean], tests=[tested])
    assert result.items == [clean]
    assert result.matches == [
        {
            "item": leaked.id, "source": "train-source", "split": "train", "place": "test", "kind": "exact",
            "suite": "suite", "matched": tested.id, "matched_source": "test-source", "matched_split": "test",
            "similarity": 1.0, "same_answer": True, "same_facts": True, "removed": True,
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("question", "options"),
    [
        (ASPIRIN.upper(), OPTIONS),
        (ASPIRIN.replace("'", "\u2019").replace(" ?", "\u00a0?"), OPTIONS),
        (ASPIRIN.replace("é", "e").replace("à", "a"), OPTIONS[::-1]),
    ],
)
def test_case_accents_punctuation_spaces_and_the_order_of_options_do_not_hide_a_copy(screen, question, options):
    tested = item("b", ASPIRIN, options=OPTIONS, source="test-source", split="test")
    gold = (options.index(OPTIONS[0]),)
    result = screen([item("a", question, options=options, gold=gold)], tests=[tested])
    assert result.pairs("kind", "similarity", "same_answer") == [("exact", 1.0, True)]


def test_the_oe_ligature_is_written_either_way(screen):
    tested = item("b", "Que recherche-t-on devant un œdème de la sœur du patient ?", source="test-source", split="test")
    result = screen([item("a", "Que recherche-t-on devant un oedème de la soeur du patient ?")], tests=[tested])
    assert result.pairs("kind") == [("exact",)]


def test_symbols_that_change_the_question_are_not_ignored(screen):
    tested = item("b", "TA < 90 ?", source="test-source", split="test")
    assert screen([item("a", "TA > 90 ?")], tests=[tested]).matches == []


def test_one_word_changed_is_a_near_duplicate_with_its_similarity(screen):
    tested = item("b", ASPIRIN, options=OPTIONS, source="test-source", split="test")
    leaked = item("a", ASPIRIN.replace("faible", "petite"), options=OPTIONS, gold=(1,))
    result = screen([leaked], tests=[tested])
    [(kind, similarity, same_answer)] = result.pairs("kind", "similarity", "same_answer")
    assert kind == "near"
    assert similarity == pytest.approx(by_definition(leaked, tested))
    assert same_answer is False
    assert result.items == []


def by_definition(first, other, width=5):
    """Jaccard similarity of the sets of padded shingles, without accents, case and punctuation."""
    import re
    import unicodedata

    def cut(text):
        text = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
        text = "~" * (width - 1) + " ".join(re.findall(r"\w+", text)) + "~" * (width - 1)
        return {text[start : start + width] for start in range(len(text) - width + 1)}

    left, right = (
        set().union(*(cut(text) for text in (i.question, i.context, *i.options) if text)) for i in (first, other)
    )
    return len(left & right) / len(left | right)


def test_an_options_wording_counts_as_much_as_the_question(screen):
    tested = item("b", "Laquelle est exacte ?", options=OPTIONS, source="test-source", split="test")
    other = item("a", "Laquelle est exacte ?", options=("Crampes", "Rhabdomyolyse", "Toux", "Insomnie"))
    assert screen([other], tests=[tested]).matches == []


def test_report_lists_what_it_leaves_in_place(screen):
    tested = item("b", ASPIRIN, options=OPTIONS, source="test-source", split="test")
    leaked = item("a", ASPIRIN, options=OPTIONS)
    result = screen([leaked], tests=[tested], mode="report")
    assert result.items == [leaked]
    assert result.pairs("kind", "removed") == [("exact", False)]
    assert (result.report["flagged"], result.report["removed"], result.report["kept"]) == (1, 0, 1)


def test_off_passes_every_item_unseen(screen):
    items = [item("a", ASPIRIN, options=OPTIONS), item("b", ASPIRIN, options=OPTIONS)]
    result = screen(items, mode="off")
    assert result.items == items
    assert result.matches == []
    assert result.report == {
        "source": "train-source", "split": "train", "mode": "off", "read": 2, "kept": 2, "removed": 0
    }  # fmt: skip


def test_of_copies_inside_a_source_one_stays_whatever_the_order_of_rows(screen):
    copies = [item(key, ASPIRIN, options=OPTIONS) for key in "abcd"]
    first = screen(copies, folder="one")
    second = screen(copies[::-1], folder="two")
    assert first.items == second.items
    assert len(first.items) == 1
    assert (first.folder / "matches.parquet").read_bytes() == (second.folder / "matches.parquet").read_bytes()
    assert first.report == second.report
    assert first.report["within"] == {"items": 3, "exact": 3}


def test_of_a_chain_of_near_duplicates_no_two_that_stay_are_alike(screen):
    words = ASPIRIN.split()
    chain = []
    for key in range(8):
        words[key * 2] = "mot" + 3 * chr(ord("a") + key)
        chain.append(item(str(key), " ".join(words), options=OPTIONS))
    kept = screen(chain).items
    assert 1 < len(kept) < len(chain)
    assert all(by_definition(item, other) < 0.7 for item in kept for other in kept if item.id != other.id)
    gone = [item for item in chain if item not in kept]
    assert all(any(by_definition(item, other) >= 0.7 for other in kept) for item in gone)


def test_the_earlier_source_keeps_what_two_sources_share(screen):
    earlier = item("b", ASPIRIN, options=OPTIONS, source="first-source")
    result = screen([item("a", ASPIRIN, options=OPTIONS)], earlier=[earlier])
    assert result.items == []
    assert result.pairs("place", "suite", "matched_source") == [("across", None, "first-source")]
    assert result.report["across"] == {"first-source": {"items": 1, "exact": 1}}


def test_the_scope_says_which_duplicates_count(screen):
    earlier = item("b", ASPIRIN, options=OPTIONS, source="first-source")
    items = [item("a", ASPIRIN, options=OPTIONS), item("c", STATINS), item("d", STATINS)]
    assert set(screen(items, earlier=[earlier], scope=["within"]).pairs("place")) == {("within",)}
    assert set(screen(items, earlier=[earlier], scope=["across"]).pairs("place")) == {("across",)}
    assert screen(items, earlier=[earlier], scope=[]).items == items


def test_the_questions_of_a_tested_case_do_not_stay_in_training(screen):
    tested = item("t", "Quel est le diagnostic le plus probable ?", context=CASE, source="test-source", split="test")
    same_case = item("a", "Quel examen demandez-vous en première intention ?", context=CASE)
    almost = item(
        "b", "Quelle classe prescrivez-vous ?", context=CASE.replace("64 ans", "63 ans").replace("gauche", "droit")
    )
    other = item("c", "Quel examen demandez-vous en première intention ?", context="Une femme de 30 ans est enceinte.")
    result = screen([same_case, almost, other], tests=[tested])
    assert result.items == [other]
    assert sorted(result.pairs("item", "kind")) == sorted([(same_case.id, "case"), (almost.id, "case")])


def test_two_questions_on_one_long_case_are_no_near_duplicates_in_training(screen):
    items = [
        item(
            "a", "Quel est le diagnostic ?", context=CASE, group="case", options=("Angor stable", "Embolie pulmonaire")
        ),
        item(
            "b", "Quel examen demander ?", context=CASE, group="case", options=("Épreuve d'effort", "Scanner cérébral")
        ),
    ]
    assert by_definition(*items) > 0.7
    assert screen(items).items == items


def test_a_case_written_into_the_question_does_not_hide_a_copy(screen):
    tested = item("t", "Quel est le diagnostic ?", context=CASE, options=OPTIONS, source="test-source", split="test")
    copied = item("a", f"{CASE} Quel est le diagnostic ?", options=OPTIONS)
    assert screen([copied], tests=[tested]).pairs("kind") == [("near",)]


def test_the_group_of_a_leaking_item_leaves_with_it(screen):
    tested = item("t", ASPIRIN, options=OPTIONS, source="test-source", split="test")
    leaked = item("a", ASPIRIN, options=OPTIONS, group="case-1")
    sibling = item("b", STATINS, options=("Crampes", "Rhabdomyolyse"), group="case-1")
    stranger = item("c", "Que faire ?", options=("Rien", "Attendre"), group="case-2")
    result = screen([leaked, sibling, stranger], tests=[tested])
    assert result.items == [stranger]
    assert sorted(result.pairs("item", "kind", "matched")) == sorted(
        [(leaked.id, "exact", tested.id), (sibling.id, "group", tested.id)]
    )


def test_a_group_of_a_source_never_straddles_training_and_test(screen):
    tested = item("t", ASPIRIN, options=OPTIONS, split="test", group="case-1")
    sibling = item("a", STATINS, options=("Crampes", "Rhabdomyolyse"), group="case-1")
    elsewhere = item("b", "Que faire devant une toux ?", options=("Rien", "Attendre"), group="case-9")
    assert screen([sibling, elsewhere], tests=[tested]).items == [elsewhere]
    foreign = replace(tested, source="test-source")
    assert screen([sibling, elsewhere], tests=[foreign], folder="foreign").items == [sibling, elsewhere]


def test_items_of_no_suite_are_not_screened_against(screen):
    tested = [
        item("t", ASPIRIN, options=OPTIONS, source="test-source", split="test", origin="one"),
        item("u", STATINS, options=("Toux", "Crampes"), source="test-source", split="test", origin="two"),
    ]
    leaked = [item("a", ASPIRIN, options=OPTIONS), item("b", STATINS, options=("Toux", "Crampes"))]
    part = {"source": "test-source", "tasks": ["mcqu"]}
    assert screen(leaked, tests=tested, suites={"s": [part | {"origins": ["two"]}]}).items == leaked[:1]
    assert screen(leaked, tests=tested, suites={"s": [part | {"tasks": ["mcq"]}]}, folder="b").items == leaked
    both = screen(leaked, tests=tested, suites={"s": [part], "r": [part | {"origins": ["one"]}]}, folder="c")
    assert both.pairs("item", "suite") == sorted([(leaked[0].id, "r"), (leaked[0].id, "s"), (leaked[1].id, "s")])
    assert both.report["suites"]["r"] == {"tested": 1, "tested_matched": 1, "items": 1, "exact": 1}


def test_equal_texts_with_different_keys_are_counted(screen):
    tested = item("t", ASPIRIN, options=OPTIONS, gold=(0,), source="test-source", split="test")
    result = screen([item("a", ASPIRIN, options=OPTIONS, gold=(2,))], tests=[tested])
    assert result.report["same_text_other_answer"] == 1
    assert result.pairs("same_answer") == [(False,)]


def test_without_items_or_letters_there_is_nothing_to_match(screen):
    assert screen([]).matches == []
    dots = [item("a", "..."), item("b", "???"), item("c", "Une vraie question ?")]
    assert screen(dots, similarity=0.3).matches == []


def test_a_shard_that_is_missing_or_of_another_source_is_named(screen, tmp_path):
    with pytest.raises(InputError, match="suite s: no shard of its source elsewhere is given"):
        screen([item("a")], suites={"s": [{"source": "elsewhere", "tasks": ["oeq"]}]})
    tested = [item("t", source="test-source", split="validation")]
    with pytest.raises(InputError, match="suite s: the shards of test-source hold no item of split test"):
        screen([item("a")], tests=tested, suites={"s": [{"source": "test-source", "tasks": ["oeq"]}]})
    with pytest.raises(InputError, match=r"items.parquet: items of split validation; expected train alone"):
        screen([item("a", split="validation")])
    twice = item("a")
    with pytest.raises(InputError, match=f"two screened items with the id {twice.id}"):
        screen([twice, twice])


def test_the_screened_items_keep_the_order_of_their_shard(screen):
    items = [
        item(str(number), f"Que dire de {word} ?") for number, word in enumerate(random.Random(1).sample(OPTIONS, 3))
    ]
    result = screen(items)
    assert result.items == items
    assert read_parquet(result.folder / "screened.parquet").equals(items_to_table(items))


def test_a_suite_is_narrowed_to_what_a_screened_shard_depends_on():
    def spec(**settings):
        suite = Suite.model_validate(
            {"benchmarks": {"b": {"source": "s", **settings.pop("benchmark", {})}}, **settings}
        )
        return ScreeningSpec(source="s", split="train", screening=Screening(), suites={"x": suite}).canonical_json()

    assert spec() == spec(permutations=3, max_new_tokens=7, benchmark={"limit": 5})
    assert spec() != spec(benchmark={"tasks": ["oeq"]})
    assert ScreeningSpec.from_json(spec()).canonical_json() == spec()
