import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from endpoint_server import Answer, EndpointServer, completion

from posologie.generation import plan, translation
from posologie.generation.translation_checks import Fields, Languages, match_of, problem_of, problem_of_whole
from posologie.records.files import read_json, write_parquet
from posologie.records.items import Item, items_to_table, read_items
from posologie.running.errors import InputError

PROMPT = Path(__file__).parents[3] / "resources" / "prompts" / "fr" / "translation" / "item.md"
FRENCH = {
    "Which drug is given first, at 5 mg/kg, for this bacterial infection of the urinary tract?": (
        "Quel médicament est donné en premier, à 5 mg/kg, pour cette infection bactérienne des voies urinaires ?"
    ),
    "A 32-year-old woman has had a fever for three days.": "Une femme de 32 ans a de la fièvre depuis trois jours.",
    "Ceftriaxone 1 g": "Ceftriaxone 1 g",
    "Amoxicillin 2.5 g": "Amoxicilline 2,5 g",
    "None of these drugs": "Aucun de ces médicaments",
    "What is the diagnosis in this young woman with fever and back pain?": (
        "Quel est le diagnostic chez cette jeune femme qui a de la fièvre et mal au dos ?"
    ),
    "Acute pyelonephritis": "Pyélonéphrite aiguë",
}
QUESTION, CASE, *OPTIONS = list(FRENCH)[:5]


def item(number, task="mcqu", **changed):
    values = {
        "id": f"i{number}",
        "source": "english",
        "provenance": "native",
        "split": "train",
        "task": task,
        "question": QUESTION,
        "context": f"{CASE} Case {number}.",
        "options": tuple(OPTIONS),
        "gold": (1,),
        "answer": "",
        "group": f"g{number}",
        "meta": {"origin": "made"},
    }
    if task == "oeq":
        values |= {"question": list(FRENCH)[5], "options": (), "gold": (), "answer": list(FRENCH)[6]}
    return Item(**{**values, **changed})


def shard(folder, items):
    write_parquet(folder / "english.parquet", items_to_table(items))
    return folder / "english.parquet"


def french(text):
    for english, translated in FRENCH.items():
        text = text.replace(english, translated)
    return text.replace("Case", "Cas")


def prompted_item(body):
    """Return the item in a request's prompt."""
    text = body["messages"][1]["content"]
    return json.JSONDecoder().raw_decode(text[text.index("{") :])[0]


def translated(fields):
    return {
        name: [{**option, "text": french(option["text"])} for option in value]
        if isinstance(value, list)
        else french(value)
        for name, value in fields.items()
    }


def entries(*texts):
    return [{"label": label, "text": text} for label, text in zip("ABCDE", texts, strict=False)]


async def faithful(body, before):
    return Answer(completion(json.dumps(translated(prompted_item(body)))))


def spec(server, **translator):
    backend = {"kind": "openai_endpoint", "url": server.url, "model": "mock", "key_variable": None}
    return {"name": "mock", "source": "english", "split": "train", "translator": {"backend": backend, **translator}}


def run_translation(folder, specification, *more):
    outputs = {"items": folder / "fr.parquet", "rejects": folder / "fr.rejects.parquet", "report": folder / "fr.json"}
    translation.main(
        [
            *("--backend", specification["translator"]["backend"]["kind"], "--spec", json.dumps(specification)),
            *("--source", str(folder / "english.parquet")),
            *("--work", str(folder / "work"), *more),
            *(text for kind, path in outputs.items() for text in (f"--{kind}", str(path))),
        ]
    )
    return read_items(outputs["items"]), pq.read_table(outputs["rejects"]).to_pylist(), read_json(outputs["report"])


def test_an_item_is_translated_as_a_whole_and_its_gold_stays(tmp_path):
    originals = [item(0), item(1), item(2, "oeq")]
    shard(tmp_path, originals)
    with EndpointServer(faithful) as server:
        items, rejects, report = run_translation(tmp_path, spec(server), "--prompt", str(PROMPT))
        assert len(server.requests) == 3, "one request an item"
    assert rejects == []
    assert (report["items"], report["accepted"], report["accepted_after_retry"]) == (3, 3, 0)
    of_original = {made.meta["translated_from"]: made for made in items}
    for original in originals:
        made = of_original[original.id]
        assert made.problem() is None
        assert (made.gold, made.group, made.task, made.split) == (original.gold, original.group, original.task, "train")
        assert (made.provenance, made.meta["translator"], made.meta["origin"]) == ("translated", "mock", "made")
        assert made.id != original.id
    assert of_original["i0"].options == ("Ceftriaxone 1 g", "Amoxicilline 2,5 g", "Aucun de ces médicaments")
    assert of_original["i0"].context == "Une femme de 32 ans a de la fièvre depuis trois jours. Cas 0."


def test_what_fails_a_check_is_retried_once_then_rejected_with_its_reason(tmp_path):
    async def careless(body, before):
        fields, retried = prompted_item(body), len(body["messages"]) > 2
        number = int(fields["context"].split("Case ")[1].rstrip("."))
        good = translated(fields)
        bad = {
            1: {**good, "options": good["options"][:2]},
            2: {**good, "question": good["question"].replace("5 mg", "50 mg")},
            3: {
                **good,
                "options": entries(good["options"][1]["text"], good["options"][0]["text"], "Aucun de ces médicaments"),
            },
            4: {**good, "context": ""},
            5: fields,
            6: {"translation": "…"},
            7: {**good, "options": entries("Oui", "oui.", "Toujours")},
            9: {
                **good,
                "options": [{**option, "label": label} for option, label in zip(good["options"], "AAC", strict=True)],
            },
            10: {**good, "options": good["options"][::-1]},
            11: {**good, "options": entries("Rein", "Foie", "Cœur")},
            12: {**good, "question": "Laquelle n'est pas une cause d'œdème aigu du poumon chez l'adulte ?"},
            13: {**good, "options": entries("Ovaire", "Testicle and epididymis", "Peau")},
        }.get(number, good)
        if number == 8 and not retried:
            bad = {**good, "question": good["question"].replace("5 mg/kg", "5 mg")}
        return Answer(completion(json.dumps(bad)))

    items = [item(number) for number in range(14)]
    items[7] = item(7, options=("Yes, it is", "Surely", "Always"))
    items[11] = item(11, options=("Heart", "Liver", "Kidney"))
    items[12] = item(12, question="Which is a cause of acute pulmonary oedema in adults?")
    items[13] = item(13, options=("Ovary", "Testicle and epididymis", "Skin"))
    shard(tmp_path, items)
    with EndpointServer(careless) as server:
        items, rejects, report = run_translation(tmp_path, spec(server), "--prompt", str(PROMPT))
        assert max(server.asked.values()) == 1
        repairs = [body for body in server.requests if len(body["messages"]) > 2]
        assert any("50 mg/kg was added" in body["messages"][-1]["content"] for body in repairs)
    assert {row["item"]: row["reason"] for row in rejects} == {
        "i1": "option labels",
        "i2": "numbers and units",
        "i3": "numbers and units",
        "i4": "text missing",
        "i5": "another language",
        "i6": "malformed reply",
        "i7": "options became equal",
        "i9": "option labels",
        "i10": "option labels",
        "i11": "options changed places",
        "i12": "says the opposite",
        "i13": "untranslated",
    }
    assert sorted(made.meta["translated_from"] for made in items) == ["i0", "i8"]
    assert report["accepted_after_retry"] == 1
    assert report["accepted"] + sum(report["rejected"].values()) == report["items"] == 14


def test_a_long_context_is_split_at_sentence_borders_and_joined_again(tmp_path):
    long = " ".join(f"{CASE} Case {number}." for number in range(30))
    shard(tmp_path, [item(0, context=long)])
    with EndpointServer(faithful) as server:
        items, rejects, _ = run_translation(tmp_path, spec(server, longest_piece=500), "--prompt", str(PROMPT))
        pieces = [prompted_item(body) for body in server.requests]
    assert rejects == []
    assert items[0].context == french(long)
    assert len(pieces) > 3
    assert all(len(piece["context"]) <= 500 for piece in pieces)
    assert sum(bool(piece["question"]) for piece in pieces) == 1


def test_a_translation_model_without_instructions_gets_each_text(tiny_translator, tmp_path):
    """The model is untrained: what is shown is that every item ends translated or rejected with a reason."""
    shard(tmp_path, [item(0), item(1, "oeq")])
    backend = {"kind": "seq2seq", "backbone": "m", "threads": 1, "beams": 1, "retry_beams": 2}
    specification = {"name": "m", "source": "english", "split": "train", "translator": {"backend": backend}}
    items, rejects, report = run_translation(tmp_path, specification, "--backbone", str(tiny_translator))
    assert len(items) + len(rejects) == 2 == report["items"]
    assert {row["reason"] for row in rejects} <= {
        "numbers and units",
        "length",
        "another language",
        "another question",
        "untranslated",
        "says the opposite",
    }
    assert report["backend"]["retried_parts"] > 0
    again = run_translation(tmp_path, specification, "--backbone", str(tiny_translator))
    assert again == (items, rejects, report)


def test_the_number_check_is_text_by_text_so_that_exchanged_options_are_found():
    languages = Languages("en", "fr")
    source = Fields("Which dose?", options=("5 mg", "10 mg"))
    assert problem_of(source, Fields("Quelle dose ?", options=("5 mg", "10 mg")), languages) is None
    assert (
        problem_of(source, Fields("Quelle dose ?", options=("10 mg", "5 mg")), languages).reason == "numbers and units"
    )
    short = Fields("x" * 100)
    assert problem_of(short, Fields("x" * 30), languages).reason == "length"
    equal = Fields("Q ?", options=("Yes", "No")), Fields("Q ?", options=("Oui", "oui."))
    assert problem_of_whole(*equal, languages).reason == "options became equal"


@pytest.mark.parametrize(
    ("english", "french", "reason"),
    [
        (("Aortic stenosis", "Mitral stenosis"), ("Sténose aortique", "Sténose mitrale"), None),
        (("Aortic stenosis", "Mitral stenosis"), ("Sténose mitrale", "Sténose aortique"), "options changed places"),
        (("Colonoscopy", "Serology", "Heart"), ("Sérologie", "Cœur", "Coloscopie"), "options changed places"),
        (("Always", "Never", "Sometimes"), ("Toujours", "Jamais", "Parfois"), None),
        (("Always", "Never", "Sometimes"), ("Jamais", "Toujours", "Parfois"), "options changed places"),
        (("Kidney", "Liver"), ("Rein", "Foie"), None),
        (("Kidney", "Liver"), ("Foie", "Rein"), "options changed places"),
        (("six weeks", "eight weeks"), ("huit semaines", "six semaines"), "options changed places"),
        (("stage II", "stage III"), ("stade III", "stade II"), "options changed places"),
        (("A then B cells", "B then A cells"), ("Cellules A puis B", "Cellules B puis A"), None),
    ],
)
def test_options_without_numbers_may_not_change_places_either(english, french, reason):
    source, translation = Fields("Q?", options=english), Fields("Q ?", options=french)
    matching = match_of(source, translation, Languages("en", "fr"))
    assert matching.exchanged == (reason is not None)
    assert len(matching.certainty) == len(english)
    assert all((certainty > 0.5) == (reason is None) for certainty in matching.certainty[:2])


@pytest.mark.real_data
def test_professional_translations_pass_the_check_of_places_and_exchanged_options_do_not(real_data):
    texts = {}
    for language in ("en", "fr"):
        lines = (real_data / f"casimedicos/reconstructed_{language}_mcqu.jsonl").read_text("utf-8").splitlines()
        for record in map(json.loads, lines):
            if record["split"] == "test":  # what the weights were not fitted on
                options = [option for option in record["options"] if option != "nan"]
                texts.setdefault(record["idx"], {})[language] = Fields("", options=tuple(options))
    pairs = [(both["en"], both["fr"]) for both in texts.values() if len(both) == 2]
    pairs = [(english, french) for english, french in pairs if len(english.options) == len(french.options) > 1]
    assert len(pairs) > 100
    languages = Languages("en", "fr")
    assert not any(match_of(english, french, languages).exchanged for english, french in pairs)
    count = 0
    for english, french in pairs:
        first, second, *others = french.options
        count += match_of(english, Fields("", options=(second, first, *others)), languages).exchanged
    assert count >= 0.95 * len(pairs)


def test_a_prompt_is_required_where_the_model_takes_instructions(tmp_path):
    shard(tmp_path, [item(0)])
    with EndpointServer(faithful) as server, pytest.raises(InputError, match="--prompt: missing"):
        run_translation(tmp_path, spec(server))


def test_the_plan_counts_items_without_asking(tmp_path):
    shard(tmp_path, [item(number) for number in range(40)])
    with EndpointServer(faithful) as server:
        arguments = ["translated", "--spec", json.dumps(spec(server)), "--source", str(tmp_path / "english.parquet")]
        arguments += ["--prompt", str(PROMPT), "--work", str(tmp_path / "work"), "--plan", str(tmp_path / "plan.json")]
        plan.main(arguments)
        assert server.requests == []
        made = read_json(tmp_path / "plan.json")
        assert (made["requests"], made["answered"], made["money"]) == (40, 0, None)
        assert made["most_tokens"] > made["prompt_tokens"] + made["generated_tokens"]
        run_translation(tmp_path, spec(server), "--prompt", str(PROMPT))
        plan.main(arguments)
    assert read_json(tmp_path / "plan.json")["answered"] == 40
